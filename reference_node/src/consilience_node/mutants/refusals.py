"""Mutants of refusals: the reason, its code, its detail, its size, and the rules of fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from google.rpc import error_details_pb2

from consilience._wire import errors
from consilience.asks import questions
from consilience.errors import DeadlinePassedError, FieldViolations, MediaTypeUnsupportedError, RefusedError
from consilience.server import finals
from consilience_node.mutants.registry import mutant, replace

_FIFTEEN_KIB = 15 * 1024


@mutant("reason-missing")
def _reason_missing() -> None:
    """The refusal of a deadline that has passed has no ErrorInfo."""

    def silent(status_of: Callable[..., Any]) -> Callable[..., Any]:
        def without(error: RefusedError) -> Any:
            status = status_of(error)
            if isinstance(error, DeadlinePassedError):
                kept = [one for one in status.details if not one.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
                del status.details[:]
                status.details.extend(kept)
            return status

        return without

    replace(errors, "status_of", silent)


@mutant("code-of-another-reason")
def _code_of_another_reason() -> None:
    """A deadline that has passed is refused with another code than the catalogue says."""
    replace(DeadlinePassedError, "code", lambda _: "DEADLINE_EXCEEDED")


@mutant("detail-missing")
def _detail_missing() -> None:
    """The refusal of a media type does not tell which ones are read."""

    def silent(status: Callable[..., Any]) -> Callable[..., Any]:
        return lambda error, detail: status(error, None if isinstance(error, MediaTypeUnsupportedError) else detail)

    replace(errors, "_status", silent)


@mutant("status-without-bound")
def _status_without_bound() -> None:
    """A status lists all that there is to list, however large it gets."""
    replace(errors, "MAX_STATUS_BYTES", lambda _: _FIFTEEN_KIB)


@mutant("rules-of-turns-ignored")
def _rules_of_turns_ignored() -> None:
    """The turns of an ask may be as they like."""
    replace(questions, "_turn_violations", lambda _: lambda _: iter(()))


@mutant("rules-of-calls-ignored")
def _rules_of_calls_ignored() -> None:
    """A call about an answer may name it by as many bytes as it likes."""
    replace(questions, "_call_violations", lambda _: lambda _: iter(()))


@mutant("rules-of-headers-ignored")
def _rules_of_headers_ignored() -> None:
    """A header may name as many extensions as it likes, and one of them often."""
    replace(
        questions,
        "header_violations",
        lambda check: lambda header: check(changed(header, required_extensions=(), extensions={})),
    )


@mutant("fields-named-without-path")
def _fields_named_without_path() -> None:
    """The fields that are wrong are named without the messages that they are in."""

    def bare(refuse: Callable[..., None]) -> Callable[..., None]:
        return lambda found: refuse(changed(one, field=one.field.rpartition(".")[2]) for one in found)

    replace(questions, "refuse_violations", bare)


@mutant("first-field-alone")
def _first_field_alone() -> None:
    """Of several fields that are wrong, the first one alone is named."""

    def shortened(status: Callable[..., Any]) -> Callable[..., Any]:
        def first(error: RefusedError, detail: Any) -> Any:
            one = FieldViolations(violations=detail.violations[:1]) if isinstance(detail, FieldViolations) else detail
            return status(error, one)

        return first

    replace(errors, "_status", shortened)


@mutant("answer-says-too-much")
def _answer_says_too_much() -> None:
    """The detail of an answer has more characters than its rule allows."""
    replace(finals, "Answer", lambda answer: lambda **fields: answer(**{**fields, "detail": "so " * 1000}))
