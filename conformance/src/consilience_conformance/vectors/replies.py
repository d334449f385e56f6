"""What an executor writes: its handshake and its answers, one JSON object per line, read without mercy.

The protocol stands in docs/guides/run-the-vectors.md.

>>> parse_reply(b'{"id": 7, "refused": "CALL_EXPIRED"}', question_id=7, line=8)
Refused(reason='CALL_EXPIRED', comment='')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from consilience_conformance.line_protocol.lines import (
    BreachKind,
    CommandBreach,
    answer_to,
    excerpt,
    malformed,
    refuse_other_fields,
)

PROTOCOL = "consilience-vectors/1"
"""What suite and executor speak."""

_NAME_CHARACTERS = 100


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
        CommandBreach: It is no handshake, or one of another protocol.
    """
    content = answer_to(text, number=0, line=1)
    match content:
        case {"protocol": str() as protocol} if protocol != PROTOCOL:
            raise CommandBreach(
                f"line 1: the executor speaks {excerpt(protocol)}, and this suite {PROTOCOL}",
                kind=BreachKind.PROTOCOL_UNKNOWN,
                line=1,
            )
        case {"protocol": str(), "name": str() as name, "language": str() as language, "types": [*types]} if all(
            isinstance(said, str) and said.isprintable() and len(said) <= _NAME_CHARACTERS
            for said in (name, language, *types)
        ):
            refuse_other_fields(content, known=("id", "protocol", "name", "language", "types"), line=1)
            return Handshake(name=name, language=language, types=tuple(types))
        case _:
            raise malformed(
                "a handshake has protocol, name, language and types, in short printable texts", text=text, line=1
            )


def parse_reply(text: bytes, *, question_id: int, line: int) -> Reply:
    """Reads the answer to a question.

    Args:
        text: The line, without its end.
        question_id: The id of the question that was asked.
        line: The number of the line, for the message of an error.

    Raises:
        CommandBreach: It is no answer, or one to another question.
    """
    content = answer_to(text, number=question_id, line=line)
    verdicts = [name for name in ("accepted", "refused", "unsupported") if name in content]
    comment = content.get("comment", "")
    if len(verdicts) != 1 or not isinstance(comment, str):
        raise malformed("an answer holds one of accepted, refused and unsupported", text=text, line=line)
    refuse_other_fields(content, known=("id", "comment", *verdicts), line=line)
    match content:
        case {"accepted": dict() as values}:
            return Accepted(values=values, comment=comment)
        case {"refused": str() as reason}:
            return Refused(reason=reason, comment=comment)
        case {"unsupported": True}:
            return Unsupported(comment=comment)
        case _:
            raise malformed("accepted is an object, refused a text, unsupported true", text=text, line=line)
