"""The one thread that touches llama.cpp, and the way to it and back.

Commands go in through a queue and run between two steps of the model. What came of a step goes
back to the event loop in one call, however many streams it serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

from consilience_node.engines.llama_cpp.runtime import Runtime
from consilience_node.engines.llama_cpp.scheduler import Event

_LOGGER = logging.getLogger("consilience_node.engines.llama_cpp")

T = TypeVar("T")

Command = Callable[[Runtime], list[Event]]


class Listener(Protocol):
    """What the engine thread calls back, on the event loop."""

    def deliver(self, events: list[Event]) -> None:
        """Takes what came of a command or a step."""

    def ended(self, error: Exception | None) -> None:
        """The thread ends and has freed everything; with an error if it crashed."""


class Worker:
    """Runs commands and steps until it is stopped or crashes.

    Args:
        open_runtime: loads the model; called on the thread.
        listener: called on the event loop that is running now.
    """

    def __init__(self, open_runtime: Callable[[], Runtime], *, listener: Listener) -> None:
        self._open_runtime = open_runtime
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._commands: SimpleQueue[Command | None] = SimpleQueue()
        self.opened: asyncio.Future[Runtime] = self._loop.create_future()
        """Done when the model is loaded, or could not be."""
        # A daemon: a program that forgot to close the engine shall still be able to end.
        self._thread = threading.Thread(target=self._run, name="consilience-engine", daemon=True)
        self._thread.start()

    def post(self, command: Command) -> None:
        """Has a command run on the thread before the next step; nothing happens after the end."""
        self._commands.put(command)

    def stop(self) -> None:
        """Asks the thread to end after the current step; `Listener.ended` tells when it has."""
        self._commands.put(None)

    def join(self) -> None:
        """Waits for the thread to be gone; call after `Listener.ended`, then it takes no time."""
        self._thread.join()

    def _run(self) -> None:
        crash: Exception | None = None
        try:
            runtime = self._open_runtime()
        except Exception as error:  # noqa: BLE001  (whatever it is, `start` must hear of it)
            self._call_back(self._resolve, error)
        else:
            self._call_back(self._resolve, runtime)
            crash = self._serve_and_close(runtime)
        finally:
            self._call_back(self._listener.ended, crash)

    def _serve_and_close(self, runtime: Runtime) -> Exception | None:
        """Serves until it is stopped (None) or crashes (the cause)."""
        try:
            self._serve(runtime)
        except Exception as error:  # whatever it is, readers must not wait for ever
            _LOGGER.exception("the engine thread crashed")
            return error
        finally:
            runtime.close()
        return None

    def _serve(self, runtime: Runtime) -> None:
        while True:
            events: list[Event] = []
            for command in self._take_commands(wait=not runtime.scheduler.has_work):
                if command is None:
                    return
                events += command(runtime)
            if runtime.scheduler.has_work:
                events += runtime.scheduler.step()
            if events:
                self._call_back(self._listener.deliver, events)

    def _take_commands(self, *, wait: bool) -> list[Command | None]:
        """Takes all commands there are; waits for the first only if there is nothing else to do."""
        taken = [self._commands.get()] if wait else []
        while True:
            try:
                taken.append(self._commands.get_nowait())
            except Empty:
                return taken

    def _resolve(self, outcome: Runtime | Exception) -> None:
        if self.opened.done():
            return
        if isinstance(outcome, Exception):
            self.opened.set_exception(outcome)
        else:
            self.opened.set_result(outcome)

    def _call_back(self, callback: Callable[[T], None], argument: T) -> None:
        # The loop may be closed without the engine having been: then nobody listens any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, argument)
