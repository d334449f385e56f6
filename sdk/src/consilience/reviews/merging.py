"""Merging: what several registries returned becomes one view, and who held something back stands out (section 4.6).

>>> merged({"https://one.example:7341": [], "https://two.example:7341": []}).records
()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from consilience.reviews.records import OpenRecord, Place
from consilience.reviews.slots import wins
from consilience.reviews.statements import Rebuttal, RecordType
from consilience.units import Digest

Slot = tuple[bytes, RecordType, bytes]
"""Author, type and slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A record with its place, which `place_of` gave after it checked it."""

    record: OpenRecord
    place: Place

    @property
    def slot(self) -> Slot:
        """What it competes for."""
        return self.place.author, self.place.slot_type, self.place.slot


@dataclass(frozen=True, kw_only=True)
class Merged:
    """One view of what several registries returned.

    Attributes:
        records: Those that count, each once; retractions are among them, what they retract is not.
        missing: By registry, what it did not serve though another did: it is behind, or it lies.
    """

    records: tuple[Placed, ...]
    missing: Mapping[str, frozenset[Digest]]

    def rebuttal_of(self, placed: Placed) -> Rebuttal | None:
        """Returns what the subject of a review or an advisory had to say to it last, or None."""
        return self._rebuttals.get((placed.place.subject, placed.place.type, placed.place.slot))

    @cached_property
    def _rebuttals(self) -> dict[Slot, Rebuttal]:
        """The rebuttals by whose they are, and by type and slot of what they answer."""
        return {
            (other.place.author, other.record.object.value.target_type, other.place.slot): other.record.object.value
            for other in self.records
            if isinstance(other.record.object.value, Rebuttal)
        }


def merged(served: Mapping[str, Iterable[Placed]]) -> Merged:
    """Lays together what registries returned for one question.

    Args:
        served: By registry, the records that passed `place_of`, in any order and number.
    """
    by_registry = {
        registry: {placed.place.digest: placed for placed in records} for registry, records in served.items()
    }
    held: dict[Slot, Placed] = {}
    for records in by_registry.values():
        for placed in records.values():
            earlier = held.get(placed.slot)
            if earlier is None or wins(placed.place, held=earlier.place):
                held[placed.slot] = placed
    counted = {placed.place.digest for placed in held.values()}
    missing = {registry: frozenset(counted - records.keys()) for registry, records in by_registry.items()}
    return Merged(records=tuple(held.values()), missing={name: lost for name, lost in missing.items() if lost})
