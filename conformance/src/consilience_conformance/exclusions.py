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
                "PAY-RAIL-001": "No transfer by hold.v1 is ever unknown, and no tester makes another rail silent.",
                "ASK-DATA-004": "What reaches the template of a model is not seen from outside.",
                "REG-SYNC-002": "Whom a node follows, its operator decides: no tester has it follow one that lies.",
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
                "ASK-ANS-001": "That the key has not expired is checked, but no mutant proves that check.",
                "ASK-KEEP-001": "keep_until_time is checked against the card, and no run waits until it comes.",
                "ASK-DUR-003": "One card is followed across one restart, and not until it expires.",
                "PAY-TRF-001": "Cached and hidden tokens, which no script has; the vectors say what they cost.",
                "PAY-ASK-002": (
                    "Quotes that the node signed and that name another node, rest on another card of it, or have no "
                    "tariff: no tester is given one."
                ),
                "PAY-RCP-003": "Refunds: no call asks for one.",
                "REG-OPEN-001": "Full registries, and callers from several addresses: a run fills none, and has one.",
                "REG-FIND-001": "Prices with a minimum or included units; cards that come and go while pages are read.",
                "REG-SYNC-001": "Several processes that share one database: a run sees one address.",
                "PAY-WDR-002": "Payouts that the rail leaves pending, or that fail: those of hold.v1 succeed at once.",
                "REC-ADM-001": "Records that a registry takes over from others: see REG-SYNC-002.",
                "REC-QUO-001": "Ten thousand reviews, or rebuttals, of one author: no run publishes so many.",
                "REC-END-001": "That an ended card keeps earlier ones out is looked at within seconds of its end.",
            }
        ),
        "client": MappingProxyType(
            {
                "NODE-CARD-004": "Cards that were found: what is remembered of them when a process ends.",
                "PAY-TRF-001": "Tokens, time and amounts near 2^63: payees price bytes and requests; see the vectors.",
                "PAY-RAIL-001": "Withdrawals: no instruction asks a client for one.",
                "PAY-RCP-005": "Refunds: no payee gives one.",
                "REV-RTR-001": "What is remembered of retractions when a process ends.",
                "REV-ADV-001": "An advisory that ends after it was read: no run waits for the end of one.",
                "REG-PRIV-001": "Texts and digests are looked for as they are and in hexadecimal, in no other shape.",
            }
        ),
    }
)
"""By who is judged: the id of a MUST that has checks, and what of it they do not show."""
