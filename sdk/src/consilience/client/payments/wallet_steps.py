"""The steps of a wallet on the disk: one thread takes them in their order, and what waits goes to the disk together.

A transaction that reaches the disk costs milliseconds whether it carries one step or twenty, so the asks of a program
that run at once share theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from consilience.client.payments.wallet_file import WalletFile
from consilience.errors import WalletFileError

R = TypeVar("R")

MAX_GROUP = 64
"""Steps of one transaction, so that the first of them does not wait for ever new ones."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Step:
    """What is to be done, who waits for it, and how it went."""

    run: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class WalletSteps:
    """Takes the steps of a wallet, for any number of event loops. The thread starts with the first step.

    Args:
        file: Where the wallet is kept.
    """

    def __init__(self, file: WalletFile) -> None:
        self._file = file
        self._waiting: SimpleQueue[_Step | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None
        self._closed = False

    async def take(self, run: Callable[[], R]) -> R:
        """Returns what a step returns, or raises what it raises, once it is on the disk.

        Raises:
            WalletFileError: The file cannot be written, or the wallet is closed.
        """
        loop = asyncio.get_running_loop()
        step = _Step(run=run, loop=loop, future=loop.create_future())
        with self._starting:
            if self._closed:
                raise WalletFileError(f"the wallet {self._file.path} is closed")
            if self._thread is None:
                self._thread = Thread(target=self._work, name="consilience-wallet", daemon=True)
                self._thread.start()
            self._waiting.put(step)
        result: R = await step.future
        return result

    def close(self) -> None:
        """Takes the steps that wait, and ends the thread."""
        with self._starting:
            self._closed = True
            self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        more = True
        while more:
            steps, more = self._next()
            self._take(steps)
            for loop in {step.loop for step in steps}:
                with suppress(RuntimeError):  # the loop is closed, so nobody waits
                    loop.call_soon_threadsafe(_tell, [step for step in steps if step.loop is loop])

    def _next(self) -> tuple[list[_Step], bool]:
        """Waits for a step, takes what else is there, and tells whether more may come."""
        steps: list[_Step] = []
        step = self._waiting.get()
        with suppress(Empty):
            while step is not None:
                steps.append(step)
                if len(steps) == MAX_GROUP:
                    break
                step = self._waiting.get_nowait()
        return steps, step is not None

    def _take(self, steps: list[_Step]) -> None:
        try:
            with self._file.transaction():
                for step in steps:
                    self._run(step)
        except WalletFileError as error:  # nothing of the group was kept
            for step in steps:
                step.error = error

    def _run(self, step: _Step) -> None:
        """Takes a step, and takes it back alone where it fails."""
        try:
            with self._file.step():
                step.result = step.run()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever wanted the step
            step.error = error


def _tell(steps: list[_Step]) -> None:
    """Hands the results out, on the event loop; whoever was cancelled meanwhile waits no more."""
    for step in steps:
        if step.future.done():
            continue
        if step.error is not None:
            step.future.set_exception(step.error)
        else:
            step.future.set_result(step.result)
