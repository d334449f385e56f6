"""The engine whose model runs in a server with the OpenAI chat interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import NoReturn

import httpx

from consilience_node.engines.answer_text import AnswerText
from consilience_node.engines.errors import EngineOverloaded, EngineUnavailable, RequestRejected
from consilience_node.engines.interface import Completion, ModelInfo, Piece, Prompt, Sampling, StopCause
from consilience_node.engines.openai.model_facts import describe_model
from consilience_node.engines.openai.options import OpenAIOptions
from consilience_node.engines.openai.payload import chat_payload, counting_payload, response_format
from consilience_node.engines.openai.replies import Json, as_object, raise_for_reply
from consilience_node.engines.openai.stream import Chunk, TokenUsage, read_chunks

_RETRY_SECONDS = 1.0


class OpenAIEngine:
    """Streams answers from a server.

    The server renders and counts the prompt. Where it does not tell its count with the stream (or
    we end the stream early), the prompt is sent once more for one token, to be told: a node charges
    by what was counted, not by a guess.

    Args:
        options: the server, the model, and what is known about it.
    """

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._client: httpx.AsyncClient | None = None
        self._model: ModelInfo | None = None
        self._running = 0
        self._tokens = 0

    @property
    def model(self) -> ModelInfo:
        """What the server and the settings say about the model."""
        if self._model is None:
            raise EngineUnavailable("the engine is not started")
        return self._model

    @property
    def structured(self) -> bool:
        """Whether the server was declared to enforce a JSON schema."""
        return self._options.schema_format != "none"

    async def start(self) -> None:
        """Connects, and asks the server for its models."""
        if self._client is not None:
            raise EngineUnavailable("an engine is started only once")
        options = self._options
        self._client = httpx.AsyncClient(
            base_url=options.base_url,
            headers={} if options.api_key is None else {"Authorization": f"Bearer {options.api_key}"},
            timeout=httpx.Timeout(options.silence_timeout_seconds, connect=options.connect_timeout_seconds),
            # A connection per answer: one kept open may be closed by the server just when we use it.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            # Prompts go to the server that was named, and through nobody's proxy.
            trust_env=False,
        )
        try:
            self._model = describe_model(await self._list_models(), options=options)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes all connections, which ends running generations with `EngineUnavailable`."""
        if self._client is not None:
            await self._client.aclose()

    async def count_tokens(self, prompt: Prompt) -> int:
        """Has the server count the rendered prompt, at the price of generating one token."""
        return (await self._count(prompt)).prompt_tokens

    async def check_schema(self, json_schema: str) -> None:
        """Checks what can be known without the server, which has the last word when it generates."""
        response_format(json_schema, form=self._options.schema_format)

    async def generate(self, prompt: Prompt, *, sampling: Sampling) -> AsyncGenerator[Piece | Completion, None]:
        """Continues the prompt; see `Engine.generate`."""
        if self._running >= self._options.generations:
            raise EngineOverloaded(retry_after=_RETRY_SECONDS)
        payload = chat_payload(prompt, sampling, model=self.model.id, options=self._options)
        text = AnswerText.under(sampling)
        finish: str | None = None
        usage: TokenUsage | None = None
        self._running += 1
        try:
            async with self._post(payload) as reply, aclosing(read_chunks(reply)) as chunks:
                async for chunk in chunks:
                    finish, usage = chunk.finish_reason or finish, chunk.usage or usage
                    if piece := self._add(text, chunk):
                        yield piece
                    if text.stopped:
                        break
            if finish is None and text.stopped is None:
                await self._raise_broken_off(prompt)
            if piece := text.finish():
                yield piece
            yield _completion(text, finish=finish, usage=usage or await self._count(prompt))
        finally:
            self._running -= 1

    def tokens_generated(self) -> int:
        """All tokens that arrived since the start, as far as the server lets us count them."""
        return self._tokens

    def _add(self, text: AnswerText, chunk: Chunk) -> Piece | None:
        self._tokens += chunk.tokens
        return text.add(chunk.text, tokens=chunk.tokens, logprobs=chunk.logprobs) if chunk.tokens else None

    async def _count(self, prompt: Prompt) -> TokenUsage:
        payload = counting_payload(prompt, model=self.model.id, options=self._options)
        async with self._post(payload) as reply:
            usage = TokenUsage.of(await _json(reply))
        if usage is None:
            raise RequestRejected("the server does not say how many tokens a prompt has")
        return replace(usage, output_tokens=0)

    async def _raise_broken_off(self, prompt: Prompt) -> NoReturn:
        # Some servers begin a stream, fail, and say nothing. Without a stream they say why.
        await self._count(prompt)
        raise EngineUnavailable("the server broke the answer off without saying why")

    async def _list_models(self) -> Json:
        async with self._send("GET", "models") as reply:
            if reply.status_code == httpx.codes.NOT_FOUND:
                return {}
            await raise_for_reply(reply, model=self._options.model or "", context_length=0)
            return await _json(reply)

    @asynccontextmanager
    async def _post(self, payload: Json) -> AsyncIterator[httpx.Response]:
        """Posts to the chat interface; leaving the block closes the stream, and so ends the work."""
        async with self._send("POST", "chat/completions", payload=payload) as reply:
            length = self.model.context_length_tokens
            await raise_for_reply(reply, model=self.model.id, context_length=length)
            yield reply

    @asynccontextmanager
    async def _send(self, method: str, path: str, *, payload: Json | None = None) -> AsyncIterator[httpx.Response]:
        if self._client is None or self._client.is_closed:
            raise EngineUnavailable("the engine is not started, or closed")
        try:
            async with self._client.stream(method, path, json=payload) as reply:
                yield reply
        except (httpx.HTTPError, httpx.StreamError) as error:
            reason = str(error) or type(error).__name__
            raise EngineUnavailable(f"no answer from {self._options.base_url}: {reason}") from error


async def _json(reply: httpx.Response) -> Json:
    await reply.aread()
    try:
        return as_object(reply.json())
    except ValueError as error:
        raise EngineUnavailable("the server replied with what is no JSON") from error


def _completion(text: AnswerText, *, finish: str | None, usage: TokenUsage) -> Completion:
    completion = text.completion(
        prompt_tokens=usage.prompt_tokens,
        cached_prompt_tokens=usage.cached_prompt_tokens,
        stop=StopCause.LENGTH if finish == "length" else StopCause.END,
    )
    if completion.logprobs or text.stopped:
        return completion
    # Without log probabilities we only counted chunks; the server knows better.
    return replace(completion, output_tokens=usage.output_tokens or completion.output_tokens)
