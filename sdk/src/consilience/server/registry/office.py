"""The office of a registry: everything that a node runs to be one, from the opening of the store to its close."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.errors import ConsilienceError, RefusedError, UsageError
from consilience.nodes import Limits
from consilience.reviews import Record
from consilience.server.faults import log_fault
from consilience.server.rates import CallRate
from consilience.server.registry import RecordStore, record_store_at
from consilience.server.registry.contract import passes
from consilience.server.registry.intake import Intake
from consilience.server.registry.pages import Tokens
from consilience.server.registry.peers import Peers
from consilience.server.registry.service import RegistryService
from consilience.server.registry.sync import Follower
from consilience.server.registry.visitors import Visitors
from consilience.units import Digest

DEFAULT_MAX_RECORDS = 1_000_000
DEFAULT_PUBLISHES_PER_MINUTE = 600
DEFAULT_READS_PER_MINUTE = 60_000
"""Of one address: 1,000 a second, and a minute's worth at once."""
DEFAULT_OPEN_FEEDS = 16
DEFAULT_FOLLOW_INTERVAL = timedelta(seconds=30)
MIN_MESSAGE_BYTES = 256 * 1024
"""What a request needs that carries the largest record with the largest card."""

INVENTORY = timedelta(minutes=1)
"""How often what has ended is dropped, and the rest is counted."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """How a node keeps the records of everyone; given to `Node(registry=…)`.

    Attributes:
        store: Where: a store, or a URL as `sqlite:///records.db` or `postgresql://user@host/database`.
        follow: Addresses of other registries, what they take in is taken in here.
        follow_interval: How long to wait after each round.
        max_records: How many are held; from so many on, only what takes the place of something is taken in.
        publishes_per_minute: How often one address may publish; 0: without bound.
        reads_per_minute: How often one address may read, at once or over the minute; 0: without bound.
        open_feeds: How many streams of SyncRecords one address has at one time; 0: without bound.

    Raises:
        UsageError: A number is negative, or no record would be held.
    """

    store: RecordStore | str
    follow: tuple[str, ...] = ()
    follow_interval: timedelta = DEFAULT_FOLLOW_INTERVAL
    max_records: int = DEFAULT_MAX_RECORDS
    publishes_per_minute: int = DEFAULT_PUBLISHES_PER_MINUTE
    reads_per_minute: int = DEFAULT_READS_PER_MINUTE
    open_feeds: int = DEFAULT_OPEN_FEEDS

    def __post_init__(self) -> None:
        rates = (self.publishes_per_minute, self.reads_per_minute, self.open_feeds)
        if self.max_records < 1 or min(rates) < 0 or self.follow_interval <= timedelta(0):
            raise UsageError("a registry holds one record at least, and its rates and intervals are not negative")
        if len(set(self.follow)) < len(self.follow):
            raise UsageError("a registry follows another one once")


class RegistryOffice:
    """Keeps the records of one node; opened and closed with it."""

    def __init__(
        self, registry: Registry, *, limits: Limits, clock: Callable[[], datetime], peers: Peers | None
    ) -> None:
        """Prepares; nothing is opened yet.

        Args:
            registry: What was written down.
            limits: Those of the node.
            clock: Tells the aware UTC time.
            peers: Reaches the registries that are followed.

        Raises:
            UsageError: The URL names no store, a record would be too large for the node, or nobody says how those that
                are followed are reached.
        """
        if limits.max_message_bytes < MIN_MESSAGE_BYTES:
            raise UsageError(f"a registry takes messages of {MIN_MESSAGE_BYTES} bytes: raise max_message_bytes")
        if registry.follow and peers is None:
            raise UsageError("nothing says how the registries that are followed are reached: give Node(peers=…)")
        self._store = record_store_at(registry.store) if isinstance(registry.store, str) else registry.store
        self._clock = clock
        self._interval = registry.follow_interval
        self._intake = Intake(self._store, clock=clock, max_records=registry.max_records)
        self.service = RegistryService(
            store=self._store,
            intake=self._intake,
            tokens=Tokens(self._store),
            publishing=CallRate(per_minute=registry.publishes_per_minute),
            visitors=Visitors(reads_per_minute=registry.reads_per_minute, open_feeds=registry.open_feeds, clock=clock),
            limits=limits,
            clock=clock,
        )
        self._followers = [
            Follower(address, peer=peers(address), store=self._store, intake=self._intake, clock=clock)
            for address in registry.follow
            if peers is not None
        ]
        self._following: list[asyncio.Task[None]] = []
        self._inventory_at = clock()
        self._own: frozenset[Digest] = frozenset()

    async def open(self) -> None:
        """Opens the store, and begins to follow.

        Raises:
            StoreError: It cannot be opened.
        """
        await self._store.open()
        await self._intake.count()
        self._following = [asyncio.create_task(self._keep_following(follower)) for follower in self._followers]

    async def tend(self, *, now: datetime, own: Sequence[Record]) -> None:
        """Drops what has ended, from time to time, and takes in what is new of the node itself, if there is room."""
        if not timedelta(0) <= now - self._inventory_at < INVENTORY:
            self._inventory_at = now
            await self._store.forget(now=now)
            await self._intake.count()
        await self._take_in(own)

    async def _take_in(self, own: Sequence[Record]) -> None:
        new = [record for record in own if record.digest not in self._own]
        settled = {record.digest for record in own} - {record.digest for record in new}
        for record, admission in zip(new, await self._intake.admit(new), strict=True):
            if isinstance(admission, RefusedError):
                if passes(admission):
                    continue
                _LOGGER.warning("the registry does not take in what its own node says: %s", admission)
            settled.add(record.digest)
        self._own = frozenset(settled)

    async def close(self) -> None:
        """Ends what was begun, and closes the store; a second call does nothing."""
        for task in self._following:
            task.cancel()
        if self._following:
            await asyncio.wait(self._following)
        self._following = []
        await self._store.close()

    async def _keep_following(self, follower: Follower) -> None:
        while True:
            pause = self._interval
            try:
                if stored := await follower.follow():
                    _LOGGER.info("%d records came from %s", stored, follower)
            except ConsilienceError as error:
                _LOGGER.warning("%s cannot be followed now: %s", follower, error)
                if isinstance(error, RefusedError) and error.retry_after is not None:
                    pause = max(pause, error.retry_after)
            except Exception as error:  # noqa: BLE001 - the next round tries again
                log_fault(_LOGGER, f"following {follower} failed", error=error)
            await asyncio.sleep(pause.total_seconds())
