"""The MUSTs that no check can test, each with the reason.

Every other one has a check. A MUST that binds both sides is tested, or excluded, once for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from consilience_conformance.requirements import Role

EXCLUSIONS: Final[Mapping[Role, Mapping[str, str]]] = MappingProxyType(
    {
        "node": MappingProxyType(
            {
                "NODE-ID-001": "No call hands a node a key in its text form; the vectors decide what a reader refuses.",
                "NODE-KEY-002": "The card shows the digest alone; the key behind it is kept secret until a succession.",
                "STRM-LOG-004": "No tester makes a node lose events; a hole that it hides is found by STRM-LOG-001.",
                "ASK-DATA-004": "What reaches the template of a model is not seen from outside.",
            }
        ),
        "client": MappingProxyType({}),
    }
)
"""By who is judged: the id of a MUST, and why nothing that can be seen from outside shows whether it is kept."""
