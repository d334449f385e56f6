"""Visitors: how much of a registry one address reads, so that the others read as well (REG-OPEN-001).

Every call that reads counts against the same allowance, and so does every response of a feed, as SyncRecords is called
here. A feed that has used it up is slowed and not refused: whoever follows from the beginning comes to the end.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from consilience.server.load import count_call, decrement, exceeded
from consilience.server.rates import SHORTEST_WAIT, AddressedUnary, Allowance, Unary, counted
from consilience.server.readers import Write

READS_LIMIT = "max_reads_per_minute"
FEEDS_LIMIT = "max_open_feeds"

Feed = Callable[[bytes, Write], Awaitable[bytes]]
AddressedFeed = Callable[[bytes, Write, bytes], Awaitable[bytes]]


class Visitors:
    """Counts what each address reads."""

    def __init__(self, *, reads_per_minute: int, open_feeds: int, clock: Callable[[], datetime]) -> None:
        """Has counted nothing yet.

        Args:
            reads_per_minute: Of one address; 0: without bound.
            open_feeds: Of one address at one time; 0: without bound.
            clock: Tells the aware UTC time.
        """
        self._reads = Allowance(per_minute=reads_per_minute)
        self._open_feeds = open_feeds
        self._feeds: Counter[bytes] = Counter()
        self._clock = clock

    def reading(self, read: Unary) -> AddressedUnary:
        """Returns a method that is refused to an address that has read too much."""
        return counted(read, count=self._count)

    def following(self, feed: Feed) -> AddressedFeed:
        """Returns a feed that is refused to an address that has too many, or has read too much, and keeps its pace."""

        async def bounded(request: bytes, write: Write, address: bytes) -> bytes:
            async def paced(response: bytes) -> None:
                while wait := self._wait(address):  # noqa: ASYNC110 - time alone makes room
                    await asyncio.sleep(wait.total_seconds())
                await write(response)

            self._count(address)
            if self._open_feeds and self._feeds[address] >= self._open_feeds:
                most = self._open_feeds
                raise exceeded(FEEDS_LIMIT, maximum=most, requested=most + 1, retry_after=SHORTEST_WAIT)
            self._feeds[address] += 1
            try:
                return await feed(request, paced)
            finally:
                decrement(self._feeds, address)

        return bounded

    def _count(self, address: bytes) -> None:
        """Counts a read.

        Raises:
            LimitExceededError: It is one too many.
        """
        count_call(self._reads, address, limit=READS_LIMIT, now=self._clock())

    def _wait(self, address: bytes) -> timedelta:
        return self._reads.take(address, now=self._clock())
