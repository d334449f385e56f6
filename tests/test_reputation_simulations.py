"""A few worlds of `make simulate`: they are the SDK's own rule at work, and its claims hold in them as well."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.reputation.askers import METHODS, OURS, Askers
from benchmarks.reputation.claims import CLAIMS, Claim, verdicts
from benchmarks.reputation.experiments import Result, run
from benchmarks.reputation.scenarios import BASELINE, COLLUSION, ZOO, collusion_sweep, sybil_sweep
from benchmarks.reputation.worlds import JUDGEMENTS_OF_A_SYBIL, NODES, REVIEWERS, STEP, Floats, Reviews, World
from consilience.network.reputation import Evidence, Policy, Reputation, Verification
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey

SEEDS = 8
SCENARIOS = {scenario.name: scenario for scenario in (*ZOO, *sybil_sweep(), *collusion_sweep())}
TRIED = ("nobody lies", "10,000 Sybils", "slander by 1,000 strangers", "50% lie")
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


def test_the_same_seed_gives_the_same_worlds() -> None:
    first, second = (run(BASELINE, methods=(OURS,), seeds=3, seed=7)[0] for _ in range(2))
    assert np.array_equal(first.regret, second.regret)
    assert not np.array_equal(first.regret, run(BASELINE, methods=(OURS,), seeds=3, seed=8)[0].regret)


def test_the_simulated_score_is_that_of_the_sdk() -> None:
    scenario = replace(COLLUSION, corrupt_share=0.25, lies_per_step=1.0, sybils=20, sybils_slander=True, attack_edges=3)
    world = World(scenario, seeds=1, seed=5, half_life=Policy().half_life)
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


def _key(kind: str, number: int = 0) -> PublicKey:
    return PublicKey(hashlib.sha256(f"{kind} {number}".encode()).digest())


def _reviewer(number: int) -> PublicKey:
    return _key("reviewer", number)


def _judgement(judge: PublicKey, node: int, score: float, *, age: int) -> Evidence:
    return Evidence(
        judge=judge,
        subject=_key("node", node),
        domain="all",
        score_milli=round(1000 * score),
        verification=Verification.GROUND_TRUTH,
        time=NOW - age * STEP,
        paid_bucket=SURELY,
    )


def _of_reviewers(world: World, reviews: Reviews, *, age: int) -> Iterator[Evidence]:
    for reviewer in range(REVIEWERS):
        if (node := int(reviews.node[0, reviewer])) >= 0:
            yield _judgement(_reviewer(reviewer), node, float(reviews.score[0, reviewer]), age=age)
        for lied_about in np.flatnonzero(reviews.lies[0, reviewer]).tolist():
            yield _judgement(_reviewer(reviewer), lied_about, float(reviews.lie_score[0, lied_about]), age=age)
    assert set(np.unique(reviews.lies)) <= {0.0, world.scenario.lies_per_step}


def _of_sybils(world: World) -> Iterator[Evidence]:
    for sybil in range(world.scenario.sybils):
        for node in range(NODES):
            for _ in range(int(JUDGEMENTS_OF_A_SYBIL)):
                yield _judgement(_reviewer(REVIEWERS + sybil), node, float(world.said_by_sybils[0, node]), age=0)


def _of_viewer(askers: Askers, count: Floats, total: Floats, *, age: int) -> Iterator[Evidence]:
    for node in np.flatnonzero(askers.own_count[0, 0] - count[0, 0] > 0.5):
        yield _judgement(_key("viewer"), int(node), float(askers.own_total[0, 0, node] - total[0, 0, node]), age=age)


def _edges(world: World) -> Iterator[TrustEdge]:
    steps = world._graphs[0].tocoo()
    for truster, trusted, weight in zip(*steps.coords, steps.data, strict=True):
        yield TrustEdge(truster=_reviewer(int(truster)), trusted=_reviewer(int(trusted)), weight=float(weight))
    for reviewer in world.trusted[0]:
        yield TrustEdge(truster=_key("viewer"), trusted=_reviewer(int(reviewer)))
