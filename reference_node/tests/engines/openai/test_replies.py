from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from consilience_node.engines import (
    ContextTooLong,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    ModelNotFound,
    Piece,
    RequestRejected,
    Sampling,
    SchemaUnsupported,
    StopCause,
)
from consilience_node.engines.openai import OpenAIEngine, OpenAIOptions
from reference_node.tests.engines.answers import Answer, prompt, read
from reference_node.tests.engines.servers import (
    MODELS,
    UNFINISHED,
    ToldServer,
    delta,
    reply,
    stream,
    told_server,
    usage,
)

COUNT = {"choices": [{"message": {"content": "x"}, "finish_reason": "length"}], "usage": {"prompt_tokens": 9}}


@asynccontextmanager
async def told_engine(*completions: bytes, **options: object) -> AsyncIterator[tuple[OpenAIEngine, ToldServer]]:
    """An engine before a server that gives these replies, the last one for good."""
    async with told_server(*completions) as server:
        engine = OpenAIEngine(OpenAIOptions(base_url=server.url, **options))  # type: ignore[arg-type]
        await engine.start()
        try:
            yield engine, server
        finally:
            await engine.close()


async def _ask(engine: OpenAIEngine, **sampling: object) -> Answer:
    settings = {"max_output_tokens": 20, **sampling}
    return await read(engine.generate(prompt("Why?"), sampling=Sampling(**settings)))  # type: ignore[arg-type]


def _error(status: str, *, headers: str = "", **error: object) -> bytes:
    return reply({"error": {"message": "so it is", **error}}, status=status, headers=headers)


async def test_stream_is_read_with_its_log_probabilities_and_usage() -> None:
    events = [
        delta(""),
        delta("A b", logprobs=[-0.5, -0.25]),
        delta("ug.", logprobs=[-1.0]),
        delta(finish="stop"),
        usage(31, 4, cached=12),
    ]
    async with told_engine(stream(*events)) as (engine, server):
        answer = await _ask(engine)
        assert answer.pieces == (
            Piece(text="A b", tokens=2, logprob=-0.75),
            Piece(text="ug.", tokens=1, logprob=-1.0),
        )
        completion = answer.completion
        assert (completion.prompt_tokens, completion.cached_prompt_tokens, completion.output_tokens) == (31, 12, 3)
        assert (completion.stop, completion.logprobs) == (StopCause.END, (-0.5, -0.25, -1.0))
        assert engine.tokens_generated() == 3
        assert len(server.requests) == 2, "one for the models, one for the answer"


async def test_without_log_probabilities_the_server_counts_the_tokens() -> None:
    events = [delta("A bug "), delta("that hides."), delta(finish="length"), usage(31, 7)]
    async with told_engine(stream(*events), logprobs=False) as (engine, server):
        completion = (await _ask(engine)).completion
        assert (completion.output_tokens, completion.stop, completion.logprobs) == (7, StopCause.LENGTH, ())
        assert "logprobs" not in server.requests[-1]


@pytest.mark.parametrize(
    ("sampling", "text", "stop"),
    [
        ({"stop": ("hid",)}, "A bug that ", StopCause.STOP_SEQUENCE),
        ({"stop_after_sentence": True}, "A bug that hides.", StopCause.SENTENCE),
    ],
)
async def test_stream_is_left_where_the_text_ends_and_the_prompt_counted_apart(
    sampling: dict[str, object], text: str, stop: StopCause
) -> None:
    events = [delta("A bug that ", logprobs=[-0.1]), delta("hides. It", logprobs=[-0.1])]
    async with told_engine(stream(*events, end=UNFINISHED), reply(COUNT)) as (engine, server):
        answer = await _ask(engine, **sampling)
        await server.hung_up.wait()
        assert (answer.text, answer.completion.stop) == (text, stop)
        assert answer.completion.prompt_tokens == 9


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (_error("429 Too Many", headers="Retry-After: 7\r\n"), EngineOverloaded),
        (_error("503 Unavailable"), EngineOverloaded),
        (_error("401 Unauthorized"), EngineUnavailable),
        (_error("404 Not Found"), ModelNotFound),
        (_error("400 Bad Request", code="context_length_exceeded"), ContextTooLong),
        (_error("400 Bad Request", type="exceed_context_size_error", n_ctx=64, n_prompt_tokens=80), ContextTooLong),
        (_error("422 Unprocessable"), RequestRejected),
        (_error("500 Internal"), EngineUnavailable),
        (reply(b"<html>", status="502 Bad Gateway"), EngineUnavailable),
        (stream({"error": {"message": "out of memory"}}), EngineUnavailable),
        (stream(end=b"data: {broken\n\n"), EngineUnavailable),
        (b"SMTP ready\r\n\r\n", EngineUnavailable),
    ],
)
async def test_bad_reply_becomes_the_error_that_it_means(response: bytes, error: type[EngineError]) -> None:
    async with told_engine(response) as (engine, _):
        with pytest.raises(error) as caught:
            await _ask(engine)
        assert type(caught.value) is error


async def test_what_the_server_says_of_limits_and_waiting_is_passed_on() -> None:
    replies = (
        _error("400 Bad Request", type="exceed_context_size_error", n_ctx=64, n_prompt_tokens=80),
        _error("400 Bad Request", code="context_length_exceeded"),
        _error("429 Too Many", headers="Retry-After: 7\r\n"),
    )
    async with told_engine(*replies) as (engine, _):
        with pytest.raises(ContextTooLong) as too_long:
            await _ask(engine)
        assert (too_long.value.limit, too_long.value.given) == (64, 80)
        with pytest.raises(ContextTooLong) as too_long:
            await engine.count_tokens(prompt("Why?"))
        assert (too_long.value.limit, too_long.value.given) == (100, None)
        with pytest.raises(EngineOverloaded) as overloaded:
            await _ask(engine)
        assert overloaded.value.retry_after == 7


async def test_stream_that_breaks_off_is_an_error_after_the_text_before_it() -> None:
    async with told_engine(stream(delta("A bug"), end=b""), reply(COUNT)) as (engine, _):
        items = engine.generate(prompt("Why?"), sampling=Sampling(max_output_tokens=20))
        assert await anext(items) == Piece(text="A bug", tokens=1, logprob=None)
        with pytest.raises(EngineUnavailable, match="broke the answer off"):
            await anext(items)


async def test_stream_without_a_word_is_asked_again_for_the_reason() -> None:
    async with told_engine(stream(), _error("400 Bad Request", code="context_length_exceeded")) as (engine, _):
        with pytest.raises(ContextTooLong):
            await _ask(engine)


async def test_silent_server_is_given_up() -> None:
    async with told_engine(b"", silence_timeout_seconds=0.05) as (engine, server):
        with pytest.raises(EngineUnavailable, match="ReadTimeout"):
            await _ask(engine)
        await server.hung_up.wait()


async def test_reader_that_goes_away_closes_the_stream() -> None:
    async with told_engine(stream(delta("A bug"), end=UNFINISHED)) as (engine, server):
        items = engine.generate(prompt("Why?"), sampling=Sampling(max_output_tokens=20))
        await anext(items)
        assert not server.hung_up.is_set()
        await items.aclose()
        await server.hung_up.wait()


async def test_close_ends_a_running_generation() -> None:
    async with told_engine(stream(delta("A bug"), end=UNFINISHED)) as (engine, server):
        items = engine.generate(prompt("Why?"), sampling=Sampling(max_output_tokens=20))
        await anext(items)
        waiting = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineUnavailable):
            await waiting
        await server.hung_up.wait()
        with pytest.raises(EngineUnavailable, match="closed"):
            await _ask(engine)


async def test_one_generation_too_many_is_refused_here() -> None:
    async with told_engine(stream(delta("A bug"), end=UNFINISHED), generations=1) as (engine, _):
        items = engine.generate(prompt("Why?"), sampling=Sampling(max_output_tokens=20))
        await anext(items)
        with pytest.raises(EngineOverloaded):
            await _ask(engine)
        await items.aclose()


async def test_request_says_what_was_asked_and_no_marker_survives() -> None:
    events = [delta("x", finish="stop"), usage(1, 1)]
    options = {"api_key": "k", "extra": {"cache_prompt": True}}
    async with told_engine(stream(*events), **options) as (engine, server):
        sampling = Sampling(max_output_tokens=5, temperature=0.5, top_p=0.9, seed=3, json_schema='{"type": "object"}')
        await read(engine.generate(prompt("<|im_end|>"), sampling=sampling))
        sent = server.requests[-1]
        assert sent["messages"] == [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "<\u200b|im_end|>"},
        ]
        assert sent["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
        }
        expected = {"model": "m", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "seed": 3, "cache_prompt": True}
        assert expected.items() <= sent.items()


async def test_schema_is_rejected_where_no_format_is_declared_or_it_is_none() -> None:
    async with told_engine(b"", schema_format="none") as (engine, server):
        assert not engine.structured
        with pytest.raises(SchemaUnsupported):
            await _ask(engine, json_schema="{}")
        assert len(server.requests) == 1
    async with told_engine(b"") as (engine, _):
        with pytest.raises(SchemaUnsupported):
            await _ask(engine, json_schema="{")


async def test_model_is_described_by_server_and_settings_together() -> None:
    async with told_engine(b"", family="qwen3", weights_sha256="ab" * 32) as (engine, _):
        assert (engine.model.id, engine.model.family, engine.model.context_length_tokens) == ("m", "qwen3", 100)
        assert engine.model.weights_sha256 == bytes.fromhex("ab" * 32)
    llama_server = {"data": [{"id": "m", "meta": {"n_ctx_train": 8192, "n_params": 135}}]}
    async with told_server(models=reply(llama_server)) as server:
        engine = OpenAIEngine(OpenAIOptions(base_url=server.url))
        await engine.start()
        assert (engine.model.context_length_tokens, engine.model.parameter_count) == (8192, 135)
        await engine.close()


@pytest.mark.parametrize(
    ("models", "model", "error"),
    [
        (reply(MODELS), "other", ModelNotFound),
        (reply({"data": [{"id": "a"}, {"id": "b"}]}), None, ModelNotFound),
        (reply(b"", status="404 Not Found"), None, ModelNotFound),
        (reply(b"", status="401 Unauthorized"), "m", EngineUnavailable),
        (reply(b"not json"), "m", EngineUnavailable),
    ],
)
async def test_engine_does_not_start_without_its_model(
    models: bytes, model: str | None, error: type[EngineError]
) -> None:
    async with told_server(models=models) as server:
        with pytest.raises(error):
            await OpenAIEngine(OpenAIOptions(base_url=server.url, model=model)).start()


async def test_server_without_a_list_of_models_is_believed_to_have_the_named_one() -> None:
    async with told_server(models=reply(b"", status="404 Not Found")) as server:
        engine = OpenAIEngine(OpenAIOptions(base_url=server.url, model="m"))
        await engine.start()
        assert engine.model.id == "m"
        await engine.close()


async def test_nobody_listening_is_unavailable() -> None:
    async with told_server() as server:
        url = server.url
    with pytest.raises(EngineUnavailable, match="no answer from"):
        await OpenAIEngine(OpenAIOptions(base_url=url)).start()
