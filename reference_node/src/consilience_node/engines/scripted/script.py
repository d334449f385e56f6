"""What a scripted engine plays: programs of steps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from consilience_node.engines.interface import ModelInfo, StopCause

DEFAULT_MODEL = ModelInfo(id="script", engine="scripted", context_length_tokens=4096)


class FailReason(StrEnum):
    """How a generation can fail."""

    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    CONTEXT_TOO_LONG = "context_too_long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Makes some text.

    Attributes:
        text: what to emit; ignored if there is `data`.
        data: bytes of UTF-8 to emit instead; an incomplete character waits for the next step.
        tokens: how many tokens this counts as.
        logprob: log probability of each of them; None to have none.
    """

    text: str = ""
    data: bytes = b""
    tokens: int = 1
    logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Waits until the gate is opened."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Ends the generation with an error."""

    reason: FailReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Sets what the prompt is said to have taken."""

    prompt_tokens: int
    cached_prompt_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitCancel:
    """Waits until the reader goes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ends the answer."""

    cause: StopCause


Step: TypeAlias = Emit | Gate | Fail | Usage | AwaitCancel | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Steps to play for the prompts they are meant for.

    Attributes:
        steps: played in order.
        when: text that the last message must contain; empty for any.
    """

    steps: tuple[Step, ...]
    when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Programs of one engine, and the model it claims to be."""

    programs: tuple[Program, ...]
    model: ModelInfo = DEFAULT_MODEL

    def program_for(self, text: str) -> Program | None:
        """Returns the first program meant for a prompt whose last message is `text`."""
        return next((program for program in self.programs if program.when in text), None)
