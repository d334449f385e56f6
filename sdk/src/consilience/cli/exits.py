"""Exit codes: what the shell is told about each error and outcome."""

import enum

from consilience.asks import Outcome
from consilience.errors import ConsilienceError, ProtocolError, RefusedError, TransportError


class Exit(enum.IntEnum):
    """The exit codes, as the package documents them."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    REFUSED = 3
    NO_ANSWER = 4
    PROTOCOL_BROKEN = 5
    NOT_ANSWERED = 6
    INTERRUPTED = 130


def exit_of_error(error: ConsilienceError) -> Exit:
    """Returns the exit code of an error."""
    match error:
        case RefusedError():
            return Exit.REFUSED
        case TransportError():
            return Exit.NO_ANSWER
        case ProtocolError():
            return Exit.PROTOCOL_BROKEN
        case _:
            return Exit.USAGE


def exit_of_outcome(outcome: Outcome) -> Exit:
    """Returns the exit code of an answer."""
    return Exit.OK if outcome is Outcome.ANSWERED else Exit.NOT_ANSWERED
