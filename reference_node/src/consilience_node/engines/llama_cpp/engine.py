"""The engine of the node's own process: a GGUF model on llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from itertools import count
from typing import TypeVar

from consilience_node.engines.errors import EngineError, EngineOverloaded, EngineUnavailable
from consilience_node.engines.interface import Completion, ModelInfo, Piece, Prompt, Sampling
from consilience_node.engines.llama_cpp.generation import Request
from consilience_node.engines.llama_cpp.mailbox import Mailbox
from consilience_node.engines.llama_cpp.options import LlamaCppOptions
from consilience_node.engines.llama_cpp.runtime import Runtime
from consilience_node.engines.llama_cpp.scheduler import Event
from consilience_node.engines.llama_cpp.schema_grammar import grammar_of
from consilience_node.engines.llama_cpp.worker import Command, Worker

T = TypeVar("T")

_FIRST_GUESS_SECONDS = 2.0
_WEIGHT_OF_LATEST = 0.2


class LlamaCppEngine:
    """Generates for many callers at once on one engine thread.

    All of it belongs to the event loop on which `start` was called.

    Args:
        options: the model, and how much of the machine it may take.
    """

    structured = True

    def __init__(self, options: LlamaCppOptions | None = None) -> None:
        self._options = options or LlamaCppOptions()
        self._worker: Worker | None = None
        self._runtime: Runtime | None = None
        self._why_not: str | None = "the engine is not started"
        self._gone = asyncio.Event()
        self._ids = count(1)
        self._mailboxes: dict[int, Mailbox] = {}
        self._typical_seconds = _FIRST_GUESS_SECONDS

    @property
    def model(self) -> ModelInfo:
        """What the model file says, and the digest of the weights."""
        if self._runtime is None:
            raise EngineUnavailable("the engine is not started")
        return self._runtime.info

    async def start(self) -> None:
        """Loads the model on the engine thread."""
        if self._worker is not None:
            raise EngineUnavailable("an engine is started only once")
        self._worker = Worker(partial(Runtime, self._options), listener=self)
        try:
            self._runtime = await self._worker.opened
        except BaseException:
            self._worker.stop()
            raise
        self._why_not = None

    async def close(self) -> None:
        """Ends running generations with `EngineUnavailable`, and the engine thread."""
        if self._worker is None:
            return
        self._refuse_from_now_on("the engine is closed")
        self._worker.stop()
        await self._gone.wait()
        self._worker.join()

    async def count_tokens(self, prompt: Prompt) -> int:
        """Counts the tokens of the whole rendered prompt, template included."""
        runtime = self._running()
        return await self._beside(runtime, partial(runtime.count_tokens, prompt))

    async def check_schema(self, json_schema: str) -> None:
        """Translates the schema to a grammar, or says why that cannot be done."""
        await self._beside(self._running(), partial(grammar_of, json_schema))

    async def generate(self, prompt: Prompt, *, sampling: Sampling) -> AsyncGenerator[Piece | Completion, None]:
        """Continues the prompt; see `Engine.generate`."""
        runtime = self._running()
        self._check_queue()
        request_id = next(self._ids)
        mailbox = self._mailboxes[request_id] = Mailbox()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            prepare = partial(runtime.prepare, request_id, prompt, sampling)
            self._post(partial(_submit, request=await self._beside(runtime, prepare)))
            while not isinstance(item := await mailbox.take(), Completion):
                yield item
            self._note_duration(loop.time() - began)
            yield item
        finally:
            del self._mailboxes[request_id]
            self._post(partial(_cancel, request_id=request_id))

    def tokens_generated(self) -> int:
        """All tokens that the model has chosen since the start."""
        return 0 if self._runtime is None else self._runtime.scheduler.tokens_generated

    def deliver(self, events: list[Event]) -> None:
        """Hands what the engine thread made to its readers."""
        for event in events:
            mailbox = self._mailboxes.get(event.request_id)
            if mailbox is not None:
                mailbox.put(event.item)

    def ended(self, error: Exception | None) -> None:
        """Hears that the engine thread is gone."""
        if error is not None:
            self._refuse_from_now_on(f"the engine crashed ({error}); start the node again")
        self._gone.set()

    def _running(self) -> Runtime:
        if self._runtime is None or self._why_not is not None:
            raise EngineUnavailable(self._why_not)
        return self._runtime

    def _refuse_from_now_on(self, why_not: str) -> None:
        if self._why_not is None:
            self._why_not = why_not
        for mailbox in self._mailboxes.values():
            mailbox.put(EngineUnavailable(why_not))

    def _check_queue(self) -> None:
        places = self._options.generations + self._options.queued_generations
        if len(self._mailboxes) >= places:
            turns = len(self._mailboxes) / self._options.generations
            raise EngineOverloaded(retry_after=turns * self._typical_seconds)

    def _note_duration(self, seconds: float) -> None:
        self._typical_seconds += _WEIGHT_OF_LATEST * (seconds - self._typical_seconds)

    def _post(self, command: Command) -> None:
        if self._worker is not None:
            self._worker.post(command)

    async def _beside(self, runtime: Runtime, work: Callable[[], T]) -> T:
        """Runs work on a prompt on a thread of its own: a long one takes a while to encode."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(runtime.preparing, work)
        except RuntimeError as error:
            # The executor was shut down: the engine crashed, and we have not heard of it yet.
            raise EngineUnavailable("the engine has just ended") from error


def _submit(runtime: Runtime, *, request: Request) -> list[Event]:
    try:
        runtime.submit(request)
    except EngineError as error:
        return [Event(request_id=request.id, item=error)]
    return []


def _cancel(runtime: Runtime, *, request_id: int) -> list[Event]:
    runtime.scheduler.cancel(request_id)
    return []
