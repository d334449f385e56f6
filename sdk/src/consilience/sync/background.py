"""The background: one event loop in one thread, shared by all clients of the process that are open."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from consilience.errors import ForkedError, UsageError

T = TypeVar("T")


class Background:
    """An event loop in a thread of its own, which runs while somebody holds it."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="consilience", daemon=True)
        self._thread.start()
        self._stopped = False
        self.holders = 0

    @property
    def is_here(self) -> bool:
        """Whether this is the process whose thread it is."""
        return self._process == os.getpid()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end and returns its result.

        Ctrl-C cancels it, and is raised once it has ended: what it does to clean up is waited for.

        Raises:
            ForkedError: The process is a fork of the one in which the loop runs.
            UsageError: The loop has ended, or the caller is itself on it.
        """
        if not self.is_here:
            work.close()
            raise ForkedError("the client was made before this process was forked off; make one here")
        if self._stopped:
            work.close()
            raise UsageError("the client is closed")
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError("the client cannot wait for itself: this was called from its own event loop")
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        runner = _Runner(work, outcome)
        self._loop.call_soon_threadsafe(runner.start)
        try:
            concurrent.futures.wait((outcome,))
        except BaseException:
            self._loop.call_soon_threadsafe(runner.cancel)
            concurrent.futures.wait((outcome,))
            raise
        return outcome.result()

    def stop(self) -> None:
        """Ends what is under way, the loop and its thread."""
        self.run(_cancel_the_others())
        self._stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _Runner:
    """Carries one coroutine onto the loop and its outcome back."""

    def __init__(self, work: Coroutine[Any, Any, T], outcome: concurrent.futures.Future[T]) -> None:
        self._work = work
        self._outcome: concurrent.futures.Future[Any] = outcome
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work)
        self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._outcome.set_exception(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())


_lock = threading.Lock()
_current: Background | None = None


def hold() -> Background:
    """Returns the background of this process, started where it does not run. Give it back with `release`."""
    global _current  # noqa: PLW0603 - there is one per process
    with _lock:
        if _current is None:
            _current = Background()
        _current.holders += 1
        return _current


def release(background: Background) -> None:
    """Gives a background back; the last one to do so ends it."""
    global _current  # noqa: PLW0603 - there is one per process
    with _lock:
        background.holders -= 1
        if background.holders or not background.is_here:
            return
        _current = None
    background.stop()


def _forget() -> None:
    """Makes a forked process begin without the thread and the lock of its parent."""
    global _current, _lock
    _current, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
