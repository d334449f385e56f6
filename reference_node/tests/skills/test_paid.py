"""What skills tell of their work where it is paid for, and that they do no more of it where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from consilience._wire.envelopes import open_envelope
from consilience.asks import Metered, Outcome, StopReason, TextDelta
from consilience.client import AskResult
from consilience.payments import Meter, Receipt
from consilience.server.payments import Offer
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience_node.engines import Prompt
from consilience_node.engines.scripted import Program, Script, ScriptedEngine, Step, Usage
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.documents import read_folder
from consilience_node.knowledge.index import Index
from consilience_node.knowledge.retrieval import Retriever
from consilience_node.skills.grounded import GroundedSkill
from consilience_node.skills.plain import PlainSkill
from reference_node.tests.skills.served import MODEL, Served, described, served, words

TOKENS = Tariff(
    id="tokens",
    asset="TEST/0",
    prices=(
        UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1),
        UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=100),
        UnitPrice(unit=PricedUnit.HIDDEN_TOKEN, price=1000),
    ),
    tokenizer="script",
)
OFFER = Offer(tariff=TOKENS, window=200, max_charge=100_000)
WATERFALL = "A waterfall is water that falls steeply over the edge of a rock into a pool below."


class CountingEngine(ScriptedEngine):
    """Notes how often a prompt is counted; it counts each by itself that it answers."""

    counts = 0

    async def count_tokens(self, prompt: Prompt) -> int:
        self.counts += 1
        return await super().count_tokens(prompt)


def engine_of(*steps: Step) -> CountingEngine:
    return CountingEngine(Script(programs=(Program(steps=steps),)))


def plain(*steps: Step) -> PlainSkill:
    return PlainSkill(described=described(), engine=engine_of(*steps), model=MODEL, confidences=Confidences(None))


@pytest.fixture
def retriever(tmp_path: Path) -> Iterator[Retriever]:
    folder = tmp_path / "rivers"
    folder.mkdir()
    (folder / "rivers.md").write_text(f"# Waterfall\n\n{WATERFALL}\n")
    with Index.open(tmp_path / "index.sqlite", documents=read_folder(folder)) as index:
        yield Retriever(index)


def grounded(retriever: Retriever, *steps: Step) -> GroundedSkill:
    return GroundedSkill(
        described=described(gives_citations=True),
        engine=engine_of(*steps),
        model=MODEL,
        retriever=retriever,
        confidences=Confidences(None),
        passages=3,
    )


@dataclass
class Bought:
    """An answer that was paid for, the Meters that came with it, and the tokens that its deltas told."""

    result: AskResult
    meters: list[Meter]
    output_tokens: int

    @property
    def receipt(self) -> Receipt:
        assert self.result.receipt is not None
        return self.result.receipt.value


async def bought(node: Served, question: str = "Count.") -> Bought:
    meters, output_tokens = list[Meter](), 0
    async with node.client.stream(question, node=node.address) as stream:
        async for entry in stream.events():
            match entry.event:
                case Metered(meter=envelope):
                    meters.append(open_envelope(envelope, Meter).value)
                case TextDelta(output_tokens=tokens):
                    output_tokens += tokens
        return Bought(await stream.final(), meters, output_tokens)


async def test_question_and_words_are_told_while_they_are_paid_for() -> None:
    skill = plain(Usage(prompt_tokens=500), *words("one two three"))
    async with served(skill, offers=[OFFER]) as node:
        paid = await bought(node)
    first = paid.meters[0].usage
    assert (first.input_tokens, first.output_tokens, paid.meters[0].charge) == (500, 0, 500)
    assert paid.output_tokens == 3
    assert (paid.receipt.charge, paid.receipt.usage.input_tokens, paid.receipt.usage.output_tokens) == (800, 500, 3)


async def test_tokens_of_a_question_that_were_cached_are_charged_as_such_in_the_end() -> None:
    cached = replace(TOKENS, prices=(*TOKENS.prices, UnitPrice(unit=PricedUnit.CACHED_INPUT_TOKEN, price=1, per=10)))
    skill = plain(Usage(prompt_tokens=500, cached_prompt_tokens=400), *words("one"))
    async with served(skill, offers=[replace(OFFER, tariff=cached)]) as node:
        paid = await bought(node)
    assert paid.receipt.charge == 100 + 40 + 100


@pytest.mark.parametrize(("counts_questions", "counted"), [(True, 2), (False, 1)])
async def test_a_question_is_counted_before_the_text_where_that_costs_something(
    *, counts_questions: bool, counted: int
) -> None:
    skill = replace(plain(*words("one")), counts_questions=counts_questions)
    async with served(skill, offers=[OFFER]) as node:
        await bought(node)
    assert isinstance(skill.engine, CountingEngine)
    assert skill.engine.counts == counted


async def test_a_free_ask_costs_the_engine_nothing_more() -> None:
    skill = plain(*words("one"))
    async with served(skill) as node:
        result = await node.client.ask("Count.", node=node.address)
    assert result.text == "one"
    assert isinstance(skill.engine, CountingEngine)
    assert skill.engine.counts == 1


async def test_an_answer_that_reaches_its_ceiling_says_so_and_what_was_read() -> None:
    skill = plain(Usage(prompt_tokens=500), *words("one two three"))
    async with served(skill, offers=[replace(OFFER, max_charge=700)]) as node:
        paid = await bought(node)
    assert (paid.result.outcome, paid.result.stop_reason) == (Outcome.TRUNCATED, StopReason.CHARGE_LIMIT)
    assert (paid.result.text, paid.receipt.charge) == ("one two", 700)
    assert read_by(paid) == ("script", 500)


async def test_an_answer_from_knowledge_that_reaches_its_ceiling_says_so_and_what_was_read(
    retriever: Retriever,
) -> None:
    skill = grounded(retriever, Usage(prompt_tokens=50), *words("A waterfall is water that falls."))
    async with served(skill, offers=[replace(OFFER, max_charge=350)]) as node:
        paid = await bought(node, "What is a waterfall?")
    assert (paid.result.outcome, paid.result.stop_reason) == (Outcome.TRUNCATED, StopReason.CHARGE_LIMIT)
    assert (paid.receipt.usage.hidden_tokens, paid.receipt.charge) == (0, 350)
    assert read_by(paid) == ("script", 50)


def read_by(paid: Bought) -> tuple[str, int]:
    """Returns which model read how many tokens, as the answer discloses it."""
    answer = paid.result.answer.value
    assert answer.model is not None
    assert answer.intake is not None
    return answer.model.id, answer.intake.prompt_tokens_used


async def test_an_answer_from_knowledge_is_charged_by_the_tokens_of_its_words(retriever: Retriever) -> None:
    skill = grounded(retriever, Usage(prompt_tokens=50), *words("A waterfall is water that falls."))
    async with served(skill, offers=[OFFER]) as node:
        paid = await bought(node, "What is a waterfall?")
    assert paid.result.outcome is Outcome.ANSWERED
    assert paid.output_tokens == 6
    assert (paid.receipt.charge, paid.receipt.usage.hidden_tokens) == (50 + 600, 0)


async def test_a_draft_that_nobody_sees_is_told_before_the_passage_that_takes_its_place(retriever: Retriever) -> None:
    skill = grounded(retriever, Usage(prompt_tokens=50), *words("Bananas grow."))
    async with served(skill, offers=[OFFER]) as node:
        paid = await bought(node, "What is a waterfall?")
    first = paid.meters[0].usage
    assert (paid.result.outcome, paid.result.stop_reason) == (Outcome.ABSTAINED, StopReason.LOW_CONFIDENCE)
    assert paid.result.text == WATERFALL
    assert (first.hidden_tokens, first.output_bytes) == (2, 0)
    assert paid.receipt.charge == 50 + 2000
