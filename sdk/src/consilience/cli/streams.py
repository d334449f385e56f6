"""Standard streams: closed, full or of another encoding, they never end a command in a stack trace."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator

import click

_STANDARD = (0, 1, 2)


class OutputLeftError(Exception):
    """Whoever read standard output has left. It is no OSError, for click would make exit code 1 of that."""


def prepare_streams() -> None:
    """Keeps the numbers of closed streams from sockets, and makes every text writable in the stream's encoding."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def noticing_who_leaves() -> Iterator[None]:
    """Turns a broken pipe into `OutputLeftError`."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        raise OutputLeftError from error


def flush_output() -> None:
    """Writes what is still buffered, while an error can be told."""
    if sys.stdout is not None:
        sys.stdout.flush()


def abandon_output() -> None:
    """Sends what is still buffered nowhere, so that the end of the process does not fail over it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def require_output() -> None:
    """Checks that an answer can be shown, before it is asked for.

    Raises:
        click.UsageError: Standard output is closed.
    """
    if sys.stdout is None:
        raise click.UsageError("standard output is closed; nothing was sent")


def read_input() -> str:
    """Returns the text on standard input.

    Raises:
        click.UsageError: It is closed, or no text.
    """
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError("standard input is no text in UTF-8") from None
