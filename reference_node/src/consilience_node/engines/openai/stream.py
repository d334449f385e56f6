"""The server's stream of an answer, as far as we use it (server-sent events of JSON chunks)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httpx

from consilience_node.engines.errors import EngineUnavailable
from consilience_node.engines.openai.replies import Json, as_object, raise_stated_error


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """What the server counted.

    Attributes:
        prompt_tokens: tokens of the rendered prompt.
        cached_prompt_tokens: those of them that it did not compute anew; 0 if it does not say.
        output_tokens: tokens of the answer.
    """

    prompt_tokens: int
    cached_prompt_tokens: int
    output_tokens: int

    @classmethod
    def of(cls, body: Json) -> TokenUsage | None:
        """Reads the usage of a reply or chunk, if it has one."""
        usage = as_object(body.get("usage"))
        prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not isinstance(prompt, int):
            return None
        cached = as_object(usage.get("prompt_tokens_details")).get("cached_tokens")
        return cls(
            prompt_tokens=prompt,
            cached_prompt_tokens=cached if isinstance(cached, int) else 0,
            output_tokens=output if isinstance(output, int) else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One event of the stream.

    Attributes:
        text: more text; may be empty.
        logprobs: one per token of this chunk; None if the server sent none.
        finish_reason: set by the last chunk that belongs to the answer.
        usage: set once the server has counted.
    """

    text: str
    logprobs: tuple[float, ...] | None
    finish_reason: str | None
    usage: TokenUsage | None

    @property
    def tokens(self) -> int:
        """Tokens of this chunk; without log probabilities a chunk with text counts as one."""
        return len(self.logprobs) if self.logprobs is not None else int(bool(self.text))

    @classmethod
    def of(cls, body: Json) -> Chunk:
        """Reads one event."""
        choices = body.get("choices")
        choice = as_object(choices[0]) if isinstance(choices, list) and choices else {}
        text = as_object(choice.get("delta")).get("content")
        finish = choice.get("finish_reason")
        return cls(
            text=text if isinstance(text, str) else "",
            logprobs=_logprobs(as_object(choice.get("logprobs")).get("content")),
            finish_reason=finish if isinstance(finish, str) else None,
            usage=TokenUsage.of(body),
        )


async def read_chunks(response: httpx.Response) -> AsyncGenerator[Chunk, None]:
    """Reads the events of a stream until the server says that it is done.

    Raises:
        EngineError: the server reports an error within the stream, or sends what is no event.
    """
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        try:
            body = as_object(json.loads(data))
        except ValueError as error:
            raise EngineUnavailable("the server sent an event that is no JSON") from error
        raise_stated_error(body)
        yield Chunk.of(body)


def _logprobs(content: object) -> tuple[float, ...] | None:
    if not isinstance(content, list) or not content:
        return None
    values = [as_object(token).get("logprob") for token in content]
    # Rounding on the way may make a certain token a little more than certain.
    return tuple(min(0.0, float(value)) for value in values if isinstance(value, int | float))
