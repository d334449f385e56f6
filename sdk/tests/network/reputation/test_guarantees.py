"""What no attacker can do, whatever it says and however many it is."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consilience.network.reputation import Evidence, Policy, Reputation, Score
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey
from sdk.tests.network.reputation.scenes import (
    DOMAIN,
    ME,
    NODE,
    NOW,
    POLICIES,
    UNHURRIED,
    edges_among,
    judged,
    judgements_of,
    key,
    trusts,
)

HONEST = ["ann", "bob", "cy", "dee"]
CIRCLE = ["me", *HONEST]
ATTACKERS = ["eve", "mallory", "trudy", "sybil"]
SLACK = 1e-9


def score(evidence: list[Evidence], edges: list[TrustEdge], policy: Policy | None = None, *, days: float = 0) -> Score:
    """Returns the score of the node, as seen by me."""
    reputation = Reputation(evidence, viewer=ME, edges=edges, now=NOW + timedelta(days=days), policy=policy)
    return reputation.score(NODE, domain=DOMAIN)


@UNHURRIED
@given(
    evidence=judgements_of(CIRCLE),
    edges=edges_among(CIRCLE, CIRCLE),
    strange=judgements_of(ATTACKERS),
    strange_edges=edges_among(ATTACKERS, [*CIRCLE, *ATTACKERS]),
    policy=POLICIES,
)
def test_strangers_do_not_change_a_bit(
    evidence: list[Evidence],
    edges: list[TrustEdge],
    strange: list[Evidence],
    strange_edges: list[TrustEdge],
    policy: Policy,
) -> None:
    before = score(evidence, edges, policy)
    after = score([*strange, *evidence], [*strange_edges, *edges], policy)
    seen = ("mean", "lower", "own", "trusted", "age")
    assert [getattr(after, name) for name in seen] == [getattr(before, name) for name in seen]
    assert before.audit_rate <= after.audit_rate <= max(before.audit_rate, policy.most_audit_rate)


def inflow(edges: list[TrustEdge], attack_edges: list[TrustEdge], policy: Policy) -> float:
    """Returns the flow to whoever was deceived, without the attack, times the share that the attack edges have."""
    honest_flow = Reputation([], viewer=ME, edges=edges, now=NOW, policy=policy).trust
    given_away: defaultdict[PublicKey, float] = defaultdict(float)
    for edge in (*edges, *attack_edges):
        if edge.trusted not in {ME, edge.truster}:
            given_away[edge.truster] += edge.weight
    return sum(honest_flow(edge.truster) * edge.weight / given_away[edge.truster] for edge in attack_edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What an attacker adds: edges of deceived people into its region, and all that it says behind them."""

    edges_into: list[TrustEdge]
    edges_within: list[TrustEdge]
    evidence: list[Evidence]


ATTACKS = st.builds(
    Attack,
    edges_into=edges_among(HONEST, ATTACKERS, most=4),
    edges_within=edges_among(ATTACKERS, [*CIRCLE, *ATTACKERS]),
    evidence=judgements_of(ATTACKERS),
)


@UNHURRIED
@given(evidence=judgements_of(CIRCLE), edges=edges_among(CIRCLE, CIRCLE), attack=ATTACKS, policy=POLICIES)
def test_a_region_behind_attack_edges_moves_a_score_no_further_than_the_bound(
    evidence: list[Evidence], edges: list[TrustEdge], attack: Attack, policy: Policy
) -> None:
    before = score(evidence, edges, policy)
    after = score([*evidence, *attack.evidence], [*edges, *attack.edges_into, *attack.edges_within], policy)
    bound = policy.most_shift(before.own.weight, inflow=inflow(edges, attack.edges_into, policy))
    assert abs(after.mean - before.mean) <= bound + SLACK
    assert after.own == before.own


@UNHURRIED
@given(evidence=judgements_of(["me"]), said=judgements_of(HONEST), edges=edges_among(CIRCLE, CIRCLE), policy=POLICIES)
def test_all_others_together_move_a_score_no_further_than_the_cap_allows(
    evidence: list[Evidence], said: list[Evidence], edges: list[TrustEdge], policy: Policy
) -> None:
    alone, with_others = score(evidence, edges, policy), score([*evidence, *said], edges, policy)
    assert abs(with_others.mean - alone.mean) <= policy.most_shift(alone.own.weight) + SLACK
    assert with_others.trusted.weight <= policy.cap(alone.own.weight) + SLACK


def test_the_bound_of_the_cap_is_reached() -> None:
    edges = trusts("me", *HONEST)
    praise = score([judged(name, 1000) for name in HONEST for _ in range(50)], edges)
    slander = score([judged(name, 0) for name in HONEST for _ in range(50)], edges)
    assert praise.mean - slander.mean == pytest.approx(Policy().most_shift(0))


def test_the_shift_of_a_small_attack_is_a_large_part_of_its_bound() -> None:
    policy = Policy(cap_start=100, cap_growth=1)
    edges = [*trusts("me", *HONEST), *trusts("ann", "bob", "cy", "dee")]
    attack = trusts("ann", "eve", weight=0.01)
    before = score([], edges, policy)
    ring = [*trusts("eve", "mallory"), *trusts("mallory", "eve")]
    lies = [judged(name) for name in ("eve", "mallory") for _ in range(50)]
    after = score(lies, [*edges, *attack, *ring], policy)
    bound = policy.most_shift(0, inflow=inflow(edges, attack, policy))
    assert bound < 0.02
    assert bound / 9 < after.mean - before.mean <= bound


@pytest.mark.parametrize("count", [1, 10, 1_000, 10_000])
def test_ten_thousand_identities_behind_one_edge_weigh_no_more_than_what_flows_across_it(count: int) -> None:
    policy = Policy(cap_start=100)
    sybils = [f"sybil {number}" for number in range(count)]
    edges = [*trusts("me", *HONEST), *trusts("ann", "bob", "sybil 0"), *trusts("sybil 0", *sybils)]
    attacked = score([judged(name) for name in sybils for _ in range(3)], edges, policy)
    across = Reputation([], viewer=ME, edges=edges, now=NOW).trust(key("ann")) / 2
    assert 0 < attacked.trusted.weight <= policy.counts_per_flow * across + SLACK


@UNHURRIED
@given(
    evidence=judgements_of(CIRCLE), edges=edges_among(CIRCLE, CIRCLE), policy=POLICIES, order=st.permutations(CIRCLE)
)
def test_names_do_not_matter(
    evidence: list[Evidence], edges: list[TrustEdge], policy: Policy, order: list[str]
) -> None:
    renamed = {key(old): key(new) for old, new in zip(CIRCLE, order, strict=True)}

    def other(node_id: PublicKey) -> PublicKey:
        return renamed.get(node_id, node_id)

    plain = Reputation(evidence, viewer=ME, edges=edges, now=NOW, policy=policy)
    masked = Reputation(
        [
            Evidence(
                judge=other(one.judge),
                subject=other(one.subject),
                domain=one.domain,
                score_milli=one.score_milli,
                verification=one.verification,
                time=one.time,
                paid_bucket=one.paid_bucket,
            )
            for one in evidence
        ],
        viewer=other(ME),
        edges=[
            TrustEdge(truster=other(edge.truster), trusted=other(edge.trusted), weight=edge.weight) for edge in edges
        ],
        now=NOW,
        policy=policy,
    )
    for subject in (NODE, key("another"), *map(key, CIRCLE)):
        one, same = plain.score(subject, domain=DOMAIN), masked.score(other(subject), domain=DOMAIN)
        assert (same.mean, same.lower) == pytest.approx((one.mean, one.lower), abs=1e-9)
        assert (same.own.items, same.trusted.items) == (one.own.items, one.trusted.items)


def test_the_order_of_evidence_and_edges_does_not_change_a_bit() -> None:
    draw = Random(1)  # noqa: S311 - a spread of cases, not a secret
    people = [f"reviewer {number}" for number in range(30)]
    edges = [edge for name in people * 3 for edge in trusts("me", name, weight=draw.uniform(0.1, 1))]
    evidence = [
        judged(draw.choice(["me", *people]), draw.randint(0, 1000), days=draw.uniform(0, 30)) for _ in range(300)
    ]
    expected = score(evidence, edges)
    for _ in range(20):
        draw.shuffle(edges)
        assert score(evidence, edges) == expected
        draw.shuffle(evidence)
        assert score(evidence, edges) == expected


@UNHURRIED
@given(evidence=judgements_of(CIRCLE), edges=edges_among(CIRCLE, CIRCLE), policy=POLICIES, age=st.floats(0, 400))
def test_a_good_outcome_of_ones_own_never_lowers_a_score_and_a_bad_one_never_raises_it(
    evidence: list[Evidence], edges: list[TrustEdge], policy: Policy, age: float
) -> None:
    before = score(evidence, edges, policy).mean
    assert score([*evidence, judged("me", 1000, days=age)], edges, policy).mean >= before - SLACK
    assert score([*evidence, judged("me", 0, days=age)], edges, policy).mean <= before + SLACK


@UNHURRIED
@given(
    evidence=judgements_of(CIRCLE),
    edges=edges_among(CIRCLE, CIRCLE),
    policy=POLICIES,
    marks=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
)
def test_a_better_outcome_of_ones_own_never_gives_a_lower_score(
    evidence: list[Evidence], edges: list[TrustEdge], policy: Policy, marks: tuple[int, int]
) -> None:
    worse, better = (score([*evidence, judged("me", mark)], edges, policy) for mark in sorted(marks))
    assert better.mean >= worse.mean - SLACK
    assert better.lower >= worse.lower - SLACK


@UNHURRIED
@given(
    evidence=judgements_of(CIRCLE, most=8), edges=edges_among(CIRCLE, CIRCLE), policy=POLICIES, halvings=st.floats(0, 6)
)
def test_a_half_life_later_evidence_counts_half(
    evidence: list[Evidence], edges: list[TrustEdge], policy: Policy, halvings: float
) -> None:
    assume(all(one.time <= NOW for one in evidence))
    days = policy.half_life * halvings / timedelta(days=1)
    before, after = score(evidence, edges, policy), score(evidence, edges, policy, days=days)
    assert after.own.weight == pytest.approx(before.own.weight * 0.5**halvings, rel=1e-6)
    assert after.trusted.weight <= before.trusted.weight + SLACK


def test_what_is_old_enough_is_forgotten() -> None:
    evidence = [judged("me") for _ in range(100)]
    assert score(evidence, [], days=0).mean > 0.99
    assert score(evidence, [], days=3000).mean == pytest.approx(0.5)
