"""Parameters: what an argument or an option may be, told before anything is sent.

Each function is the `type` of a click parameter, and its name is what the help calls the value.
"""

import os
from pathlib import Path

import click

from consilience.errors import AddressInvalidError
from consilience.identity import parse_node_id
from consilience.tariffs import is_id
from consilience.units import PublicKey

MAX_SECONDS = 366 * 86_400.0
"""A year: whoever waits longer does not wait."""

TOKENS = click.IntRange(0, 2**31 - 1)


def seconds(value: str | float) -> float:
    """Returns how long to wait.

    Raises:
        click.BadParameter: It is no number, or none that bounds anything.
    """
    try:
        number = float(value)
    except ValueError:
        raise click.BadParameter("it is no number of seconds") from None
    if not 0 < number <= MAX_SECONDS:  # "not a number" is in no range
        raise click.BadParameter(f"{number:g} is no time to wait: give seconds above 0, at most {MAX_SECONDS:.0f}")
    return number


def text(value: str) -> str:
    """Returns a text that can travel.

    Raises:
        click.BadParameter: It holds bytes that are no UTF-8.
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise click.BadParameter("it is no text in UTF-8") from None
    return value


def tag(value: str) -> str:
    """Returns the name of a domain or a skill; empty: none.

    Raises:
        click.BadParameter: No card can hold it.
    """
    if value and not is_id(value):
        raise click.BadParameter(f"{value!r} can be no name: write small letters, digits, and . _ - after the first")
    return value


def node_id(value: str) -> PublicKey:
    """Returns the key of a node that is named by its id, or by an address with the id in it.

    Raises:
        click.BadParameter: It is named by neither.
    """
    try:
        return parse_node_id(text(value).partition("@")[0])
    except AddressInvalidError as error:
        raise click.BadParameter(f"{error}; `consilience card ADDRESS` shows it") from None


def file(value: str) -> Path:
    """Returns the path of a file to write.

    Raises:
        click.BadParameter: It cannot be written.
    """
    path = Path(value)
    place = path if path.exists() else path.absolute().parent
    if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise click.BadParameter(f"{path} cannot be written; nothing was sent")
    return path
