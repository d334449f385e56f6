"""Exits: what an operator can repair, as a message and an exit code; a traceback is for defects alone."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from consilience.errors import ConsilienceError, KeyFileError
from consilience.server.payments.books import BooksError
from consilience.server.store.contract import StoreError
from consilience_node.config import ConfigError
from consilience_node.engines import EngineError
from consilience_node.knowledge.errors import KnowledgeError
from consilience_node.service import DrainCutShortError

_SIGNAL_EXIT = 128


class Exit(enum.IntEnum):
    """The exit codes of what can be repaired, as `cli` documents them."""

    USAGE = 2
    MODEL = 3
    KNOWLEDGE = 4
    ADDRESS = 5
    STATE = 6


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
        _fail(f"{error}\n{error.remedy}", Exit.STATE)
    except ConsilienceError as error:
        _fail(str(error), Exit.ADDRESS)
    except DrainCutShortError as error:
        sys.exit(_SIGNAL_EXIT + error.number)


def _fail(message: str, code: Exit) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
