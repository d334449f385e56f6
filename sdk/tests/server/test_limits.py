"""Each limit of the card: kept to the letter, and named in the refusal."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from consilience._wire import services
from consilience.asks import GET_METHOD, AskLimits, Blob, Role, Turn
from consilience.errors import LimitExceeded, LimitExceededError, NodeFaultError, TransportError
from consilience.identity import KeyPair
from consilience.nodes import Limits
from consilience.server import DEFAULT_LIMITS, IncomingAsk, Node
from consilience.server.store import MemoryStore
from consilience.server.transport import MAX_STREAMS, ROOM_BYTES
from sdk.tests.server.callers import Caller, calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import PATIENCE_SECONDS, Counting, serve_test_skills

ANYWHERE = "127.0.0.1:0"

LIMITS = Limits(
    max_message_bytes=4096,
    max_turns=3,
    max_input_bytes=1000,
    max_output_tokens=100,
    max_running_asks=5,
    max_running_asks_per_caller=2,
    max_run_time=timedelta(seconds=50),
    answer_retention=timedelta(seconds=30),
    max_readers_per_answer=3,
)


@pytest.fixture
def node(key: KeyPair, clock: ManualClock, counting: Counting) -> Node:
    node = Node("test", key=key, limits=LIMITS, clock=clock)
    serve_test_skills(node, counting)
    return node


def turns(count: int) -> tuple[Turn, ...]:
    return tuple(Turn(role=Role.ASKER, parts=(f"turn {number}",)) for number in range(count))


async def refused_by(limit: str, caller: Caller, text: str = "say", **changes: Any) -> LimitExceeded:
    with pytest.raises(LimitExceededError) as refusal:
        await caller.ask(text, **changes)
    assert isinstance(refusal.value.detail, LimitExceeded)
    assert refusal.value.detail.limit == limit
    assert refusal.value.code == "RESOURCE_EXHAUSTED"
    return refusal.value.detail


async def test_a_message_above_the_limit_is_refused_by_name(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        detail = await refused_by("max_message_bytes", caller, "x" * 5000)
        assert (detail.maximum, detail.requested > 5000) == (4096, True)
        with pytest.raises(LimitExceededError):
            await caller.unary(GET_METHOD, bytes(4097))


async def test_a_message_far_above_the_limit_is_cut_off_before_the_node_holds_it(
    node: Node, clock: ManualClock
) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        with pytest.raises(TransportError, match="RESOURCE_EXHAUSTED"):
            await caller.unary(GET_METHOD, bytes(LIMITS.max_message_bytes + ROOM_BYTES + 1))
        await refused_by("max_message_bytes", caller, "x" * (ROOM_BYTES - 4096))


async def test_one_connection_opens_no_more_calls_than_it_may_and_holds_up_no_other(key: KeyPair) -> None:
    counting = Counting(pace=0.1)  # slow: what is shown is a limit, and not what the processor can bear
    many = MAX_STREAMS + 10
    limits = Limits(max_running_asks=2 * many, max_running_asks_per_caller=2 * many)
    node = Node("test", key=key, limits=limits)
    serve_test_skills(node, counting)
    async with (
        node.serving(ANYWHERE) as running,
        calling(running, key=key) as caller,
        calling(running, key=key) as other,
    ):
        calls = [caller.open(skill_id="count") for _ in range(many)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(call.next() for _, call in calls[:MAX_STREAMS]))
            await other.ask()
            assert running.running_asks == MAX_STREAMS


async def test_a_message_above_the_largest_limit_of_all_is_refused_by_name(key: KeyPair, counting: Counting) -> None:
    node = Node("test", key=key)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        await refused_by("max_message_bytes", caller, "x" * (4 * 1024 * 1024))


async def test_one_turn_more_than_allowed_is_refused(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        await caller.ask(turns=turns(3))
        detail = await refused_by("max_turns", caller, turns=turns(4))
    assert (detail.maximum, detail.requested) == (3, 4)


async def test_input_is_counted_in_bytes_over_all_turns(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        await caller.ask("ä" * 500)
        detail = await refused_by("max_input_bytes", caller, "ä" * 500 + "x")
        two = (Turn(role=Role.ASKER, parts=("x" * 600,)), Turn(role=Role.NODE, parts=("x" * 401,)))
        await refused_by("max_input_bytes", caller, turns=two)
    assert (detail.maximum, detail.requested) == (1000, 1001)


async def test_blobs_count_as_input(key: KeyPair) -> None:
    node = Node("test", key=key, limits=LIMITS)

    @node.skill("see", input_media_types=["image/png"])
    async def see(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "seen"

    blob = (Turn(role=Role.ASKER, parts=(Blob(media_type="image/png", data=bytes(1001)),)),)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        await refused_by("max_input_bytes", caller, skill_id="see", turns=blob)


async def test_more_output_tokens_than_allowed_are_refused(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        await caller.ask(limits=AskLimits(max_output_tokens=100))
        detail = await refused_by("max_output_tokens", caller, limits=AskLimits(max_output_tokens=101))
    assert (detail.maximum, detail.requested) == (100, 101)


async def test_the_handler_is_told_the_bounds_that_hold(key: KeyPair) -> None:
    node, told = Node("test", key=key, limits=LIMITS), list[IncomingAsk]()

    @node.skill("tell", limits=Limits(max_input_tokens=77))
    async def tell(ask: IncomingAsk) -> AsyncIterator[str]:
        told.append(ask)
        yield "done"

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        await caller.ask(skill_id="tell")
        await caller.ask(skill_id="tell", limits=AskLimits(max_output_tokens=7))
    assert [ask.max_output_tokens for ask in told] == [100, 7]
    assert {ask.max_input_tokens for ask in told} == {77}


async def test_a_deadline_too_far_away_is_refused_in_milliseconds(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        await caller.ask(limits=AskLimits(deadline=clock() + timedelta(seconds=50)))
        far = clock() + timedelta(seconds=50, microseconds=1)
        detail = await refused_by("max_run_time", caller, limits=AskLimits(deadline=far))
    assert (detail.maximum, detail.requested) == (50_000, 50_001)


async def test_running_asks_are_counted_for_each_caller_and_for_all(
    node: Node, clock: ManualClock, counting: Counting
) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        callers = [caller, caller.stranger(), caller.stranger()]
        opened = []
        for one in (callers[0], callers[0], callers[1], callers[1], callers[2]):
            signed, call = one.open(skill_id="count")
            await call.next()
            opened.append((one, signed))
        assert running.running_asks == 5
        detail = await refused_by("max_running_asks", callers[2], skill_id="count")
        assert (detail.maximum, detail.requested) == (5, 6)
        await callers[1].cancel(opened[2][1].value.header.request_id)
        detail = await refused_by("max_running_asks_per_caller", callers[0], skill_id="count")
        assert (detail.maximum, detail.requested) == (2, 3)
        await callers[0].cancel(opened[0][1].value.header.request_id)
        await callers[0].ask("room again")
    assert counting.asks == 5


async def test_a_copy_of_a_running_ask_needs_no_place(node: Node, clock: ManualClock, counting: Counting) -> None:
    counting.limit = 30
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, first = caller.open(skill_id="count")
        second_signed, second = caller.open(skill_id="count")
        copies = [caller.send(one.envelope) for one in (signed, second_signed)]
        readings = await asyncio.gather(first.rest(), second.rest(), *(copy.rest() for copy in copies))
    assert readings[0].final == readings[2].final
    assert readings[1].final == readings[3].final


async def test_a_skill_counts_its_own_running_asks(key: KeyPair, counting: Counting) -> None:
    node = Node("test", key=key)
    node.skill("narrow", limits=Limits(max_running_asks=2, max_running_asks_per_caller=1))(counting.answer)
    node.skill("wide")(counting.answer)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, wide = caller.open(skill_id="wide")
        _, narrow = caller.open(skill_id="narrow")
        await wide.next()
        await narrow.next()
        detail = await refused_by("max_running_asks_per_caller", caller, skill_id="narrow")
        assert (detail.maximum, detail.requested) == (1, 2)
        _, other = caller.stranger().open(skill_id="narrow")
        await other.next()
        detail = await refused_by("max_running_asks", caller.stranger(), skill_id="narrow")
        assert (detail.maximum, detail.requested) == (2, 3)


async def test_readers_of_one_answer_are_counted(node: Node, clock: ManualClock, counting: Counting) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, first = caller.open(skill_id="count")
        request_id = signed.value.header.request_id
        await first.next()
        others = [caller.resume(request_id) for _ in range(2)]
        for other in others:
            await other.next()
        with pytest.raises(LimitExceededError) as refusal:
            await caller.resume(request_id).next()
        with pytest.raises(LimitExceededError):
            await caller.send(signed.envelope).next()
        assert refusal.value.detail == LimitExceeded(limit="max_readers_per_answer", maximum=3, requested=4)
        others[0].drop()
        while True:
            try:
                await caller.resume(request_id).next()
            except LimitExceededError:
                await asyncio.sleep(0.005)
            else:
                break


async def test_limits_that_are_not_stated_are_the_defaults_and_stand_in_the_card(node: Node, key: KeyPair) -> None:
    async with node.serving(ANYWHERE) as running:
        assert running.card.value.limits == LIMITS
    plain = Node("test", key=key)
    serve_test_skills(plain, Counting())
    async with plain.serving(ANYWHERE) as running:
        assert running.card.value.limits == DEFAULT_LIMITS
        # A card states every limit but those on tokens, and that on quotes, where it is not paid (proto: Limits).
        unset = {name for name in Limits.__slots__ if not getattr(running.card.value.limits, name)}
        assert unset == {"max_input_tokens", "max_output_tokens", "max_quotes_per_minute"}


async def test_a_node_may_allow_more_than_the_defaults(key: KeyPair) -> None:
    node = Node("test", key=key, limits=Limits(max_turns=1000, answer_retention=timedelta(days=7)))
    serve_test_skills(node, Counting())
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        await caller.ask(turns=turns(1000))
        assert running.card.value.limits.answer_retention == timedelta(days=7)


async def test_answers_are_kept_for_the_stated_time(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        soon = {"issue_time": clock() - timedelta(minutes=1), "expire_time": clock() - timedelta(seconds=20)}
        signed, _ = await caller.ask(header=soon)
        snapshot = await caller.get(signed.value.header.request_id)
    assert snapshot.keep_until_time == clock() + LIMITS.answer_retention


async def test_an_answer_is_kept_as_long_as_a_copy_of_its_ask_may_come(
    node: Node, clock: ManualClock, counting: Counting
) -> None:
    counting.limit = 1
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, reading = await caller.ask(skill_id="count")
        for _ in range(15):
            clock.advance(timedelta(seconds=10))
            await running.tend()
            assert (await caller.send(signed.envelope).rest()).final == reading.final
    assert counting.asks == 1


async def test_a_request_of_another_method_is_measured_too(node: Node, clock: ManualClock) -> None:
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        with pytest.raises(LimitExceededError):
            await caller.unary(services.GET_NODE_CARD_METHOD, bytes(5000))


async def test_a_node_that_keeps_all_it_can_forgets_nothing_early_and_says_when_there_is_room(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock, store=MemoryStore(max_bytes=300_000))
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        kept = [(await caller.ask("x" * 100_000))[0] for _ in range(2)]
        with pytest.raises(NodeFaultError) as refusal:
            await caller.stranger().ask()
        again = [await caller.send(signed.envelope).rest() for signed in kept]
        assert refusal.value.retry_after is not None
        clock.advance(refusal.value.retry_after)
        await running.tend()
        await caller.ask(card_digest=(await caller.card()).digest)
    assert [reading.text for reading in again] == ["x" * 100_000] * 2
