"""Degenerate nodes are as nasty as they say: each passes for a node in everything but what it is made for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consilience_conformance.cases import all_checks
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.planning import Order, prepare
from consilience_conformance.runner import Runner
from consilience_conformance.targets import UnreachableError, reach
from consilience_conformance.transcripts import Ended
from consilience_conformance.verdicts import CheckResult, Verdict

PROBE, ASK = "unknown-skill-is-refused", "ask"


async def judged(node: str, check: str, *, folder: Path) -> CheckResult:
    """Judges a node by one check, without those that it comes after."""
    (alone,) = (replace(one, after=()) for one in all_checks() if one.name == check)
    async with DEGENERATE[node].serving() as address:
        plan = await prepare(Order(address=address, tester_key=folder / "key", only=(check,)))
        (result,) = await Runner(replace(plan, checks=(alone,))).run()
    return result


async def test_who_accepts_all_answers_so_well_that_only_the_probe_finds_out(tmp_path: Path) -> None:
    assert (await judged("accept-all", ASK, folder=tmp_path)).findings == ()
    assert (await judged("accept-all", PROBE, folder=tmp_path)).verdict is Verdict.FAIL


async def test_who_lies_passes_the_probe_and_dies_of_the_first_control(tmp_path: Path) -> None:
    assert (await judged("lying-reject-all", PROBE, folder=tmp_path)).findings == ()
    (finding,) = (await judged("lying-reject-all", ASK, folder=tmp_path)).findings
    assert finding.message == DEGENERATE["lying-reject-all"].message
    assert finding.got == "refused NODE_DRAINING: NODE_DRAINING"


async def test_who_never_ends_passes_the_probe_and_is_given_up(tmp_path: Path) -> None:
    assert (await judged("endless", PROBE, folder=tmp_path)).findings == ()
    result = await judged("endless", ASK, folder=tmp_path)
    assert result.transcript is not None
    assert [exchange.ended for exchange in result.transcript.exchanges] == [Ended.ENDLESS]
    assert result.verdict is Verdict.FAIL


@pytest.mark.parametrize("node", ["card-and-reject-all", "card-and-empty-ok"])
async def test_who_shows_a_card_and_means_nothing_by_it_dies_of_the_probe(node: str, tmp_path: Path) -> None:
    result = await judged(node, PROBE, folder=tmp_path)
    assert result.verdict is Verdict.FAIL
    assert result.findings[0].message == DEGENERATE[node].message


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("reject-all", "does not answer GetNodeCard: PERMISSION_DENIED"),
        ("empty-ok", "answers GetNodeCard with what is no card"),
        ("hang", "is silent"),
        ("other-protocol", "no gRPC answers at"),
        ("closed-port", "nothing answers at"),
    ],
)
async def test_who_shows_no_card_is_not_reached(node: str, words: str) -> None:
    async with DEGENERATE[node].serving() as address:
        with pytest.raises(UnreachableError, match=words):
            await reach(address, seconds=1.0)


async def test_who_hangs_after_its_card_is_reached(tmp_path: Path) -> None:
    async with DEGENERATE["card-and-hang"].serving() as address:
        assert (await reach(address)).card.name == "an impostor"


def test_each_says_what_it_does_in_a_sentence() -> None:
    assert all(one.fault.endswith(".") and one.fault[0].isupper() for one in DEGENERATE.values())
