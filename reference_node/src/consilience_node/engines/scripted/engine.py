"""The engine that plays a script."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import assert_never

from consilience_node.engines.answer_text import AnswerText
from consilience_node.engines.errors import (
    ContextTooLong,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    RequestRejected,
    SchemaUnsupported,
)
from consilience_node.engines.interface import Completion, ModelInfo, Piece, Prompt, Sampling, StopCause
from consilience_node.engines.scripted.script import (
    AwaitCancel,
    Emit,
    Fail,
    FailReason,
    Gate,
    Program,
    Script,
    Step,
    Stop,
    Usage,
)
from consilience_node.engines.scripted.script_file import load_script


class ScriptedEngine:
    """Plays a program for every prompt; gates take the place of waiting.

    Args:
        script: the script, or the path of its file.
    """

    structured = True

    def __init__(self, script: Script | Path) -> None:
        self._source = script
        self._script: Script | None = None
        self._closed = False
        self._tokens = 0
        self._cancelled = 0
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._ended = asyncio.Event()

    @property
    def model(self) -> ModelInfo:
        """The model that the script claims to be."""
        return self._playing().model

    @property
    def generations_cancelled(self) -> int:
        """Generations whose reader went away before the end."""
        return self._cancelled

    async def start(self) -> None:
        """Reads the script."""
        self._script = load_script(self._source) if isinstance(self._source, Path) else self._source

    async def close(self) -> None:
        """Ends generations that wait."""
        self._closed = True
        self._ended.set()
        for gate in self._open.values():
            gate.set()

    def open(self, gate: str) -> None:
        """Opens a gate for good: who waits there goes on, and who comes later does not wait."""
        self._open[gate].set()

    async def reached(self, gate: str) -> None:
        """Waits until a generation has come to a gate, open or not."""
        await self._reached[gate].wait()

    async def count_tokens(self, prompt: Prompt) -> int:
        """Returns what the program says about its prompt, else the number of words."""
        program = self._program_for(prompt)
        said = [step.prompt_tokens for step in program.steps if isinstance(step, Usage)]
        return said[0] if said else sum(len(message.content.split()) for message in prompt.messages)

    async def check_schema(self, json_schema: str) -> None:
        """Takes whatever is JSON; a script plays the same with and without it."""
        try:
            json.loads(json_schema)
        except (ValueError, RecursionError) as error:
            raise SchemaUnsupported(f"the JSON schema is no JSON: {error}") from error

    async def generate(self, prompt: Prompt, *, sampling: Sampling) -> AsyncGenerator[Piece | Completion, None]:
        """Plays the program; see `Engine.generate`."""
        prompt_tokens = await self.count_tokens(prompt)
        limit = self.model.context_length_tokens
        if prompt_tokens >= limit:
            raise ContextTooLong(limit=limit - 1, given=prompt_tokens)
        play = _Play(sampling, prompt_tokens=prompt_tokens, limit=limit)
        finished = False
        try:
            for step in self._program_for(prompt).steps:
                await self._wait_at(step)
                self._tokens += step.tokens if isinstance(step, Emit) else 0
                if piece := play.take(step):
                    yield piece
                if play.stop is not None:
                    break
            for item in play.end():
                yield item
            finished = True
        except EngineError:
            finished = True
            raise
        finally:
            self._cancelled += not finished

    def tokens_generated(self) -> int:
        """All tokens emitted since the start."""
        return self._tokens

    def _playing(self) -> Script:
        if self._script is None or self._closed:
            raise EngineUnavailable("the engine is closed" if self._closed else "the engine is not started")
        return self._script

    def _program_for(self, prompt: Prompt) -> Program:
        program = self._playing().program_for(prompt.messages[-1].content)
        if program is None:
            raise RequestRejected("the script has no program for this prompt")
        return program

    async def _wait_at(self, step: Step) -> None:
        """Lets others run, and waits where the step says so."""
        await asyncio.sleep(0)
        self._playing()
        match step:
            case Gate():
                self._reached[step.name].set()
                await self._open[step.name].wait()
            case AwaitCancel():
                await self._ended.wait()
        self._playing()


class _Play:
    """How far one generation has come."""

    def __init__(self, sampling: Sampling, *, prompt_tokens: int, limit: int) -> None:
        self.stop: StopCause | None = None
        """Why the generation is over; None while it is not."""
        self._limit = limit
        self._prompt_tokens = prompt_tokens
        self._cached = 0
        self._left = min(sampling.max_output_tokens, limit - prompt_tokens)
        self._text = AnswerText.under(sampling)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def take(self, step: Step) -> Piece | None:
        """Plays a step that has not to wait any more; raises what a `Fail` says."""
        match step:
            case Emit():
                return self._emit(step)
            case Fail():
                raise self._error(step.reason)
            case Usage():
                self._cached = step.cached_prompt_tokens
            case Stop():
                self.stop = step.cause
            case Gate() | AwaitCancel():
                pass
            case _:
                assert_never(step)
        return None

    def end(self) -> list[Piece | Completion]:
        """Returns what was still held back, and the summary."""
        last_character = self._text.add(self._decoder.decode(b"", final=True), tokens=0, logprobs=())
        pieces = [piece for piece in (last_character, self._text.finish()) if piece]
        completion = self._text.completion(
            prompt_tokens=self._prompt_tokens,
            cached_prompt_tokens=self._cached,
            stop=self.stop or StopCause.END,
        )
        return [*pieces, completion]

    def _emit(self, step: Emit) -> Piece | None:
        self._left -= step.tokens
        text = self._decoder.decode(step.data) if step.data else step.text
        logprobs = None if step.logprob is None else [step.logprob] * step.tokens
        piece = self._text.add(text, tokens=step.tokens, logprobs=logprobs)
        if self._text.stopped or self._left <= 0:
            self.stop = self._text.stopped or StopCause.LENGTH
        return piece

    def _error(self, reason: FailReason) -> EngineError:
        match reason:
            case FailReason.OVERLOADED:
                return EngineOverloaded(retry_after=1.0)
            case FailReason.UNAVAILABLE:
                return EngineUnavailable("the script says that the engine fails here")
            case FailReason.REJECTED:
                return RequestRejected("the script says that the request is rejected here")
            case FailReason.CONTEXT_TOO_LONG:
                return ContextTooLong(limit=self._limit - 1)
            case _:
                assert_never(reason)
