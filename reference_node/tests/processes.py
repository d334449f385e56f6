"""Nodes as processes: started with the command of the user, asked over a socket, ended by their id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A `consilience-node serve` that takes asks, and the folder in which it writes."""

    process: subprocess.Popen[bytes]
    folder: Path
    address: str

    @property
    def output(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Returns the exit code; a signal that killed the process is negative."""
        return self.process.wait(STOP_SECONDS)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "consilience_node", *map(str, arguments)]


def run(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
        env=os.environ | dict(environment or {}),
    )


@contextmanager
def serving(
    *arguments: str | Path, folder: Path, verb: str = "serve", address: str = "127.0.0.1:0"
) -> Iterator[NodeProcess]:
    """Runs a node, on any free port unless one is named, with its state in `folder`, until the block ends."""
    folder.mkdir(exist_ok=True)
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    words = command(verb, "--address", address, "--state-folder", folder / "state", "--ready-file", ready)
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [*words, *map(str, arguments)], stdout=out, stderr=err, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
    try:
        yield NodeProcess(process, folder, _address(process, ready))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], ready: Path) -> str:
    """Waits until the node takes asks, and returns its address."""
    give_up = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > give_up:
            raise AssertionError(f"the node did not start: {(ready.parent / 'stderr').read_text()}")
        time.sleep(0.02)
    return ready.read_text().strip()
