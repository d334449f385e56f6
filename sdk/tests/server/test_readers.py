import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator

from consilience._wire.events import decode_events, encode_event
from consilience.asks import AnswerEvent, TextDelta
from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Node
from consilience.server.logs import AnswerLog
from consilience.server.readers import send_log, send_stored
from consilience.server.store import MemoryStore
from consilience.server.store.contract import AskKey, LogEntry, StoredAsk
from consilience.units import Sequence
from sdk.tests.server.callers import AnswerCall, Reading, calling
from sdk.tests.server.store.specimens import FINISH, KEEP_END, LEASE_END, REPLICA, running_ask

ANYWHERE = "127.0.0.1:0"
FAST_READERS = 50
DELTAS = 3000
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384))


async def test_a_slow_reader_slows_nobody_and_gets_the_same_text(key: KeyPair) -> None:
    node, go, taken = Node("test", key=key), asyncio.Event(), 0

    @node.skill("stream")
    async def stream(_ask: IncomingAsk) -> AsyncIterator[str]:
        await go.wait()
        for number in range(DELTAS):
            yield delta_text(number)
            if number % 10 == 0:
                await asyncio.sleep(0.001)

    async def read_slowly(call: AnswerCall) -> Reading:
        nonlocal taken
        known = []
        while (event := await call.next()) is not None:
            known.append(event)
            taken += 1
            await asyncio.sleep(0.02)
        return await call.rest(known=tuple(known))

    async with (
        node.serving(ANYWHERE) as running,
        calling(running) as caller,
        # A connection of its own, on which little is under way at one time.
        calling(running, key=caller.key, options=SMALL_WINDOW) as slow_caller,
    ):
        signed, first = caller.open(skill_id="stream")
        request_id = signed.value.header.request_id
        await first.next()
        slow = asyncio.create_task(read_slowly(slow_caller.resume(request_id)))
        fast = [caller.resume(request_id) for _ in range(FAST_READERS)]
        go.set()
        readings = await asyncio.gather(*(call.rest() for call in fast))
        assert not slow.done()
        taken_meanwhile = taken
        slow_reading = await slow
    assert taken_meanwhile < taken
    text = "".join(map(delta_text, range(DELTAS)))
    assert {reading.text for reading in (*readings, slow_reading)} == {text}
    assert slow_reading.final == readings[0].final
    # It got far fewer events than were made: what it missed came merged.
    assert len(slow_reading.events) < DELTAS / 10


def delta_text(number: int) -> str:
    return f"{number:06d} " * 30


async def test_a_reader_that_stands_still_holds_nothing_but_its_place() -> None:
    log, never = AnswerLog(), asyncio.Event()

    async def stand_still(_message: bytes) -> None:
        await never.wait()

    log.publish([delta(1)])
    readers = [asyncio.create_task(send_log(log, after=Sequence(0), write=stand_still)) for _ in range(100)]
    await asyncio.sleep(0.01)

    def grow(begin: int, end: int) -> int:
        """Publishes entries and returns by how many bytes memory has grown."""
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(begin, end):
            log.publish([delta(number)])
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    try:
        watched = grow(2, 5000)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        log = AnswerLog()
        log.publish([delta(1)])
        alone = grow(2, 5000)
    finally:
        tracemalloc.stop()
    # A queue of pointers alone would take 100 readers times 5000 entries times 8 bytes, which is 4 MB more.
    assert abs(watched - alone) < 200_000


async def test_fast_readers_beside_one_another_share_what_they_are_sent() -> None:
    log = AnswerLog()
    sent: list[bytes] = []

    async def write(message: bytes) -> None:
        sent.append(message)

    readers = [asyncio.create_task(send_log(log, after=Sequence(0), write=write)) for _ in range(50)]
    await asyncio.sleep(0.01)
    log.publish([delta(number) for number in range(1, 50)])
    await asyncio.sleep(0.01)
    assert len(sent) == len(readers)
    assert len({id(message) for message in sent}) == 1
    log.publish([delta(50), delta(51)])
    log.end()
    last = await asyncio.gather(*readers)
    assert {after for _, after in last} == {51}
    assert len({id(message) for message, _ in last}) == 1


async def test_an_answer_that_is_there_at_once_is_one_message(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, call = caller.open("in one go")
        received = await call._call.read()
        assert isinstance(received, bytes)
        assert not isinstance(await call._call.read(), bytes)


class FinishedBetweenTwoLooks(MemoryStore):
    """Another replica finishes the answer after it was looked up, and before its log is read."""

    async def find(self, key: AskKey) -> StoredAsk | None:
        ask = await super().find(key)
        if ask is not None and not ask.finished:
            last = (delta(2), delta(3))
            await self.finish(key, last, epoch=ask.epoch, finish_time=FINISH, keep_until_time=KEEP_END)
        return ask


async def test_the_final_that_comes_meanwhile_is_left_to_the_message_that_ends_the_stream() -> None:
    store, sent = FinishedBetweenTwoLooks(), []
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    ask = running_ask()
    await store.bind(ask, first=delta(1))

    async def write(message: bytes) -> None:
        sent.append(decode_events(message))

    last = await send_stored(store, ask.key, after=Sequence(0), write=write)
    events = [event for events in (*sent, decode_events(last)) for event in events]
    assert len(sent) == 1
    assert events[-1].sequence == 3
    await store.close()


def delta(sequence: int) -> LogEntry:
    number, text = Sequence(sequence), f"{sequence} "
    event = AnswerEvent(sequence=number, event=TextDelta(first_sequence=number, text=text))
    return LogEntry(sequence=number, data=encode_event(event), text=text)
