"""The verdict on one answer of an executor: a pure function of the question and what came back."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consilience_conformance.line_protocol.lines import excerpt
from consilience_conformance.vectors.questions import Question
from consilience_conformance.vectors.replies import Accepted, Refused, Reply, Unsupported


class Outcome(enum.StrEnum):
    """What became of a test."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    UNSUPPORTED = "UNSUPPORTED"
    """The executor says that it cannot run it."""
    UNANSWERED = "UNANSWERED"
    """The executor broke off before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorResult:
    """The verdict on one test.

    Attributes:
        question: The test.
        outcome: The verdict.
        expected: What was to come out, where it did not; for people.
        got: What came out instead; for people.
        comment: What the executor says about it.
    """

    question: Question
    outcome: Outcome
    expected: str = ""
    got: str = ""
    comment: str = ""


def judge(question: Question, reply: Reply) -> VectorResult:
    """Compares an answer with what the test says.

    A refusal has to name the reason where the test gives one. Where it gives only a requirement, any refusal will do.
    """
    match reply:
        case Unsupported():
            return VectorResult(question=question, outcome=Outcome.UNSUPPORTED, comment=_shown(reply.comment))
        case Accepted(values=values) if question.valid:
            wrong = [name for name, value in question.values.items() if not _same(values.get(name), value)]
            expected, got = _values(question.values, wrong), _values(values, wrong)
            failed = bool(wrong)
        case Accepted():
            expected, got, failed = _refusal(question), "accepted", True
        case Refused(reason=reason):
            expected, got = _refusal(question), f"refused {excerpt(reason)}"
            failed = question.valid or bool(question.reason and reason != question.reason)
    if not failed:
        return VectorResult(question=question, outcome=Outcome.PASS)
    return VectorResult(
        question=question, outcome=Outcome.FAIL, expected=expected, got=got, comment=_shown(reply.comment)
    )


def _same(value: object, expected: object) -> bool:
    """Compares as JSON does: in Python, False equals 0 and 1.0 equals 1."""
    return json.dumps(value) == json.dumps(expected)


def _refusal(question: Question) -> str:
    if question.valid:
        return "accepted"
    broken = f" ({question.requirement} is broken)" if question.requirement else ""
    return f"refused {question.reason!r}{broken}" if question.reason else f"refused{broken}"


def _values(values: Mapping[str, Any], names: list[str]) -> str:
    shown = (f"{name} {excerpt(json.dumps(values[name]))}" if name in values else f"no {name}" for name in names)
    return f"accepted with {', '.join(shown)}"


def _shown(comment: str) -> str:
    return excerpt(comment) if comment else ""
