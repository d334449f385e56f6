"""Verdicts are computed again from a report."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.tests.judged_nodes import talking_node
from conformance.tests.made_runs import FINDING, exchange, result, run
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cases import all_checks
from consilience_conformance.checks import Check
from consilience_conformance.planning import Order, prepare
from consilience_conformance.report.as_json import report_from_json, report_to_json
from consilience_conformance.report.rejudging import disagreements
from consilience_conformance.report.summary import Report
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.trial import Trial
from consilience_conformance.verdicts import Finding, RunResult, Verdict


async def _nothing(_: Stage) -> None:
    """A driver that was never asked."""


def _finds_what_was_accepted(seen: Transcript) -> Iterator[Finding]:
    if seen["defect"].accepted:
        yield FINDING


CHECK = Check(name="ask", title="", requirements=("ASK-IDEM-002",), drive=_nothing, judge=_finds_what_was_accepted)


def test_a_verdict_that_follows_from_its_transcript_is_not_disputed() -> None:
    assert not list(disagreements(run(result(Verdict.FAIL)), checks=[CHECK]))


def test_a_verdict_that_does_not_follow_from_its_transcript_is() -> None:
    assert list(disagreements(run(result(Verdict.PASS)), checks=[CHECK])) == ["ask: 1 findings, where the run has 0"]
    refused = Transcript(check="ask", exchanges=[exchange(responses=(), code="NOT_FOUND")])
    assert list(disagreements(run(result(Verdict.FAIL, transcript=refused)), checks=[CHECK]))


def test_a_verdict_that_does_not_follow_from_its_findings_is() -> None:
    kept = result(Verdict.PASS, findings=(FINDING,))
    assert list(disagreements(run(kept), checks=[CHECK])) == ["ask: pass does not follow from 1 findings"]
    known = result(Verdict.KNOWN_FAILING)
    assert not list(disagreements(run(known), checks=[CHECK]))


def test_a_verdict_without_a_transcript_is() -> None:
    assert list(disagreements(run(result(Verdict.PASS, transcript=None)), checks=[CHECK])) == [
        "ask: pass without a transcript"
    ]


def test_what_was_not_judged_is_not_judged_again() -> None:
    assert not list(disagreements(run(result(Verdict.UNTESTABLE), result(check="unknown")), checks=[CHECK]))


async def _judged(address: str) -> RunResult:
    order = Order(address=address, tester_key=Path("unused"), seed=1)
    return await Trial(await prepare(order)).run()


@pytest.fixture(scope="module")
def real_run() -> RunResult:
    with serving_in_thread(talking_node()) as running:
        return asyncio.run(_judged(running.address))


def test_every_verdict_of_a_real_run_is_computed_again_from_the_json_report(real_run: RunResult) -> None:
    text = json.dumps(report_to_json(Report(run=real_run, command=())))
    read = report_from_json(json.loads(text)).run
    judged = [one for one in read.results if one.transcript is not None]
    assert len(judged) > 20
    assert [one.verdict for one in read.results] == [one.verdict for one in real_run.results]
    assert not list(disagreements(read, checks=all_checks()))


def test_a_forged_verdict_in_a_real_run_is_found(real_run: RunResult) -> None:
    forged = tuple(
        replace(one, findings=(*one.findings, FINDING)) if one.check == "ask" else one for one in real_run.results
    )
    found = list(disagreements(replace(real_run, results=forged), checks=all_checks()))
    assert [one.partition(":")[0] for one in found] == ["ask"]
