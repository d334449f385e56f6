from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from scipy.stats import beta

from consilience.network.reputation import (
    ClassCount,
    Evidence,
    EvidenceClass,
    Explanation,
    Limit,
    Policy,
    Reputation,
    Score,
    Verification,
)
from consilience.network.trust_edges import TrustEdge
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


def seen(evidence: Iterable[Evidence] = (), edges: Iterable[TrustEdge] = (), policy: Policy | None = None) -> Score:
    return Reputation(evidence, viewer=ME, edges=edges, now=NOW, policy=policy).score(NODE, domain=DOMAIN)


def explained(evidence: Iterable[Evidence], edges: Iterable[TrustEdge] = ()) -> Explanation:
    return Reputation(evidence, viewer=ME, edges=edges, now=NOW).explain(NODE, domain=DOMAIN)


def test_a_node_of_which_nothing_is_known_may_be_anything() -> None:
    score = seen()
    assert (score.mean, score.lower) == pytest.approx((0.5, 0.05))
    assert (score.own, score.trusted, score.strangers, score.age) == (ClassCount(), ClassCount(), ClassCount(), None)


def test_own_outcomes_count_one_each() -> None:
    score = seen([*(judged("me") for _ in range(8)), judged("me", 0), judged("me", 500)])
    assert score.own == ClassCount(items=10, weight=10.0)
    assert score.mean == pytest.approx(9.5 / 12)
    assert score.lower == pytest.approx(beta.ppf(0.05, 9.5, 2.5))


@pytest.mark.parametrize("verification", [Verification.GROUND_TRUTH, Verification.TOOL, Verification.HUMAN])
def test_it_does_not_matter_which_proof_one_has(verification: Verification) -> None:
    assert seen([judged("me", verification=verification)]).own.weight == 1


def test_a_cross_check_counts_half() -> None:
    assert seen([judged("me", verification=Verification.CROSS_CHECK)]).own.weight == 0.5


@pytest.mark.parametrize("judge", ["me", "ann", "stranger"])
def test_an_opinion_that_nobody_checked_is_set_aside(judge: str) -> None:
    opinion = judged(judge, 0, verification=Verification.NONE)
    assert seen([opinion], trusts("me", "ann")) == seen()
    (aside,) = explained([opinion], trusts("me", "ann")).contributions
    assert (aside.evidence_class, aside.weight_stated, aside.weight) == (EvidenceClass.SET_ASIDE, 0, 0)


def test_a_node_does_not_judge_itself_however_much_it_is_trusted() -> None:
    assert seen([judged("node") for _ in range(9)], trusts("me", "node")) == seen()


def test_domains_are_kept_apart() -> None:
    reputation = Reputation([judged("me", domain="law"), judged("me", 0, domain="units")], viewer=ME, now=NOW)
    assert reputation.score(NODE, domain="law").mean == pytest.approx(2 / 3)
    assert reputation.score(NODE, domain="units").mean == pytest.approx(1 / 3)
    assert reputation.score(NODE, domain="chess").mean == 0.5


def test_what_is_a_half_life_old_counts_half() -> None:
    score = seen([judged("me", days=7)])
    assert score.own.weight == pytest.approx(0.5)
    assert score.age == timedelta(days=7)


def test_evidence_of_the_future_is_as_of_now() -> None:
    score = seen([judged("me", days=-1000)])
    assert score.own.weight == 1
    assert score.age == timedelta(0)


def test_the_age_is_that_of_the_newest_evidence_that_counts() -> None:
    evidence = [judged("me", days=20), judged("ann", days=5), judged("stranger", days=1)]
    assert seen(evidence, trusts("me", "ann")).age == timedelta(days=5)
    assert seen(evidence).age == timedelta(days=20)


def test_trusted_reviewers_count_up_to_the_cap() -> None:
    score = seen([judged("ann") for _ in range(50)], trusts("me", "ann"))
    assert score.trusted.items == 50
    assert score.trusted.weight == pytest.approx(0.5)
    assert score.mean == pytest.approx(1.5 / 2.5)


def test_the_cap_grows_with_own_outcomes() -> None:
    score = seen([*(judged("me") for _ in range(10)), *(judged("ann", 0) for _ in range(50))], trusts("me", "ann"))
    assert score.trusted.weight == pytest.approx(0.5 + 0.25 * 10)
    assert score.mean == pytest.approx(11 / 15)


def test_a_reviewer_counts_no_more_often_than_it_judged() -> None:
    score = seen([judged("ann", days=14)], trusts("me", "ann"))
    assert score.trusted.weight == pytest.approx(0.25)


def test_a_reviewer_counts_no_more_than_trust_flows_to_it() -> None:
    edges = [*trusts("me", "ann"), *trusts("ann", "bob", weight=0.01), *trusts("ann", "cy")]
    score = seen([judged("bob") for _ in range(50)], edges)
    assert score.trusted.weight == pytest.approx(16 * 0.25 * 0.01 / 1.01)


@pytest.mark.parametrize(("bucket", "weight"), [(0, 0.5), (1, 0.75), (3, 0.9375)])
def test_a_review_of_a_paid_answer_counts_more(bucket: int, weight: float) -> None:
    policy = Policy(cap_start=9)
    assert seen([judged("ann", paid_bucket=bucket)], trusts("me", "ann"), policy).trusted.weight == weight


def test_own_outcomes_count_fully_without_a_payment() -> None:
    assert seen([judged("me", paid_bucket=0)]).own.weight == 1


def test_a_node_is_verified_less_often_the_better_it_is_known() -> None:
    rates = [seen([judged("me") for _ in range(count)]).audit_rate for count in (0, 2, 8, 100)]
    assert rates == pytest.approx([1, 0.5, 0.2, 0.1])


def test_strangers_who_accuse_raise_the_audit_rate_to_its_limit_and_nothing_else() -> None:
    own = [judged("me") for _ in range(100)]
    alone = seen(own)
    few = seen([*own, *(judged("stranger", 0) for _ in range(3))])
    many = seen([*own, *(judged(f"stranger {number}", 0) for number in range(500))])
    assert alone.mean == few.mean == many.mean
    assert few.strangers == ClassCount(items=3, weight=3.0)
    assert [one.audit_rate for one in (alone, few, many)] == pytest.approx([0.1, 0.16, 0.25])


def test_praise_of_strangers_changes_nothing() -> None:
    score = seen([judged("stranger") for _ in range(500)])
    assert (score.mean, score.audit_rate) == (seen().mean, seen().audit_rate)


def test_the_best_lower_bound_comes_first() -> None:
    evidence = [
        *(judged("me", subject="proven") for _ in range(20)),
        judged("me", subject="lucky"),
        judged("me", 0, subject="bad"),
        judged("me", subject="elsewhere", domain="law"),
    ]
    scores = Reputation(evidence, viewer=ME, now=NOW).scores(domain=DOMAIN)
    assert [score.node_id for score in scores] == [key("proven"), key("lucky"), key("bad")]


def test_an_explanation_says_who_counted_how_much_and_through_whom() -> None:
    edges = [*trusts("me", "ann"), *trusts("ann", "bob", weight=0.01), *trusts("ann", "cy")]
    evidence = [judged("me", 0), *(judged("bob", 800) for _ in range(9)), judged("stranger"), judged("dee")]
    explanation = explained(evidence, edges)
    me, bob, *strangers = explanation.contributions
    assert (me.evidence_class, me.weight, me.mean, me.path, me.limits) == (EvidenceClass.OWN, 1, 0, (), ())
    assert (bob.evidence_class, bob.items) == (EvidenceClass.TRUSTED, 9)
    assert bob.weight_stated == pytest.approx(9)
    assert bob.path == (ME, key("ann"), key("bob"))
    assert bob.limits == (Limit.TRUST,)
    assert bob.weight == pytest.approx(16 * bob.flow)
    assert bob.mean == pytest.approx(0.8)
    assert {one.judge for one in strangers} == {key("stranger"), key("dee")}
    assert {(one.evidence_class, one.weight) for one in strangers} == {(EvidenceClass.STRANGER, 0)}


def test_an_explanation_says_where_the_cap_cut() -> None:
    explanation = explained([judged("ann"), judged("bob"), judged("bob", 0)], trusts("me", "ann", "bob"))
    assert explanation.cap == 0.5
    assert explanation.kept_share == pytest.approx(0.5 / 3)
    assert [one.limits for one in explanation.contributions] == [(Limit.CAP,), (Limit.CAP,)]
    assert explanation.most_shift == pytest.approx(0.2)


def test_of_a_node_that_nobody_judged_there_is_nothing_to_explain() -> None:
    explanation = explained([judged("me", subject="another")])
    assert explanation.contributions == ()
    assert explanation.score == seen()


def test_what_does_not_count_in_a_domain_is_told_beside_it() -> None:
    judgements = [
        judged("me"),
        judged("me", domain="law"),
        judged("ann", domain="law"),
        judged("me", domain=""),
        judged("me", subject="another", domain="law"),
    ]
    assert explained(judgements).elsewhere == {"law": 2, "": 1}
    assert explained(judgements).score == seen([judged("me")])


@UNHURRIED
@given(
    judgements_of(["me", "ann", "bob", "eve"]),
    edges_among(["me", "ann", "bob"], ["me", "ann", "bob", "cy"]),
    POLICIES,
)
def test_an_explanation_adds_up_to_the_score(evidence: list[Evidence], edges: list[TrustEdge], policy: Policy) -> None:
    explanation = Reputation(evidence, viewer=ME, edges=edges, now=NOW, policy=policy).explain(NODE, domain=DOMAIN)
    weight = sum(one.weight for one in explanation.contributions)
    successes = sum(one.weight * one.mean for one in explanation.contributions)
    assert explanation.score.mean == pytest.approx((1 + successes) / (2 + weight))
    assert explanation.score.own.weight + explanation.score.trusted.weight == pytest.approx(weight)
    assert sum(one.items for one in explanation.contributions) == sum(
        1 for one in evidence if (one.subject, one.domain) == (NODE, DOMAIN)
    )
