"""Reports of runs made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.tests.made_runs import FINDING, HOSTILE, exchange, result, run
from consilience_conformance.report.summary import Report
from consilience_conformance.spending import Spending
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import CheckResult, Verdict

COMMAND = ("consilience-conformance", "run", "127.0.0.1:7341", "--seed", "7")


SPENDING = Spending(asset="USD/6", allowed=1000, set_aside=900, authorized=500, left_out={"ask": 320})
SPENT = (
    "at most 0.0005 USD, which was authorized, of 0.001 USD allowed; 0.0009 USD was set aside for sessions; "
    "1 check was left out for money, and needs at least 0.00022 USD more, as far as is known: "
    "--max-spend '0.001220 USD/6'"
)


def report(*results: CheckResult, **changes: Any) -> Report:
    return Report(run=run(*results), command=COMMAND, **changes)


def paid_report() -> Report:
    """A report of a run that paid, and was allowed too little."""
    return Report(run=run(result(), spending=SPENDING), command=COMMAND)


def hostile_report() -> Report:
    """A report in which a node wrote wherever a node can write."""
    finding = replace(FINDING, message=HOSTILE, expected=HOSTILE, got=HOSTILE + "x", exchange=HOSTILE)
    transcript = Transcript(check="ask", exchanges=[exchange(HOSTILE, message=HOSTILE, code="INTERNAL", responses=())])
    failed = result(Verdict.FAIL, findings=(finding,), because=HOSTILE, transcript=transcript)
    untested = result(Verdict.UNTESTABLE, check="other", because=HOSTILE)
    broken = result(Verdict.SUITE_ERROR, check="broken", because=f"Traceback\n{HOSTILE}")
    return Report(run=run(failed, untested, broken, node_name=HOSTILE), command=COMMAND)
