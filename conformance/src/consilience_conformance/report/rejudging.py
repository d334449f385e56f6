"""Judging again: a judge is a pure function of a transcript, so a report's verdicts can be computed from the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from consilience_conformance.checks import Check
from consilience_conformance.report.summary import JUDGED
from consilience_conformance.requirements import requirements
from consilience_conformance.verdicts import CheckResult, Finding, RunResult, Verdict


def disagreements(run: RunResult, *, checks: Iterable[Check]) -> Iterator[str]:
    """Yields where the judges, given the transcripts of a run, find something else than the run says.

    Args:
        run: As it was, or as a JSON report tells it.
        checks: Those of the suite that judged it.
    """
    by_name = {check.name: check for check in checks}
    for result in run.results:
        check = by_name.get(result.check)
        if check is None or result.verdict not in JUDGED:
            continue
        yield from _of_check(result, check=check)


def _of_check(result: CheckResult, *, check: Check) -> Iterator[str]:
    if result.transcript is None:
        yield f"{result.check}: {result.verdict} without a transcript"
        return
    found = tuple(check.judge(result.transcript))
    if found != result.findings:
        yield f"{result.check}: {len(found)} findings, where the run has {len(result.findings)}"
    elif result.verdict not in _possible(found):
        yield f"{result.check}: {result.verdict} does not follow from {len(found)} findings"


def _possible(findings: Sequence[Finding]) -> frozenset[Verdict]:
    """Returns the verdicts that may follow from findings, with a list of known failures and without."""
    if not findings:
        return frozenset({Verdict.PASS, Verdict.STALE})
    if any(requirements()[finding.requirement].is_must for finding in findings):
        return frozenset({Verdict.FAIL, Verdict.KNOWN_FAILING, Verdict.STALE})
    return frozenset({Verdict.WARN, Verdict.STALE})
