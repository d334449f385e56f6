"""Every judge is a pure function: of a transcript that was written down and read again it says what it said before."""

from __future__ import annotations

import asyncio
import json

import pytest

from conformance.tests.judged_nodes import talking_node, write_grant
from consilience.identity import KeyPair
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cases import all_checks
from consilience_conformance.checks import Check
from consilience_conformance.planning import Order, prepare
from consilience_conformance.transcripts import Transcript
from consilience_conformance.trial import Trial
from consilience_conformance.verdicts import CheckResult, Verdict

JUDGED = {Verdict.PASS, Verdict.WARN, Verdict.FAIL}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckResult]:
    """Returns the results of a run in both modes, by the names of their checks."""
    key = KeyPair.generate()
    records = tmp_path_factory.mktemp("records")
    with serving_in_thread(talking_node(key=key, conformance=True, records=records)) as running:
        tester_key, grant = write_grant(tmp_path_factory.mktemp("grant"), key=key)
        return asyncio.run(_run(Order(address=running.address, tester_key=tester_key, grant=grant, seed=1)))


async def _run(order: Order) -> dict[str, CheckResult]:
    run = await Trial(await prepare(order)).run()
    return {result.check: result for result in run.results}


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.name)
def test_a_judge_says_the_same_of_what_was_written_down_and_changes_nothing(
    check: Check, results: dict[str, CheckResult]
) -> None:
    result = results[check.name]
    assert result.verdict is not Verdict.SUITE_ERROR, result.because
    assert result.findings == ()
    if result.verdict not in JUDGED:
        assert result.because
        return
    assert result.transcript is not None
    written = json.dumps(result.transcript.to_json())
    again = Transcript.from_json(json.loads(written))
    assert tuple(check.judge(again)) == result.findings
    assert tuple(check.judge(again)) == result.findings
    assert json.dumps(again.to_json()) == written


def test_nearly_every_check_was_judged_in_both_modes(results: dict[str, CheckResult]) -> None:
    judged = [result.mode for result in results.values() if result.verdict in JUDGED]
    assert judged.count("live") > 30
    assert judged.count("scripted") > 30


def test_transcripts_keep_no_request_that_no_judge_reads(results: dict[str, CheckResult]) -> None:
    kept = {
        name: sum(len(exchange.request) for exchange in result.transcript.exchanges)
        for name, result in results.items()
        if result.transcript is not None
    }
    assert max(kept.values()) < 1 << 20
