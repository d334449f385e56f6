"""Forks: commands in Python that start in a copy of a process which has imported them, so that none imports anew.

A self-test starts some hundred nodes and as many judges, and to import either takes longer than most runs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["consilience_conformance.cli", "consilience_node.cli"])


class Fork:
    """A command as a process. Made by `forked`; used on the loop that made it.

    Attributes:
        pid: Its id.
    """

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None  # noqa: S101 - it was started
        self.pid: int = process.pid
        self._process = process
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(process.sentinel, self._note_end)

    @property
    def returncode(self) -> int | None:
        """Its exit code, below zero for the signal that ended it; None: it runs."""
        return self._process.exitcode if self._ended.is_set() else None

    def kill(self) -> None:
        """Kills it."""
        self._process.kill()

    async def wait(self) -> int:
        """Waits until it is gone, and returns its exit code."""
        await self._ended.wait()
        return self._process.exitcode or 0

    def _note_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set()


def is_forkable(name: str) -> bool:
    """Tells whether a command is one that the packages installed here bring along."""
    return bool(entry_points(group="console_scripts", name=name))


def forked(name: str, words: Sequence[str], *, log: Path, own_session: bool = False) -> Fork:
    """Starts a command that `is_forkable`.

    Args:
        name: Of the command.
        words: What stands after its name.
        log: Gets what it writes, after what stands there already.
        own_session: Whether a Ctrl-C for this process leaves it alone.
    """
    process = _FORKS.Process(target=_run, args=(name, tuple(words), log, own_session), daemon=True)
    process.start()  # on the loop, whose thread alone reads how processes ended; the first waits for the imports
    return Fork(process)


def _run(name: str, words: tuple[str, ...], log: Path, own_session: bool) -> None:  # noqa: FBT001 - multiprocessing calls it
    if own_session:
        os.setsid()
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(written, stream.fileno())
    sys.argv = [name, *words]
    (script,) = entry_points(group="console_scripts", name=name)
    script.load()()
