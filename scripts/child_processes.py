"""Runs the tools of a task so that none outlives it: who interrupts the task ends pip, cmake and every compiler too.

Each tool gets a session of its own, and so a process group that one signal reaches whole. It is asked to end first,
because ninja keeps its compilers in groups that only ninja knows and ends.

Example:
    >>> unwind_when_told_to_end()
    >>> run(["make", "everything"])
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

_PATIENCE_S = 10.0
_LOOK_INTERVAL_S = 0.05
_SIGNAL_EXIT = 128
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Command = Sequence[str | Path]


def unwind_when_told_to_end() -> None:
    """Makes SIGTERM and the end of the terminal unwind this process as Ctrl-C does, so that its tools are ended."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)


def run(command: Command, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Runs a tool to its end, in our environment or another; its words go where this process writes.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    with running(command, cwd=cwd, env=env) as process:
        process.wait()
    _require_success(process)


def output_of(command: Command, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Runs a tool to its end, in our environment or another, and returns what it wrote on standard output.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    with running(command, cwd=cwd, env=env, stdout=subprocess.PIPE) as process:
        output, _ = process.communicate()
    _require_success(process)
    return output.decode()


@contextlib.contextmanager
def running(
    command: Command,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | None = None,
    patience_s: float = _PATIENCE_S,
) -> Iterator[subprocess.Popen[bytes]]:
    """Yields a tool that runs; what is left of it and of all that it started is ended with the block. Main thread only.

    Args:
        command: The tool and its arguments.
        cwd: Where it runs; None: here.
        env: Its environment; None: ours.
        stdout: As for `subprocess.Popen`.
        stderr: As for `subprocess.Popen`.
        patience_s: Seconds that it gets to end by itself. Who runs tools within tools gives the outer one longer.
    """
    with contextlib.ExitStack() as started:
        with _signals_held_back():  # or a tool that runs already is not known yet, and outlives us
            process = subprocess.Popen(command, cwd=cwd, env=env, stdout=stdout, stderr=stderr, start_new_session=True)
            started.callback(_end_group, process, patience_s=patience_s)
        yield process


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Lets signals that tell us to end wait until after the block."""
    held: list[int] = []
    before = {number: signal.signal(number, lambda number, _: held.append(number)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for heard in held:
            signal.raise_signal(heard)


def _end_group(process: subprocess.Popen[bytes], *, patience_s: float) -> None:
    """Asks the group to end, waits until nobody is left in it, and kills who does not listen."""
    give_up = time.monotonic() + patience_s
    try:
        _signal_group(process, signal.SIGTERM)
        while time.monotonic() < give_up and _signal_group(process, 0):
            time.sleep(_LOOK_INTERVAL_S)
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Sends a signal to everyone in the group; returns whether there was anyone."""
    process.poll()  # one that has ended counts until it has been waited for
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _require_success(process: subprocess.Popen[bytes]) -> None:
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, process.args)


def _unwind(number: int, _: object) -> None:
    sys.exit(_SIGNAL_EXIT + number)
