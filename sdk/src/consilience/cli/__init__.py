"""The command line: `consilience keys|card|ask|verify|prices|wallet|sessions|receipts|trust` (extra `[cli]`).

Its exit codes are in `exits.py`; `consilience --help` lists them.
"""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Runs the command line, or says which extra is missing."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what grpc itself would say is no news to a person
    signal.signal(signal.SIGINT, _leave)
    try:
        from consilience.cli.app import run  # noqa: PLC0415 - the base is installed without click and rich
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        print("The command line needs an extra: pip install 'consilience[cli]'", file=sys.stderr)
        sys.exit(2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run())


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Ends the process at once: while modules are imported there is nothing to close, and an exception may be lost."""
    os.write(2, b"interrupted\n")
    os._exit(130)
