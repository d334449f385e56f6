"""The command line: `consilience keys|card|ask|verify` (extra `[cli]`).

Exit codes:
    0   the question was answered; the check held
    1   `verify`: a check failed
    2   the command or an argument is wrong; nothing was sent
    3   the node refused
    4   the node did not answer: unreachable, connection lost, out of time
    5   the node broke the protocol; do not rely on what it sent
    6   the node answered, and the outcome is not ANSWERED: it abstained, asked back, was cut short, failed
    130 interrupted; the ask was cancelled
"""

import os
import sys


def main() -> None:
    """Runs the command line, or says which extra is missing."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what grpc itself would say is no news to a person
    try:
        from consilience.cli.app import run  # noqa: PLC0415 - the base is installed without click and rich
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        print("The command line needs an extra: pip install 'consilience[cli]'", file=sys.stderr)
        sys.exit(2)
    sys.exit(run())
