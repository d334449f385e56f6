"""What an executor writes: its handshake and its answers, one JSON object per line, read without mercy.

The protocol stands in docs/guides/run-the-vectors.md.

>>> parse_reply(b'{"id": 7, "refused": "CALL_EXPIRED"}', question_id=7, line=8)
Refused(reason='CALL_EXPIRED', comment='')
"""

from __future__ import annotations

import enum
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

PROTOCOL = "consilience-vectors/1"
"""What suite and executor speak."""

_EXCERPT_CHARACTERS = 160
_NAME_CHARACTERS = 100
_LEVELS = 16


class BreachKind(enum.StrEnum):
    """How an executor failed to take part, whatever it knows of the protocol under test."""

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
    """The executor speaks another protocol or version."""
    NOT_ENDED = "NOT_ENDED"
    """The command went on after the end of its input."""
    ENDED_BADLY = "ENDED_BADLY"
    """The command ended with another exit code than 0, after its last answer."""


class ExecutorBreach(Exception):
    """The executor broke the protocol between it and the suite, so nothing more can be asked.

    Attributes:
        kind: In what way.
        line: Number of the line of its output, from 1, where it happened; 0 where it wrote none.
    """

    def __init__(self, message: str, *, kind: BreachKind, line: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Who the executor says it is, and which types of vector it supports."""

    name: str
    language: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The executor accepts, and comes to these values."""

    values: Mapping[str, Any]
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The executor refuses, for a reason of the catalogue or a requirement."""

    reason: str
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """The executor cannot run this test."""

    comment: str = ""


Reply: TypeAlias = Accepted | Refused | Unsupported


def parse_handshake(text: bytes) -> Handshake:
    """Reads the first line of an executor.

    Raises:
        ExecutorBreach: It is no handshake, or one of another protocol.
    """
    content = _answer_to(text, question_id=0, line=1)
    match content:
        case {"protocol": str() as protocol} if protocol != PROTOCOL:
            raise ExecutorBreach(
                f"line 1: the executor speaks {excerpt(protocol)}, and this suite {PROTOCOL}",
                kind=BreachKind.PROTOCOL_UNKNOWN,
                line=1,
            )
        case {"protocol": str(), "name": str() as name, "language": str() as language, "types": [*types]} if all(
            isinstance(said, str) and said.isprintable() and len(said) <= _NAME_CHARACTERS
            for said in (name, language, *types)
        ):
            _refuse_other_fields(content, known=("id", "protocol", "name", "language", "types"), line=1)
            return Handshake(name=name, language=language, types=tuple(types))
        case _:
            raise _malformed(
                "a handshake has protocol, name, language and types, in short printable texts", text=text, line=1
            )


def parse_reply(text: bytes, *, question_id: int, line: int) -> Reply:
    """Reads the answer to a question.

    Args:
        text: The line, without its end.
        question_id: The id of the question that was asked.
        line: The number of the line, for the message of an error.

    Raises:
        ExecutorBreach: It is no answer, or one to another question.
    """
    content = _answer_to(text, question_id=question_id, line=line)
    verdicts = [name for name in ("accepted", "refused", "unsupported") if name in content]
    comment = content.get("comment", "")
    if len(verdicts) != 1 or not isinstance(comment, str):
        raise _malformed("an answer holds one of accepted, refused and unsupported", text=text, line=line)
    _refuse_other_fields(content, known=("id", "comment", *verdicts), line=line)
    match content:
        case {"accepted": dict() as values}:
            return Accepted(values=values, comment=comment)
        case {"refused": str() as reason}:
            return Refused(reason=reason, comment=comment)
        case {"unsupported": True}:
            return Unsupported(comment=comment)
        case _:
            raise _malformed("accepted is an object, refused a text, unsupported true", text=text, line=line)


def excerpt(text: str | bytes) -> str:
    """Returns the beginning of what an executor wrote, in characters that every terminal can show."""
    start = text[:_EXCERPT_CHARACTERS]
    shown = start.decode(errors="backslashreplace") if isinstance(start, bytes) else start
    return f"{shown!a}{'…' if len(text) > len(start) else ''}"


def _answer_to(text: bytes, *, question_id: int, line: int) -> dict[str, Any]:
    try:
        content = json.loads(text.decode())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or _is_deep(content):
        raise _malformed("the line is no JSON object in UTF-8 of few levels", text=text, line=line)
    given = content.get("id")
    if type(given) is not int or given != question_id:
        said = excerpt(json.dumps(given))
        raise ExecutorBreach(
            f"line {line} answers the id {said}, and {question_id} was asked", kind=BreachKind.ID_WRONG, line=line
        )
    return content


def _is_deep(value: object, *, levels: int = _LEVELS) -> bool:
    """Tells whether JSON is nested deeper than anything of this protocol: to write it again could fail."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deep(part, levels=levels - 1) for part in parts)


def _refuse_other_fields(content: Mapping[str, Any], *, known: Collection[str], line: int) -> None:
    if others := [name for name in content if name not in known]:
        raise ExecutorBreach(
            f"line {line} holds {excerpt(others[0])}, which the protocol does not have",
            kind=BreachKind.MALFORMED,
            line=line,
        )


def _malformed(rule: str, *, text: bytes, line: int) -> ExecutorBreach:
    return ExecutorBreach(f"line {line}: {rule}; it is {excerpt(text)}", kind=BreachKind.MALFORMED, line=line)
