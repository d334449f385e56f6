"""Sync: what other registries have taken in is taken in here as well (spec section 4.7).

Digests travel, and only what is not held is fetched: so nothing goes round in circles, and a round that breaks goes on
behind the last response of which everything was looked at. Whatever a registry serves is admitted by the same checks as
from anybody; what fails them is passed over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.errors import (
    AnswerTimeoutError,
    ConnectionLostError,
    CursorInvalidError,
    LimitExceededError,
    ProtocolError,
    RecordUnknownError,
    RefusedError,
    TransportError,
    UnreachableError,
)
from consilience.reviews import PublishOutcome, Record
from consilience.server.registry.contract import RecordStore, says_full
from consilience.server.registry.intake import Intake
from consilience.server.registry.peers import Peer
from consilience.units import Digest

FETCHES = 16
"""Records that are asked for at one time."""

WHOLE_ROUND = timedelta(days=1)
"""How often a round begins without a cursor: what was refused as not yet valid may be valid by now, and what lost its
slot to a record that a succession has since dropped is wanted again. When one began is kept, as the cursor is: one that
breaks goes on, whichever process follows then."""

PATIENCE = 3
"""Rounds that may break over a record that does not come, before it is passed over."""

PATIENCE_WITH_LINES = 30
"""The same, while nothing else comes either: it may be the line that is broken, and not the record."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """What came of some digests."""

    records: list[Record]
    broken: dict[Digest, RefusedError | TransportError]


class Follower:
    """Follows one registry."""

    def __init__(
        self, address: str, *, peer: Peer, store: RecordStore, intake: Intake, clock: Callable[[], datetime]
    ) -> None:
        """Goes on where an earlier life came to.

        Args:
            address: Names the registry; under it the cursor is noted.
            peer: Reaches it.
            store: Knows what is held, and the cursor.
            intake: Takes in.
            clock: Tells the aware UTC time.
        """
        self.address = address
        self._peer = peer
        self._store = store
        self._intake = intake
        self._clock = clock
        self._breaks: Counter[Digest] = Counter()
        self._is_heard = False

    async def follow(self) -> int:
        """Goes to the end of what the registry has taken in, and returns how many records were stored here.

        Raises:
            TransportError, RefusedError, ProtocolError: The call broke, the other one refused it or broke the protocol,
                or there is no room here; the next round goes on from where this one came to.
        """
        if await self._is_whole_round_due():
            await self._store.begin_whole_round(self.address, now=self._clock())
        cursor = await self._store.cursor_of(self.address)
        try:
            return await self._round(cursor)
        except CursorInvalidError:
            if not cursor:
                raise
            _LOGGER.warning("the registry %s no longer knows its cursor, and is followed from the beginning", self)
            await self._store.begin_whole_round(self.address, now=self._clock())
            return await self._round(b"")

    def __str__(self) -> str:
        return self.address

    async def _is_whole_round_due(self) -> bool:
        """Tells whether the last one began too long ago, or at a time that has not come: a clock was put right."""
        begun = await self._store.whole_round_of(self.address)
        return begun is None or not timedelta(0) <= self._clock() - begun < WHOLE_ROUND

    async def _round(self, cursor: bytes) -> int:
        stored = 0
        async for digests, behind in self._peer.digests(cursor):
            missing = await self._store.unknown(tuple(dict.fromkeys(digests)))
            self._breaks = Counter({digest: self._breaks[digest] for digest in missing if digest in self._breaks})
            self._is_heard = self._is_heard and bool(self._breaks)
            async with aclosing(self._fetched_ahead(missing)) as fetched:
                async for records in fetched:
                    stored += await self._take_in(records)
            await self._store.note_cursor(self.address, behind)
        return stored

    async def _fetched_ahead(self, digests: Sequence[Digest]) -> AsyncGenerator[list[Record], None]:
        """Yields the records of some digests, a few at a time; while some are taken in, the next are on their way."""
        coming: asyncio.Task[_Fetched] | None = None
        try:
            for some in self._portions(digests):
                task = asyncio.create_task(self._fetched(some))
                came, coming = coming, task
                if came is not None:
                    yield self._but_broken(await came)
            if coming is not None:
                yield self._but_broken(await coming)
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _take_in(self, records: Sequence[Record]) -> int:
        admissions = await self._intake.admit(records)
        for admission in admissions:
            if isinstance(admission, RefusedError):
                if says_full(admission):
                    raise admission
                _LOGGER.info("a record of %s was passed over: %s", self, admission)
        return sum(admission is PublishOutcome.STORED for admission in admissions)

    def _portions(self, digests: Sequence[Digest]) -> Iterator[Sequence[Digest]]:
        """Yields what is asked for at one time: last what did not come before, each by itself, lest it stop others."""
        fresh = [digest for digest in digests if digest not in self._breaks]
        for start in range(0, len(fresh), FETCHES):
            yield fresh[start : start + FETCHES]
        for digest in sorted(self._breaks, key=self._breaks.__getitem__):
            yield [digest]

    async def _fetched(self, digests: Sequence[Digest]) -> _Fetched:
        """Returns those of some records that come, and are what they are called, and what did not come.

        One that comes as soon as the registry has time again is not passed over: the round breaks, and waits for it.
        """
        came = await asyncio.gather(*map(self._peer.record, digests), return_exceptions=True)
        records: list[Record] = []
        broken: dict[Digest, RefusedError | TransportError] = {}
        for digest, record in zip(digests, came, strict=True):
            match record:
                case Record() if record.digest == digest:
                    records.append(record)
                case Record() | RecordUnknownError() | ProtocolError():
                    _LOGGER.info("%s has no record %s any more, or another one", self, digest.hex())
                case LimitExceededError(retry_after=timedelta()):
                    raise record
                case RefusedError() | TransportError():
                    broken[digest] = record
                case BaseException():
                    raise record
        self._is_heard = self._is_heard or len(broken) < len(digests)
        return _Fetched(records=records, broken=broken)

    def _but_broken(self, fetched: _Fetched) -> list[Record]:
        """Returns what came, unless something did not that is not passed over yet."""
        self._breaks.update(fetched.broken.keys())
        for digest, error in fetched.broken.items():
            if self._breaks[digest] <= self._patience_with(error):
                raise error
            _LOGGER.warning("the record %s of %s does not come: %s", digest.hex(), self, error)
        return fetched.records

    def _patience_with(self, error: RefusedError | TransportError) -> int:
        """Returns how often a record may fail to come in such a way."""
        of_the_line = isinstance(error, UnreachableError | ConnectionLostError | AnswerTimeoutError)
        return PATIENCE_WITH_LINES if of_the_line and not self._is_heard else PATIENCE
