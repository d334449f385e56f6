"""The judge of clients is itself judged: each broken client dies of the check made for its fault, and of no other."""

import asyncio
import os
import shlex
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conformance.tests.client_side.broken_client import FAULTS
from consilience_conformance.client_side.cases import all_client_checks, modules
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.runner import Order, judge_client
from consilience_conformance.exclusions import EXCLUSIONS
from consilience_conformance.requirements import requirements
from consilience_conformance.verdicts import CheckResult, RunResult, Verdict
from scripts.machine_cache import ROOT

# All of them run at the first test that asks for one.
pytestmark = pytest.mark.timeout(1800)

TABLE: Mapping[str, Mapping[str, Any]] = tomllib.loads(
    Path(__file__).with_name("broken_clients.toml").read_text(encoding="utf-8")
)
_FAILED = frozenset({Verdict.FAIL, Verdict.WARN, Verdict.UNTESTABLE, Verdict.SUITE_ERROR})


def _died_of(entry: Mapping[str, Any]) -> set[str]:
    return {entry["check"], *entry.get("also", ())}


def _tried(entry: Mapping[str, Any]) -> tuple[ClientCheck, ...]:
    """Returns the checks that a broken client meets: all of the subjects in which it dies, and the first."""
    died = _died_of(entry)
    subjects = [set(module) for module in modules() if died & {check.name for check in module}]
    return tuple(check for check in all_client_checks() if not check.after or any(check in one for one in subjects))


@pytest.fixture(scope="module")
def runs() -> Mapping[str, RunResult]:
    """Judges all broken clients, a few at a time."""
    places = asyncio.Semaphore((os.cpu_count() or 1) + 1)

    async def judged(name: str) -> RunResult:
        command = [sys.executable, "-m", "conformance.tests.client_side.broken_client", "--broken", name]
        async with places:
            return await judge_client(Order(command=shlex.join(command), checks=_tried(TABLE[name])))

    async def all_judged() -> Mapping[str, RunResult]:
        return dict(zip(TABLE, await asyncio.gather(*map(judged, TABLE)), strict=True))

    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return asyncio.run(all_judged())
    finally:
        os.chdir(before)


def _failed(run: RunResult) -> dict[str, CheckResult]:
    return {result.check: result for result in run.results if result.verdict in _FAILED and not result.blocked_by}


@pytest.mark.parametrize("name", TABLE)
def test_a_broken_client_dies_of_its_fault_and_of_nothing_else(name: str, runs: Mapping[str, RunResult]) -> None:
    failed, entry = _failed(runs[name]), TABLE[name]
    assert entry["check"] in failed, f"{name} survives; it fails {list(failed) or 'nothing'}"
    findings = failed[entry["check"]].findings
    assert [
        finding
        for finding in findings
        if finding.requirement == entry["requirement"] and finding.message.startswith(entry["message"])
    ], findings
    assert set(failed) == _died_of(entry)


def test_every_fault_stands_in_the_table() -> None:
    assert TABLE.keys() == FAULTS.keys()


def test_every_check_of_clients_is_proved_able_to_fail() -> None:
    died = {name for entry in TABLE.values() for name in _died_of(entry)}
    assert {check.name for check in all_client_checks()} - died == set()


def test_every_must_of_clients_has_a_broken_client() -> None:
    musts = {one.id for one in requirements().values() if one.is_must and one.binds("client")}
    assert musts - EXCLUSIONS["client"].keys() - {entry["requirement"] for entry in TABLE.values()} == set()
