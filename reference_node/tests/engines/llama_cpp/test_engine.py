from __future__ import annotations

import asyncio
import json
import threading
from contextlib import aclosing
from pathlib import Path

import pytest

from consilience_node.engines import (
    ContextTooLong,
    EngineOverloaded,
    EngineUnavailable,
    ModelNotFound,
    Piece,
    Sampling,
    SchemaUnsupported,
    StopCause,
)
from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions
from reference_node.tests.engines.answers import Answer, prompt, read
from reference_node.tests.engines.llama_cpp.conftest import OpenEngine

ANIMALS = ("cat", "dog", "horse", "whale")


def _engine_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("consilience-")]


async def _ask(engine: LlamaCppEngine, question: str, tokens: int = 12, **sampling: object) -> Answer:
    settings = Sampling(max_output_tokens=tokens, **sampling)  # type: ignore[arg-type]
    return await read(engine.generate(prompt(question), sampling=settings))


async def test_answer_is_streamed_and_counted(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        answer = await _ask(engine, "What is a cat?", tokens=10)
        completion = answer.completion
        assert "cat" in answer.text.lower()
        assert completion.stop is StopCause.LENGTH
        assert len(answer.pieces) > 1
        assert completion.output_tokens == sum(piece.tokens for piece in answer.pieces) == 10
        assert engine.tokens_generated() == 10
        assert completion.prompt_tokens == await engine.count_tokens(prompt("What is a cat?"))


async def test_model_ends_its_answer_itself(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        answer = await _ask(engine, "Say only: Hello", tokens=60)
        assert answer.completion.stop is StopCause.END
        assert answer.completion.output_tokens < 60
        assert "<|im_end|>" not in answer.text


async def test_model_is_described_with_the_digest_of_its_weights(open_engine: OpenEngine) -> None:
    async with open_engine(context_tokens=1024) as engine:
        assert engine.model.id == "smollm2-135m-instruct"
        assert (engine.model.family, engine.model.quantization) == ("smollm2", "Q4_1")
        assert engine.model.weights_sha256.hex().startswith("b179c9523d0e6a0f98a330c7")
        assert engine.model.context_length_tokens == 1024
        assert engine.structured


async def test_log_probabilities_are_those_of_the_tokens(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        greedy = await _ask(engine, "What is a cat?")
        wild = await _ask(engine, "What is a cat?", temperature=5.0, seed=1)
        for answer in (greedy, wild):
            logprobs = answer.completion.logprobs
            assert len(logprobs) == answer.completion.output_tokens
            assert max(logprobs) <= 0
            assert sum(piece.logprob or 0 for piece in answer.pieces) == pytest.approx(sum(logprobs))
        assert sum(greedy.completion.logprobs) > sum(wild.completion.logprobs) + 10


async def test_seed_repeats_a_drawn_answer(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        texts = [
            (await _ask(engine, "Name a colour.", tokens=8, temperature=1.5, top_p=0.95, seed=seed)).text
            for seed in (1, 1, 2, 3)
        ]
        assert texts[0] == texts[1]
        assert len(set(texts)) > 1


async def test_answers_given_at_once_are_those_given_alone(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        questions = [f"What is a {animal}?" for animal in ANIMALS]
        alone = [(await _ask(engine, question)).text for question in questions]
        together = [answer.text for answer in await asyncio.gather(*(_ask(engine, question) for question in questions))]
        assert all(animal in text.lower() for animal, text in zip(ANIMALS, together, strict=True))
        # Batches of another shape round differently, so a close choice may fall otherwise.
        assert sum(one[:20] == other[:20] for one, other in zip(alone, together, strict=True)) >= 3


async def test_more_generations_than_places_all_complete(open_engine: OpenEngine) -> None:
    async with open_engine(generations=4) as engine:
        answers = await asyncio.gather(*(_ask(engine, f"Count from {number}.", tokens=5) for number in range(16)))
        assert all(1 <= answer.completion.output_tokens <= 5 for answer in answers)


async def test_closed_iterator_stops_the_engine(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        async with aclosing(
            engine.generate(prompt("Tell a story."), sampling=Sampling(max_output_tokens=500))
        ) as items:
            async for _ in items:
                break
        await _expect_only_own_tokens(engine)


async def test_deadline_stops_the_engine(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        first = asyncio.Event()

        async def follow() -> None:
            async for _ in engine.generate(prompt("Tell a story."), sampling=Sampling(max_output_tokens=500)):
                first.set()

        reader = asyncio.create_task(follow())
        await first.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await reader
        await _expect_only_own_tokens(engine)


async def test_generation_cancelled_while_it_waits_never_begins(open_engine: OpenEngine) -> None:
    async with open_engine(generations=1) as engine:
        running = asyncio.create_task(_ask(engine, "Tell a story.", tokens=20))
        waiting = asyncio.create_task(_ask(engine, "Tell another.", tokens=500))
        await _generating(engine)
        waiting.cancel()
        await running
        await asyncio.wait([waiting])
        await _expect_only_own_tokens(engine)


async def _generating(engine: LlamaCppEngine) -> None:
    """Waits until the engine is at work; only its thread knows when."""
    while engine.tokens_generated() == 0:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _expect_only_own_tokens(engine: LlamaCppEngine) -> None:
    """Generates some more and sees that nothing else was generated meanwhile."""
    before = engine.tokens_generated()
    own = (await _ask(engine, "What is a cat?", tokens=10)).completion.output_tokens
    in_flight = 2
    assert engine.tokens_generated() - before <= own + in_flight


async def test_slow_reader_gets_what_came_meanwhile_as_one_piece(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        items = engine.generate(prompt("Tell a story."), sampling=Sampling(max_output_tokens=12))
        first = await anext(items)
        while engine.tokens_generated() < 12:
            pass  # the event loop stands still, the engine does not
        rest = await read(items)
        assert isinstance(first, Piece)
        assert max(piece.tokens for piece in rest.pieces) > 1  # the last may still have been on its way
        assert first.tokens + sum(piece.tokens for piece in rest.pieces) == rest.completion.output_tokens == 12


async def test_one_more_than_the_queue_holds_is_refused_at_once(open_engine: OpenEngine) -> None:
    async with open_engine(generations=1, queued_generations=1) as engine:
        accepted = [asyncio.create_task(_ask(engine, "Count.", tokens=10)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(EngineOverloaded) as caught:
            await _ask(engine, "Count.")
        assert caught.value.retry_after > 0
        await asyncio.gather(*accepted)
        await _ask(engine, "Count.", tokens=1)


async def test_prompt_that_leaves_no_room_is_refused_with_the_limit_and_never_cut(open_engine: OpenEngine) -> None:
    async with open_engine(context_tokens=256) as engine:
        bare = await engine.count_tokens(prompt(""))
        limit = engine.model.context_length_tokens - 1
        fits, too_long = (prompt(" word" * (words - bare)) for words in (limit, limit + 1))
        assert await engine.count_tokens(fits) == limit
        with pytest.raises(ContextTooLong) as caught:
            await read(engine.generate(too_long, sampling=Sampling(max_output_tokens=1)))
        assert (caught.value.limit, caught.value.given) == (limit, limit + 1)
        answer = await read(engine.generate(fits, sampling=Sampling(max_output_tokens=50)))
        assert answer.completion.prompt_tokens == limit
        assert answer.completion.output_tokens <= 1


async def test_prompt_with_a_known_beginning_is_not_computed_again(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        passage = "The heisenbug was named after Werner Heisenberg, the physicist. " * 4
        first, second = [await _ask(engine, passage + end, tokens=1) for end in ("Who was he?", "What is it?")]
        assert first.completion.cached_prompt_tokens == 0
        assert second.completion.cached_prompt_tokens > 50
        private = prompt(passage + "Who was he?", share_prefix=False)
        alone = await read(engine.generate(private, sampling=Sampling(max_output_tokens=1)))
        assert alone.completion.cached_prompt_tokens == 0


async def test_text_ends_before_a_stop_sequence(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        whole = await _ask(engine, "What is a cat?", tokens=12)
        stop = whole.text[10:14]
        answer = await _ask(engine, "What is a cat?", tokens=12, stop=(stop,))
        assert answer.text == whole.text[: whole.text.index(stop)]
        assert answer.completion.stop is StopCause.STOP_SEQUENCE
        assert answer.completion.output_tokens == sum(piece.tokens for piece in answer.pieces)


async def test_answer_ends_after_its_first_sentence(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        answer = await _ask(engine, "What is a dog?", tokens=60, stop_after_sentence=True)
        assert answer.completion.stop is StopCause.SENTENCE
        assert answer.text.endswith(".")
        assert len(answer.completion.logprobs) == answer.completion.output_tokens < engine.tokens_generated()


async def test_answer_satisfies_its_json_schema_also_beside_others(open_engine: OpenEngine) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "legs": {"type": "integer", "minimum": 0, "maximum": 9},
        },
        "required": ["name", "legs"],
    }
    async with open_engine() as engine:
        answer, beside = await asyncio.gather(
            _ask(engine, "Describe a dog.", tokens=60, json_schema=json.dumps(schema)),
            _ask(engine, "Describe a cat.", tokens=10, temperature=0.8, seed=1),
        )
        described = json.loads(answer.text)
        assert isinstance(described["name"], str)
        assert isinstance(described["legs"], int)
        assert answer.completion.stop is StopCause.END
        assert beside.completion.output_tokens == 10


async def test_characters_of_many_tokens_arrive_whole(open_engine: OpenEngine) -> None:
    text = "日本語 🧑‍🚀 ñ"
    async with open_engine() as engine:
        answer = await _ask(engine, "Say it.", tokens=80, json_schema=json.dumps({"const": text}, ensure_ascii=False))
        assert json.loads(answer.text) == text
        assert not any("\ufffd" in piece.text for piece in answer.pieces)
        assert max(piece.tokens for piece in answer.pieces) > 1


async def test_schema_that_cannot_be_enforced_is_refused(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        with pytest.raises(SchemaUnsupported):
            await _ask(engine, "Describe a dog.", json_schema='{"type": "horse"}')
        assert (await _ask(engine, "What is a cat?", tokens=1)).completion.output_tokens == 1


async def test_close_ends_running_generations_and_leaves_no_thread(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        assert _engine_threads()
        running = [asyncio.create_task(_ask(engine, "Tell a story.", tokens=500)) for _ in range(3)]
        await _generating(engine)
        await engine.close()
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [EngineUnavailable] * 3
        assert _engine_threads() == []
        with pytest.raises(EngineUnavailable, match="closed"):
            await _ask(engine, "What is a cat?")


async def test_crash_of_the_engine_thread_reaches_every_reader(open_engine: OpenEngine) -> None:
    async with open_engine() as engine:
        running = [asyncio.create_task(_ask(engine, "Tell a story.", tokens=500)) for _ in range(3)]
        await _generating(engine)
        engine._post(lambda _: [1 // 0])  # type: ignore[list-item]
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [EngineUnavailable] * 3
        with pytest.raises(EngineUnavailable, match="crashed"):
            await _ask(engine, "What is a cat?")
    assert _engine_threads() == []


async def test_engine_that_was_not_started_says_so() -> None:
    engine = LlamaCppEngine()
    with pytest.raises(EngineUnavailable, match="not started"):
        await _ask(engine, "What is a cat?")
    with pytest.raises(EngineUnavailable, match="not started"):
        _ = engine.model
    await engine.close()


async def test_missing_model_is_named_and_leaves_no_thread(tmp_path: Path) -> None:
    engine = LlamaCppEngine(LlamaCppOptions(model=tmp_path / "none.gguf", cache_directory=tmp_path))
    with pytest.raises(ModelNotFound, match=r"none\.gguf"):
        await engine.start()
    await engine.close()
    assert _engine_threads() == []
