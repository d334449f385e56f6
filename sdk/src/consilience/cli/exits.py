"""Exit codes: what the shell is told about each error and outcome."""

import enum

from consilience.asks import Outcome
from consilience.errors import ConsilienceError, ProtocolError, RefusedError, TransportError


class Exit(enum.IntEnum):
    """The exit codes, as `consilience --help` lists them."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    REFUSED = 3
    NO_ANSWER = 4
    PROTOCOL_BROKEN = 5
    NOT_ANSWERED = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    OUTPUT_LEFT = 141
    TERMINATED = 143


MEANINGS = {
    Exit.OK: "the question was answered; every check held",
    Exit.CHECK_FAILED: "verify: a check failed, or the question is not in the file",
    Exit.USAGE: "the command, an argument or a file is wrong, or the output cannot be written",
    Exit.REFUSED: "the node refused",
    Exit.NO_ANSWER: "the node did not answer: unreachable, connection lost, out of time",
    Exit.PROTOCOL_BROKEN: "the node broke the protocol; do not rely on what it sent",
    Exit.NOT_ANSWERED: "the node abstained, asked back, was cut short or failed: not ANSWERED",
    Exit.HUNG_UP: "the terminal was closed; the ask was cancelled",
    Exit.INTERRUPTED: "interrupted; the ask was cancelled",
    Exit.OUTPUT_LEFT: "whoever read the output left; the ask was cancelled",
    Exit.TERMINATED: "ended by SIGTERM; the ask was cancelled",
}


def exit_code_list() -> str:
    r"""Returns the exit codes for the help, in the markup of click: `\b` keeps the lines as they are."""
    lines = (f"  {code:>3}  {MEANINGS[code]}" for code in Exit)
    return "\n".join(("\b", "Exit codes:", *lines))


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
