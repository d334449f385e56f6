"""A trial keeps what was judged, even where it was broken off."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.planning import Order, prepare
from consilience_conformance.transcripts import Transcript
from consilience_conformance.trial import Trial, not_begun
from consilience_conformance.verdicts import CheckResult, Exit, Finding, Verdict


async def test_a_run_that_takes_too_long_ends_and_fails_what_had_not_ended() -> None:
    async with DEGENERATE["card-and-hang"].serving() as address:
        plan = await prepare(Order(address=address, tester_key=Path("unused")))
        run = await Trial(plan).run(time_limit=0.5)
    assert len(run.results) == len(plan.checks)
    late = [result for result in run.results if "time limit of 0.5 s" in result.because]
    assert "ask" in [result.check for result in late]
    assert {result.verdict for result in late} == {Verdict.UNTESTABLE}
    assert run.exit is Exit.FAILED


async def test_a_run_that_takes_too_long_does_not_wait_for_a_judge_that_still_thinks() -> None:
    thinking, enough = threading.Event(), threading.Event()
    ended: list[bool] = []

    def judge(_: Transcript) -> Iterator[Finding]:
        thinking.set()
        ended.append(enough.wait(timeout=30))
        yield from ()

    async with DEGENERATE["accept-all"].serving() as address:
        plan = await prepare(Order(address=address, tester_key=Path("unused")))
        slow = replace(next(check for check in plan.checks if check.name == "ask"), judge=judge, after=())
        run = await Trial(replace(plan, checks=(slow,))).run(time_limit=2)
    assert thinking.is_set()
    assert not ended
    enough.set()
    assert run.exit is Exit.FAILED


async def test_what_was_judged_before_a_run_was_broken_off_is_there() -> None:
    ended = asyncio.Event()

    def note(_: CheckResult) -> None:
        ended.set()

    async with DEGENERATE["card-and-hang"].serving() as address:
        trial = Trial(await prepare(Order(address=address, tester_key=Path("unused"))), on_result=note)
        running = asyncio.create_task(trial.run())
        await ended.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        run = trial.so_far()
    assert 0 < len(run.results) < len(trial.plan.checks)
    assert run.address == address
    assert run.skill
    assert run.mode == "live"
    assert run.profiles[0] == "core"


def test_a_run_that_found_no_node_has_done_too_little() -> None:
    run = not_begun("127.0.0.1:1", seed=3)
    assert run.exit is Exit.TOO_LITTLE
    assert not run.results
