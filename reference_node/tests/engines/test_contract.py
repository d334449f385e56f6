"""What every engine keeps, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience_node.engines import (
    Engine,
    EngineUnavailable,
    Message,
    Piece,
    Prompt,
    Role,
    Sampling,
    SchemaUnsupported,
    StopCause,
)
from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions
from consilience_node.engines.openai import OpenAIEngine, OpenAIOptions
from consilience_node.engines.scripted import Emit, Program, Script, ScriptedEngine
from reference_node.tests.engines.answers import prompt, read

WORDS = ("One", ", two", ", three", ", four", ", five", ", six", ", seven.")


@pytest.fixture(params=["llama_cpp", "openai", "scripted"])
def fresh_engine(request: pytest.FixtureRequest, smollm2: Path, cache_directory: Path) -> Engine:
    match request.param:
        case "llama_cpp":
            options = LlamaCppOptions(model=smollm2, cache_directory=cache_directory, threads=1, context_tokens=512)
            return LlamaCppEngine(options)
        case "openai":
            return OpenAIEngine(OpenAIOptions(base_url=request.getfixturevalue("server_url")))
        case _:
            steps = tuple(Emit(text=word, logprob=-0.5) for word in WORDS)
            return ScriptedEngine(Script(programs=(Program(steps=steps),)))


@pytest.fixture
async def engine(fresh_engine: Engine) -> AsyncIterator[Engine]:
    await fresh_engine.start()
    yield fresh_engine
    await fresh_engine.close()


async def test_pieces_come_before_one_completion_that_adds_them_up(engine: Engine) -> None:
    question = prompt("Count from one to seven.")
    before = engine.tokens_generated()
    answer = await read(engine.generate(question, sampling=Sampling(max_output_tokens=6)))
    completion = answer.completion
    assert answer.text
    assert completion.stop is StopCause.LENGTH
    assert sum(piece.tokens for piece in answer.pieces) == completion.output_tokens == len(completion.logprobs) == 6
    assert sum(piece.logprob or 0 for piece in answer.pieces) == pytest.approx(sum(completion.logprobs))
    assert completion.prompt_tokens == await engine.count_tokens(question)
    assert engine.tokens_generated() >= before + 6


async def test_conversation_of_several_turns_is_continued(engine: Engine) -> None:
    turns = ((Role.SYSTEM, "Be brief."), (Role.USER, "Hi"), (Role.ASSISTANT, "Hello"), (Role.USER, "Bye"))
    conversation = Prompt(messages=tuple(Message(role=role, content=content) for role, content in turns))
    answer = await read(engine.generate(conversation, sampling=Sampling(max_output_tokens=2)))
    assert answer.completion.output_tokens == 2


async def test_reader_that_leaves_disturbs_nobody(engine: Engine) -> None:
    leaving = engine.generate(prompt("Count."), sampling=Sampling(max_output_tokens=6))
    staying = asyncio.create_task(read(engine.generate(prompt("Count."), sampling=Sampling(max_output_tokens=6))))
    assert isinstance(await anext(leaving), Piece)
    await leaving.aclose()
    assert (await staying).completion.output_tokens >= 1


async def test_model_says_what_it_is(engine: Engine) -> None:
    assert engine.model.id
    assert engine.model.engine
    assert len(engine.model.weights_sha256) in {0, 32}


async def test_schema_is_checked_before_anything_is_generated(engine: Engine) -> None:
    before = engine.tokens_generated()
    await engine.check_schema('{"type": "string"}')
    for broken in ('{"type":', "[" * 100_000):
        with pytest.raises(SchemaUnsupported):
            await engine.check_schema(broken)
    assert engine.tokens_generated() == before


async def test_engine_works_only_between_start_and_close(fresh_engine: Engine) -> None:
    sampling = Sampling(max_output_tokens=1)
    with pytest.raises(EngineUnavailable):
        await read(fresh_engine.generate(prompt("Hi"), sampling=sampling))
    await fresh_engine.start()
    await fresh_engine.close()
    await fresh_engine.close()
    with pytest.raises(EngineUnavailable):
        await read(fresh_engine.generate(prompt("Hi"), sampling=sampling))
    with pytest.raises(EngineUnavailable):
        await fresh_engine.count_tokens(prompt("Hi"))
