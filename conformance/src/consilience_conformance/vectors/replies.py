"""What an executor writes: its answers, one JSON object per line, read without mercy.

The protocol stands in docs/guides/run-the-vectors.md.

>>> parse_reply(b'{"id": 7, "refused": "CALL_EXPIRED"}', question_id=7, line=8)
Refused(reason='CALL_EXPIRED', comment='')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from consilience_conformance.line_protocol.lines import (
    answer_to,
    malformed,
    refuse_other_fields,
)

PROTOCOL = "consilience-vectors/1"
"""What suite and executor speak."""


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
