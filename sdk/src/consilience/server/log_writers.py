"""Writers: how the events of a running answer get into its store, and from there into its log.

Nothing is shown to a reader before the store has it. A store in memory takes each entry on the spot. A durable one is
given batches: while one is on its way to the disk the next one gathers, so a handler is not held up by the disk until
it is far ahead of it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import datetime
from typing import Protocol

from consilience.server.logs import AnswerLog
from consilience.server.store.contract import (
    AnswerStore,
    LogEntry,
    Settlement,
    StoredAsk,
    StoreError,
    StoreUnavailableError,
)
from consilience.server.store.ledger import ChainMovedError

MAX_PENDING_ENTRIES = 1024
"""How far a handler may be ahead of the disk."""

RETRY_SECONDS = (0.05, 0.2, 1.0, 5.0)
"""How long to wait before a store that cannot write, or a key that cannot sign, is tried again; the last repeats."""

_LOGGER = logging.getLogger(__name__)


def retry_seconds(attempt: int) -> float:
    """Returns how long to wait after an attempt, counted from 0, that failed."""
    return RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]


class LogWriter(Protocol):
    """Writes the log of one answer, from the second entry on."""

    async def write(self, entry: LogEntry) -> None:
        """Takes the next entry.

        Raises:
            StoreError: The answer cannot be written on: it belongs to another replica now (LeaseLostError).
        """

    async def finish(
        self, final: LogEntry, *, finish_time: datetime, keep_until_time: datetime, settlement: Settlement | None = None
    ) -> None:
        """Takes Final and the receipt that it carries, and returns once everything is stored and shown.

        Raises:
            ChainMovedError: Another receipt of the session came first; Final, with another receipt, may come again.
            StoreError: The answer cannot be written on: it belongs to another replica now (LeaseLostError).
        """

    def abort(self) -> None:
        """Gives up what is not stored yet: the node is closed before its store came back."""


def log_writer(ask: StoredAsk, *, store: AnswerStore, log: AnswerLog) -> LogWriter:
    """Returns the writer that suits a store, for an ask that was bound there."""
    return _BatchWriter(ask, store, log) if store.durable else _DirectWriter(ask, store, log)


class _DirectWriter:
    """Writes to a store that takes an entry without waiting for anything."""

    __slots__ = ("_ask", "_log", "_store")

    def __init__(self, ask: StoredAsk, store: AnswerStore, log: AnswerLog) -> None:
        self._ask = ask
        self._store = store
        self._log = log

    async def write(self, entry: LogEntry) -> None:
        await self._store.append(self._ask.key, (entry,), epoch=self._ask.epoch)
        self._log.publish((entry,))

    async def finish(
        self, final: LogEntry, *, finish_time: datetime, keep_until_time: datetime, settlement: Settlement | None = None
    ) -> None:
        await self._store.finish(
            self._ask.key,
            (final,),
            epoch=self._ask.epoch,
            finish_time=finish_time,
            keep_until_time=keep_until_time,
            settlement=settlement,
        )
        self._log.publish((final,))

    def abort(self) -> None:
        pass


class _BatchWriter:
    """Writes to a store that waits for a disk, one batch at a time."""

    __slots__ = ("_ask", "_failure", "_flush", "_log", "_pending", "_store")

    def __init__(self, ask: StoredAsk, store: AnswerStore, log: AnswerLog) -> None:
        self._ask = ask
        self._store = store
        self._log = log
        self._pending: list[LogEntry] = []
        self._flush: asyncio.Task[None] | None = None
        self._failure: StoreError | None = None

    async def write(self, entry: LogEntry) -> None:
        if self._failure is not None:
            raise self._failure
        self._pending.append(entry)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._write_batches())
        if len(self._pending) >= MAX_PENDING_ENTRIES:
            await asyncio.wait({self._flush})

    async def finish(
        self, final: LogEntry, *, finish_time: datetime, keep_until_time: datetime, settlement: Settlement | None = None
    ) -> None:
        # A short answer ends before its first batch was taken up; all of it then goes into the one step that ends it.
        self._pending.append(final)
        last, self._pending = self._pending, []
        if self._flush is not None:
            await asyncio.wait({self._flush})
        if self._failure is not None:
            raise self._failure
        entries = tuple(last)
        for attempt in itertools.count():
            try:
                await self._store.finish(
                    self._ask.key,
                    entries,
                    epoch=self._ask.epoch,
                    finish_time=finish_time,
                    keep_until_time=keep_until_time,
                    settlement=settlement,
                )
                break
            except ChainMovedError:
                self._pending = last[:-1]
                raise
            except StoreUnavailableError as error:
                await _wait_for_store(error, attempt=attempt)
        self._log.publish(entries)

    def abort(self) -> None:
        if self._flush is not None:
            self._flush.cancel()

    async def _write_batches(self) -> None:
        attempt = 0
        while self._pending:
            batch, self._pending = tuple(self._pending), []
            try:
                await self._store.append(self._ask.key, batch, epoch=self._ask.epoch)
            except StoreUnavailableError as error:
                self._pending[:0] = batch
                await _wait_for_store(error, attempt=attempt)
                attempt += 1
            except StoreError as error:
                self._failure = error
                return
            else:
                attempt = 0
                self._log.publish(batch)


async def _wait_for_store(error: StoreUnavailableError, *, attempt: int) -> None:
    delay = retry_seconds(attempt)
    _LOGGER.warning("the answer store cannot write, next try in %.2f s: %s", delay, error)
    await asyncio.sleep(delay)
