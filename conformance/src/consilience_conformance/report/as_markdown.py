"""The Markdown report: the summary of a job, short enough to be read there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from consilience_conformance.report.causes import likely_causes
from consilience_conformance.report.printable import printable
from consilience_conformance.report.summary import (
    SHOWN_AT_ONCE,
    Report,
    by_requirement,
    failures,
    number_of,
    suite_fault,
    unjudged_musts,
    untested,
    warnings,
)
from consilience_conformance.requirements import requirements
from consilience_conformance.verdicts import CheckResult, Exit, Finding, Verdict

_MAX_VALUE = 400
_MAX_JUDGED = 50
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>&~@:-])")


def report_to_markdown(report: Report) -> str:
    """Returns a report as Markdown; what a node says is escaped."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    run = report.run
    mark = "✅" if report.exit is Exit.PASS else "❌"
    yield f"## {mark} {report.ending}: {_plain(run.node_name or run.address)}"
    yield ""
    yield f"{_plain(report.sum)}; {run.seconds:.1f} s."
    yield ""
    if report.spent:
        yield from (f"Spent: {_plain(report.spent)}", "")
    who = f"`{run.node_id}` at " if run.node_id else ""
    yield f"{who}{_code(run.address)}, mode {run.mode}, seed {run.seed}"
    judged = [*failures(run), *warnings(run)]
    for result in judged[:_MAX_JUDGED]:
        yield from ("", *_judged(result, report=report))
    if len(judged) > _MAX_JUDGED:
        yield from ("", f"and {len(judged) - _MAX_JUDGED} more, see the other formats of the report")
    yield from _not_tested(report)


def _judged(result: CheckResult, *, report: Report) -> Iterator[str]:
    yield f"### {result.verdict.value.upper()} `{result.check}`"
    yield ""
    yield _plain(result.title)
    if result.verdict is Verdict.SUITE_ERROR:
        yield from ("", _code(suite_fault(result)))
    elif result.because:
        yield from ("", _plain(result.because))
    for name, findings in by_requirement(result).items():
        yield from ("", *_breach(name, findings=findings))
    for cause in likely_causes(result, run=report.run):
        yield from ("", f"Likely cause: {_plain(cause.fault)}")
    yield from ("", "```sh", report.again(result), "```")


def _breach(name: str, *, findings: Sequence[Finding]) -> Iterator[str]:
    rule = requirements().get(name)
    yield f"**{name}** {_plain(rule.sentence) if rule else ''}".rstrip()
    yield ""
    for finding in findings[:SHOWN_AT_ONCE]:
        yield f"- {_plain(finding.message)}"
        if finding.expected:
            yield f"  - expected {_code(finding.expected)}"
        if finding.got:
            yield f"  - got {_code(finding.got)}"
    if len(findings) > SHOWN_AT_ONCE:
        yield f"- and {len(findings) - SHOWN_AT_ONCE} more"


def _not_tested(report: Report) -> Iterator[str]:
    groups, musts = untested(report.run), unjudged_musts(report)
    if not groups and not musts:
        return
    yield from ("", "### Not tested", "", "| | how many | why |", "|---|---|---|")
    for group in groups:
        names = ", ".join(f"`{result.check}`" for result in group.results)
        yield f"| {group.verdict.value} | {number_of(group.results, 'check')} | {_plain(group.because)}: {names} |"
    for because, rows in musts.items():
        names = ", ".join(row.requirement.id for row in rows)
        yield f"| without a check | {number_of(rows, 'MUST')} | {_plain(because)}: {names} |"


def _plain(text: str) -> str:
    """Returns a text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))


def _code(text: str) -> str:
    """Returns a span of code that its own text cannot leave."""
    short = printable(" ".join(text.split()))
    if len(short) > _MAX_VALUE:
        short = f"{short[:_MAX_VALUE]}…"
    short = short.replace("|", "¦")
    fence = "`" * (max((len(run) for run in re.findall("`+", short)), default=0) + 1)
    pad = " " if short.startswith("`") or short.endswith("`") else ""
    return f"{fence}{pad}{short}{pad}{fence}"
