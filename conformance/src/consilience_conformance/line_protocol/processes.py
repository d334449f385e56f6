"""The process of a command under test: a line in, a line out, within time and size, and nothing of it left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from consilience_conformance.line_protocol.lines import BreachKind, CommandBreach, excerpt

MAX_LINE_BYTES = 1 << 20
"""The longest line that is read from a command, its end included."""
MAX_STDERR_BYTES = 64 << 10
"""How much of what a command writes to standard error is kept: the end of it."""

_PIECE_BYTES = 64 << 10
_REAP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a command may take, in seconds.

    Attributes:
        start: From the start of the command to its handshake.
        reply: For each answer.
        end: From the end of its input to its own end.
        whole: For everything.
    """

    start: float = 60.0
    reply: float = 10.0
    end: float = 10.0
    whole: float = 300.0


class CommandProcess:
    """A running command. Made by `started`; used by one task.

    Attributes:
        lines: How many lines it has written so far.
    """

    def __init__(self, process: Process, *, budget: Budget) -> None:
        self._process = process
        self._budget = budget
        self._give_up = asyncio.get_running_loop().time() + budget.whole
        self._received = bytearray()
        self._errors = bytearray()
        self.lines = 0

    @property
    def stderr(self) -> str:
        """The end of what it wrote to standard error."""
        return self._errors.decode(errors="backslashreplace")

    async def exchange(self, line: bytes, *, seconds: float) -> bytes:
        """Writes a line and returns the line that answers it.

        Raises:
            CommandBreach: None came in time, one that is too long, or more than was asked for.
        """
        if self._received:
            raise self._unasked()
        async with self._within(seconds):
            # A command that does not read any more is told by what it writes: its end, or nothing.
            with contextlib.suppress(ConnectionError):
                self._stdin.write(line + b"\n")
                await self._stdin.drain()
            return await self._line()

    async def finish(self) -> None:
        """Ends the input and waits for the command to end.

        Raises:
            CommandBreach: It wrote more, went on, or ended with another exit code than 0.
        """
        self._stdin.close()
        async with self._within(self._budget.end, kind=BreachKind.NOT_ENDED, what="it did not end after its input"):
            self._received += await self._stdout.read(_PIECE_BYTES)
            if self._received:
                raise self._unasked()
            code = await self._process.wait()
        if code != 0:
            raise CommandBreach(
                f"after its last answer the command ended with {_ending(code)}, not with exit code 0",
                kind=BreachKind.ENDED_BADLY,
                line=self.lines,
            )

    async def keep_errors(self) -> None:
        """Reads standard error until its end, so that the command never waits for a reader."""
        stream = self._process.stderr
        while stream is not None and (piece := await stream.read(_PIECE_BYTES)):
            self._errors += piece
            del self._errors[:-MAX_STDERR_BYTES]

    async def kill(self) -> None:
        """Ends the command and all of its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # Its pipes are closed only once they were read to their end, and only then is it gone for asyncio.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REAP_SECONDS):
                while await self._stdout.read(_PIECE_BYTES):
                    continue
                await self._process.wait()

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        return self._process.stdin

    @property
    def _stdout(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        return self._process.stdout

    async def _line(self) -> bytes:
        while (end := self._received.find(b"\n")) < 0 and len(self._received) < MAX_LINE_BYTES:
            piece = await self._stdout.read(_PIECE_BYTES)
            if not piece:
                raise await self._ended_early()
            self._received += piece
        if end < 0 or end >= MAX_LINE_BYTES:
            raise CommandBreach(
                f"line {self.lines + 1} is longer than {MAX_LINE_BYTES} bytes: {excerpt(bytes(self._received))}",
                kind=BreachKind.LINE_TOO_LONG,
                line=self.lines + 1,
            )
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        self.lines += 1
        return line

    async def _ended_early(self) -> CommandBreach:
        code = await self._process.wait()
        rest = f" within {excerpt(bytes(self._received))}" if self._received else ""
        return CommandBreach(
            f"the output ended{rest} before line {self.lines + 1}: the command ended with {_ending(code)}",
            kind=BreachKind.ENDED_EARLY,
            line=self.lines + 1,
        )

    def _unasked(self) -> CommandBreach:
        return CommandBreach(
            f"line {self.lines + 1} was not asked for: {excerpt(bytes(self._received))}",
            kind=BreachKind.UNASKED,
            line=self.lines + 1,
        )

    @contextlib.asynccontextmanager
    async def _within(
        self, seconds: float, *, kind: BreachKind = BreachKind.SILENT, what: str = ""
    ) -> AsyncIterator[None]:
        left = self._give_up - asyncio.get_running_loop().time()
        limit = f"{seconds:g} s" if seconds <= left else f"the {self._budget.whole:g} s of the whole run"
        try:
            async with asyncio.timeout(min(seconds, left)):
                yield
        except TimeoutError as error:
            what = what or f"line {self.lines + 1} did not come"
            raise CommandBreach(f"{what} within {limit}", kind=kind, line=self.lines + 1) from error


@contextlib.asynccontextmanager
async def started(command: str | Sequence[str], *, budget: Budget) -> AsyncIterator[CommandProcess]:
    """Runs a command, without a shell and in a process group of its own, and kills it on the way out.

    Args:
        command: A command line, split as a shell does, or its words.
        budget: How long it may take.

    Raises:
        CommandBreach: It cannot be started.
    """
    try:
        program, *arguments = _words(command)
        # A session of its own keeps Ctrl-C from it: the suite ends it, and not the terminal.
        process = await asyncio.create_subprocess_exec(
            program, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        shown = command if isinstance(command, str) else shlex.join(command)
        raise CommandBreach(
            f"cannot start {excerpt(shown)}, which has to be a program and its arguments: {error}",
            kind=BreachKind.NOT_STARTED,
        ) from error
    running = CommandProcess(process, budget=budget)
    errors = asyncio.create_task(running.keep_errors())
    try:
        yield running
    finally:
        await running.kill()
        await asyncio.wait([errors], timeout=_REAP_SECONDS)
        errors.cancel()


def _words(command: str | Sequence[str]) -> list[str]:
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise ValueError("it is empty")
    return words


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
