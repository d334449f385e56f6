"""Retractions: what a reader saw taken back stays so, whichever registry is silent about it later (REV-RTR-001)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from consilience.reviews import Placed, RecordType
from consilience.reviews.merging import Slot

MAX_RETRACTIONS = 10_000
"""How many are remembered: those that were seen last."""


class Retractions:
    """Remembers retractions for as long as a client lives."""

    def __init__(self) -> None:
        self._seen: dict[Slot, Placed] = {}

    def note(self, records: Iterable[Placed]) -> None:
        """Remembers those that are among records which count."""
        for placed in records:
            if placed.place.type is RecordType.RETRACTION:
                self._seen.pop(placed.slot, None)
                self._seen[placed.slot] = placed
        for forgotten in tuple(self._seen)[: max(0, len(self._seen) - MAX_RETRACTIONS)]:
            del self._seen[forgotten]

    def about(self, subject: bytes, *, now: datetime) -> tuple[Placed, ...]:
        """Returns those about a node or a model that have not ended."""
        return tuple(one for one in self._seen.values() if one.place.subject == subject and one.place.end > now)
