r"""Finds the line on which each key of a TOML text stands, so that an error can name it.

`tomllib` gives values without places. A TOML text is a sequence of statements (a table header, or a key with its
value), and each of them is a TOML text of its own: so the statements are found by asking `tomllib` itself how many
lines it takes until they can be read, and no second grammar of TOML is needed here.

>>> lines_of_keys('[node]\nname = "units"\n[[skills]]\nid = "a"\n')[("skills", 0, "id")]
4
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]
"""A key as the parsed text leads to it: `("skills", 0, "model")`."""


def lines_of_keys(text: str) -> Mapping[KeyPath, int]:
    """Returns the line, from 1, of each table, key and element of a text that `tomllib` reads without error.

    Elements of an array or a table that is written in one statement all have the line of that statement.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    table_counts: dict[KeyPath, int] = {}
    for number, statement, is_header in _statements(text):
        if is_header:
            table = _header_path(statement, table_counts=table_counts)
            _note(lines, table, line=number)
        else:
            for path in _paths(statement):
                _note(lines, (*table, *path), line=number)
    return lines


def line_of(path: KeyPath, *, lines: Mapping[KeyPath, int]) -> int | None:
    """Returns the line of a key, or of the nearest table around it that is written; None where there is none."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def _note(lines: dict[KeyPath, int], path: KeyPath, *, line: int) -> None:
    for end in range(1, len(path) + 1):
        lines.setdefault(path[:end], line)


def _statements(text: str) -> Iterator[tuple[int, dict[str, Any], bool]]:
    """Yields each statement: the line on which it begins, what it says by itself, and whether it opens a table."""
    pending: list[str] = []
    begin = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not pending:
            begin = number
        pending.append(line)
        try:
            statement = tomllib.loads("\n".join(pending))
        except tomllib.TOMLDecodeError:
            continue
        if statement:
            yield begin, statement, pending[0].lstrip().startswith("[")
        pending.clear()


def _header_path(statement: dict[str, Any], *, table_counts: dict[KeyPath, int]) -> KeyPath:
    """Returns the table that a header opens; a new element of an array of tables is counted in `table_counts`."""
    path: KeyPath = ()
    inner: Any = statement
    while inner:
        if isinstance(inner, list):
            table_counts[path] = table_counts.get(path, -1) + 1
            return (*path, table_counts[path])
        if path in table_counts:
            path = (*path, table_counts[path])
        (key, inner), *_ = inner.items()
        path = (*path, key)
    return path


def _paths(value: object, *, prefix: KeyPath = ()) -> Iterator[KeyPath]:
    """Yields the path of each key and element within a value."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield (*prefix, key)
        yield from _paths(child, prefix=(*prefix, key))
