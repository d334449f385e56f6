"""What the node asks of an engine, whichever it is.

An engine turns a `Prompt` into a stream of `Piece`s that ends with exactly one `Completion`::

    async for item in engine.generate(prompt, sampling=Sampling(max_output_tokens=64)):
        match item:
            case Piece():
                print(item.text, end="")
            case Completion():
                print(item.stop)

The text of a message is data: no engine may let it act as a turn marker. Whoever closes the
iterator, or cancels the task that reads it, stops the work between two steps of the model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class StopCause(StrEnum):
    """Why a generation ended."""

    END = "end"
    """The model said that it had finished."""
    LENGTH = "length"
    """The limit of the request, or the end of the context, was reached."""
    STOP_SEQUENCE = "stop_sequence"
    """One of the stop sequences of the request was about to be emitted."""
    SENTENCE = "sentence"
    """The first sentence is complete, and no more was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of the conversation; its content is never parsed for turn markers."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The conversation that the model shall continue.

    Attributes:
        messages: the turns; a system turn only first, a user turn last.
        share_prefix: whether tokens computed for this prompt may serve another prompt that begins
            in the same way, and the other way round. Say no for a confidential prompt: how fast an
            answer comes tells whether somebody else asked the same, and shared tokens stay in
            memory after the answer.
    """

    messages: tuple[Message, ...]
    share_prefix: bool = True

    def __post_init__(self) -> None:
        if not self.messages or self.messages[-1].role is not Role.USER:
            raise ValueError("a prompt ends with a user message")
        if any(message.role is Role.SYSTEM for message in self.messages[1:]):
            raise ValueError("a system message may only come first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the continuation is chosen, and when it ends.

    Attributes:
        max_output_tokens: most tokens of the answer.
        temperature: 0 takes the likeliest token every time.
        top_p: share of probability from which a token is drawn, in (0, 1].
        seed: makes drawing repeatable; None draws differently each time.
        stop: strings that end the answer and do not belong to it.
        stop_after_sentence: end after the first sentence.
        json_schema: schema that the answer must satisfy; only for engines with `structured`.
    """

    max_output_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_after_sentence: bool = False
    json_schema: str | None = None

    def __post_init__(self) -> None:
        if self.max_output_tokens < 1:
            raise ValueError("max_output_tokens must be at least 1")
        if self.temperature < 0:
            raise ValueError("temperature must not be negative")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must be above 0 and at most 1")
        if "" in self.stop:
            raise ValueError("a stop sequence must not be empty")
        if self.seed is not None and self.seed < 0:
            raise ValueError("seed must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some more text of the answer.

    Attributes:
        text: whole characters, never a part of one.
        tokens: tokens whose text begins in this one; 0 if it only continues an earlier token's.
        logprob: sum of their natural log probabilities; None if the engine has none.
    """

    text: str
    tokens: int
    logprob: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The end of a generation, and what it took.

    Attributes:
        prompt_tokens: tokens of the rendered prompt, template included.
        cached_prompt_tokens: those of them that had been computed before for another prompt.
        output_tokens: tokens that made the text, the sum over the pieces. The end marker, and what
            was generated only to see that the text was complete, do not count.
        stop: why it ended.
        logprobs: one per output token, under the model's own distribution (temperature 1, no
            schema); empty if the engine has none.
    """

    prompt_tokens: int
    cached_prompt_tokens: int
    output_tokens: int
    stop: StopCause
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known about a model and the engine that runs it.

    Attributes:
        id: name under which the node offers it.
        family: for instance "smollm2"; empty if unknown.
        parameter_count: 0 if unknown.
        quantization: for instance "Q4_1"; empty if unknown.
        weights_sha256: 32 bytes, or none if unknown.
        context_length_tokens: most tokens of prompt and answer together; 0 if unknown.
        engine: the engine's name.
        engine_version: the engine's version; empty if unknown.
    """

    id: str
    family: str = ""
    parameter_count: int = 0
    quantization: str = ""
    weights_sha256: bytes = b""
    context_length_tokens: int = 0
    engine: str
    engine_version: str = ""


class Engine(Protocol):
    """Runs one model for any number of callers on one event loop."""

    @property
    def model(self) -> ModelInfo:
        """What is known about the model; only after `start`."""

    @property
    def structured(self) -> bool:
        """Whether `Sampling.json_schema` is enforced; if not, asking for it is rejected."""

    async def start(self) -> None:
        """Makes the engine ready.

        Raises:
            ModelNotFound: there is no such model.
            ModelUnusable: the engine cannot run it.
            EngineUnavailable: the engine itself cannot be used.
        """

    async def close(self) -> None:
        """Ends running generations with `EngineUnavailable` and frees everything; may be repeated."""

    async def count_tokens(self, prompt: Prompt) -> int:
        """Counts the tokens of the whole rendered prompt, template included."""

    async def check_schema(self, json_schema: str) -> None:
        """Tells, before anything is generated, whether an answer can be held to a JSON schema.

        Raises:
            SchemaUnsupported: it cannot; a server may say so only when it is to generate.
        """

    def generate(self, prompt: Prompt, *, sampling: Sampling) -> AsyncGenerator[Piece | Completion, None]:
        """Continues the prompt; the last item is exactly one `Completion`.

        Raises:
            ContextTooLong: the prompt does not fit; nothing is ever cut.
            EngineOverloaded: the queue is full.
            EngineUnavailable: the engine is not running, or stopped while it worked.
            RequestRejected: the engine cannot do what `sampling` asks for.
        """

    def tokens_generated(self) -> int:
        """All tokens that the model has chosen since the start; it never falls."""
