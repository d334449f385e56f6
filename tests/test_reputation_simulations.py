"""A few worlds of `make simulate`: they are the SDK's own rule at work, and its claims hold in them as well."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.reputation.askers import METHODS, OURS, OURS_BY_AGREEMENT, Askers
from benchmarks.reputation.claims import CLAIMS, Claim, verdicts
from benchmarks.reputation.experiments import Result, run
from benchmarks.reputation.report import PAGE
from benchmarks.reputation.scenarios import (
    BASELINE,
    COLLUSION,
    ZOO,
    Cover,
    Scenario,
    Scheme,
    collusion_sweep,
    copying_sweep,
    sybil_sweep,
)
from benchmarks.reputation.worlds import (
    BAD,
    COMPARED,
    GOOD,
    JUDGEMENTS_OF_A_SYBIL,
    NODES,
    REVIEWERS,
    STEP,
    STEPS,
    Floats,
    Reviews,
    World,
    weight_of,
)
from consilience.network.reputation import Evidence, Policy, Reputation, Verification
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey
from scripts.machine_cache import ROOT

SEEDS = 8
COPYING = (*copying_sweep(viewer_compares=False), *copying_sweep(viewer_compares=True))
SCENARIOS = {scenario.name: scenario for scenario in (*ZOO, *sybil_sweep(), *collusion_sweep(), *COPYING)}
TRIED = (
    "nobody lies",
    "10,000 Sybils",
    "slander by 1,000 strangers",
    "50% lie",
    "camouflage: a quarter is honest, then colludes",
    "copycat: a quarter copies, then praises",
    "12 copiers, reviewers compare",
    "12 copiers, all compare",
)
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
SURELY = 60
"""A bucket of amounts so high that the review counts 1 to within the precision of a float."""


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [result for name in TRIED for result in run(SCENARIOS[name], seeds=SEEDS)]


@pytest.mark.parametrize("claim", [one for one in CLAIMS if one.scenario in TRIED], ids=str)
def test_a_claim_holds_in_a_few_worlds(results: list[Result], claim: Claim) -> None:
    (verdict,) = verdicts(results, claims=(claim,))
    assert verdict.holds, verdict


def test_a_claim_that_does_not_hold_is_noticed(results: list[Result]) -> None:
    (verdict,) = verdicts(results, claims=(Claim(scenario="50% lie", method="trusted, no cap", at_most=0.5),))
    assert not verdict.holds


def test_every_claim_is_about_a_scenario_and_a_method_that_there_are() -> None:
    assert {claim.scenario for claim in CLAIMS} <= set(SCENARIOS)
    assert {claim.method for claim in CLAIMS} <= {method.name for method in METHODS}


ATTACKS = (
    "liar",
    "ring",
    "camouflage",
    "on-off",
    "whitewash",
    "slander",
    "self-promotion",
    "copycat",
    "confidence inflation",
    "answer copying",
    "receipt replay",
    "exit scam",
)


def test_the_page_names_twelve_attacks_and_what_shows_them_is_there() -> None:
    lines = PAGE.read_text(encoding="utf-8").partition("## The attacks, by name")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    assert tuple(row[0] for row in rows if row[0]) == ATTACKS
    tests = {name for file in (ROOT / "sdk/tests").rglob("test_*.py") for name in TEST.findall(file.read_text("utf-8"))}
    for attack, _, _, shown_by in rows:
        scenarios, rules = re.findall(r"\*([^*]+)\*", shown_by), re.findall(r"`([^`]+)`", shown_by)
        assert scenarios or rules, attack
        assert set(scenarios) <= set(SCENARIOS)
        assert set(rules) <= tests


def test_the_same_seed_gives_the_same_worlds() -> None:
    first, second = (run(BASELINE, methods=(OURS,), seeds=3, seed=7)[0] for _ in range(2))
    assert np.array_equal(first.regret, second.regret)
    assert not np.array_equal(first.regret, run(BASELINE, methods=(OURS,), seeds=3, seed=8)[0].regret)


def test_worlds_in_bunches_are_as_many_as_were_wanted_and_no_two_alike() -> None:
    (result,) = run(replace(BASELINE, attackers=0), methods=(OURS,), seeds=27)
    assert np.unique(result.regret).size == 27


LOUD = replace(COLLUSION, corrupt_share=0.25, lies_per_step=1.0, sybils=20, sybils_slander=True, attack_edges=3)


@pytest.mark.parametrize("scenario", [LOUD, replace(LOUD, attackers=8, reviewers_compare=True, viewer_compares=True)])
def test_the_simulated_score_is_that_of_the_sdk(scenario: Scenario) -> None:
    world = new_world(scenario, seeds=1)
    askers = Askers(world, methods=(OURS,), seed=5)
    steps = 40
    evidence = list(_of_sybils(world))
    for number in range(steps):
        before = askers.own_count.copy(), askers.own_total.copy()
        evidence += _of_reviewers(world, world.step(), age=steps - 1 - number)
        askers.ask(number)
        evidence += _of_viewer(askers, *(array * world.decay for array in before), age=steps - 1 - number)
    reputation = Reputation(evidence, viewer=_key("viewer"), edges=_edges(world), now=NOW)
    successes, failures = askers.beliefs()
    expected = (successes / (successes + failures))[0, 0]
    scores = [reputation.score(_key("node", node), domain="all") for node in range(NODES)]
    assert [score.mean for score in scores] == pytest.approx(expected, abs=1e-9)
    assert sum(score.own.items for score in scores) > 10
    assert all(score.trusted.weight > 0 for score in scores)


def new_world(scenario: Scenario, *, seeds: int = 2) -> World:
    return World(scenario, seeds=seeds, seed=5, half_life=Policy().half_life)


def test_camouflaged_nodes_look_good_and_are_bad_where_it_matters() -> None:
    world = new_world(Scenario(name="camouflage", scheme=Scheme.CAMOUFLAGE))
    attackers = world.attackers
    assert np.all(world.quality[:, attackers] == BAD)
    seen = world.passes(compared=False)
    assert np.all((seen[:, attackers] > 0.8) & (seen[:, attackers] < GOOD))
    assert np.array_equal(seen[:, ~attackers], world.quality[:, ~attackers])


def test_copycats_speak_of_the_nodes_that_they_sell_not_before_they_praise_them() -> None:
    world = new_world(Scenario(name="copycat", corrupt_share=0.25, cover=Cover.COPYING))
    lies = [world.step() for _ in range(STEPS // 2 + 1)]
    assert lies[-2].lies[:, :, ~world.attackers].any()
    assert not lies[-2].lies[:, :, world.attackers].any()
    assert np.all(lies[-1].lies[:, :, world.attackers] == world.scenario.lies_per_step * world.corrupt[:, :, None])
    assert np.all(lies[-1].lie_score[:, world.attackers] == 1)
    assert 0.5 < lies[-1].lie_score[:, ~world.attackers].mean() < 0.95


@pytest.mark.parametrize("attackers", [4, 12])
def test_an_answer_passes_a_comparison_as_often_as_one_that_is_compared(attackers: int) -> None:
    world = new_world(Scenario(name="copiers", attackers=attackers), seeds=1)
    draw, asked = np.random.default_rng(1), 20_000
    right = draw.random((asked, NODES)) < world.quality
    right[:, :attackers] = right[:, :1]  # they give one answer
    answer = np.where(right, -1, np.arange(NODES))  # wrong answers differ
    answer[:, :attackers] = np.where(right[:, :1], -1, 0)
    for node in (0, NODES - 1):
        others = np.delete(np.arange(NODES), node)[draw.integers(NODES - 1, size=(asked, COMPARED))]
        passed = (np.take_along_axis(answer, others, axis=1) == answer[:, [node]]).any(axis=1)
        assert passed.mean() == pytest.approx(world.passes(compared=True)[0, node], abs=0.03)


def test_what_is_compared_counts_less_than_what_is_found_out() -> None:
    assert weight_of(compared=True) == Policy().cross_check_weight < weight_of(compared=False) == 1


def test_agreement_finds_out_who_slanders_and_believes_who_copies() -> None:
    lying, copying = (_agreement(scenario) for scenario in (replace(COLLUSION, corrupt_share=0.25), COPYCATS))
    assert lying.corrupt < 0.1
    assert lying.honest > 0.2
    assert copying.corrupt > copying.honest


COPYCATS = Scenario(name="copycats", corrupt_share=0.25, cover=Cover.COPYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    honest: float
    corrupt: float


def _agreement(scenario: Scenario) -> Agreement:
    """Returns how far reviewers agree with a viewer on the average after a while."""
    world = new_world(scenario)
    askers = Askers(world, methods=(OURS_BY_AGREEMENT,), seed=5)
    for number in range(STEPS // 4):
        world.step()
        askers.ask(number)
    share = np.divide(world.total, world.count, out=np.zeros_like(world.total), where=world.count > 0)
    agreed = askers._agreement(0, count=world.count, share=share)[:, :, 0]
    return Agreement(honest=float(agreed[~world.corrupt].mean()), corrupt=float(agreed[world.corrupt].mean()))


def _key(kind: str, number: int = 0) -> PublicKey:
    return PublicKey(hashlib.sha256(f"{kind} {number}".encode()).digest())


def _reviewer(number: int) -> PublicKey:
    return _key("reviewer", number)


def _judgement(judge: PublicKey, node: int, score: float, *, age: int, compared: bool = False) -> Evidence:
    return Evidence(
        judge=judge,
        subject=_key("node", node),
        domain="all",
        score_milli=round(1000 * score),
        verification=Verification.CROSS_CHECK if compared else Verification.GROUND_TRUTH,
        time=NOW - age * STEP,
        paid_bucket=SURELY,
    )


def _of_reviewers(world: World, reviews: Reviews, *, age: int) -> Iterator[Evidence]:
    compared = world.scenario.reviewers_compare
    for reviewer in range(REVIEWERS):
        if (node := int(reviews.node[0, reviewer])) >= 0:
            yield _judgement(_reviewer(reviewer), node, float(reviews.score[0, reviewer]), age=age, compared=compared)
        for lied_about in np.flatnonzero(reviews.lies[0, reviewer]).tolist():
            yield _judgement(_reviewer(reviewer), lied_about, float(reviews.lie_score[0, lied_about]), age=age)
    assert set(np.unique(reviews.lies)) <= {0.0, world.scenario.lies_per_step}


def _of_sybils(world: World) -> Iterator[Evidence]:
    for sybil in range(world.scenario.sybils):
        for node in range(NODES):
            for _ in range(int(JUDGEMENTS_OF_A_SYBIL)):
                yield _judgement(_reviewer(REVIEWERS + sybil), node, float(world.said_by_sybils[0, node]), age=0)


def _of_viewer(askers: Askers, count: Floats, total: Floats, *, age: int) -> Iterator[Evidence]:
    compared = askers._world.scenario.viewer_compares
    for node in np.flatnonzero(askers.own_count[0, 0] - count[0, 0] > weight_of(compared=compared) / 2):
        score = (askers.own_total[0, 0, node] - total[0, 0, node]) / weight_of(compared=compared)
        yield _judgement(_key("viewer"), int(node), float(score), age=age, compared=compared)


def _edges(world: World) -> Iterator[TrustEdge]:
    steps = world._graphs[0].tocoo()
    for truster, trusted, weight in zip(*steps.coords, steps.data, strict=True):
        yield TrustEdge(truster=_reviewer(int(truster)), trusted=_reviewer(int(trusted)), weight=float(weight))
    for reviewer in world.trusted[0]:
        yield TrustEdge(truster=_key("viewer"), trusted=_reviewer(int(reviewer)))
