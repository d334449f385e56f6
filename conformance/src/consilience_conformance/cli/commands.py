"""The command group, and the one place where an error becomes words and an exit code.

Exit codes::

    0    the node passed
    1    a requirement failed
    2    the list of known failures is stale
    3    too little ran: nothing was judged, or not what was asked for by name
    4    the node is not reachable, or not prepared for what was asked
    5    the suite itself failed
    64   the command line is wrong
    130  broken off by Ctrl-C
"""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any, NoReturn

import click

from consilience_conformance.callers import TesterKeyError
from consilience_conformance.cli.terminal import say, sentence
from consilience_conformance.grants import GrantError
from consilience_conformance.known_failing import KnownFailingError
from consilience_conformance.line_protocol.lines import CommandBreach
from consilience_conformance.peers.places import PlaceError
from consilience_conformance.planning import NotPreparedError
from consilience_conformance.report.printable import printable
from consilience_conformance.selection import NoCheckError, UnknownNameError
from consilience_conformance.targets import AddressError, UnreachableError
from consilience_conformance.verdicts import Exit

USAGE = 64
"""That of a command line that is none: 2, which click would take, means a stale list here."""

INTERRUPTED = 130

NOT_JUDGED = (UnreachableError, NotPreparedError, GrantError, TesterKeyError, PlaceError)
"""The errors by which a run ends before it has begun, although its command line is one."""

_NOT_TAKEN = frozenset({errno.EPIPE, errno.ENOSPC})
"""Whoever was to take the output did not: no fault of ours."""

_CODES: dict[type[Exception], int] = {
    AddressError: USAGE,
    UnknownNameError: USAGE,
    KnownFailingError: USAGE,
    NoCheckError: Exit.TOO_LITTLE,
    CommandBreach: Exit.UNREACHABLE,
    **dict.fromkeys(NOT_JUDGED, Exit.UNREACHABLE),
}


class Commands(click.Group):
    """A group that tells each error in words; no stack trace reaches a user."""

    def main(self, *words: Any, **options: Any) -> NoReturn:  # noqa: ANN401 - click's own
        """Runs one command and exits."""
        try:
            code = super().main(*words, **{**options, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            sys.exit(USAGE)
        except (click.Abort, KeyboardInterrupt):
            say("Broken off.", err=True)
            sys.exit(INTERRUPTED)
        except tuple(_CODES) as error:
            say(sentence(str(error)), err=True)
            sys.exit(next(code for kind, code in _CODES.items() if isinstance(error, kind)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not look like a verdict on the node
            if isinstance(error, OSError) and error.errno in _NOT_TAKEN:
                say(f"Not all could be written: {error.strerror}.", err=True)
                sys.exit(USAGE)
            say(_fault(error), err=True)
            sys.exit(Exit.SUITE_FAULT)
        sys.exit(code if isinstance(code, int) else 0)


def _fault(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return printable(
        f"The suite is at fault, not the node: {type(error).__name__}{place}: {str(error).rstrip('.')}. "
        "Please report this line with the command that you ran."
    )
