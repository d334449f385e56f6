import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from consilience.server.log_writers import MAX_PENDING_ENTRIES, LogWriter, log_writer
from consilience.server.logs import AnswerLog
from consilience.server.store import MemoryStore
from consilience.server.store.contract import (
    AskKey,
    LeaseLostError,
    LogEntry,
    StoredAsk,
    StoreUnavailableError,
)
from consilience.units import Digest, PublicKey, RequestId, Sequence, utc_now

KEY = AskKey(caller=PublicKey(bytes(32)), request_id=RequestId(bytes(16)))


class SlowStore(MemoryStore):
    """A store that takes as long as its gate is shut, as a disk does, and fails as often as it is told."""

    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.failures = 0
        self.batches: list[int] = []

    async def append(self, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> None:
        await self._wait(entries)
        await super().append(key, entries, epoch=epoch)

    async def finish(self, key: AskKey, entries: tuple[LogEntry, ...], **how: Any) -> None:
        await self._wait(entries)
        await super().finish(key, entries, **how)

    async def _wait(self, entries: tuple[LogEntry, ...]) -> None:
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the disk is full")
        self.batches.append(len(entries))


def entry(sequence: int) -> LogEntry:
    return LogEntry(sequence=Sequence(sequence), data=b"event", text="word ")


@pytest.fixture
async def store() -> AsyncIterator[SlowStore]:
    store = SlowStore()
    await store.open(replica="test", lease_until=utc_now())
    yield store
    await store.close()


@pytest.fixture
def log() -> AnswerLog:
    log = AnswerLog()
    log.publish([entry(1)])
    return log


@pytest.fixture
async def writer(store: SlowStore, log: AnswerLog) -> AsyncIterator[LogWriter]:
    now = utc_now()
    ask = StoredAsk(
        key=KEY,
        ask_digest=Digest(bytes(32)),
        card_digest=Digest(bytes(32)),
        accept_time=now,
        expire_time=now + timedelta(minutes=1),
        replica="test",
    )
    await store.bind(ask, first=entry(1))
    writer = log_writer(ask, store=store, log=log)
    yield writer
    writer.abort()


async def finish(writer: LogWriter, sequence: int) -> None:
    now = utc_now()
    await writer.finish(entry(sequence), finish_time=now, keep_until_time=now + timedelta(minutes=1))


async def test_nothing_is_shown_before_it_is_stored(store: SlowStore, log: AnswerLog, writer: LogWriter) -> None:
    await writer.write(entry(2))
    await asyncio.sleep(0.01)
    assert log.last_sequence == 1
    store.gate.set()
    await asyncio.sleep(0.01)
    assert log.last_sequence == 2


async def test_what_gathers_while_the_disk_is_busy_is_one_batch(
    store: SlowStore, log: AnswerLog, writer: LogWriter
) -> None:
    await writer.write(entry(2))
    await asyncio.sleep(0)
    for sequence in range(3, 103):
        await writer.write(entry(sequence))
    store.gate.set()
    await finish(writer, 103)
    assert store.batches == [1, 101]
    assert [stored.sequence for stored in log.entries] == list(range(1, 104))


async def test_a_short_answer_is_one_write(store: SlowStore, writer: LogWriter) -> None:
    store.gate.set()
    await writer.write(entry(2))
    await finish(writer, 3)
    assert store.batches == [2]


async def test_a_disk_that_fails_is_tried_again_in_order(store: SlowStore, log: AnswerLog, writer: LogWriter) -> None:
    store.failures = 3
    store.gate.set()
    await writer.write(entry(2))
    await asyncio.sleep(0.01)
    await writer.write(entry(3))
    await finish(writer, 4)
    assert [stored.sequence for stored in log.entries] == [1, 2, 3, 4]
    assert await store.read(KEY, after=Sequence(0), limit=10) == tuple(log.entries)


async def test_a_handler_far_ahead_of_the_disk_waits_for_it(
    store: SlowStore, log: AnswerLog, writer: LogWriter
) -> None:
    written = 0

    async def hurry() -> None:
        nonlocal written
        for sequence in range(2, 5000):
            await writer.write(entry(sequence))
            written += 1

    hurrying = asyncio.create_task(hurry())
    await asyncio.sleep(0.05)
    assert written <= MAX_PENDING_ENTRIES + 1
    store.gate.set()
    await hurrying
    await finish(writer, 5000)
    assert log.last_sequence == 5000


async def test_an_answer_that_was_taken_over_is_not_written_on(
    store: SlowStore, log: AnswerLog, writer: LogWriter
) -> None:
    store.gate.set()
    now = utc_now()
    await MemoryStore.finish(store, KEY, (entry(2),), epoch=1, finish_time=now, keep_until_time=now)
    await writer.write(entry(2))
    await asyncio.sleep(0.01)
    with pytest.raises(LeaseLostError):
        await writer.write(entry(3))
    with pytest.raises(LeaseLostError):
        await finish(writer, 4)
    assert log.last_sequence == 1


async def test_a_writer_that_is_aborted_tries_no_longer(store: SlowStore, writer: LogWriter) -> None:
    store.failures = 1_000_000
    store.gate.set()
    await writer.write(entry(2))
    await asyncio.sleep(0.01)
    writer.abort()
    await asyncio.sleep(0)
    left = store.failures
    await asyncio.sleep(0.3)
    assert store.failures == left
