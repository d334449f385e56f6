"""Reports of runs made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.tests.made_runs import FINDING, HOSTILE, exchange, result, run
from consilience_conformance.report.summary import Report
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import CheckResult, Verdict

COMMAND = ("consilience-conformance", "run", "127.0.0.1:7341", "--seed", "7")


def report(*results: CheckResult, **changes: Any) -> Report:
    return Report(run=run(*results), command=COMMAND, **changes)


def hostile_report() -> Report:
    """A report in which a node wrote wherever a node can write."""
    finding = replace(FINDING, message=HOSTILE, expected=HOSTILE, got=HOSTILE + "x", exchange=HOSTILE)
    transcript = Transcript(check="ask", exchanges=[exchange(HOSTILE, message=HOSTILE, code="INTERNAL", responses=())])
    failed = result(Verdict.FAIL, findings=(finding,), because=HOSTILE, transcript=transcript)
    untested = result(Verdict.UNTESTABLE, check="other", because=HOSTILE)
    broken = result(Verdict.SUITE_ERROR, check="broken", because=f"Traceback\n{HOSTILE}")
    return Report(run=run(failed, untested, broken, node_name=HOSTILE), command=COMMAND)
