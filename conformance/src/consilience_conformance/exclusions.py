"""The MUSTs that no check can test, and what checks leave open of the others, each with the reason.

Every MUST that is not excluded has a check. A MUST that binds both sides is tested, or excluded, once for each of them.
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

OPEN_PARTS: Final[Mapping[Role, Mapping[str, str]]] = MappingProxyType(
    {
        "node": MappingProxyType(
            {
                "SEC-GRANT-001": (
                    "Grants that have expired, are not valid yet, or last longer than an hour: the operator alone "
                    "could sign them."
                ),
                "SEC-CONN-001": "Some ways to misuse a connection are tried; nobody can try all.",
                "ASK-CARD-001": "A card that has expired: no run waits for the end of one.",
                "ASK-KEEP-001": "keep_until_time is checked against the card, and no run waits until it comes.",
                "ASK-DUR-003": "One card is followed across one restart, and not until it expires.",
                "PAY-TRF-001": (
                    "Cached and hidden tokens, which no script has: what one told as it ends, no Meter would show. The "
                    "vectors say what they cost."
                ),
                "PAY-ASK-002": (
                    "Quotes that the node signed for this skill and that name another node or have no tariff: no "
                    "tester is given one."
                ),
                "PAY-RCP-003": "Refunds: no call asks for one.",
                "REG-OPEN-001": "Full registries, and callers from several addresses: a run fills none, and has one.",
                "REG-FIND-001": "Cards that come and go while pages are read.",
                "REG-SYNC-001": "Several processes that share one database, a key each: a run judges one.",
                "REC-QUO-001": "Ten thousand reviews, or rebuttals, of one author: no run publishes so many.",
                "REC-END-001": "That an ended card keeps earlier ones out is looked at within seconds of its end.",
            }
        ),
        "client": MappingProxyType(
            {
                "NODE-CARD-004": "Cards that were found: what is remembered of them when a process ends.",
                "PAY-TRF-001": "Tokens, time and amounts near 2^63: payees price bytes and requests; see the vectors.",
                "REV-RTR-001": "What is remembered of retractions when a process ends.",
                "REG-PRIV-001": "Texts and digests are looked for as they are and in hexadecimal, in no other shape.",
            }
        ),
    }
)
"""By who is judged: the id of a MUST that has checks, and what of it they do not show."""
