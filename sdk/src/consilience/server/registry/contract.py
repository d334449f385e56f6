"""The contract of record stores: what a registry keeps, whatever database it keeps it in (spec section 4.4).

A store takes in records that were checked already, each with its place (`consilience.reviews.place_of`). Slots, quotas
and retired keys it decides itself, because only within one transaction does what it reads stay true. Several processes
may share one.

    store = record_store_at("postgresql://registry@localhost/registry")
    await store.open()
    (outcome,) = await store.admit([placed], now=now)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from consilience.errors import LimitExceeded, LimitExceededError, NodeFaultError, RecordNotYetValidError, RefusedError
from consilience.reviews import NodeQuery, Placed, PublishOutcome, Record, RecordQuery
from consilience.server.load import exceeded
from consilience.server.registry.ring import Arc
from consilience.units import Digest, PublicKey

Admission = PublishOutcome | RefusedError
"""What became of a record: an outcome, or the refusal that its publisher gets."""

RECORDS_LIMIT = "max_records"
"""The name of the limit on what a registry holds, in the detail of a refusal."""


def says_full(refusal: RefusedError) -> bool:
    """Tells whether it is the registry that has no room, and not the record that is wrong."""
    return isinstance(refusal.detail, LimitExceeded) and refusal.detail.limit == RECORDS_LIMIT


def passes(refusal: RefusedError) -> bool:
    """Tells whether time lifts a refusal: the registry is busy, full or at fault, or its clock is behind."""
    lifted = isinstance(refusal, NodeFaultError | RecordNotYetValidError)
    return refusal.retry_after is not None or lifted or says_full(refusal)


@dataclass(slots=True, kw_only=True)
class Capacity:
    """How many records a registry may hold, so that strangers cannot fill its disk.

    Attributes:
        max_records: From so many on, nothing is taken in but what takes the place of something.
        held: How many there are, to the best of this process's knowledge: others write, and records end.
    """

    max_records: int
    held: int = 0

    def take(self) -> LimitExceededError | None:
        """Counts one more, or returns the refusal where there is no room."""
        if self.held >= self.max_records:
            return exceeded(RECORDS_LIMIT, maximum=self.max_records, requested=self.held + 1)
        self.held += 1
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record with its number: records are numbered in the order in which they were committed."""

    serial: int
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found on an arc, and how far that was looked through.

    Attributes:
        cards: By their places on the ring, upwards.
        until: Of the arc, everything up to here was looked at.
    """

    cards: tuple[tuple[int, Record], ...]
    until: int


@runtime_checkable
class RecordStore(Protocol):
    """Keeps records. Every method but `open` needs an open store; all belong to one event loop.

    Every method raises `StoreUnavailableError` where the medium fails. Nothing that has ended at `now` is returned.
    """

    @property
    def identity(self) -> bytes:
        """Sixteen random bytes, made with the store: what its tokens and cursors are told by."""

    async def open(self) -> None:
        """Makes the store ready, and its tables where there are none.

        Raises:
            UsageError: It is open already.
            SchemaTooNewError: A later version of this library made it.
        """

    async def close(self) -> None:
        """Ends what was begun and gives everything back; a second call does nothing."""

    async def admit(
        self, records: Sequence[Placed], *, now: datetime, capacity: Capacity | None = None
    ) -> tuple[Admission, ...]:
        """Takes records in, one after the other, by steps 9 to 13 of spec section 4.4, and tells what became of each.

        One that is refused, or superseded, leaves everything as it was.

        Args:
            records: Checked, each with the card that it rests on.
            now: Aware UTC.
            capacity: What the store may hold: what adds to that is counted there, and refused beyond it; None: as
                much as comes.
        """

    async def count(self, *, now: datetime) -> int:
        """Returns how many records are held that have not ended."""

    async def get(self, digest: Digest, *, now: datetime) -> Record | None:
        """Returns a record by its digest, or None."""

    async def card_of(self, node_id: PublicKey, *, now: datetime) -> Record | None:
        """Returns the card that is held of a node, or None."""

    async def unknown(self, digests: Sequence[Digest]) -> tuple[Digest, ...]:
        """Returns those that name no record here, in their order."""

    async def about(self, query: RecordQuery, *, before: int | None, limit: int, now: datetime) -> tuple[Entry, ...]:
        """Returns the records about a subject, by an author, or both, the latest first.

        Args:
            query: Whose records; its page is not looked at.
            before: Only those with a lower number; None: all.
            limit: How many at most.
            now: Aware UTC.
        """

    async def fitting(self, query: NodeQuery, *, arc: Arc, limit: int, now: datetime) -> Found:
        """Returns the cards of nodes of which a skill fits (`reviews.fits`), in the order of the ring.

        It looks at a bounded number of cards, however many there are and however few of them fit: so it may come less
        far than the arc goes, with fewer cards than the limit, or none.

        Args:
            query: What is asked for; its page is not looked at.
            arc: Which nodes.
            limit: How many at most.
            now: Aware UTC.
        """

    async def taken_in(self, *, after: int, limit: int, now: datetime) -> tuple[tuple[int, Digest], ...]:
        """Returns number and digest of records, from behind a number, upwards: the feed of `SyncRecords`.

        A number that was returned once is never followed by a lower one that was not, whoever writes (REG-SYNC-001).
        """

    async def forget(self, *, now: datetime) -> int:
        """Drops what has ended, and tells how many records it was. Of a card it keeps that it was there."""

    async def cursor_of(self, registry: str) -> bytes:
        """Returns how far another registry was followed; empty: not at all."""

    async def note_cursor(self, registry: str, cursor: bytes) -> None:
        """Notes how far another registry was followed."""

    async def whole_round_of(self, registry: str) -> datetime | None:
        """Returns when it was last begun to follow another registry from the beginning; None: it is not known."""

    async def begin_whole_round(self, registry: str, *, now: datetime) -> None:
        """Notes that another registry is followed from the beginning, from now on: its cursor is empty again."""
