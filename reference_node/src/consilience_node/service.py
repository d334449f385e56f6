"""Serving: a node from the moment its models load to the end of its drain, as one process with its signals.

The first SIGTERM or SIGINT lets running asks finish and refuses new ones; the second one ends them at once, each with a
signed Final that says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from consilience.conformance import SCRIPT_SKILL_ID
from consilience.errors import UsageError
from consilience.server import RunningNode
from consilience.server.store.contract import StoreLockedError
from consilience_node.app import assembled
from consilience_node.books import held_for_payers
from consilience_node.config import Config
from consilience_node.metrics import NodeMetrics, serving_metrics
from consilience_node.state import StateFolder, StateFolderInUseError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOG = structlog.get_logger("consilience_node.service")
_HELD = (
    "payers have money in sessions with this node and cannot take it back: keep [payments], without prices, until they"
    " have withdrawn it"
)


class DrainCutShortError(Exception):
    """A second signal came while running asks were finishing; `number` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{signal.Signals(number).name} cut the drain short")
        self.number = number


async def serve(
    config: Config, *, ready: Callable[[RunningNode, str | None], None], ready_file: Path | None = None
) -> None:
    """Serves until a signal comes, then drains.

    Args:
        config: What is to be served.
        ready: Is called once the node takes asks, with the node and the `host:port` of its metrics.
        ready_file: Holds the node's address while it takes asks; whoever waits for the file finds it whole.

    Raises:
        DrainCutShortError: A second signal came.
        UsageError: The address, the address of the metrics or the ready file cannot be used.
        EngineError, KnowledgeError: A model or a source cannot be used.
        StateFolderInUseError: Another node works on the state folder.
        KeyFileError, StoreError: The state of the node cannot be used.
    """
    shutdown = _Shutdown()
    metrics = NodeMetrics()
    _withdraw(ready_file)  # an earlier life may have been killed and have left it behind
    try:
        async with assembled(config, metrics=metrics) as node:
            running = node.serving(config.node.address, advertise=config.node.advertise)
            async with running:
                if config.payments is None and (held := await held_for_payers(config)):
                    _LOG.warning(_HELD, held=", ".join(map(str, held)))
                with ExitStack() as stack:
                    metrics_address = stack.enter_context(_metrics(metrics, address=config.metrics.address))
                    stack.enter_context(_announced(running.address, file=ready_file))
                    shutdown.serving = True
                    if config.conformance.enabled:
                        _LOG.warning("testers with a grant write what this node answers", skill=SCRIPT_SKILL_ID)
                    ready(running, metrics_address)
                    await shutdown.requested.wait()
                await _drain(running, shutdown=shutdown)
    except StoreLockedError as error:
        folder = StateFolder.of(config).path
        raise StateFolderInUseError(f"another node works on the state folder {folder}") from error
    except asyncio.CancelledError:
        if not shutdown.requested.is_set():
            raise
        _LOG.info("stopped before it served")
    if (number := shutdown.insisted) is not None:
        raise DrainCutShortError(number)


class _Shutdown:
    """What the signals of this process ask for."""

    def __init__(self) -> None:
        """Listens from now on; a signal that comes before the node serves cancels the task that starts it."""
        self.requested = asyncio.Event()
        self.hurried = asyncio.Event()
        self.insisted: int | None = None
        self.serving = False
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._hear, number)

    def _hear(self, number: int) -> None:
        if self.requested.is_set():
            self.insisted = number
            self.hurried.set()
        self.requested.set()
        if not self.serving and self._starting is not None:
            self._starting.cancel()


async def _drain(running: RunningNode, *, shutdown: _Shutdown) -> None:
    _LOG.info("draining", running_asks=running.running_asks)
    drain = asyncio.create_task(running.stop())
    hurried = asyncio.create_task(shutdown.hurried.wait())
    await asyncio.wait({drain, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not drain.done():
        running.hurry()
    await drain
    _LOG.info("stopped")


@contextmanager
def _metrics(metrics: NodeMetrics, *, address: str | None) -> Iterator[str | None]:
    if address is None:
        yield None
        return
    host, _, port = address.rpartition(":")
    with ExitStack() as stack:
        try:
            chosen = stack.enter_context(serving_metrics(metrics, host=host.strip("[]"), port=int(port)))
        except OSError as error:
            raise UsageError(f"cannot serve metrics on {address}: {error.strerror or error}") from error
        yield f"{host}:{chosen}"


@contextmanager
def _announced(address: str, *, file: Path | None) -> Iterator[None]:
    """Writes the address into a file, whole or not at all, and takes the file away at the end."""
    if file is None:
        yield
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(f"{address}\n", encoding="ascii")
        temporary.replace(file)
    except OSError as error:
        raise UsageError(f"cannot write the ready file {file}: {error.strerror}") from error
    try:
        yield
    finally:
        _withdraw(file)


def _withdraw(file: Path | None) -> None:
    if file is not None:
        file.unlink(missing_ok=True)
