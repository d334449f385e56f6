"""The entry of `consilience-node`: quiet about Ctrl-C from its first moment, before the node is imported."""

from __future__ import annotations

import os
import signal
from types import FrameType

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line."""
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, _leave)
    from consilience_node.cli import main as commands  # noqa: PLC0415 - takes a second, in which Ctrl-C counts

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    commands(prog_name="consilience-node")


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Ends the process at once: nothing has begun that would have to be closed."""
    os.write(2, b"stopped before it began\n")
    os._exit(_INTERRUPTED)
