"""Printing: what peers say, shown as text and as nothing else.

A name, a quote or an answer comes from a stranger. It is never markup, and never moves the cursor of a terminal.
"""

import sys
import unicodedata
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consilience.cli.streams import OutputLeftError

_LINES = {"\n", "\t"}
_JOINERS = {"\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"}
"""Without them many scripts and emoji cannot be written; they hide and turn nothing."""
_VISIBLE_FORMATS = set(map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)))
"""Signs that enclose the digits or letters behind them, and are seen (Unicode: Prepended_Concatenation_Mark)."""
_KEPT = _LINES | _JOINERS | _VISIBLE_FORMATS
_TAGS = range(0xE0000, 0xE0080)
"""A second alphabet that nobody sees; not all of it is assigned."""
_ACTING = {"Cc", "Cf"}
"""Controls, and format characters: what is not seen, and turns the order of text."""


class _Shown(dict[int, str]):
    """What each code point is shown as, found out when it first comes."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        acts = code in _TAGS or (unicodedata.category(letter) in _ACTING and letter not in _KEPT)
        shown = self[code] = "\N{REPLACEMENT CHARACTER}" if acts else letter
        return shown


_SHOWN = _Shown()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves to the command what it means that nobody reads: rich itself would end with 1."""
        raise OutputLeftError


def console(*, stderr: bool = False, highlight: bool = True) -> Console:
    """Returns what shows tables and colours on standard output, or on standard error."""
    return _Console(stderr=stderr, highlight=highlight)


def printable(text: str) -> str:
    """Returns a text in which nothing acts unseen.

    The controls of a terminal and the format characters of Unicode, which are not seen or turn the order of text, are
    shown as U+FFFD; joiners and signs around numbers stay.
    """
    return text.translate(_SHOWN)


def for_stdout(text: str) -> str:
    """Returns a text as it goes to standard output: to the letter for a file or a pipe, printable for a terminal."""
    return printable(text) if sys.stdout.isatty() else text


def cell(text: str, *, style: str = "") -> Text:
    """Returns a text as the cell of a table."""
    return Text(printable(text), style=style)


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Returns names and values, one pair a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        table.add_row(name, cell(value))
    return table
