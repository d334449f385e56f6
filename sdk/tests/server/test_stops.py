import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consilience.asks import AskLimits, OnDisconnect, Outcome, StopReason, Usage
from consilience.errors import NodeFaultError
from consilience.identity import KeyPair
from consilience.server import Conclusion, IncomingAsk, Item, Node, answers
from consilience.units import utc_now
from sdk.tests.server.callers import calling
from sdk.tests.server.specimens import PATIENCE_SECONDS, Counting

ANYWHERE = "127.0.0.1:0"


async def test_cancellation_stops_the_handler_and_returns_the_final(node: Node, counting: Counting) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        final = await caller.cancel(signed.value.header.request_id)
        assert await counting.stands_still()
        assert counting.stopped == 1
        reading = await call.rest()
    caller.check(signed, reading)
    assert reading.final == final
    answer = final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.CANCELLED)
    assert answer.transcript_bytes == len(reading.text) > 0


async def test_a_finished_answer_stays_as_it_is_when_it_is_cancelled(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, reading = await caller.ask()
        assert await caller.cancel(signed.value.header.request_id) == reading.final


async def test_the_cancellation_of_an_answer_that_nobody_ends_is_a_fault_and_does_not_wait_for_ever(
    node: Node, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "END_SECONDS", 0.1)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, _ = caller.open(skill_id="count")
        await counting.has_begun()
        for run in running._answers.running:
            run.kill()
        with pytest.raises(NodeFaultError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await caller.cancel(signed.value.header.request_id)


async def test_an_answer_cancelled_as_soon_as_it_is_accepted_ends_all_the_same(node: Node, counting: Counting) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        for _ in range(20):
            signed, call = caller.open(skill_id="count")
            accepted = await call.next()
            assert accepted is not None
            final, reading = await asyncio.gather(
                caller.cancel(signed.value.header.request_id), call.rest(known=(accepted,))
            )
            assert reading.final == final
        assert running.running_asks == 0
        assert await counting.stands_still()


async def test_the_deadline_of_the_ask_stops_the_handler(node: Node, counting: Counting) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        limits = AskLimits(deadline=utc_now() + timedelta(seconds=2))
        _, reading = await caller.ask(skill_id="count", limits=limits)
        assert await counting.stands_still()
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.DEADLINE)
    assert counting.tokens > 0


async def test_the_handler_is_told_the_deadline_that_holds(key: KeyPair) -> None:
    node, told = Node("test", key=key), list[IncomingAsk]()

    @node.skill("tell")
    async def tell(ask: IncomingAsk) -> AsyncIterator[str]:
        told.append(ask)
        yield "done"

    deadline = utc_now().replace(microsecond=0) + timedelta(seconds=60)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, _ = await caller.ask(skill_id="tell", limits=AskLimits(deadline=deadline))
        await caller.ask(skill_id="tell")
    assert told[0].deadline == deadline
    assert told[1].deadline - utc_now() > timedelta(minutes=9)
    assert told[0].digest == signed.digest
    assert told[0].caller == caller.key.public_key
    assert told[0].request_id == signed.value.header.request_id


async def test_a_dropped_connection_does_not_stop_the_work(node: Node, counting: Counting) -> None:
    counting.limit, counting.pace = 60, 0.005
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        call.drop()
        reading = await caller.resume(signed.value.header.request_id).rest()
    assert reading.final.answer.value.outcome is Outcome.ANSWERED
    assert counting.tokens == counting.limit


async def test_the_loss_of_the_last_reader_stops_the_work_where_the_ask_says_so(node: Node, counting: Counting) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, first = caller.open(skill_id="count", on_disconnect=OnDisconnect.CANCEL)
        await counting.has_begun()
        second = caller.resume(signed.value.header.request_id)
        await second.next()
        first.drop()
        assert not await counting.stands_still()
        second.drop()
        reading = await caller.resume(signed.value.header.request_id).rest()
        assert await counting.stands_still()
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.DISCONNECTED)
    assert counting.stopped == 1


@pytest.mark.parametrize("place", ["await", "yield"])
async def test_a_handler_that_is_stopped_has_a_last_word_about_its_usage(key: KeyPair, place: str) -> None:
    node, waiting = Node("test", key=key), asyncio.Event()

    @node.skill("count")
    async def count(_ask: IncomingAsk) -> AsyncIterator[Item]:
        tokens = 0
        try:
            while True:
                tokens += 1
                yield "token "
                waiting.set()
                if place == "await":
                    await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield Conclusion(outcome=Outcome.ANSWERED, usage=Usage(output_tokens=tokens))

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await waiting.wait()
        final = await caller.cancel(signed.value.header.request_id)
        reading = await call.rest() if place == "await" else None
    answer = final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.CANCELLED)
    assert answer.usage.output_tokens * len("token ") == answer.transcript_bytes
    assert reading is None or reading.text == "token "


async def test_a_handler_that_babbles_on_after_the_stop_is_not_heard(key: KeyPair) -> None:
    node, waiting = Node("test", key=key), asyncio.Event()

    @node.skill("stubborn")
    async def stubborn(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "before"
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "after"
            yield "and after"

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="stubborn")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await waiting.wait()
        await caller.cancel(signed.value.header.request_id)
        reading = await call.rest()
    caller.check(signed, reading)
    assert reading.text == "before"


async def test_a_handler_that_never_waits_lets_others_through(key: KeyPair) -> None:
    node = Node("test", key=key)

    @node.skill("endless")
    async def endless(_ask: IncomingAsk) -> AsyncIterator[str]:
        while True:
            yield "x"

    @node.skill("echo")
    async def echo(ask: IncomingAsk) -> AsyncIterator[str]:
        yield ask.text

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="endless")
        await call.next()
        _, reading = await caller.ask("still here")
        await caller.cancel(signed.value.header.request_id)
        call.drop()
    assert reading.text == "still here"
