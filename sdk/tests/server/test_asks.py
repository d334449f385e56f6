import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from consilience.asks import (
    Accepted,
    AskLimits,
    Citation,
    DocumentSource,
    Final,
    Outcome,
    Progress,
    StopReason,
    TextDelta,
)
from consilience.calls import new_request_id
from consilience.errors import (
    AnswerUnknownError,
    CallExpiredError,
    CallNotYetValidError,
    RequestIdReusedError,
    SequenceUnknownError,
    ServerTime,
)
from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Item, Node
from consilience.units import utc_now
from sdk.tests.server.callers import Reading, calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import Counting, serve_test_skills

ANYWHERE = "127.0.0.1:0"


async def test_an_answer_arrives_whole_and_signed(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, reading = await caller.ask("good morning")
    opening = reading.events[0].event
    assert isinstance(opening, Accepted)
    assert opening.ask_digest == signed.digest
    assert isinstance(reading.events[-1].event, Final)
    assert reading.text == "good morning"
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.ANSWERED, StopReason.COMPLETE)
    assert answer.usage.output_bytes == len("good morning")
    assert answer.accept_time == opening.accept_time


async def test_one_request_id_sent_twenty_times_at_once_is_one_execution_and_twenty_equal_answers(
    node: Node, counting: Counting
) -> None:
    counting.limit = 30
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed = caller.sign(caller.question(skill_id="count"))
        readings = await asyncio.gather(*(caller.send(signed.envelope).rest() for _ in range(20)))
    assert counting.asks == 1
    assert counting.tokens == counting.limit
    assert {reading.final.answer.envelope for reading in readings} == {readings[0].final.answer.envelope}
    assert {reading.text for reading in readings} == {readings[0].text}


async def test_copies_wait_for_the_one_that_is_being_checked(key: KeyPair) -> None:
    node, checks, asks = Node("test", key=key), 0, 0

    async def check(_ask: IncomingAsk) -> None:
        nonlocal checks
        checks += 1
        await asyncio.sleep(0.02)

    @node.skill("slow", check=check)
    async def slow(_ask: IncomingAsk) -> AsyncIterator[str]:
        nonlocal asks
        asks += 1
        yield "done"

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed = caller.sign(caller.question(skill_id="slow"))
        await asyncio.gather(*(caller.send(signed.envelope).rest() for _ in range(20)))
    assert (checks, asks) == (1, 1)


async def test_the_same_request_id_with_another_payload_is_refused_and_changes_nothing(
    node: Node, counting: Counting
) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, reading = await caller.ask("one")
        other = caller.sign(replace(signed.value, skill_id="count"))
        with pytest.raises(RequestIdReusedError):
            await caller.send(other.envelope).rest()
        again = await caller.send(signed.envelope).rest()
    assert counting.asks == 0
    assert again.final == reading.final


async def test_a_request_id_belongs_to_its_caller_alone(node: Node) -> None:
    request_id = new_request_id()
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, first = await caller.ask("one", header={"request_id": request_id})
        _, second = await caller.stranger().ask("two", header={"request_id": request_id})
    assert (first.text, second.text) == ("one", "two")


async def test_a_refusal_binds_nothing(node: Node) -> None:
    request_id = new_request_id()
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        with pytest.raises(Exception, match="no skill"):
            await caller.ask(header={"request_id": request_id}, skill_id="cooking")
        _, reading = await caller.ask("after all", header={"request_id": request_id})
    assert reading.text == "after all"


async def test_a_late_copy_attaches_where_a_first_call_would_be_refused(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock, card_lifetime=timedelta(minutes=1))
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        limits = AskLimits(deadline=clock() + timedelta(seconds=30))
        signed, reading = await caller.ask("hello", limits=limits)
        # By now the card has expired and the deadline has passed, but the header has not expired.
        clock.advance(timedelta(seconds=110))
        again = await caller.send(signed.envelope).rest()
    assert again.final == reading.final


async def test_a_copy_after_its_header_expired_is_refused_but_the_answer_can_be_read(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, reading = await caller.ask("hello")
        clock.advance(timedelta(minutes=20))
        with pytest.raises(CallExpiredError):
            await caller.send(signed.envelope).rest()
        resumed = await caller.resume(signed.value.header.request_id).rest()
    assert resumed.final == reading.final


async def test_a_copy_is_judged_by_its_time_like_a_first_call(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, _ = await caller.ask("hello")
        clock.advance(-timedelta(minutes=1))
        with pytest.raises(CallNotYetValidError):
            await caller.send(signed.envelope).rest()


async def test_the_id_is_looked_up_before_the_time_is_checked(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, _ = await caller.ask("one")
        other = caller.sign(replace(signed.value, allow_truncation=True))
        clock.advance(timedelta(hours=1) - timedelta(seconds=1))
        with pytest.raises(RequestIdReusedError):
            await caller.send(other.envelope).rest()


async def test_a_stale_first_call_is_refused_with_the_time_of_the_node(
    key: KeyPair, clock: ManualClock, counting: Counting
) -> None:
    node = Node("test", key=key, clock=clock)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        early = caller.sign(caller.question())
        clock.advance(timedelta(minutes=11))
        with pytest.raises(CallExpiredError) as stale:
            await caller.send(early.envelope).rest()
        late = caller.sign(caller.question())
        clock.advance(-timedelta(minutes=5))
        with pytest.raises(CallNotYetValidError) as future:
            await caller.send(late.envelope).rest()
    assert stale.value.detail == ServerTime(server_time=clock.now + timedelta(minutes=5))
    assert future.value.detail == ServerTime(server_time=clock.now)


async def test_a_log_cut_at_every_event_and_resumed_has_one_transcript(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, whole = await caller.ask("the quick brown fox jumps over the lazy dog")
        for cut in range(len(whole.events) + 1):
            known = whole.events[:cut]
            after = known[-1].sequence if known else 0
            resumed = await caller.resume(signed.value.header.request_id, after=after).rest(known=known)
            caller.check(signed, resumed)
            assert resumed.transcript.digest == whole.transcript.digest


async def test_a_running_log_cut_at_every_event_is_read_on_by_another_stream(node: Node, counting: Counting) -> None:
    counting.limit, counting.pace = 12, 0.005
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        for cut in range(1, 14):
            signed, call = caller.open(skill_id="count")
            known = tuple([event for _ in range(cut) if (event := await call.next()) is not None])
            call.drop()
            resumed = await caller.resume(signed.value.header.request_id, after=known[-1].sequence).rest(known=known)
            caller.check(signed, resumed)
            assert resumed.text == "".join(f"{number} " for number in range(12))


async def test_reading_on_from_behind_the_log_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, whole = await caller.ask()
        last = whole.events[-1].sequence
        assert await caller.resume(signed.value.header.request_id, after=last).next() is None
        with pytest.raises(SequenceUnknownError):
            await caller.resume(signed.value.header.request_id, after=last + 1).next()


async def test_a_stranger_learns_no_more_than_that_of_an_answer_that_never_was(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, whole = await caller.ask()
        stranger, mine, nobodys = caller.stranger(), signed.value.header.request_id, new_request_id()
        for look in (lambda of: stranger.resume(of).next(), stranger.get, stranger.cancel):
            told = []
            for request_id in (mine, nobodys):
                with pytest.raises(AnswerUnknownError) as refusal:
                    await look(request_id)
                told.append((str(refusal.value), refusal.value.code, refusal.value.detail))
            assert told[0] == told[1]
        assert (await caller.get(mine)).final == whole.final


async def test_what_there_is_can_be_seen_while_it_grows_and_when_it_is_done(node: Node, counting: Counting) -> None:
    counting.limit, counting.pace = 10, 0.02
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        early = await caller.get(signed.value.header.request_id)
        whole = await call.rest()
        late = await caller.get(signed.value.header.request_id)
    assert early.final is None
    assert early.keep_until_time is None
    assert early.text
    assert whole.text.startswith(early.text)
    assert (late.text, late.final, late.last_sequence) == (whole.text, whole.final, whole.events[-1].sequence)
    assert late.keep_until_time is not None
    assert late.keep_until_time > utc_now() + timedelta(minutes=50)


async def test_an_answer_is_forgotten_after_its_time(key: KeyPair, clock: ManualClock, counting: Counting) -> None:
    node = Node("test", key=key, clock=clock)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, _ = await caller.ask()
        clock.advance(timedelta(minutes=59))
        await running.tend()
        await caller.get(signed.value.header.request_id)
        clock.advance(timedelta(minutes=2))
        await running.tend()
        with pytest.raises(AnswerUnknownError):
            await caller.get(signed.value.header.request_id)


async def test_sources_and_progress_stand_in_the_log_and_sources_in_the_answer(key: KeyPair) -> None:
    node = Node("test", key=key)
    document = DocumentSource(uri="file:atlas.md", digest=bytes(32), retrieval_time=utc_now(), quote="It is so.")

    @node.skill("quote", gives_citations=True)
    async def quote(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield Progress(message="reading", done_milli=500)
        yield "It is so."
        yield Citation(origin=document)

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask(skill_id="quote")
    kinds = [type(event.event) for event in reading.events]
    assert kinds == [Accepted, Progress, TextDelta, Citation, Final]
    assert reading.final.answer.value.citations == (Citation(origin=document),)


async def test_text_of_any_alphabet_arrives_to_the_byte(node: Node) -> None:
    text = "".join(chr(point) for point in range(0x20, 0x3000)) + "🦉 𐍈"
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask(text)
    assert reading.text == text
    assert reading.final.answer.value.transcript_bytes == len(text.encode())


async def test_a_huge_delta_becomes_several_that_fit_into_messages(key: KeyPair) -> None:
    node, text = Node("test", key=key), "ä" * 1_000_000

    @node.skill("flood")
    async def flood(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield text

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask(skill_id="flood")
    assert reading.text == text


async def test_several_readers_of_one_running_answer_get_the_same_text(node: Node, counting: Counting) -> None:
    counting.limit = 100
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        others = [caller.resume(signed.value.header.request_id) for _ in range(5)]
        readings: list[Reading] = await asyncio.gather(call.rest(), *(other.rest() for other in others))
    assert {reading.transcript.digest for reading in readings} == {readings[0].transcript.digest}
