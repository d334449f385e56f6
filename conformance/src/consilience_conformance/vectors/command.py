"""`consilience-conformance vectors`: lists the vectors, or runs an executor over them."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence

import click

from consilience_conformance.line_protocol.lines import BreachKind
from consilience_conformance.vectors.executors import run_executor
from consilience_conformance.vectors.judging import Outcome, VectorResult
from consilience_conformance.vectors.questions import Question, fields_by_type, questions
from consilience_conformance.vectors.report import VectorsReport
from consilience_conformance.verdicts import Exit

_FAILURES_SHOWN = 20
_INTERRUPTED = 130


@click.command("vectors")
@click.option("--exec", "command", metavar="CMD", help="The executor: a program that answers on its standard output.")
@click.option(
    "--type", "types", multiple=True, type=click.Choice(list(fields_by_type())), help="A type wanted; all by default."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def vectors_command(*, command: str | None, types: tuple[str, ...], as_json: bool) -> None:
    """List the byte vectors, or ask an executor in any language for its verdict on each.

    Exit codes: 0 all passed, 1 a vector failed, 3 too little ran, 4 the executor does not start, broke off or did not
    answer in time, 5 a fault of the suite.
    """
    try:
        if command is None:
            found = questions(types=types)
            _list(found, as_json=as_json)
            sys.exit(Exit.PASS if found else Exit.TOO_LITTLE)
        report = asyncio.run(run_executor(command, types=types))
    except KeyboardInterrupt:
        click.echo("Interrupted; the executor was ended.", err=True)
        sys.exit(_INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not end with the code of a failed vector
        click.echo(f"The suite is at fault, not the executor ({type(error).__name__}): {error}", err=True)
        sys.exit(Exit.SUITE_FAULT)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else "\n".join(_lines(report, command=command)))
    sys.exit(report.exit_code)


def _list(found: Sequence[Question], *, as_json: bool) -> None:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question in found:
        counts[question.file][question.type] += 1
    if as_json:
        click.echo(json.dumps(counts, indent=2))
        return
    for file, by_type in counts.items():
        click.echo(f"{file}.json")
        for name, count in by_type.items():
            click.echo(f"  {name:<26}{count:>4}")
    kinds = len({question.type for question in found})
    click.echo(f"{len(found)} tests of {kinds} type{'' if kinds == 1 else 's'}")


def _lines(report: VectorsReport, *, command: str) -> list[str]:
    who = f"{report.executor.name} ({report.executor.language})" if report.executor else "no executor"
    if report.breach and report.breach.kind is BreachKind.NOT_STARTED:
        return [f"The executor does not start: {report.breach.message}."]
    lines = [f"{who}, {report.seconds:.1f} s"]
    lines += [_type_line(name, results) for name, results in _by_type(report.results).items()]
    failures = [result for result in report.results if result.outcome is Outcome.FAIL]
    for result in failures[:_FAILURES_SHOWN]:
        lines += ["", *_failure(result)]
    if len(failures) > _FAILURES_SHOWN:
        lines += ["", f"and {len(failures) - _FAILURES_SHOWN} more failed: --json shows all"]
    return [*lines, "", *_verdict(report, command=command)]


def _by_type(results: Sequence[VectorResult]) -> dict[str, list[VectorResult]]:
    found: defaultdict[str, list[VectorResult]] = defaultdict(list)
    for result in results:
        found[result.question.type].append(result)
    return found


def _type_line(name: str, results: Sequence[VectorResult]) -> str:
    counts = Counter(result.outcome for result in results)
    # The worst first: what was not run stands before what failed only where nothing failed.
    order = (Outcome.FAIL, Outcome.UNANSWERED, Outcome.UNSUPPORTED, Outcome.PASS)
    worst = next(outcome for outcome in order if counts[outcome])
    return f"  {worst:<12}{name:<26}{counts[Outcome.PASS]:>4} of {len(results)} passed"


def _failure(result: VectorResult) -> list[str]:
    question = result.question
    lines = [
        f"FAIL {question.file}.json {question.number}: {question.comment}",
        f"     expected  {result.expected}",
        f"     got       {result.got}",
    ]
    lines += [f"     it says   {result.comment}"] if result.comment else []
    return lines + [f"     {flag}  {note}" for flag, note in question.notes.items()]


def _verdict(report: VectorsReport, *, command: str) -> list[str]:
    counts = report.counts
    passed = f"{counts[Outcome.PASS]} of {len(report.results)} tests passed"
    match report.exit_code:
        case Exit.UNREACHABLE if report.breach:
            end = [f"The executor broke off ({report.breach.kind}): {report.breach.message}.", f"{passed} before."]
            return [*end, *_next_test(report), *_last_words(report)]
        case Exit.TOO_LITTLE:
            return [f"Too little ran: {passed}.", *_what_to_ask(report, command=command)]
        case Exit.FAILED:
            return [f"{passed}, {counts[Outcome.FAIL]} failed, {counts[Outcome.UNSUPPORTED]} were not run."]
        case _:
            return [f"{passed}."]


def _next_test(report: VectorsReport) -> list[str]:
    left = [result.question for result in report.results if result.outcome is Outcome.UNANSWERED]
    if not left or not report.executor:
        return []
    return [f"The next was {left[0].file}.json {left[0].number}: {left[0].comment}."]


def _last_words(report: VectorsReport) -> list[str]:
    return ["It wrote to standard error:", report.stderr.rstrip()] if report.stderr.strip() else []


def _what_to_ask(report: VectorsReport, *, command: str) -> list[str]:
    if not report.unsupported_types or not report.counts[Outcome.PASS]:
        return ["The executor does not support what was asked for."]
    missing = ", ".join(report.unsupported_types)
    supported = [name for name in _by_type(report.results) if name not in report.unsupported_types]
    asked = " ".join(f"--type {name}" for name in supported)
    return [
        f"The executor does not support {missing}. To ask only for what it does:",
        f"consilience-conformance vectors --exec {shlex.quote(command)} {asked}",
    ]
