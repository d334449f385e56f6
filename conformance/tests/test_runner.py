"""A run ends in time whatever the node does: silence is borne by each check, and by all of them, for so long alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consilience.v1 import node_pb2
from consilience_conformance import runner
from consilience_conformance.cases import all_checks
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.planning import Order, prepare
from consilience_conformance.runner import Plan, Runner
from consilience_conformance.verdicts import Verdict


async def plan_at(address: str) -> Plan:
    return await prepare(Order(address=address, tester_key=Path("unused")))


async def test_a_node_that_was_silent_for_long_is_judged_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MIN_BUDGET_SECONDS", 0.2)
    monkeypatch.setattr(runner, "BUDGET_ROUND_TRIPS", 0)
    monkeypatch.setattr(runner, "MOST_SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(runner, "MAX_AT_ONCE", 1)
    names = ("ask", "every-reader-reads-one-log", "a-finished-answer-is-kept", "streams-left-lying-hold-up-nobody")
    async with DEGENERATE["card-and-hang"].serving() as address:
        plan = await plan_at(address)
        # Nothing is blocked by the first of them: as if the node had begun to hang in the middle of a run.
        checks = tuple(replace(check, after=()) for check in all_checks() if check.name in names)
        results = await Runner(replace(plan, checks=checks)).run()
    first, *others = results
    assert first.verdict is Verdict.FAIL
    assert {result.verdict for result in others} == {Verdict.UNTESTABLE}
    assert all(result.because.startswith("the node had been silent for more than") for result in others)
    assert {result.blocked_by for result in others} == {first.check}


async def test_a_node_that_hangs_fails_one_check_which_blocks_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MIN_BUDGET_SECONDS", 0.2)
    monkeypatch.setattr(runner, "BUDGET_ROUND_TRIPS", 0)
    async with DEGENERATE["card-and-hang"].serving() as address:
        results = await Runner(await plan_at(address)).run()
    driven = {result.check for result in results if result.transcript is not None}
    assert driven == {"unknown-skill-is-refused"}


async def test_a_node_that_has_sent_too_much_is_judged_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MOST_RUN_BYTES", 0)
    monkeypatch.setattr(runner, "MAX_AT_ONCE", 1)
    async with DEGENERATE["accept-all"].serving() as address:
        plan = await plan_at(address)
        checks = tuple(
            replace(check, after=()) for check in all_checks() if check.name in {"ask", "a-finished-answer-is-kept"}
        )
        first, second = await Runner(replace(plan, checks=checks)).run()
    assert first.transcript is not None
    assert second.verdict is Verdict.UNTESTABLE
    assert "had sent more than" in second.because


@pytest.mark.parametrize(
    ("limit", "at_once"),
    [(0, runner.MAX_AT_ONCE), (1, 1), (2, 1), (3, 1), (4, 2), (10_000, runner.MAX_AT_ONCE)],
)
async def test_checks_leave_room_for_each_other_on_a_small_node(limit: int, at_once: int) -> None:
    async with DEGENERATE["card-and-hang"].serving() as address:
        plan = await plan_at(address)
    card = node_pb2.NodeCard()
    card.CopyFrom(plan.target.card)
    card.limits.max_running_asks = limit
    assert Runner(replace(plan, target=replace(plan.target, card=card))).at_once == at_once


def test_no_check_that_runs_beside_others_rests_on_one_that_runs_alone_which_comes_later() -> None:
    alone = {check.name for check in all_checks() if check.alone}
    assert alone
    assert not [check.name for check in all_checks() if not check.alone and alone.intersection(check.after)]
