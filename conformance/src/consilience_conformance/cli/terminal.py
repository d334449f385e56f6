"""The terminal: what a person reads of a run. Colours go where a terminal wants them, and only there."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from consilience_conformance.report.causes import likely_causes
from consilience_conformance.report.printable import printable
from consilience_conformance.report.summary import (
    ENDINGS,
    SHOWN_AT_ONCE,
    Report,
    Untested,
    by_requirement,
    count_line,
    failures,
    number_of,
    share_line,
    suite_fault,
    unjudged_musts,
    untested,
    warnings,
)
from consilience_conformance.requirements import requirements
from consilience_conformance.verdicts import CheckResult, Exit, Finding, RunResult, Verdict

_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.WARN: "yellow",
    Verdict.UNTESTABLE: "red",
    Verdict.NOT_APPLICABLE: "blue",
    Verdict.NOT_TESTED: "magenta",
    Verdict.KNOWN_FAILING: "yellow",
    Verdict.STALE: "red",
    Verdict.SUITE_ERROR: "red",
}
_MAX_WIDTH = 110
_INDENT = "      "
_MAX_VALUE = 600


def coloured() -> bool | None:
    """Returns what click is to be told about colours: False where NO_COLOR is set, else that it look for itself."""
    return False if os.environ.get("NO_COLOR") else None


def say(text: str = "", *, err: bool = False) -> bool:
    """Writes a line; where nobody takes it any more, the judge goes on, for its verdict is what it is.

    Returns:
        Whether it could be written, or nobody wants more of it.
    """
    try:
        click.echo(text, err=err, color=coloured())
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
        os.close(nowhere)
        if not err and not isinstance(error, BrokenPipeError):
            say(f"Standard output cannot be written: {error.strerror}.", err=True)
        return isinstance(error, BrokenPipeError)
    return True


def sentence(text: str) -> str:
    """Returns a message as a sentence; the name of a file with which it begins stays as it is."""
    first = text.partition(" ")[0]
    begun = f"{text[:1].upper()}{text[1:]}" if first.rstrip(",;:").isalpha() else text
    shown = printable(begun)
    return shown if shown.endswith((".", "?", "!")) else f"{shown}."


def introduction(run: RunResult) -> Iterator[str]:
    """Yields who is judged, and how."""
    name = f"{printable(run.node_name)} " if run.node_name else ""
    yield click.style(f"{name}at {printable(run.address)}", bold=True)
    yield click.style(run.node_id, dim=True)
    live = f"live, skill {run.skill}" if run.skill else "live, no skill"
    how = {"live": live, "scripted": "scripted"}.get(run.mode, f"{live}; scripted")
    yield f"{', '.join(run.profiles)} · {how} · seed {run.seed}"


def judged_lines(report: Report) -> Iterator[str]:
    """Yields what a run found: failures, warnings, and what was not tested."""
    for result in failures(report.run):
        yield from ("", *result_lines(result, report=report))
    for result in warnings(report.run):
        yield from ("", *result_lines(result, report=report))
    yield from _not_tested(report)


def sum_lines(run: RunResult) -> Iterator[str]:
    """Yields the last lines; the very last one is the verdict, and what was left out of it for money."""
    yield f"{count_line(run)}; {share_line(run)}; {run.seconds:.1f} s"
    if run.spending is not None:
        yield f"Spent: {run.spending.line}"
    left_out = run.spending.left_out_line if run.spending is not None else ""
    yield ending(run.exit) + (f"; {left_out}" if left_out else "")


def ending(code: Exit) -> str:
    """Returns the last word."""
    return click.style(ENDINGS[code], bold=True, fg="green" if code is Exit.PASS else "red")


def result_lines(result: CheckResult, *, report: Report) -> Iterator[str]:
    """Yields what is to be said of one check."""
    yield f"{_label(result.verdict)}  {click.style(result.check, bold=True)}  " + click.style(
        f"{result.mode}, {result.seconds:.2f} s", dim=True
    )
    yield from wrapped(result.title)
    if result.verdict is Verdict.SUITE_ERROR:
        yield from wrapped(f"{suite_fault(result)}. Please report this with the report.json that --out DIR writes.")
    elif result.because:
        yield from wrapped(result.because)
    for name, findings in by_requirement(result).items():
        yield from _breach(name, findings=findings)
    for cause in likely_causes(result, run=report.run):
        yield from wrapped(f"likely cause: {cause.fault}")
    yield f"{_INDENT}{click.style('again', dim=True)}     {report.again(result)}"


def _breach(name: str, *, findings: Sequence[Finding]) -> Iterator[str]:
    rule = requirements().get(name)
    yield f"{_INDENT}{click.style(name, fg='cyan')}{f' {rule.level}' if rule else ''}"
    if rule:
        yield from wrapped(rule.sentence, indent=_INDENT + "  ")
    for finding in findings[:SHOWN_AT_ONCE]:
        yield f"{_INDENT}- {printable(finding.message)}"
        for word, value, colour in (("expected", finding.expected, "green"), ("got", finding.got, "red")):
            if value:
                yield f"{_INDENT}  {word:<9} {click.style(_short(printable(value)), fg=colour)}"
    if len(findings) > SHOWN_AT_ONCE:
        yield f"{_INDENT}- and {len(findings) - SHOWN_AT_ONCE} more against {name}"


def _not_tested(report: Report) -> Iterator[str]:
    groups, musts = untested(report.run), unjudged_musts(report)
    if groups or musts:
        yield from ("", click.style("Not tested", bold=True))
    for group in groups:
        yield from _untested(group)
    for because, rows in musts.items():
        yield f"{_label(Verdict.NOT_TESTED)}  {number_of(rows, 'MUST')}: {because}"
        yield from wrapped(", ".join(row.requirement.id for row in rows))


def _untested(group: Untested) -> Iterator[str]:
    yield f"{_label(group.verdict)}  {number_of(group.results, 'check')}: {printable(group.because)}"
    yield from wrapped(", ".join(result.check for result in group.results))


def _label(verdict: Verdict) -> str:
    return click.style(verdict.value.upper(), fg=_COLOURS[verdict], bold=True)


def wrapped(text: str, *, indent: str = _INDENT) -> Iterator[str]:
    """Yields a text in lines that fit the terminal."""
    width = min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns)
    yield from textwrap.wrap(
        printable(text),
        width=width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}… ({len(text)} characters)"


class Progress:
    """One line that tells how far a run is; only where a person looks on."""

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._ended = 0
        self._failed = 0
        self._shown = sys.stderr.isatty()

    def __call__(self, result: CheckResult) -> None:
        """Takes note of a check that ended."""
        self._ended += 1
        self._failed += result.verdict in {Verdict.FAIL, Verdict.SUITE_ERROR}
        if self._shown:
            failed = f", {self._failed} failed" if self._failed else ""
            self._write(f"{self._ended} of {self._total} checks{failed}  {result.check}")

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size((80, 24)).columns - 1
        sys.stderr.write(f"\r\x1b[K{text[:width]}")
        sys.stderr.flush()
