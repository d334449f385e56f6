"""Interrupts: whatever asks a command to end does what Ctrl-C does, so that no node works on for nobody."""

import logging
import signal
from types import FrameType

from consilience.cli.exits import Exit

_EXITS = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}
if hasattr(signal, "SIGHUP"):  # not on every system
    _EXITS[signal.SIGHUP] = Exit.HUNG_UP


class Interrupts:
    """The signals that end this process; what goes on when one comes is cancelled, as by Ctrl-C."""

    def __init__(self) -> None:
        self._last = signal.SIGINT

    def heed(self) -> None:
        """Heeds them from now on, but for those that whoever started the process had it ignore."""
        for number in _EXITS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._pass_on)
        logging.getLogger("asyncio").addFilter(_is_no_interrupt)

    def end(self) -> None:
        """Lets another Ctrl-C do nothing from now on: the command has been left, and nothing is running any more."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    @property
    def exit(self) -> Exit:
        """The exit code that tells which one came."""
        return _EXITS[self._last]

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._last = signal.Signals(number)
        signal.raise_signal(signal.SIGINT)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    """Tells whether a record is of anything but a second Ctrl-C, which ends the task in whose turn it came."""
    return record.exc_info is None or not isinstance(record.exc_info[1], KeyboardInterrupt)
