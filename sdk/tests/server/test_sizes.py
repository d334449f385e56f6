"""No message of a node is larger than what every reader takes: 4 MiB."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from consilience.asks import Citation, DocumentSource, Intake, Outcome, RetrievedChunk, StopReason
from consilience.identity import KeyPair
from consilience.server import Conclusion, IncomingAsk, Item, Node
from consilience.server.finals import MAX_TEXT_BYTES
from consilience.units import utc_now
from sdk.tests.server.callers import calling

ANYWHERE = "127.0.0.1:0"

LONG = DocumentSource(uri="file:a", digest=bytes(32), retrieval_time=utc_now(), quote="é" * 16_384)
CHUNK = RetrievedChunk(document=LONG)


@pytest.fixture
def node(key: KeyPair) -> Node:
    node = Node("test", key=key)

    @node.skill("cite")
    async def cite(ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "see"
        for _ in range(int(ask.text)):
            yield Citation(origin=LONG)
        yield Conclusion(intake=Intake(chunks=(CHUNK,) * 16))

    @node.skill("disclose")
    async def disclose(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield Conclusion(intake=Intake(chunks=(replace(CHUNK, document=LONG),) * 256))

    @node.skill("tell")
    async def tell(ask: IncomingAsk) -> AsyncIterator[Item]:
        try:
            for _ in range(100):
                yield ask.text * 20_000
        except asyncio.CancelledError:
            yield Conclusion(intake=Intake(retrieval_strategy="none"))

    return node


@pytest.mark.parametrize(("skill", "text"), [("cite", "256"), ("disclose", "say")])
async def test_sources_that_would_fill_more_than_a_message_make_a_failure_that_can_be_read(
    node: Node, skill: str, text: str
) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, reading = await caller.ask(text, skill_id=skill)
        snapshot = await caller.get(signed.value.header.request_id)
    assert reading.final.answer.value.outcome is Outcome.FAILED
    assert snapshot.final == reading.final


async def test_many_long_quotes_fit_into_an_answer(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask("28", skill_id="cite")
    assert reading.final.answer.value.outcome is Outcome.ANSWERED
    assert len(reading.final.answer.value.citations) == 28


@pytest.mark.parametrize("words", ["x", "€äx", "\N{GRINNING FACE}"])
async def test_a_text_breaks_off_where_one_message_could_not_hold_it_with_its_final(node: Node, words: str) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, reading = await caller.ask(words * 2, skill_id="tell")
        snapshot = await caller.get(signed.value.header.request_id)
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.TRUNCATED, StopReason.OUTPUT_LIMIT)
    assert MAX_TEXT_BYTES - 4 < answer.transcript_bytes <= MAX_TEXT_BYTES
    assert answer.intake == Intake(retrieval_strategy="none")
    assert snapshot.text == reading.text
