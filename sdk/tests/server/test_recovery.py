"""What a durable node owes its askers after a crash, and replicas one another."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.asks import Ask, Citation, OnDisconnect, Outcome, StopReason
from consilience.envelopes import Signed
from consilience.errors import AnswerUnknownError, Redirect, RequestIdReusedError, WrongReplicaError
from consilience.identity import KeyPair
from consilience.nodes import Profile
from consilience.server import Node
from consilience.server.serving import LEASE
from sdk.tests.server.callers import calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.programs import Program
from sdk.tests.server.specimens import Counting, serve_test_skills

ANYWHERE = "127.0.0.1:0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.db"


def durable_node(key: KeyPair, path: Path, counting: Counting, *, replica: str = "one", clock: ManualClock) -> Node:
    node = Node("test", key=key, store=f"sqlite:///{path}", replica=replica, clock=clock)
    serve_test_skills(node, counting)
    return node


async def test_a_durable_node_says_so_and_answers_as_any_other(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    counting.limit = 50
    async with (
        durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running,
        calling(running, clock=clock) as caller,
    ):
        signed = caller.sign(caller.question(skill_id="count"))
        readings = await asyncio.gather(*(caller.send(signed.envelope).rest() for _ in range(20)))
        card = await caller.card()
    assert card.value.profiles == (Profile.CORE, Profile.DURABLE)
    assert counting.asks == 1
    assert {reading.text for reading in readings} == {"".join(f"{number} " for number in range(50))}
    assert {reading.final.answer.envelope for reading in readings} == {readings[0].final.answer.envelope}


async def test_a_durable_node_knows_its_answers_ids_and_cards_after_a_restart(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    async with (
        durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running,
        calling(running, clock=clock, key=key) as caller,
    ):
        signed, reading = await caller.ask("remember me")
    async with (
        durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running,
        calling(running, clock=clock, key=key) as caller,
    ):
        again = await caller.send(signed.envelope).rest()
        seen = await caller.get(signed.value.header.request_id)
        with pytest.raises(RequestIdReusedError):
            await caller.ask("another", header={"request_id": signed.value.header.request_id})
        # The card of the former life is honoured until it expires.
        await caller.ask("on the old card", card_digest=signed.value.card_digest)
    assert again.final == seen.final == reading.final
    assert seen.text == "remember me"


async def test_a_card_issued_after_a_restart_is_never_older_than_the_last(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    async with durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running:
        before = running.card.value.sequence
    clock.advance(-timedelta(hours=1))
    async with durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running:
        assert running.card.value.sequence > before


async def test_durable_answers_are_kept_for_a_day_at_least(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    async with (
        durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running,
        calling(running, clock=clock) as caller,
    ):
        signed, _ = await caller.ask()
        kept = (await caller.get(signed.value.header.request_id)).keep_until_time
        assert kept == clock() + timedelta(hours=24)
        clock.advance(timedelta(hours=23, minutes=59))
        await running.tend()
        await caller.get(signed.value.header.request_id)
        clock.advance(timedelta(minutes=2))
        await running.tend()
        with pytest.raises(AnswerUnknownError):
            await caller.get(signed.value.header.request_id)


PROGRAM = """
import asyncio
from datetime import UTC, datetime
from consilience.asks import Ask, OnDisconnect, Citation, DocumentSource
from consilience.server import Node

url = "sqlite:///" + str(folder / "answers.db")
node = Node("program", key=folder / "root.key", store=url, replica="one")
source = DocumentSource(uri="file:a", digest=bytes(32), retrieval_time=datetime(2026, 1, 1, tzinfo=UTC))

@node.skill("echo")
async def echo(ask):
    yield ask.text

@node.skill("count")
async def count(ask):
    yield Citation(origin=source)
    for number in range(1_000_000):
        yield str(number) + " "
        await asyncio.sleep(0.002)
"""


async def test_a_killed_node_has_its_answers_again_and_ends_the_interrupted_ones(tmp_path: Path) -> None:
    key = KeyPair.generate()
    program = await Program.start(PROGRAM, folder=tmp_path)
    async with calling(program, key=key) as caller:
        done, whole = await caller.ask("safe and sound")
        signed, call = caller.open(skill_id="count")
        known = tuple([event for _ in range(30) if (event := await call.next()) is not None])
        await program.kill()
    program = await Program.start(PROGRAM, folder=tmp_path)
    try:
        async with calling(program, key=key) as caller:
            again = await caller.resume(done.value.header.request_id).rest()
            resumed = await caller.resume(signed.value.header.request_id, after=known[-1].sequence).rest(known=known)
            caller.check(signed, resumed)
            attached = await caller.send(signed.envelope).rest()
            await caller.ask("alive again")
    finally:
        await program.kill()
    assert again.final == whole.final
    answer = resumed.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.INTERRUPTED)
    assert [type(citation) for citation in answer.citations] == [Citation]
    # What was shown before the crash stands under the signature, byte for byte.
    assert attached.final == resumed.final
    assert attached.text == resumed.text
    assert resumed.text.startswith("0 1 2 ")


async def test_any_replica_serves_any_reader_and_says_who_can_cancel(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    counting.pace = 0.01
    one = durable_node(key, path, counting, replica="https://one.example.org:7341", clock=clock)
    two = durable_node(key, path, Counting(), replica="two", clock=clock)
    async with (
        one.serving(ANYWHERE) as first,
        two.serving(ANYWHERE) as second,
        calling(first, clock=clock, key=key) as here,
        calling(second, clock=clock, key=key) as there,
    ):
        signed, call = here.open(skill_id="count")
        await counting.has_begun()
        request_id = signed.value.header.request_id
        elsewhere, copy = there.resume(request_id), there.send(signed.envelope)
        for _ in range(3):
            await elsewhere.next()
        assert (await there.get(request_id)).final is None
        with pytest.raises(WrongReplicaError) as refusal:
            await there.cancel(request_id)
        with pytest.raises(RequestIdReusedError):
            await there.ask("another", header={"request_id": request_id})
        await here.cancel(request_id)
        reading, copied = await asyncio.gather(call.rest(), copy.rest())
        # Now that it is finished, every replica knows its end.
        assert await there.cancel(request_id) == reading.final
    assert refusal.value.detail == Redirect(uri="https://one.example.org:7341")
    assert copied.final == reading.final
    assert copied.text == reading.text
    assert counting.asks == 1


async def test_a_replica_ends_the_answers_of_a_sibling_whose_lease_ran_out_and_the_sibling_lets_go(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    one = durable_node(key, path, counting, replica="one", clock=clock)
    two = durable_node(key, path, Counting(), replica="two", clock=clock)
    async with (
        one.serving(ANYWHERE) as first,
        two.serving(ANYWHERE) as second,
        calling(first, clock=clock, key=key) as here,
        calling(second, clock=clock, key=key) as there,
    ):
        signed, call = here.open(skill_id="count")
        await counting.has_begun()
        # The first replica sleeps through its heartbeats, as a suspended machine does.
        clock.advance(LEASE + timedelta(seconds=1))
        await second.tend()
        reading, seen = await asyncio.gather(call.rest(), there.get(signed.value.header.request_id))
        here.check(signed, reading)
        assert await counting.stands_still()
        assert first.running_asks == 0
    assert reading.final == seen.final
    assert reading.final.answer.value.stop_reason is StopReason.INTERRUPTED


@pytest.mark.parametrize("keys", ["", "keys"])
async def test_an_answer_that_is_ended_long_after_is_signed_by_a_key_that_its_card_covers(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock, keys: str
) -> None:
    def life() -> Node:
        signing_key = path.parent / keys if keys else None
        node = Node("test", key=key, signing_key=signing_key, store=f"sqlite:///{path}", replica="one", clock=clock)
        serve_test_skills(node, counting)
        return node

    async with life().serving(ANYWHERE) as running, calling(running, clock=clock, key=key) as caller:
        card = await caller.card()
        signed, _ = caller.open(skill_id="count")
        await counting.has_begun()
        for run in running._answers.running:
            run.kill()
    clock.advance(timedelta(days=40))
    async with life().serving(ANYWHERE) as running, calling(running, clock=clock, key=key) as caller:
        seen = await caller.get(signed.value.header.request_id)
    assert seen.final is not None
    assert seen.keep_until_time is not None
    answer = seen.final.answer.value
    assert answer.stop_reason is StopReason.INTERRUPTED
    covered = {signing.public_key: signing.expire_time for signing in card.value.signing_keys}
    assert answer.finish_time <= covered[answer.signing_key]
    assert seen.keep_until_time > clock()


async def test_a_replica_notices_that_it_lost_an_answer_on_which_its_handler_is_silent(
    key: KeyPair, path: Path, clock: ManualClock
) -> None:
    one = durable_node(key, path, Counting(pace=600), replica="one", clock=clock)
    two = durable_node(key, path, Counting(), replica="two", clock=clock)
    async with (
        one.serving(ANYWHERE) as first,
        two.serving(ANYWHERE) as second,
        calling(first, clock=clock) as caller,
    ):
        signed, call = caller.open(skill_id="count")
        opening = await call.next()
        assert opening is not None
        clock.advance(LEASE + timedelta(seconds=1))
        await second.tend()
        await first.tend()
        reading = await call.rest(known=(opening,))
        caller.check(signed, reading)
        assert first.running_asks == 0
    assert reading.final.answer.value.stop_reason is StopReason.INTERRUPTED


async def test_of_two_replicas_that_get_one_ask_at_once_one_works_on_it(
    key: KeyPair, path: Path, counting: Counting, clock: ManualClock
) -> None:
    counting.limit, counting.pace = 3, 0.001
    one = durable_node(key, path, counting, replica="one", clock=clock)
    two = durable_node(key, path, counting, replica="two", clock=clock)
    async with (
        one.serving(ANYWHERE) as first,
        two.serving(ANYWHERE) as second,
        calling(first, clock=clock, key=key) as here,
        calling(second, clock=clock, key=key) as there,
    ):
        for number in range(1, 11):
            signed = here.sign(here.question(skill_id="count"))
            readings = await asyncio.gather(*(caller.send(signed.envelope).rest() for caller in (here, there)))
            assert readings[0].final == readings[1].final
            assert counting.asks == number
        # Neither replica holds a place for what the other one worked on.
        assert not first._answers._load._total
        assert not second._answers._load._total


async def test_a_heartbeat_keeps_what_runs(key: KeyPair, path: Path, counting: Counting, clock: ManualClock) -> None:
    one = durable_node(key, path, counting, replica="one", clock=clock)
    two = durable_node(key, path, Counting(), replica="two", clock=clock)
    async with one.serving(ANYWHERE) as first, two.serving(ANYWHERE) as second, calling(first, clock=clock) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        for _ in range(4):
            clock.advance(LEASE / 2)
            await first.tend()
            await second.tend()
        assert first.running_asks == 1
        await caller.cancel(signed.value.header.request_id)
        assert (await call.rest()).final.answer.value.stop_reason is StopReason.CANCELLED


async def test_a_caller_that_goes_away_during_acceptance_leaves_nothing_that_nobody_works_on(
    key: KeyPair, path: Path, clock: ManualClock
) -> None:
    counting = Counting(limit=5)
    async with (
        durable_node(key, path, counting, clock=clock).serving(ANYWHERE) as running,
        calling(running, clock=clock) as caller,
    ):
        sent: list[Signed[Ask]] = []
        # Each caller stays a little longer than the one before, until some are gone before and some after acceptance.
        while counting.asks < 10:
            signed, call = caller.open(skill_id="count", on_disconnect=OnDisconnect.CONTINUE)
            await asyncio.sleep(len(sent) / 10_000)
            call.drop()
            sent.append(signed)
        copies = [caller.send(signed.envelope) for signed in sent]
        readings = await asyncio.gather(*(copy.rest() for copy in copies))
        assert {reading.final.answer.value.outcome for reading in readings} == {Outcome.ANSWERED}
        assert counting.asks == len(sent)
        assert not running._answers._load._total
