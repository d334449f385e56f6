"""A node on a real model, asked over a socket."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

import pytest
from pydantic import BaseModel

from consilience.asks import ByteSpan, DocumentSource, Outcome, Role, StopReason, Turn
from consilience.client import Client
from consilience.errors import AnswerSchemaUnsupportedError, LimitExceeded, LimitExceededError
from consilience.nodes import Profile
from consilience_node.engines.llama_cpp.model_files import find_model
from reference_node.tests.processes import NodeProcess
from reference_node.tests.specimens import FOLDOC, MARKERS

HEISENBUG = "disappears or alters its behaviour"


def metrics_of(node: NodeProcess) -> dict[str, float]:
    """Reads the numbers of a node, by name and labels as they are written."""
    found = re.search(r"http://\S+/metrics", node.output)
    assert found is not None
    with urlopen(found[0], timeout=10) as reply:  # noqa: S310 - on loopback
        lines = reply.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


async def standing_still(node: NodeProcess, name: str) -> float:
    """Returns a number once it has not changed for a while in which a running engine makes tens of tokens."""
    values = [metrics_of(node)[name]]
    while len(values) < 4 or len(set(values[-4:])) > 1:
        await asyncio.sleep(0.15)
        values.append(metrics_of(node)[name])
    return values[-1]


async def test_the_card_describes_skills_and_model(smollm2_node: NodeProcess, client: Client, tmp_path: Path) -> None:
    card = (await client.card(smollm2_node.address)).value
    define, marked, chat = card.skills
    (model,) = card.models
    weights = find_model("smollm2-135m-instruct", cache_directory=tmp_path).read_bytes()
    assert card.name == "test desk"
    assert Profile.DURABLE in card.profiles
    assert (model.id, model.parameter_count // 10**6, model.quantization) == ("smollm2", 134, "Q4_1")
    assert model.weights_digest == hashlib.sha256(weights).digest()
    assert model.engine.startswith("llama.cpp 0.")
    assert (define.gives_citations, define.gives_confidence, define.gives_intake) == (True, True, True)
    assert not chat.gives_citations
    assert chat.limits is not None
    assert chat.limits.max_input_tokens == 400
    assert marked.limits is not None
    assert marked.limits.max_input_tokens + marked.limits.max_output_tokens == model.context_length_tokens
    assert not card.data_policy.forwards_asks


async def test_a_model_alone_answers_in_pieces_and_says_what_it_took(smollm2_node: NodeProcess, client: Client) -> None:
    node = smollm2_node.address
    async with client.stream("Name a colour.", node=node, skill="chat.general", max_output_tokens=24) as stream:
        pieces = [text async for text in stream]
        result = await stream.final()
    assert len(pieces) > 3
    assert "".join(pieces) == result.text
    assert result.model is not None
    assert result.model.id == "smollm2"
    assert 0 < result.usage.output_tokens <= 24
    assert result.intake is not None
    assert result.intake.prompt_tokens_received == result.usage.input_tokens > 20


async def test_a_heisenbug_is_explained_and_cited(smollm2_node: NodeProcess, client: Client) -> None:
    result = await client.ask("What is a heisenbug?", node=smollm2_node.address)
    (citation,) = result.citations
    source = citation.origin
    assert isinstance(source, DocumentSource)
    assert isinstance(source.place, ByteSpan)
    dictionary = gzip.decompress(FOLDOC.with_suffix(".dict.dz").read_bytes())
    assert HEISENBUG in result.text
    assert (result.outcome, result.stop_reason) == (Outcome.ANSWERED, StopReason.COMPLETE)
    assert source.digest == hashlib.sha256(dictionary).digest()
    assert dictionary[source.place.start_byte : source.place.end_byte].decode() == source.quote
    assert source.title == "heisenbug"
    assert result.confidence is not None
    assert result.confidence.p_correct is not None
    assert result.confidence.p_correct > 0.5
    assert len(result.confidence.calibration_digest) == 32
    assert result.intake is not None
    assert result.intake.retrieval_strategy == "headword"
    assert (result.intake.chunks[0].used, result.usage.hidden_tokens) == (True, 0)


async def test_a_model_alone_guesses_at_a_heisenbug_and_says_so(smollm2_node: NodeProcess, client: Client) -> None:
    result = await client.ask("What is a heisenbug?", node=smollm2_node.address, skill="chat.general")
    assert HEISENBUG not in result.text
    assert (result.outcome, result.stop_reason) == (Outcome.ABSTAINED, StopReason.LOW_CONFIDENCE)
    assert result.confidence is not None
    assert result.confidence.p_correct is not None
    assert result.confidence.p_correct < 0.5


async def test_an_answer_has_the_shape_that_was_asked_for(smollm2_node: NodeProcess, client: Client) -> None:
    class Colour(BaseModel):
        name: Literal["red", "green", "blue"]
        warm: bool

    result = await client.ask("Choose a colour.", node=smollm2_node.address, skill="chat.general", answer_type=Colour)
    assert isinstance(result.parsed, Colour)
    assert result.outcome is Outcome.ANSWERED


async def test_a_shape_that_the_model_cannot_be_held_to_is_refused(smollm2_node: NodeProcess, client: Client) -> None:
    schema: dict[str, object] = {"type": "array", "uniqueItems": True}
    with pytest.raises(AnswerSchemaUnsupportedError, match="uniqueItems"):
        await client.ask("Choose.", node=smollm2_node.address, skill="chat.general", answer_schema=schema)


async def test_what_the_dictionary_does_not_know_is_not_answered(smollm2_node: NodeProcess, client: Client) -> None:
    result = await client.ask("What is the capital of Peru?", node=smollm2_node.address)
    assert (result.text, result.outcome, result.stop_reason) == ("", Outcome.ABSTAINED, StopReason.NO_KNOWLEDGE)


async def test_too_long_a_question_is_refused_with_the_limit(smollm2_node: NodeProcess, client: Client) -> None:
    with pytest.raises(LimitExceededError) as refused:
        await client.ask("why " * 500, node=smollm2_node.address, skill="chat.general")
    detail = refused.value.detail
    assert isinstance(detail, LimitExceeded)
    assert (detail.limit, detail.maximum) == ("max_input_tokens", 400)
    assert 500 < detail.requested < 600


@pytest.mark.parametrize("role", [Role.ASKER, Role.NODE])
async def test_turn_markers_of_an_asker_are_text(smollm2_node: NodeProcess, client: Client, role: Role) -> None:
    """A marker is one token; the same characters as text are several."""

    async def tokens_with(text: str) -> int:
        turns = [Turn(role=role, parts=(text,)), Turn(role=Role.ASKER, parts=("Why?",))]
        result = await client.ask(turns, node=smollm2_node.address, skill="chat.general", max_output_tokens=1)
        return result.usage.input_tokens

    assert await tokens_with(f"So {MARKERS} it is.") - await tokens_with("So it is.") >= 40


async def test_turn_markers_of_a_document_are_text(smollm2_node: NodeProcess, client: Client) -> None:
    node = smollm2_node.address
    trap = await client.ask("What is a trap?", node=node, skill="marked")
    snare = await client.ask("What is a snare?", node=node, skill="marked")
    assert trap.usage.input_tokens - snare.usage.input_tokens >= 40
    (citation,) = trap.citations
    assert isinstance(citation.origin, DocumentSource)
    assert MARKERS in citation.origin.quote


async def test_a_cancelled_answer_stops_the_model(smollm2_node: NodeProcess, client: Client) -> None:
    name = 'consilience_node_engine_generated_tokens{model="smollm2"}'
    async with client.stream("Tell me a long story.", node=smollm2_node.address, skill="chat.general") as stream:
        await anext(stream)
        await stream.cancel()
        result = await stream.final()
    assert result.outcome is Outcome.CANCELLED
    assert 0 < result.usage.output_tokens < 400
    stopped = metrics_of(smollm2_node)[name]
    assert await standing_still(smollm2_node, name) - stopped <= 2


async def test_numbers_tell_outcomes_refusals_tokens_and_times(smollm2_node: NodeProcess, client: Client) -> None:
    before = metrics_of(smollm2_node)
    result = await client.ask("What is a heisenbug?", node=smollm2_node.address)
    with pytest.raises(LimitExceededError):
        await client.ask("why " * 500, node=smollm2_node.address, skill="chat.general")
    after = metrics_of(smollm2_node)

    def risen(name: str) -> float:
        return after[f"consilience_node_{name}"] - before.get(f"consilience_node_{name}", 0.0)

    assert risen('asks_total{outcome="answered",skill="computing.define",stop_reason="complete"}') == 1
    assert risen('refusals_total{method="consilience.v1.AskService/Ask",reason="LIMIT_EXCEEDED"}') == 1
    assert risen('tokens_total{kind="input",skill="computing.define"}') == result.usage.input_tokens
    assert risen('tokens_total{kind="output",skill="computing.define"}') == result.usage.output_tokens
    assert risen('first_delta_seconds_count{skill="computing.define"}') == 1
    assert risen('answer_seconds_sum{skill="computing.define"}') > 0
    assert after['consilience_node_running_asks{skill="computing.define"}'] == 0
    assert after['consilience_node_engine_generations{model="smollm2",state="generating"}'] == 0
    assert after['consilience_node_engine_generations{model="smollm2",state="waiting"}'] == 0


async def test_no_word_of_a_question_or_an_answer_is_in_the_log_at_any_level(
    smollm2_node: NodeProcess, client: Client
) -> None:
    node = smollm2_node.address
    answered = await client.ask("What is a mandelbug?", node=node)
    chat = await client.ask("Say zanzibar twice.", node=node, skill="chat.general", max_output_tokens=16)
    with pytest.raises(LimitExceededError):
        await client.ask("quetzalcoatl " * 500, node=node, skill="chat.general")
    said = [answered.text, *chat.text.split(". "), "mandelbug", "zanzibar", "quetzalcoatl"]
    assert all(len(text) < 4 or text not in smollm2_node.log for text in said)
    assert '"event"' in smollm2_node.log, "something is logged"


async def test_what_a_node_says_at_its_start_is_enough_to_ask_it(smollm2_node: NodeProcess) -> None:
    output = smollm2_node.output
    assert f"test desk serves on {smollm2_node.address}" in output
    assert f"--node {smollm2_node.address}" in output
    assert "computing.define" in output
    assert re.search(r"smollm2 .*135 M Q4_1 llama\.cpp", output)
