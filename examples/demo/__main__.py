"""The entry of `make demo`: quiet about Ctrl-C from its first moment, before the SDK is imported."""

import os
import signal
import sys
from types import FrameType

_INTERRUPTED = 130


def _main() -> int:
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, _leave)
    from examples.demo.run import main  # noqa: PLC0415 - takes a second, in which Ctrl-C counts

    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Ends the process at once: nothing has begun that would have to be closed."""
    os.write(2, b"interrupted before it began\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(_main())
