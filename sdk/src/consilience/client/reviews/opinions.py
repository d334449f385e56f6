"""Opinions: what is said about a node or a model, by all registries that were asked (spec sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from consilience.client.reviews.faults import Fault
from consilience.client.reviews.gathering import gather
from consilience.client.reviews.registries import Reading, Registry
from consilience.client.reviews.retractions import Retractions
from consilience.envelopes import Signed
from consilience.reviews import Advisory, Merged, Placed, Rebuttal, Record, RecordQuery, RecordType, Review

WANTED = (RecordType.REVIEW, RecordType.ADVISORY, RecordType.REBUTTAL, RecordType.RETRACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A review or an advisory that counts.

    Attributes:
        record: As it is kept.
        rebuttal: What the node it is about had to say to it last; None: nothing (REV-RBT-001).
    """

    record: Placed
    rebuttal: Rebuttal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """What is said about a node or a model.

    What was taken back is not among it (REV-RTR-001), nor a second review of one answer (REV-ONE-001), nor what has
    expired (REV-ADV-001).

    Attributes:
        records: Everything that counts, rebuttals and retractions included.
        faults: What is wrong with which registry.
    """

    records: Merged
    faults: tuple[Fault, ...]

    @property
    def reviews(self) -> tuple[Opinion, ...]:
        """The reviews."""
        return self._of(Review)

    @property
    def advisories(self) -> tuple[Opinion, ...]:
        """The warnings."""
        return self._of(Advisory)

    def signed_reviews(self) -> tuple[Signed[Review], ...]:
        """Returns the reviews as their reviewers signed them."""
        return tuple(opinion.record.record.object for opinion in self.reviews)  # type: ignore[misc]

    def _of(self, kind: type[Review | Advisory]) -> tuple[Opinion, ...]:
        return tuple(
            Opinion(record=placed, rebuttal=self.records.rebuttal_of(placed))
            for placed in self.records.records
            if isinstance(placed.record.object.value, kind)
        )


async def opinions_about(
    subject: bytes, *, registries: Sequence[Registry], now: datetime, retractions: Retractions
) -> Opinions:
    """Asks registries what is said about a node or a model.

    Args:
        subject: The node id, or SHA-256 of the weights, 32 bytes.
        registries: Whom to ask.
        now: Aware UTC.
        retractions: What was seen to be taken back, and is by what comes.

    Raises:
        ConsilienceError: No registry answered.
    """
    query = RecordQuery(subject=subject, types=WANTED)

    async def records(registry: Registry) -> Reading[Record]:
        return await registry.records(query)

    def fits(placed: Placed) -> bool:
        return placed.place.subject == subject and placed.place.type in WANTED

    gathered = await gather(registries, records, now=now, fits=fits, known=retractions.about(subject, now=now))
    retractions.note(gathered.merged.records)
    return Opinions(records=gathered.merged, faults=gathered.faults)
