"""Lines: what a command under test writes, read without mercy, and how it fails to take part.

>>> answer_to(b'{"id": 7, "refused": "CALL_EXPIRED"}', number=7, line=8)["refused"]
'CALL_EXPIRED'
"""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Mapping
from typing import Any

_EXCERPT_CHARACTERS = 160
_LEVELS = 16


class BreachKind(enum.StrEnum):
    """How a command failed to take part, whatever it knows of the protocol under test."""

    NOT_STARTED = "NOT_STARTED"
    """The command cannot be run."""
    SILENT = "SILENT"
    """A line did not come in time."""
    ENDED_EARLY = "ENDED_EARLY"
    """The output ended before the last answer."""
    LINE_TOO_LONG = "LINE_TOO_LONG"
    """A line is longer than the suite reads."""
    MALFORMED = "MALFORMED"
    """A line is no JSON object, or not one of those that the protocol has."""
    ID_WRONG = "ID_WRONG"
    """An answer to another question."""
    UNASKED = "UNASKED"
    """More output than one line per question."""
    PROTOCOL_UNKNOWN = "PROTOCOL_UNKNOWN"
    """The command speaks another protocol or version."""
    NOT_ENDED = "NOT_ENDED"
    """The command went on after the end of its input."""
    ENDED_BADLY = "ENDED_BADLY"
    """The command ended with another exit code than 0, after its last answer."""


class CommandBreach(Exception):
    """The command broke the protocol between it and the suite, so nothing more can be asked.

    Attributes:
        kind: In what way.
        line: Number of the line of its output, from 1, where it happened; 0 where it wrote none.
    """

    def __init__(self, message: str, *, kind: BreachKind, line: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.line = line


def excerpt(text: str | bytes) -> str:
    """Returns the beginning of what a command wrote, in characters that every terminal can show."""
    start = text[:_EXCERPT_CHARACTERS]
    shown = start.decode(errors="backslashreplace") if isinstance(start, bytes) else start
    return f"{shown!a}{'…' if len(text) > len(start) else ''}"


def answer_to(text: bytes, *, number: int, line: int) -> dict[str, Any]:
    """Returns the object on a line that has to answer what was asked under a number.

    Raises:
        CommandBreach: The line is no JSON object of few levels, or answers another number.
    """
    try:
        content = json.loads(text.decode())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or _is_deep(content):
        raise malformed("the line is no JSON object in UTF-8 of few levels", text=text, line=line)
    given = content.get("id")
    if type(given) is not int or given != number:
        said = excerpt(json.dumps(given))
        raise CommandBreach(
            f"line {line} answers the id {said}, and {number} was asked", kind=BreachKind.ID_WRONG, line=line
        )
    return content


def _is_deep(value: object, *, levels: int = _LEVELS) -> bool:
    """Tells whether JSON is nested deeper than anything of this protocol: to write it again could fail."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(part, levels=levels - 1) for part in parts)


def refuse_other_fields(content: Mapping[str, Any], *, known: Collection[str], line: int) -> None:
    """Refuses fields that the protocol does not have.

    Raises:
        CommandBreach: There is one.
    """
    if others := [name for name in content if name not in known]:
        raise CommandBreach(
            f"line {line} holds {excerpt(others[0])}, which the protocol does not have",
            kind=BreachKind.MALFORMED,
            line=line,
        )


def malformed(rule: str, *, text: bytes, line: int) -> CommandBreach:
    """Returns the breach of a line that is not as a rule wants it."""
    return CommandBreach(f"line {line}: {rule}; it is {excerpt(text)}", kind=BreachKind.MALFORMED, line=line)
