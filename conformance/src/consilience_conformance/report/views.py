"""Views: what the page shows of a run, as plain values in the order in which it shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consilience_conformance.report.causes import Cause, likely_causes
from consilience_conformance.report.differences import Marked, marked
from consilience_conformance.report.printable import printable
from consilience_conformance.report.readable import method_of, readable
from consilience_conformance.report.summary import SHOWN_AT_ONCE, Report, Standing, by_requirement
from consilience_conformance.requirements import Requirement, requirements
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import CheckResult, Finding, Verdict

_MAX_LINES = 100
_MAX_BYTES = 512
_MAX_RESPONSES = 16
_STATUS = "google.rpc.Status"
_NO_ANCHOR = re.compile("[^A-Za-z0-9./-]")

GLYPHS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✕",
    Verdict.WARN: "!",
    Verdict.UNTESTABLE: "⊘",
    Verdict.NOT_APPLICABLE: "/",
    Verdict.NOT_TESTED: "○",
    Verdict.KNOWN_FAILING: "~",
    Verdict.STALE: "≠",
    Verdict.SUITE_ERROR: "?",
}
"""What stands beside a colour, for eyes and printers that tell colours badly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """One message of a call.

    Attributes:
        label: `request`, `response 2 at 14 ms`.
        text: Its fields.
        size: In bytes.
        hex: Its bytes in rows, the first `_MAX_BYTES` of them.
    """

    label: str
    text: str
    size: int
    hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeView:
    """One call.

    Attributes:
        anchor: Where it stands in the page.
        name, method: Of the call.
        outcome: In a few words.
        took: In milliseconds.
        accused: Whether a finding was seen in it.
        messages: What was sent and what came.
        left: How many responses are not shown.
        status: How it ended.
    """

    anchor: str
    name: str
    method: str
    outcome: str
    took: float
    accused: bool
    messages: tuple[MessageView, ...]
    left: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """One finding.

    Attributes:
        finding: As it is.
        expected, got: With the difference marked.
        anchor: Of the exchange in which it was seen, or empty.
    """

    finding: Finding
    expected: Marked
    got: Marked
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachView:
    """What a check found against one requirement.

    Attributes:
        name: Id of the requirement.
        rule: The requirement, or None: this suite does not know it.
        first: The findings that are shown at once.
        others: Those that are shown on demand.
    """

    name: str
    rule: Requirement | None
    first: tuple[FindingView, ...]
    others: tuple[FindingView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """One check.

    Attributes:
        result: As it is.
        breaches: Its findings, by requirement.
        causes: The likely ones.
        again: The line that runs it again.
        exchanges: What it saw.
        notes: What else it saw, as JSON; empty where there is nothing.
    """

    result: CheckResult
    breaches: tuple[BreachView, ...]
    causes: tuple[Cause, ...]
    again: str
    exchanges: tuple[ExchangeView, ...]
    notes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterView:
    """A row of the matrix.

    Attributes:
        title: Of the chapter.
        levels: The standings by level, as `levels` orders them.
    """

    title: str
    levels: tuple[tuple[Standing, ...], ...]


def result_views(results: Sequence[CheckResult], *, report: Report) -> tuple[ResultView, ...]:
    """Returns the views of some checks of a run."""
    return tuple(_result_view(result, report=report) for result in results)


def levels(rows: Sequence[Standing]) -> tuple[str, ...]:
    """Returns the columns of the matrix: those levels for which there is a rule."""
    return tuple(
        level for level in ("MUST", "SHOULD", "MAY") if any(row.requirement.level.startswith(level) for row in rows)
    )


def chapters(rows: Sequence[Standing]) -> tuple[ChapterView, ...]:
    """Returns the matrix of a run: chapters by levels, without chapters that hold no rule for nodes."""
    pages = dict.fromkeys(row.requirement.page for row in rows)
    return tuple(
        ChapterView(
            title=_chapter_title(page),
            levels=tuple(
                tuple(row for row in rows if row.requirement.page == page and row.requirement.level.startswith(level))
                for level in levels(rows)
            ),
        )
        for page in sorted(pages, key=lambda page: (page[0].isalpha(), page))
    )


def _chapter_title(page: str) -> str:
    number, _, name = page.removesuffix(".md").partition("-")
    return f"{number} {name.replace('-', ' ').capitalize()}" if number.isdecimal() else "Profiles"


def _result_view(result: CheckResult, *, report: Report) -> ResultView:
    transcript = result.transcript
    accused = {finding.exchange for finding in result.findings}
    return ResultView(
        result=result,
        breaches=tuple(_breach_views(result)),
        causes=likely_causes(result, run=report.run),
        again=report.again(result),
        exchanges=tuple(_exchange_views(transcript, accused=accused)) if transcript else (),
        notes=json.dumps(transcript.notes, indent=2) if transcript and transcript.notes else "",
    )


def _breach_views(result: CheckResult) -> Iterator[BreachView]:
    for name, findings in by_requirement(result).items():
        views = tuple(_finding_view(finding, result=result) for finding in findings)
        yield BreachView(
            name=name, rule=requirements().get(name), first=views[:SHOWN_AT_ONCE], others=views[SHOWN_AT_ONCE:]
        )


def _finding_view(finding: Finding, *, result: CheckResult) -> FindingView:
    expected, got = marked(printable(finding.expected), printable(finding.got))
    known = result.transcript and any(one.name == finding.exchange for one in result.transcript.exchanges)
    return FindingView(
        finding=finding,
        expected=expected,
        got=got,
        anchor=_anchor(result.check, finding.exchange) if known else "",
    )


def _exchange_views(transcript: Transcript, *, accused: set[str]) -> Iterator[ExchangeView]:
    for exchange in sorted(transcript.exchanges, key=lambda one: one.began):
        responses = exchange.responses[:_MAX_RESPONSES]
        yield ExchangeView(
            anchor=_anchor(transcript.check, exchange.name),
            name=exchange.name,
            method=exchange.method.rpartition(".")[2],
            outcome=outcome_of(exchange),
            took=(exchange.ended_at - exchange.began) * 1000,
            accused=exchange.name in accused,
            messages=tuple(_message_views(exchange, shown=len(responses))),
            left=len(exchange.responses) - len(responses),
            status=_status(exchange),
        )


def _message_views(exchange: Exchange, *, shown: int) -> Iterator[MessageView]:
    method = method_of(exchange.method)
    asked = method.input_type.full_name if method else ""
    answered = method.output_type.full_name if method else ""
    yield _message_view("request", exchange.request, type_name=asked)
    for number, response in enumerate(exchange.responses[:shown], start=1):
        at = f"response {number} at {(response.at - exchange.began) * 1000:.0f} ms"
        yield _message_view(at, response.data, type_name=answered)
    if exchange.details:
        yield _message_view("details of the status", exchange.details, type_name=_STATUS)


def _message_view(label: str, data: bytes, *, type_name: str) -> MessageView:
    lines = readable(data, type_name=type_name).splitlines()
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], f"… {len(lines) - _MAX_LINES} more lines, see report.json"]
    text = printable("\n".join(lines), keep=" \n")
    return MessageView(label=label, text=text, size=len(data), hex=_hex(data))


def _hex(data: bytes) -> str:
    shown = data[:_MAX_BYTES]
    rows = [f"{start:06x}  {shown[start : start + 32].hex(' ', 4)}" for start in range(0, len(shown), 32)]
    if len(data) > len(shown):
        rows.append(f"… {len(data) - len(shown)} more bytes, see report.json")
    return "\n".join(rows)


def _status(exchange: Exchange) -> str:
    message = f": {printable(exchange.message)}" if exchange.message else ""
    return f"{exchange.code}{message}" if exchange.code else exchange.ended.value


def _anchor(check: str, exchange: str) -> str:
    """Returns the name of a place in the page; the name of an exchange may be anything."""
    return f"{check}--" + _NO_ANCHOR.sub(lambda found: f"_{ord(found[0]):x}_", exchange)
