"""Our own SDK is judged as any other client is."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from consilience_conformance.client_side.cases import all_client_checks
from consilience_conformance.client_side.cases.meters import CHECKS
from consilience_conformance.client_side.payees import WINDOW
from consilience_conformance.client_side.runner import Order, judge_client
from consilience_conformance.client_side.spending import lost, vouchers
from consilience_conformance.coverage import coverage_complaints, review_complaints
from consilience_conformance.exclusions import EXCLUSIONS
from consilience_conformance.requirements import requirements
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Exit, RunResult, Verdict
from scripts.machine_cache import ROOT
from scripts.review_requirements import reviewed

# All checks are run at the first test that asks for one.
pytestmark = pytest.mark.timeout(600)

ADAPTER = f"{sys.executable} examples/clients/python/client_under_test.py"


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def run() -> RunResult:
    """Judges our client once, by all checks."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return asyncio.run(judge_client(Order(command=ADAPTER, checks=all_client_checks())))
    finally:
        os.chdir(before)


def test_the_python_sdk_passes_every_check_of_clients(run: RunResult) -> None:
    wrong = {result.check: result for result in run.results if result.verdict is not Verdict.PASS}
    assert wrong == {}
    assert run.exit is Exit.PASS
    assert len(run.results) == len(all_client_checks())


def test_whoever_cheats_our_client_gets_one_window_at_most(run: RunResult) -> None:
    losses = {
        (result.check, session_id): lost(result.transcript, session_id)
        for result in run.results
        if result.transcript is not None and result.requirements[0].startswith("PAY-")
        for session_id in {voucher.session_id for _, voucher in vouchers(result.transcript)}
    }
    assert len(losses) > len(CHECKS)
    assert {name: loss for name, loss in losses.items() if loss > WINDOW} == {}


async def test_a_verdict_can_be_computed_again_from_the_report() -> None:
    checks = {check.name: check for check in all_client_checks()}
    run = await judge_client(Order(command=ADAPTER, checks=[checks["ask"], checks["answer-without-signature"]]))
    for result in run.results:
        assert result.transcript is not None
        kept = Transcript.from_json(result.transcript.to_json())
        assert tuple(checks[result.check].judge(kept)) == result.findings == ()


def test_every_must_of_clients_is_tested_or_excluded() -> None:
    complaints = coverage_complaints(
        requirements(), role="client", checks=all_client_checks(), exclusions=EXCLUSIONS["client"]
    )
    assert complaints == [], "\n".join(complaints)


def test_every_check_of_clients_was_held_against_its_sentence() -> None:
    tested = {
        name: one for name, one in requirements().items() if any(name in c.requirements for c in all_client_checks())
    }
    known = {name: digest for name, digest in reviewed().items() if name in tested}
    assert review_complaints(tested, checks=all_client_checks(), reviewed=known) == []


def test_the_adapter_that_vendors_copy_is_small() -> None:
    adapter = ROOT / "examples" / "clients" / "python" / "client_under_test.py"
    assert len(adapter.read_text(encoding="utf-8").splitlines()) <= 200


def test_names_of_checks_are_unique_and_follow_what_they_rest_on() -> None:
    names: list[str] = []
    for check in all_client_checks():
        assert check.name not in names
        assert set(check.after) <= set(names), f"{check.name} stands before what it comes after"
        names.append(check.name)
