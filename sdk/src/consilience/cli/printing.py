"""Printing: what peers say, shown as text and as nothing else.

A name, a quote or an answer comes from a stranger. It is never markup, and never moves the cursor of a terminal.
"""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consilience.cli.streams import OutputLeftError

_SHOWN = {"\n", "\t"}
_TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Embeddings, overrides and isolates, which show text in another order than it has."""
_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(0x20), *range(0x7F, 0xA0), *_TURNING)
    if chr(code) not in _SHOWN
}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves to the command what it means that nobody reads: rich itself would end with 1."""
        raise OutputLeftError


def console(*, stderr: bool = False, highlight: bool = True) -> Console:
    """Returns what shows tables and colours on standard output, or on standard error."""
    return _Console(stderr=stderr, highlight=highlight)


def printable(text: str) -> str:
    """Returns a text in which control characters cannot act: escape sequences, and what turns the order of text."""
    return text.translate(_CONTROLS)


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
