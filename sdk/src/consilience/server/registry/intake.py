"""Intake: how a record comes into a registry, whoever brings it (spec section 4.4, REC-ADM-001).

Steps 1 to 8 are judged here, with the card of the registry's own where a record brings none; the store goes on with the
others, in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from consilience._wire.envelopes import open_envelope
from consilience._wire.records import open_record
from consilience.envelopes import Signed
from consilience.errors import RefusedError
from consilience.nodes import KeySuccession, NodeCard
from consilience.reviews import (
    OpenRecord,
    Placed,
    PublishOutcome,
    Record,
    card_wanted,
    check_commitment,
    place_of,
)
from consilience.server.registry.contract import Admission, Capacity, RecordStore
from consilience.server.registry.turns import Turns
from consilience.units import PublicKey


class Intake:
    """Takes records into a store, and no new one once the store is full."""

    def __init__(self, store: RecordStore, *, clock: Callable[[], datetime], max_records: int) -> None:
        """Takes nothing in before `count`.

        Args:
            store: Keeps the records.
            clock: Tells the aware UTC time.
            max_records: From how many on nothing more is taken in but what takes the place of something.
        """
        self._store = store
        self._clock = clock
        self._capacity = Capacity(max_records=max_records, held=max_records)
        self._turns = Turns(self._admit_checked)

    async def count(self) -> None:
        """Counts what is held: at the start, and again from time to time, since others write and records end."""
        self._capacity.held = await self._store.count(now=self._clock())

    async def publish(self, record: Record) -> PublishOutcome:
        """Takes a record in, and tells what became of it.

        Raises:
            RefusedError: By the first check that fails; nothing changed.
        """
        (admission,) = await self.admit([record])
        if isinstance(admission, RefusedError):
            raise admission
        return admission

    async def admit(self, records: Sequence[Record]) -> tuple[Admission, ...]:
        """Takes records in, one after the other, and tells what became of each."""
        now = self._clock()
        admissions: dict[int, Admission] = {}
        ready: dict[int, Placed] = {}
        for index, record in enumerate(records):
            try:
                opened = open_record(record)
                own = None
                if (node_id := _own_card_wanted(record, opened)) is not None:
                    admissions |= await self._take_in(ready)  # the card may be among them
                    ready = {}
                    own = await self._own_card(node_id, now=now)
                ready[index] = _placed(opened if record.card is not None else opened.resting_on(own), own=own, now=now)
            except RefusedError as error:
                admissions[index] = error
        admissions |= await self._take_in(ready)
        return tuple(admissions[index] for index in range(len(records)))

    async def _take_in(self, ready: dict[int, Placed]) -> dict[int, Admission]:
        return dict(zip(ready, await self._turns.bring(list(ready.values())), strict=True)) if ready else {}

    async def _admit_checked(self, records: Sequence[Placed]) -> tuple[Admission, ...]:
        return await self._store.admit(records, now=self._clock(), capacity=self._capacity)

    async def _own_card(self, node_id: PublicKey, *, now: datetime) -> Signed[NodeCard] | None:
        held = await self._store.card_of(node_id, now=now)
        return None if held is None else open_envelope(held.object, NodeCard)


def _own_card_wanted(record: Record, opened: OpenRecord) -> PublicKey | None:
    """Returns the node whose card, as it is held here, has a say: to what brings none, and to every succession."""
    has_a_say = record.card is None or isinstance(opened.object.value, KeySuccession)
    return card_wanted(opened) if has_a_say else None


def _placed(record: OpenRecord, *, own: Signed[NodeCard] | None, now: datetime) -> Placed:
    """Checks steps 3 to 8, and returns the record with its place.

    Raises:
        RefusedError: By the first that fails.
    """
    place = place_of(record, now=now)
    if own is not None and isinstance(succession := record.object.value, KeySuccession):
        check_commitment(succession, card=own)
    return Placed(record=record, place=place)
