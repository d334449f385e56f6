from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.asks import ByteSpan, DocumentSource, Outcome, Progress, Role, StopReason, TextDelta, Turn
from consilience.client import AskResult
from consilience.errors import LimitExceeded, LimitExceededError
from consilience.nodes import Limits
from consilience.units import utc_now
from consilience_node.engines.scripted import Fail, FailReason, Gate, ScriptedEngine, Step, Usage
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.documents import read_folder
from consilience_node.knowledge.index import Index
from consilience_node.knowledge.retrieval import Retriever
from consilience_node.skills.grounded import NO_DRAFT, GroundedSkill
from reference_node.tests.skills.served import MODEL, described, engine_playing, measured, served, words

WATERFALL = "A waterfall is water that falls steeply over the edge of a rock into a pool below."
RIGHT = "A waterfall is water that falls over the edge of a rock."
DOCUMENT = f"# Rivers\n\n## Waterfall\n\n{WATERFALL}\n\n## Delta\n\nA delta is land made of what a river carries.\n"


@pytest.fixture
def retriever(tmp_path: Path) -> Iterator[Retriever]:
    folder = tmp_path / "rivers"
    folder.mkdir()
    (folder / "rivers.md").write_text(DOCUMENT)
    with Index.open(tmp_path / "index.sqlite", documents=read_folder(folder)) as index:
        yield Retriever(index)


def skill_of(
    retriever: Retriever, *steps: Step, confidences: Confidences | None = None, limits: Limits | None = None
) -> GroundedSkill:
    fields = {"gives_citations": True} if limits is None else {"gives_citations": True, "limits": limits}
    return GroundedSkill(
        described=described(**fields),
        engine=engine_playing(*steps),
        model=MODEL,
        retriever=retriever,
        confidences=confidences or Confidences(None),
        passages=3,
    )


def source_of(result: AskResult) -> DocumentSource:
    (citation,) = result.citations
    assert isinstance(citation.origin, DocumentSource)
    return citation.origin


async def test_an_accepted_answer_cites_the_bytes_that_it_rests_on(retriever: Retriever) -> None:
    before = utc_now()
    async with served(skill_of(retriever, *words(RIGHT), confidences=measured())) as node:
        result = await node.client.ask("What is a waterfall?", node=node.address)
    source = source_of(result)
    content = DOCUMENT.encode()
    assert result.text == RIGHT
    assert result.outcome is Outcome.ANSWERED
    assert source.digest == hashlib.sha256(content).digest()
    assert isinstance(source.place, ByteSpan)
    assert content[source.place.start_byte : source.place.end_byte].decode() == source.quote == WATERFALL
    assert (source.uri, source.title) == ("rivers/rivers.md", "Rivers > Waterfall")
    assert before - timedelta(seconds=1) <= source.retrieval_time <= utc_now()


async def test_an_accepted_answer_states_the_measured_share_and_what_was_read(retriever: Retriever) -> None:
    skill = skill_of(retriever, Usage(prompt_tokens=70), *words(RIGHT), confidences=measured())
    async with served(skill) as node:
        result = await node.client.ask("What is a waterfall?", node=node.address)
    assert result.confidence is not None
    assert result.confidence.p_correct is not None
    assert 0.7 < result.confidence.p_correct < 0.95
    assert "topic=headword" in result.confidence.method
    assert result.intake is not None
    assert result.intake.retrieval_strategy == "headword"
    assert [chunk.used for chunk in result.intake.chunks] == [True]
    assert result.intake.prompt_tokens_received == result.usage.input_tokens == 70
    assert (result.usage.output_tokens, result.usage.hidden_tokens) == (len(RIGHT.split()), 0)


async def test_passages_that_the_model_did_not_read_are_told_apart(retriever: Retriever) -> None:
    async with served(skill_of(retriever, *words(RIGHT))) as node:
        result = await node.client.ask("Over what edge does water of a waterfall in a river fall?", node=node.address)
    assert result.intake is not None
    assert result.intake.retrieval_strategy == "headword,bm25"
    assert [chunk.used for chunk in result.intake.chunks] == [True, False]


@pytest.mark.parametrize(
    ("draft", "logprob", "why"),
    [
        (RIGHT, -0.9, "not sure"),
        (RIGHT, None, "does not tell how sure"),
        ("A waterfall is a famous painting by Escher from 1961.", -0.1, "beyond the passage"),
        ("A waterfall.", -0.1, "gave the question back"),
    ],
)
async def test_what_the_gate_withholds_nobody_sees_but_the_passage_to_the_letter(
    retriever: Retriever, draft: str, logprob: float | None, why: str
) -> None:
    skill = skill_of(retriever, *words(draft, logprob=logprob))
    async with served(skill) as node, node.client.stream("What is a waterfall?", node=node.address) as stream:
        events = [entry.event async for entry in stream.events()]
        result = await stream.final()
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == WATERFALL
    assert source_of(result).quote == WATERFALL
    assert (result.outcome, result.stop_reason) == (Outcome.ABSTAINED, StopReason.LOW_CONFIDENCE)
    assert why in result.answer.value.detail
    assert "to the letter" in result.answer.value.detail
    assert result.confidence is None
    assert (result.usage.output_tokens, result.usage.hidden_tokens) == (0, len(draft.split()))


async def test_a_draft_that_the_output_limit_cuts_is_withheld(retriever: Retriever) -> None:
    async with served(skill_of(retriever, *words(RIGHT))) as node:
        result = await node.client.ask("What is a waterfall?", node=node.address, max_output_tokens=4)
    assert result.text == WATERFALL
    assert "did not come to the end" in result.answer.value.detail
    assert result.usage.hidden_tokens == 4


async def test_a_question_about_something_else_is_answered_by_silence(retriever: Retriever) -> None:
    skill = skill_of(retriever, *words(RIGHT))
    async with served(skill) as node:
        result = await node.client.ask("What is the capital of Peru?", node=node.address)
    assert result.text == ""
    assert (result.outcome, result.stop_reason) == (Outcome.ABSTAINED, StopReason.NO_KNOWLEDGE)
    assert result.citations == ()
    assert result.intake is not None
    assert result.intake.retrieval_strategy == "headword,bm25"
    assert skill.engine.tokens_generated() == 0


async def test_where_no_hidden_tokens_are_allowed_the_passage_comes_at_once(retriever: Retriever) -> None:
    skill = skill_of(retriever, *words(RIGHT))
    async with served(skill) as node:
        result = await node.client.ask("What is a waterfall?", node=node.address, max_hidden_tokens=0)
    assert result.text == WATERFALL
    assert NO_DRAFT in result.answer.value.detail
    assert skill.engine.tokens_generated() == 0


async def test_what_the_node_is_at_is_told_while_no_text_can_be(retriever: Retriever) -> None:
    skill = skill_of(retriever, Gate(name="go"), *words(RIGHT))
    assert isinstance(skill.engine, ScriptedEngine)
    async with served(skill) as node, node.client.stream("What is a waterfall?", node=node.address) as stream:
        events = stream.events()
        progress = [(await anext(events)).event for _ in range(2)][-1]
        assert progress == Progress(message="reading the passage “Rivers > Waterfall”")
        skill.engine.open("go")
        assert (await stream.final()).text == RIGHT


async def test_a_prompt_over_the_limit_is_refused_with_the_passage_counted(retriever: Retriever) -> None:
    limits = Limits(max_output_tokens=64, max_input_tokens=40)
    skill = skill_of(retriever, *words(RIGHT), limits=limits)
    async with served(skill) as node:
        with pytest.raises(LimitExceededError) as refused:
            await node.client.ask("What is a waterfall?", node=node.address)
    detail = refused.value.detail
    assert isinstance(detail, LimitExceeded)
    assert (detail.limit, detail.maximum) == ("max_input_tokens", 40)
    assert detail.requested > 40
    assert skill.engine.tokens_generated() == 0


async def test_earlier_turns_are_read_by_the_model(retriever: Retriever) -> None:
    question = Turn(role=Role.ASKER, parts=("What is a waterfall?",))
    earlier = (Turn(role=Role.ASKER, parts=("one two",)), Turn(role=Role.NODE, parts=("three",)))
    async with served(skill_of(retriever, *words(RIGHT))) as node:
        alone = await node.client.ask([question], node=node.address)
        together = await node.client.ask([*earlier, question], node=node.address)
    assert together.text == RIGHT
    assert together.usage.input_tokens == alone.usage.input_tokens + 3


async def test_a_failing_engine_fails_the_answer(retriever: Retriever) -> None:
    skill = skill_of(retriever, *words("A waterfall"), Fail(reason=FailReason.UNAVAILABLE))
    async with served(skill) as node:
        result = await node.client.ask("What is a waterfall?", node=node.address)
    assert result.text == ""
    assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.ENGINE_FAILURE)
    assert result.usage.hidden_tokens == 2


async def test_a_cancelled_answer_counts_what_nobody_saw(retriever: Retriever) -> None:
    skill = skill_of(retriever, *words("A waterfall is"), Gate(name="never"))
    assert isinstance(skill.engine, ScriptedEngine)
    async with served(skill) as node, node.client.stream("What is a waterfall?", node=node.address) as stream:
        await skill.engine.reached("never")
        await stream.cancel()
        result = await stream.final()
    assert (result.text, result.outcome) == ("", Outcome.CANCELLED)
    assert result.usage.hidden_tokens == 3
    assert skill.engine.generations_cancelled == 1
