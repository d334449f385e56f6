from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from consilience.asks import Blob, Outcome, Role, StopReason, Turn
from consilience.errors import FieldInvalidError, LimitExceeded, LimitExceededError
from consilience.nodes import Limits
from consilience_node.engines.scripted import Emit, Fail, FailReason, Gate, ScriptedEngine, Step, Usage
from consilience_node.knowledge.confidence import Confidences
from consilience_node.skills.plain import PlainSkill
from reference_node.tests.skills.served import MODEL, described, engine_playing, measured, served, words


def skill_of(*steps: Step, confidences: Confidences | None = None, limits: Limits | None = None) -> PlainSkill:
    skill = described() if limits is None else described(limits=limits)
    return PlainSkill(
        described=skill, engine=engine_playing(*steps), model=MODEL, confidences=confidences or Confidences(None)
    )


def asked(text: str) -> Turn:
    return Turn(role=Role.ASKER, parts=(text,))


def told(text: str) -> Turn:
    return Turn(role=Role.NODE, parts=(text,))


async def test_an_answer_discloses_model_tokens_and_intake() -> None:
    skill = skill_of(Usage(prompt_tokens=12, cached_prompt_tokens=5), *words("Paris it is."))
    async with served(skill) as node:
        result = await node.client.ask("Which city?", node=node.address)
    assert result.text == "Paris it is."
    assert (result.outcome, result.stop_reason) == (Outcome.ANSWERED, StopReason.COMPLETE)
    assert result.model == MODEL
    assert result.intake is not None
    assert (result.intake.prompt_tokens_received, result.intake.prompt_tokens_used) == (12, 12)
    assert (result.usage.input_tokens, result.usage.cached_input_tokens, result.usage.output_tokens) == (12, 5, 3)


async def test_text_arrives_while_the_model_still_writes() -> None:
    skill = skill_of(Emit(text="First."), Gate(name="go"), Emit(text=" Second."))
    assert isinstance(skill.engine, ScriptedEngine)
    async with served(skill) as node, node.client.stream("?", node=node.address) as stream:
        assert await anext(stream) == "First."
        skill.engine.open("go")
        assert (await stream.final()).text == "First. Second."


async def test_an_answer_at_the_limit_of_its_tokens_is_told_to_be_cut() -> None:
    async with served(skill_of(*words("one two three four"))) as node:
        result = await node.client.ask("Count.", node=node.address, max_output_tokens=2)
    assert result.text == "one two"
    assert (result.outcome, result.stop_reason) == (Outcome.TRUNCATED, StopReason.OUTPUT_LIMIT)
    assert result.usage.output_tokens == 2


async def test_a_model_that_is_sure_answers_with_its_confidence() -> None:
    async with served(skill_of(*words("Paris", logprob=-0.05), confidences=measured())) as node:
        result = await node.client.ask("Which city?", node=node.address)
    assert result.outcome is Outcome.ANSWERED
    assert result.confidence is not None
    assert result.confidence.p_correct is not None
    assert result.confidence.p_correct > 0.8
    assert result.confidence.calibration_digest == b"\x01" * 32
    assert result.confidence.sample_count == 0


async def test_a_model_that_is_unsure_abstains_and_shows_its_guess() -> None:
    async with served(skill_of(*words("Rome", logprob=-1.6), confidences=measured())) as node:
        result = await node.client.ask("Which city?", node=node.address)
    assert result.text == "Rome"
    assert (result.outcome, result.stop_reason) == (Outcome.ABSTAINED, StopReason.LOW_CONFIDENCE)
    assert "guess" in result.answer.value.detail
    assert result.confidence is not None
    assert result.confidence.p_correct is not None
    assert result.confidence.p_correct < 0.2


@pytest.mark.parametrize("case", ["unmeasured", "conversation", "own system prompt", "no logprobs", "schema"])
async def test_nothing_is_claimed_of_an_ask_unlike_those_that_were_measured(case: str) -> None:
    skill = skill_of(*words("{}", logprob=None if case == "no logprobs" else -0.05), confidences=measured())
    turns = [asked("Which city?")]
    schema: dict[str, object] | None = None
    match case:
        case "unmeasured":
            skill = replace(skill, confidences=Confidences(None))
        case "conversation":
            turns = [asked("Hello."), told("Hello!"), *turns]
        case "own system prompt":
            skill = replace(skill, system_prompt="You are a pirate.")
        case "schema":
            skill = replace(skill, described=described(accepts_answer_schema=True))
            schema = {"type": "object"}
    async with served(skill) as node:
        result = await node.client.ask(turns, node=node.address, answer_schema=schema)
    assert result.outcome is Outcome.ANSWERED
    assert result.confidence is None


async def test_earlier_turns_are_read_by_the_model() -> None:
    """The scripted engine counts the words of all messages, those of the system prompt among them."""
    turns = [asked("one two"), told("three four five"), asked("six")]
    async with served(skill_of(*words("seven"))) as node:
        alone = await node.client.ask("six", node=node.address)
        together = await node.client.ask(turns, node=node.address)
    assert together.usage.input_tokens == alone.usage.input_tokens + 5


async def test_a_prompt_over_the_limit_is_refused_unread_and_never_cut() -> None:
    limits = Limits(max_output_tokens=8, max_input_tokens=30)
    skill = skill_of(*words("fine"), limits=limits)
    async with served(skill) as node:
        fits = await node.client.ask("a " * 17, node=node.address)
        with pytest.raises(LimitExceededError) as refused:
            await node.client.ask("a " * 18, node=node.address)
    assert fits.usage.input_tokens == 30
    assert refused.value.detail == LimitExceeded(limit="max_input_tokens", maximum=30, requested=31)
    assert skill.engine.tokens_generated() == 1


async def test_a_conversation_that_ends_with_the_node_is_refused() -> None:
    async with served(skill_of(*words("fine"))) as node:
        with pytest.raises(FieldInvalidError, match=r"turns\[1\]\.role must be the asker's"):
            await node.client.ask([asked("Hello."), told("Hello!")], node=node.address)


async def test_a_blob_of_text_is_read_like_text() -> None:
    blob = Turn(role=Role.ASKER, parts=("read this:", Blob(media_type="text/plain", data="three wörds more".encode())))
    async with served(skill_of(*words("fine"))) as node:
        alone = await node.client.ask("read this:", node=node.address)
        together = await node.client.ask([blob], node=node.address)
    assert together.usage.input_tokens == alone.usage.input_tokens + 3


async def test_a_blob_that_is_no_text_is_refused() -> None:
    blob = Turn(role=Role.ASKER, parts=(Blob(media_type="text/plain", data=b"a\xffb"),))
    async with served(skill_of(*words("fine"))) as node:
        with pytest.raises(FieldInvalidError, match=r"turns\[0\]\.parts\[0\]\.blob\.data must be UTF-8; byte 1 is not"):
            await node.client.ask([blob], node=node.address)


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        (FailReason.OVERLOADED, "the engine is busy; ask again in 1 s"),
        (FailReason.UNAVAILABLE, "the engine failed while it worked"),
        (FailReason.REJECTED, "the engine cannot do what the ask wants"),
    ],
)
async def test_a_failing_engine_ends_the_answer_with_what_the_asker_can_do(reason: FailReason, detail: str) -> None:
    async with served(skill_of(*words("one two"), Fail(reason=reason))) as node:
        result = await node.client.ask("Count.", node=node.address)
    assert result.text == "one two"
    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)
    assert detail in result.answer.value.detail
    assert "script" not in result.answer.value.detail
    assert result.usage.output_tokens == 2


async def test_a_cancelled_answer_stops_the_engine_and_counts_what_was_written() -> None:
    skill = skill_of(*words("one two"), Gate(name="never"), *words("three"))
    assert isinstance(skill.engine, ScriptedEngine)
    async with served(skill) as node, node.client.stream("Count.", node=node.address) as stream:
        await skill.engine.reached("never")
        await stream.cancel()
        result = await stream.final()
    assert (result.outcome, result.stop_reason) == (Outcome.CANCELLED, StopReason.CANCELLED)
    assert result.usage.output_tokens == 2
    assert skill.engine.generations_cancelled == 1


async def test_many_asks_are_answered_side_by_side() -> None:
    skill = skill_of(Gate(name="all here"), *words("done"))
    assert isinstance(skill.engine, ScriptedEngine)
    async with served(skill) as node:
        asks = [asyncio.create_task(node.client.ask("Now?", node=node.address)) for _ in range(8)]
        await skill.engine.reached("all here")
        skill.engine.open("all here")
        assert {result.text for result in await asyncio.gather(*asks)} == {"done"}
