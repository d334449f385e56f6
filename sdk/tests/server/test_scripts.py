"""Scripted answers: each step of a script, and that they are answers like all others."""

import asyncio
import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.asks import (
    AskLimits,
    Citation,
    Confidence,
    Intake,
    OnDisconnect,
    Outcome,
    Progress,
    StopReason,
    TextDelta,
)
from consilience.client import Client
from consilience.conformance import (
    SCRIPT_MEDIA_TYPE,
    SCRIPT_MODEL_ID,
    SCRIPT_SKILL_ID,
    OpenGate,
    ScriptedConclusion,
    ScriptedFailure,
    WaitForGate,
)
from consilience.errors import UsageError
from consilience.identity import KeyPair
from consilience.nodes import Profile
from consilience.rails.hold import HoldRail
from consilience.server import Node
from consilience.server.payments import Payments
from consilience.units import Digest, utc_now
from sdk.tests.server.callers import AnswerCall
from sdk.tests.server.examiners import examining, text
from sdk.tests.server.specimens import PATIENCE_SECONDS, Counting, echo, serve_test_skills


@pytest.fixture
def tested(key: KeyPair) -> Node:
    return Node("tested", key=key, conformance=True)


def new_gate() -> bytes:
    return os.urandom(16)


async def _text(call: AnswerCall, length: int) -> str:
    """Reads until so many characters have come."""
    seen = ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen) < length:
            event = await call.next()
            assert event is not None
            seen += event.event.text if isinstance(event.event, TextDelta) else ""
    return seen


async def test_the_card_lists_skill_model_and_profile_behind_all_others(key: KeyPair, counting: Counting) -> None:
    node = Node("tested", key=key, conformance=True)
    serve_test_skills(node, counting)
    async with examining(node, root=key) as examiner:
        card = (await examiner.caller.card()).value
    skill = card.skills[-1]
    assert [each.id for each in card.skills] == ["echo", "count", SCRIPT_SKILL_ID]
    assert skill.input_media_types == (SCRIPT_MEDIA_TYPE,)
    assert skill.model_ids == (SCRIPT_MODEL_ID,) == tuple(model.id for model in card.models)
    assert (skill.gives_citations, skill.gives_confidence, skill.gives_intake) == (False, False, False)
    assert card.profiles == (Profile.CORE, Profile.CONFORMANCE)


@pytest.mark.parametrize(
    ("rail", "assets"),
    [(HoldRail(network="main", assets=("USD/6",)), []), (HoldRail(assets=("TEST/2", "USD/6")), ["TEST/2", "USD/6"])],
)
async def test_a_script_costs_nothing_of_value(key: KeyPair, tmp_path: Path, rail: HoldRail, assets: list[str]) -> None:
    store = f"sqlite:///{tmp_path / 'answers.db'}"
    node = Node("tested", key=key, conformance=True, payments=Payments(rails=(rail,)), store=store)
    async with node.serving("127.0.0.1:0") as running:
        card = running.card.value
    skill = card.skill(SCRIPT_SKILL_ID)
    assert skill is not None
    assert [tariff.asset for tariff in card.tariffs_of(skill)] == assets


async def test_a_node_that_is_not_told_to_be_tested_has_no_such_skill(node: Node) -> None:
    async with node.serving("127.0.0.1:0") as running:
        assert running.card.value.skill(SCRIPT_SKILL_ID) is None
        assert running.card.value.profiles == (Profile.CORE,)


def test_the_name_of_the_skill_is_taken_then(tested: Node) -> None:
    tested.skill(SCRIPT_SKILL_ID)(echo)
    with pytest.raises(UsageError, match="registered twice"):
        tested.serving("127.0.0.1:0")


async def test_a_script_without_steps_is_an_answer_without_text(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play()
    answer = reading.final.answer.value
    assert (reading.text, answer.outcome, answer.stop_reason) == ("", Outcome.ANSWERED, StopReason.COMPLETE)
    assert (answer.usage.output_tokens, answer.citations, answer.confidence, answer.intake) == (0, (), None, None)
    assert answer.model is not None
    assert answer.model.id == SCRIPT_MODEL_ID


async def test_tokens_come_in_their_order_as_often_as_they_are_asked_for_and_are_counted(
    tested: Node, key: KeyPair
) -> None:
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play(text("a"), text("b", times=3), text("c", times=1))
    assert reading.text == "abbbc"
    assert reading.final.answer.value.usage.output_tokens == 5


async def test_a_broken_character_is_held_until_it_is_whole(tested: Node, key: KeyPair) -> None:
    gate = new_gate()
    async with examining(tested, root=key) as examiner:
        signed, call = examiner.open(text(b"30 \xc2"), WaitForGate(gate=gate), text(b"\xb0C"))
        assert await _text(call, 3) == "30 "
        snapshot = await examiner.caller.get(signed.value.header.request_id)
        assert snapshot.text == "30 "
        await examiner.play(OpenGate(gate=gate))
        assert await _text(call, 2) == "°C"
        assert await call.next() is not None


@pytest.mark.parametrize(
    ("tokens", "read"),
    [
        ((b"30 \xc2",), "30 \ufffd"),
        ((b"\xf0", b"\x9f", b"\x98", b"\x80"), "\U0001f600"),
        ((b"a\xffb",), "a\ufffdb"),
        ((b"\xc2", b"C"), "\ufffdC"),
        ((b"\xed\xa0\x80",), "\ufffd\ufffd\ufffd"),
    ],
)
async def test_bytes_that_are_no_characters_become_replacement_characters(
    tested: Node, key: KeyPair, tokens: tuple[bytes, ...], read: str
) -> None:
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play(*map(text, tokens))
        assert reading.text == read
        assert reading.final.answer.value.usage.output_tokens == len(tokens)
        concluded = await examiner.play(*map(text, tokens), ScriptedConclusion())
        assert concluded.text == read


async def test_a_gate_that_was_opened_before_is_open_and_stays_open(tested: Node, key: KeyPair) -> None:
    gate = new_gate()
    async with examining(tested, root=key) as examiner:
        await examiner.play(OpenGate(gate=gate))
        for _ in range(2):
            assert (await examiner.play(WaitForGate(gate=gate), text("open"))).text == "open"


async def test_a_gate_lets_all_go_on_who_wait_there_and_nobody_else(tested: Node, key: KeyPair) -> None:
    gate, other = new_gate(), new_gate()
    async with examining(tested, root=key) as examiner:
        waiting = [examiner.open(text("."), WaitForGate(gate=gate), text("on"))[1] for _ in range(3)]
        _, elsewhere = examiner.open(text("."), WaitForGate(gate=other), text("on"))
        for call in (*waiting, elsewhere):
            assert await _text(call, 1) == "."
        await examiner.play(OpenGate(gate=gate))
        assert [await _text(call, 2) for call in waiting] == ["on"] * 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await elsewhere.next()
        elsewhere.drop()


async def test_a_failing_script_ends_as_a_failing_engine_and_the_asker_is_not_told_why(
    tested: Node, key: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play(text("so far"), ScriptedFailure(reason="out of memory"), text("never"))
    answer = reading.final.answer.value
    assert reading.text == "so far"
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)
    assert "memory" not in answer.detail
    assert "ScriptedFailureError" in caplog.text
    assert "memory" not in caplog.text


async def test_citations_and_progress_stand_in_the_log_where_the_script_has_them(tested: Node, key: KeyPair) -> None:
    citation, progress = Citation(origin=Digest(b"d" * 32)), Progress(message="halfway", done_milli=500)
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play(text("a"), citation, text("b"), progress)
    _, first, second, third, fourth, _ = (entry.event for entry in reading.events)
    assert isinstance(first, TextDelta)
    assert isinstance(third, TextDelta)
    assert (first.text, second, third.text, fourth) == ("a", citation, "b", progress)
    assert reading.final.answer.value.citations == (citation,)


async def test_a_conclusion_says_how_the_answer_ends_and_nothing_comes_behind_it(tested: Node, key: KeyPair) -> None:
    ending = ScriptedConclusion(
        outcome=Outcome.ABSTAINED,
        stop_reason=StopReason.LOW_CONFIDENCE,
        detail="not sure",
        confidence=Confidence(method="script", p_correct=0.25),
        intake=Intake(prompt_tokens_received=7, prompt_tokens_used=7),
        input_tokens=7,
    )
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play(text("a"), ending, text("b"), ScriptedFailure(reason="no"))
    answer = reading.final.answer.value
    assert reading.text == "a"
    assert (answer.outcome, answer.stop_reason, answer.detail) == (ending.outcome, ending.stop_reason, "not sure")
    assert (answer.confidence, answer.intake) == (ending.confidence, ending.intake)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 1)


async def test_an_answer_ends_where_the_bound_on_its_tokens_is_reached(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        bounded = AskLimits(max_output_tokens=4)
        reading = await examiner.play(text("a", times=100_000), ScriptedFailure(reason="no"), limits=bounded)
        within = await examiner.play(text("a", times=3), limits=bounded)
    answer = reading.final.answer.value
    assert (reading.text, answer.usage.output_tokens) == ("aaaa", 4)
    assert (answer.outcome, answer.stop_reason) == (Outcome.TRUNCATED, StopReason.OUTPUT_LIMIT)
    assert within.final.answer.value.outcome is Outcome.ANSWERED


async def test_more_text_than_an_answer_has_room_for_is_cut_and_signed(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        reading = await examiner.play(text("x" * 65_536, times=100_000))
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.TRUNCATED, StopReason.OUTPUT_LIMIT)
    assert answer.transcript_bytes == 2 * 1024 * 1024
    assert answer.usage.output_tokens > 30


async def test_an_answer_that_waits_can_be_cancelled_and_tells_what_it_used(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        signed, call = examiner.open(text("a", times=2), WaitForGate(gate=new_gate()))
        begun = await _text(call, 2)
        final = await examiner.caller.cancel(signed.value.header.request_id)
    answer = final.answer.value
    assert begun == "aa"
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.CANCELLED)
    assert answer.usage.output_tokens == 2
    assert answer.model is not None


async def test_an_answer_that_waits_ends_with_its_deadline(tested: Node, key: KeyPair) -> None:
    async with examining(tested, root=key) as examiner:
        limits = AskLimits(deadline=utc_now() + timedelta(seconds=2))
        reading = await examiner.play(text("a"), WaitForGate(gate=new_gate()), limits=limits)
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.CANCELLED, StopReason.DEADLINE)


async def test_an_answer_that_waits_ends_with_its_last_reader_where_its_asker_wants_that(
    tested: Node, key: KeyPair
) -> None:
    async with examining(tested, root=key) as examiner:
        signed, call = examiner.open(
            text("a"), WaitForGate(gate=new_gate()), text("never"), on_disconnect=OnDisconnect.CANCEL
        )
        await _text(call, 1)
        call.drop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (final := (await examiner.caller.get(signed.value.header.request_id)).final) is None:
                pass
    assert final.answer.value.stop_reason is StopReason.DISCONNECTED


async def test_all_readers_of_a_scripted_answer_read_the_same(tested: Node, key: KeyPair) -> None:
    gate = new_gate()
    async with examining(tested, root=key) as examiner:
        signed, first = examiner.open(text("a", times=20), WaitForGate(gate=gate), text("b", times=20))
        await _text(first, 20)
        attached = examiner.caller.send(signed.envelope)
        resumed = examiner.caller.resume(signed.value.header.request_id)
        await examiner.play(OpenGate(gate=gate))
        readings = await asyncio.gather(attached.rest(), resumed.rest())
    assert {reading.text for reading in readings} == {"a" * 20 + "b" * 20}
    assert len({reading.final.answer.envelope for reading in readings}) == 1


async def test_a_durable_node_shows_what_was_said_before_it_waits_and_keeps_the_answer(
    key: KeyPair, tmp_path: Path
) -> None:
    gate = new_gate()
    node = Node("tested", key=key, conformance=True, store=f"sqlite:///{tmp_path / 'answers.db'}")
    async with examining(node, root=key) as examiner:
        signed, call = examiner.open(text("before ", times=50), WaitForGate(gate=gate), text("after"))
        assert await _text(call, 350) == "before " * 50
        await examiner.play(OpenGate(gate=gate))
        while await call.next() is not None:
            pass
        reading = await examiner.caller.resume(signed.value.header.request_id).rest()
        examiner.caller.check(signed, reading)
        card = (await examiner.caller.card()).value
    assert reading.text == "before " * 50 + "after"
    assert card.profiles == (Profile.CORE, Profile.DURABLE, Profile.CONFORMANCE)


async def test_the_client_of_the_kit_finds_nothing_amiss_with_a_scripted_answer(
    tested: Node, key: KeyPair, tmp_path: Path
) -> None:
    async with (
        examining(tested, root=key) as examiner,
        Client(examiner.caller.key, card_file=tmp_path / "cards") as client,
    ):
        script = examiner.script(text("a"), Citation(origin=Digest(b"d" * 32))).turns
        authority = (await examiner.caller.card()).value.endpoints[0].authority
        result = await client.ask(script, node=authority, skill=SCRIPT_SKILL_ID)
    assert (result.text, result.outcome, len(result.citations)) == ("a", Outcome.ANSWERED, 1)
