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
        "node": MappingProxyType({}),
        "client": MappingProxyType({}),
    }
)
"""By who is judged: the id of a MUST, and why nothing that can be seen from outside shows whether it is kept."""
