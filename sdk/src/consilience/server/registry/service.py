"""RegistryService: the five methods of a registry (spec section 4.5), thin over intake and store.

Nobody signs a call, and none has a header: what a record is worth, it shows itself (REG-OPEN-001).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from consilience._wire import records, registries
from consilience.envelopes import Envelope
from consilience.errors import RecordUnknownError
from consilience.nodes import Limits
from consilience.reviews import NodeQuery, Record, RecordQuery, check_query
from consilience.server.admission import check_size
from consilience.server.load import count_call
from consilience.server.rates import CallRate
from consilience.server.readers import Write
from consilience.server.registry import ring
from consilience.server.registry.contract import Entry, RecordStore
from consilience.server.registry.intake import Intake
from consilience.server.registry.pages import DEFAULT_PAGE_ITEMS, SYNC, Room, Tokens, of_serial, purpose_of, to_serial
from consilience.server.registry.visitors import Visitors

DIGESTS_IN_A_RESPONSE = 1000
PUBLISH_LIMIT = "max_publishes_per_minute"
Entries = AsyncGenerator[Entry, None]
_READ_AT_ONCE = 32
"""Records that one statement returns: the largest together fill a page."""

_PART_BESIDE_BYTES = 8
"""Of a part of an envelope, for its tag and length."""

_CARDS_AT_ONCE = DEFAULT_PAGE_ITEMS + 1
"""Cards that one look returns: a page, and one that tells that there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryService:
    """Keeps records and serves them to everyone.

    Attributes:
        store: Keeps them.
        intake: Takes them in.
        tokens: Lead from page to page.
        publishing: Counts how often each address publishes.
        visitors: Count how much each address reads.
        limits: Those of the node.
        clock: Tells the aware UTC time.
    """

    store: RecordStore
    intake: Intake
    tokens: Tokens
    publishing: CallRate
    visitors: Visitors
    limits: Limits
    clock: Callable[[], datetime]

    async def publish_record(self, request: bytes, address: bytes) -> bytes:
        """Takes a record in, unless its publisher calls too often."""
        check_size(request, limits=self.limits)
        count_call(self.publishing, address, limit=PUBLISH_LIMIT, now=self.clock())
        return registries.encode_outcome(await self.intake.publish(registries.decode_publish(request)))

    async def get_record(self, request: bytes) -> bytes:
        """Returns a record by its digest, as it was taken in (REG-GET-001)."""
        check_size(request, limits=self.limits)
        record = await self.store.get(registries.decode_get(request), now=self.clock())
        if record is None:
            raise RecordUnknownError("the registry has no such record")
        return registries.encode_record(record)

    async def list_records(self, request: bytes) -> bytes:
        """Returns a page of the records about or by somebody, the latest arrivals first (REG-LIST-001)."""
        check_size(request, limits=self.limits)
        query = registries.decode_record_query(request)
        check_query(query)
        purpose, before = purpose_of(query), None
        if query.page_token:
            before = to_serial(self.tokens.position(query.page_token, purpose=purpose))
        page, last = await _filled(self._about(query, before=before, now=self.clock()), page_size=query.page_size)
        token = b"" if last is None else self.tokens.token(of_serial(last.serial), purpose=purpose)
        return registries.encode_records([entry.record for entry in page], next_page_token=token)

    async def find_nodes(self, request: bytes) -> bytes:
        """Returns a page of the cards of nodes that fit, once round the ring from anywhere (REG-FIND-002)."""
        check_size(request, limits=self.limits)
        query = registries.decode_node_query(request)
        check_query(query)
        purpose, start = purpose_of(query), ring.anywhere()
        passed = start
        if query.page_token:
            start, passed = ring.from_bytes(self.tokens.position(query.page_token, purpose=purpose))
        page, behind = await self._round(query, start=start, passed=passed, now=self.clock())
        token = b"" if behind is None else self.tokens.token(ring.to_bytes(start, behind), purpose=purpose)
        return registries.encode_cards(page, next_page_token=token)

    async def sync_records(self, request: bytes, write: Write) -> bytes:
        """Writes the digests of all records that were taken in, from behind a cursor (REG-SYNC-001)."""
        check_size(request, limits=self.limits)
        cursor = registries.decode_sync(request)
        after = to_serial(self.tokens.position(cursor, purpose=SYNC)) if cursor else 0
        while taken := await self.store.taken_in(after=after, limit=DIGESTS_IN_A_RESPONSE, now=self.clock()):
            after = taken[-1][0]
            cursor = self.tokens.token(of_serial(after), purpose=SYNC)
            await write(registries.encode_digests([digest for _, digest in taken], cursor=cursor))
        return b""

    async def _about(self, query: RecordQuery, *, before: int | None, now: datetime) -> Entries:
        while entries := await self.store.about(query, before=before, limit=_READ_AT_ONCE, now=now):
            for entry in entries:
                yield entry
            before = entries[-1].serial

    async def _round(
        self, query: NodeQuery, *, start: int, passed: int, now: datetime
    ) -> tuple[list[Envelope], int | None]:
        """Goes on round the ring until a page is full, or the steps of a look are used up.

        Returns:
            The page, and the place from behind which the next one goes on, or None where there is no next one.
        """
        page: list[Envelope] = []
        room = Room(query.page_size)
        for arc in ring.round_from(start, passed=passed):
            passed = arc.after
            while passed < arc.until:
                on = ring.Arc(after=passed, until=arc.until)
                found = await self.store.fitting(query, arc=on, limit=_CARDS_AT_ONCE, now=now)
                for place, record in found.cards:
                    if not room.take(_most_bytes(record.object)):
                        return page, passed
                    page.append(record.object)
                    passed = place
                passed = found.until
                if passed < arc.until and len(found.cards) < _CARDS_AT_ONCE:
                    return page, passed
        return page, None


async def _filled(entries: Entries, *, page_size: int) -> tuple[list[Entry], Entry | None]:
    """Returns a page, and the last entry of it where others follow."""
    page: list[Entry] = []
    room = Room(page_size)
    async with aclosing(entries):
        async for entry in entries:
            if not room.take(_size_of(entry.record)):
                return page, page[-1]
            page.append(entry)
    return page, None


def _size_of(record: Record) -> int:
    return len(records.to_bytes(record))


def _most_bytes(envelope: Envelope) -> int:
    """Returns what an encoded envelope has at most, without encoding it."""
    parts = (envelope.payload_type, envelope.payload, envelope.public_key, envelope.signature)
    return sum(len(part) + _PART_BESIDE_BYTES for part in parts)
