"""One address reads so much of a registry, and the others read on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.errors import LimitExceeded, LimitExceededError
from consilience.reviews import NodeQuery, RecordQuery
from consilience.server import Node, Registry
from consilience.server.registry.visitors import FEEDS_LIMIT, READS_LIMIT, Visitors
from sdk.tests.reviews.specimens import NOW, TestNode, card_record, key
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.callers import RegistryCaller, calling_registry

ANYWHERE = "127.0.0.1:0"
HERE, THERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
NODE = TestNode.named("node")
QUERY = RecordQuery(author=NODE.root.public_key)


@pytest.fixture
def clock() -> ManualClock:
    made = ManualClock()
    made.now = NOW
    return made


@asynccontextmanager
async def serving(folder: Path, clock: ManualClock, *, reads: int, feeds: int = 0) -> AsyncIterator[RegistryCaller]:
    bounded = Registry(store=f"sqlite:////{folder}/records.db", reads_per_minute=reads, open_feeds=feeds)
    node = Node("registry", key=key("registry"), registry=bounded, clock=clock)
    async with node.serving(ANYWHERE) as running, calling_registry(running) as caller:
        yield caller


async def answered(request: bytes) -> bytes:
    return request


@pytest.mark.parametrize(
    "read",
    [
        lambda caller: caller.record(card_record(NODE).digest),
        lambda caller: caller.records(QUERY),
        lambda caller: caller.nodes(NodeQuery()),
        lambda caller: caller.feed(),
    ],
    ids=["GetRecord", "ListRecords", "FindNodes", "SyncRecords"],
)
async def test_each_way_of_reading_is_refused_by_the_name_of_the_limit_until_its_time(
    tmp_path: Path, clock: ManualClock, read: Callable[[RegistryCaller], Awaitable[object]]
) -> None:
    async with serving(tmp_path, clock, reads=6) as caller:
        await caller.publish(card_record(NODE).record)
        for _ in range(6):
            await caller.nodes(NodeQuery())
        with pytest.raises(LimitExceededError) as caught:
            await read(caller)
        assert caught.value.detail == LimitExceeded(limit=READS_LIMIT, maximum=6, requested=7)
        assert caught.value.retry_after == timedelta(seconds=10)
        await caller.publish(card_record(NODE).record)  # what is brought is counted apart
        clock.advance(timedelta(seconds=20))
        await read(caller)


async def test_what_one_address_reads_is_nothing_to_another(clock: ManualClock) -> None:
    read = Visitors(reads_per_minute=2, open_feeds=1, clock=clock).reading(answered)
    assert [await read(b"?", HERE), await read(b"?", HERE)] == [b"?", b"?"]
    with pytest.raises(LimitExceededError):
        await read(b"?", HERE)
    assert await read(b"?", THERE) == b"?"


async def test_a_feed_that_is_open_takes_a_place_of_its_address_until_it_ends(clock: ManualClock) -> None:
    visitors = Visitors(reads_per_minute=0, open_feeds=2, clock=clock)
    gate = asyncio.Event()

    async def feed(request: bytes, _: Callable[[bytes], Awaitable[None]]) -> bytes:
        await gate.wait()
        if request == b"broken":
            raise ConnectionError
        return b""

    async def write(_: bytes) -> None:
        return

    follow = visitors.following(feed)
    open_ones = [asyncio.ensure_future(follow(request, write, HERE)) for request in (b"", b"broken")]
    await asyncio.sleep(0)
    with pytest.raises(LimitExceededError) as caught:
        await follow(b"", write, HERE)
    assert caught.value.detail == LimitExceeded(limit=FEEDS_LIMIT, maximum=2, requested=3)
    assert caught.value.retry_after is not None
    elsewhere = asyncio.ensure_future(follow(b"", write, THERE))
    await asyncio.sleep(0)
    assert not elsewhere.done()
    gate.set()
    await asyncio.gather(*open_ones, elsewhere, return_exceptions=True)
    await follow(b"", write, HERE)
    assert not visitors._feeds


async def test_a_feed_beyond_the_limit_is_slowed_and_comes_to_its_end(clock: ManualClock) -> None:
    visitors = Visitors(reads_per_minute=60, open_feeds=1, clock=clock)
    written: list[bytes] = []

    async def feed(_: bytes, write: Callable[[bytes], Awaitable[None]]) -> bytes:
        for number in range(61):
            await write(bytes([number]))
        return b""

    async def write(response: bytes) -> None:
        written.append(response)

    following = asyncio.ensure_future(visitors.following(feed)(b"", write, HERE))
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(written) == 59, "the call itself was counted"
    clock.advance(timedelta(seconds=2))
    await following
    assert len(written) == 61


async def test_an_open_feed_of_the_wire_is_counted(tmp_path: Path, clock: ManualClock) -> None:
    async with serving(tmp_path, clock, reads=0, feeds=1) as caller:
        await caller.publish(card_record(NODE).record)
        for _ in range(3):
            assert len(await caller.feed()) == 1
