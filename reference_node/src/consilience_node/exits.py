"""Exits: what an operator can repair, as a message and an exit code; a traceback is for defects alone."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from consilience.cli.streams import abandon_output
from consilience.errors import ConsilienceError, KeyFileError
from consilience.server.payments.books import BooksError
from consilience.server.store.contract import StoreError
from consilience_node.config import ConfigError
from consilience_node.engines import EngineError
from consilience_node.knowledge.errors import KnowledgeError
from consilience_node.service import DrainCutShortError

_SIGNAL_EXIT = 128

_KEY_REMEDY = (
    "Check the file that the message names and its mode, 0600. A damaged key has to come back from a copy: with a key"
    " made anew it would be another node."
)
"""Where the library would have an asker make a key."""


class Exit(enum.IntEnum):
    """The exit codes of what can be repaired, as `cli` documents them."""

    USAGE = 2
    MODEL = 3
    KNOWLEDGE = 4
    ADDRESS = 5
    STATE = 6
    OUTPUT_LEFT = 141


def say(text: str) -> None:
    """Writes a line to standard output, or ends in words where it cannot be written."""
    with writing_output():
        click.echo(text)


@contextlib.contextmanager
def writing_output() -> Iterator[None]:
    """Ends the process, without a traceback, where standard output cannot be written or its reader has left."""
    try:
        yield
    except BrokenPipeError:
        abandon_output()
        sys.exit(Exit.OUTPUT_LEFT)
    except OSError as error:
        abandon_output()
        _fail(f"standard output cannot be written: {error.strerror}", Exit.ADDRESS)


@contextlib.contextmanager
def told_in_words() -> Iterator[None]:
    """Turns what an operator can repair into a message and an exit code."""
    try:
        yield
    except ConfigError as error:
        _fail(str(error), Exit.USAGE)
    except BooksError as error:
        _fail(f"{error}\n{error.remedy}", Exit.USAGE)
    except EngineError as error:
        _fail(str(error), Exit.MODEL)
    except KnowledgeError as error:
        _fail(str(error), Exit.KNOWLEDGE)
    except (KeyFileError, StoreError) as error:
        remedy = _KEY_REMEDY if type(error) is KeyFileError else error.remedy
        _fail(f"{error}\n{remedy}", Exit.STATE)
    except ConsilienceError as error:
        _fail(str(error), Exit.ADDRESS)
    except DrainCutShortError as error:
        sys.exit(_SIGNAL_EXIT + error.number)


def _fail(message: str, code: Exit) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
