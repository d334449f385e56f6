from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from consilience_node.engines import (
    Completion,
    ContextTooLong,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    Piece,
    RequestRejected,
    Sampling,
    StopCause,
)
from consilience_node.engines.scripted import (
    AwaitCancel,
    Emit,
    Fail,
    FailReason,
    Gate,
    Program,
    Script,
    ScriptedEngine,
    Step,
    Stop,
    Usage,
)
from reference_node.tests.engines.answers import prompt, read

Play = Callable[..., AbstractAsyncContextManager[ScriptedEngine]]


@asynccontextmanager
async def playing(*steps: Step) -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine(Script(programs=(Program(steps=steps),)))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def _generate(engine: ScriptedEngine, **sampling: object) -> AsyncIterator[Piece | Completion]:
    settings = {"max_output_tokens": 100, **sampling}
    return engine.generate(prompt("Why?"), sampling=Sampling(**settings))  # type: ignore[arg-type]


async def test_emitted_text_and_usage_are_those_of_the_program() -> None:
    steps = (
        Usage(prompt_tokens=7, cached_prompt_tokens=3),
        Emit(text="A b", tokens=2, logprob=-0.25),
        Emit(text="ug."),
    )
    async with playing(*steps) as engine:
        answer = await read(_generate(engine))
        assert [(piece.text, piece.tokens, piece.logprob) for piece in answer.pieces] == [
            ("A b", 2, -0.5),
            ("ug.", 1, None),
        ]
        assert answer.completion == Completion(
            prompt_tokens=7, cached_prompt_tokens=3, output_tokens=3, stop=StopCause.END
        )
        assert await engine.count_tokens(prompt("Why?")) == 7
        assert engine.tokens_generated() == 3


async def test_without_usage_the_words_of_the_prompt_are_counted() -> None:
    async with playing(Emit(text="a", logprob=-1.0)) as engine:
        answer = await read(_generate(engine))
        assert answer.completion.prompt_tokens == await engine.count_tokens(prompt("Why?")) == 6
        assert answer.completion.logprobs == (-1.0,)


async def test_generation_stands_still_at_a_gate_until_it_is_opened() -> None:
    async with playing(Emit(text="before"), Gate(name="go"), Emit(text="after")) as engine:
        items = _generate(engine)
        assert await anext(items) == Piece(text="before", tokens=1, logprob=None)
        later = asyncio.ensure_future(anext(items))
        await engine.reached("go")
        assert (later.done(), engine.tokens_generated()) == (False, 1)
        engine.open("go")
        assert await later == Piece(text="after", tokens=1, logprob=None)
        assert (await read(items)).completion.output_tokens == 2
        assert (await read(_generate(engine))).text == "beforeafter"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (FailReason.OVERLOADED, EngineOverloaded),
        (FailReason.UNAVAILABLE, EngineUnavailable),
        (FailReason.REJECTED, RequestRejected),
        (FailReason.CONTEXT_TOO_LONG, ContextTooLong),
    ],
)
async def test_failure_comes_after_the_text_before_it(reason: FailReason, error: type[EngineError]) -> None:
    async with playing(Emit(text="so far"), Fail(reason=reason)) as engine:
        items = _generate(engine)
        assert isinstance(await anext(items), Piece)
        with pytest.raises(error):
            await anext(items)
        assert engine.generations_cancelled == 0


async def test_stop_ends_the_answer_before_later_steps() -> None:
    async with playing(Emit(text="a"), Stop(cause=StopCause.LENGTH), Emit(text="b")) as engine:
        answer = await read(_generate(engine))
        assert (answer.text, answer.completion.stop) == ("a", StopCause.LENGTH)


async def test_request_limits_hold_for_a_script_too() -> None:
    async with playing(*[Emit(text=f"{word} ") for word in ("One.", "Two.", "stop", "Four.")]) as engine:
        limited = await read(_generate(engine, max_output_tokens=2))
        assert (limited.text, limited.completion.stop) == ("One. Two. ", StopCause.LENGTH)
        stopped = await read(_generate(engine, stop=("stop",)))
        assert (stopped.text, stopped.completion.stop) == ("One. Two. ", StopCause.STOP_SEQUENCE)
        sentence = await read(_generate(engine, stop_after_sentence=True))
        assert (sentence.text, sentence.completion.stop) == ("One.", StopCause.SENTENCE)


async def test_character_emitted_byte_by_byte_arrives_whole() -> None:
    async with playing(*[Emit(data=bytes([byte])) for byte in "€!".encode()]) as engine:
        answer = await read(_generate(engine))
        assert [piece.text for piece in answer.pieces] == ["€", "!"]
        assert answer.completion.output_tokens == 4


async def test_reader_that_goes_away_is_counted() -> None:
    async with playing(Emit(text="a"), AwaitCancel()) as engine:
        async with aclosing(_generate(engine)) as items:  # type: ignore[type-var]
            assert isinstance(await anext(items), Piece)
        assert engine.generations_cancelled == 1
        reader = asyncio.create_task(read(_generate(engine)))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        assert engine.generations_cancelled == 2


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("step", [Gate(name="never"), AwaitCancel()])
async def test_close_ends_a_generation_that_waits_or_is_about_to(step: Step, turns: int) -> None:
    async with playing(Emit(text="a"), step) as engine:
        items = _generate(engine)
        await anext(items)
        waiting = asyncio.ensure_future(anext(items))
        for _ in range(turns):
            await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineUnavailable, match="closed"):
            await waiting


async def test_prompt_for_which_nothing_is_written_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text('[[programs]]\nwhen = "cat"\nsteps = [{ emit = "Meow." }]')
    engine = ScriptedEngine(path)
    await engine.start()
    assert (await read(engine.generate(prompt("A cat?"), sampling=Sampling(max_output_tokens=1)))).text == "Meow."
    with pytest.raises(RequestRejected):
        await read(engine.generate(prompt("A dog?"), sampling=Sampling(max_output_tokens=1)))
    await engine.close()


async def test_prompt_longer_than_the_context_is_refused_with_the_limit() -> None:
    async with playing(Usage(prompt_tokens=4096)) as engine:
        with pytest.raises(ContextTooLong) as caught:
            await read(_generate(engine))
        assert (caught.value.limit, caught.value.given) == (4095, 4096)
