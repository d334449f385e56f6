"""The processes of the demo: a registry and two nodes. Their state and logs lie in one folder, and they end with us."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.child_processes import running

READY_SECONDS = 60.0
CONFIGURATIONS = Path(__file__).parent


class DemoError(Exception):
    """The demo cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A process that serves.

    Attributes:
        name: What the demo calls it.
        process_id: Of the operating system.
        address: Where it serves.
    """

    name: str
    process_id: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """All processes of the demo."""

    registry: Started
    generalist: Started
    specialist: Started


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Starts a registry and two nodes, of which one brings its card to the registry, and ends them with the block.

    Args:
        folder: For their state and logs.

    Raises:
        DemoError: One of them did not start.
    """
    with contextlib.ExitStack() as started:
        registry = started.enter_context(_starting("registry", "registry", "--address", "127.0.0.1:0", folder=folder))
        generalist = started.enter_context(_starting("generalist", *_node("generalist"), folder=folder))
        known = _ready("registry", registry, folder=folder)
        specialist = started.enter_context(
            _starting("specialist", *_node("specialist"), "--registry", known.address, folder=folder)
        )
        yield Network(
            registry=known,
            generalist=_ready("generalist", generalist, folder=folder),
            specialist=_ready("specialist", specialist, folder=folder),
        )


def _node(name: str) -> tuple[str, ...]:
    return "serve", "--config", str(CONFIGURATIONS / f"{name}.toml")


@contextlib.contextmanager
def _starting(name: str, *words: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts `consilience-node` with some words, and ends it with the block."""
    command = [sys.executable, "-m", "consilience_node", *words, "--ready-file", str(folder / name)]
    environment = os.environ | {"XDG_STATE_HOME": str(folder / f"{name}-state")}
    with (
        (folder / f"{name}.log").open("wb") as log,
        running(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        yield process


def _ready(name: str, process: subprocess.Popen[bytes], *, folder: Path) -> Started:
    """Waits for the address that a process writes when it serves."""
    ready = folder / name
    give_up = time.monotonic() + READY_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > give_up:
            log = (folder / f"{name}.log").read_text(errors="replace").strip()
            raise DemoError(f"the {name} did not start; it said:\n{log}")
        time.sleep(0.05)
    return Started(name=name, process_id=process.pid, address=ready.read_text().strip())
