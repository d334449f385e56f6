"""Slots: which of two records stays, and how many an author may keep (spec section 4.4).

Pure functions of places, so that whoever has seen the same records holds the same, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from consilience.errors import RecordRetractedError, RefusedError, SuccessionInvalidError, TicketUsedError
from consilience.reviews.records import Place
from consilience.reviews.statements import RecordType

QUOTAS: Mapping[RecordType, int] = MappingProxyType(
    {
        RecordType.NODE_CARD: 1,
        RecordType.KEY_SUCCESSION: 1,
        RecordType.REVIEW: 10_000,
        RecordType.REBUTTAL: 10_000,
        RecordType.ADVISORY: 1_000,
    }
)
"""How many slots of a type an author may fill (REC-QUO-001)."""


def wins(newcomer: Place, *, held: Place) -> bool:
    """Tells whether a record takes the place of the one that holds its slot (REC-SLOT-001)."""
    match (newcomer.type, held.type):
        case (RecordType.NODE_CARD, _):
            later, earlier = newcomer.issue_time, held.issue_time
        case (RecordType.KEY_SUCCESSION, _):
            return False
        case (RecordType.RETRACTION, RecordType.RETRACTION):
            later, earlier = newcomer.end, held.end
        case (RecordType.RETRACTION, _):
            return newcomer.end >= held.end
        case (_, RecordType.RETRACTION):
            return held.end < newcomer.end
        case (RecordType.REVIEW, _):
            later, earlier = held.issue_time, newcomer.issue_time
        case _:
            later, earlier = newcomer.issue_time, held.issue_time
    return later > earlier or (later == earlier and newcomer.digest < held.digest)


def refusal_of(newcomer: Place, *, held: Place) -> RefusedError | None:
    """Returns what a registry says to a record that lost its slot; None: it is superseded, which is no refusal."""
    match (newcomer.type, held.type):
        case (RecordType.KEY_SUCCESSION, _):
            return SuccessionInvalidError("another succession of this root key was seen first")
        case (RecordType.REVIEW | RecordType.ADVISORY, RecordType.RETRACTION):
            return RecordRetractedError("its author has taken it back")
        case (RecordType.REVIEW, _):
            return TicketUsedError("there is another review with this ticket")
        case _:
            return None


def rank(place: Place) -> tuple[object, bytes]:
    """Returns by what the slots of an author are ordered: those that end last come last, and are kept."""
    return place.end, place.slot


def within_quotas(places: Iterable[Place], *, quotas: Mapping[RecordType, int] = QUOTAS) -> list[Place]:
    """Returns what stays of records that hold a slot each, by all their authors (REC-QUO-001)."""
    by_author: dict[tuple[bytes, RecordType], list[Place]] = {}
    for place in places:
        by_author.setdefault((place.author, place.slot_type), []).append(place)
    return [
        place
        for (_, slot_type), filled in by_author.items()
        for place in sorted(filled, key=rank, reverse=True)[: quotas[slot_type]]
    ]
