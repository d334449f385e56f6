"""Signed reviews become evidence: each ticket once, nothing that was taken back, and no more than was verified."""

from typing import Any

import pytest

from consilience._wire.envelopes import seal
from consilience.network.reputation import Reputation, Verification
from consilience.network.review_evidence import evidence_of
from consilience.reviews import OpenRecord, PaymentAttestation, Placed, Verdict, VerificationMethod
from consilience.reviews import Verification as Verified
from consilience.tariffs import Backing
from sdk.tests.reviews.specimens import HOUR, NOW, TestNode, key, placed, retraction_of, review_of

NODE, REVIEWER = TestNode.named("node"), key("reviewer")


def said(number: int = 0, **changes: Any) -> Placed:
    return placed(review_of(NODE, reviewer=REVIEWER, number=number, **changes), now=NOW)


@pytest.mark.parametrize(
    ("verdict", "score", "expected"),
    [
        (Verdict.CORRECT, None, 1000),
        (Verdict.CORRECT, 10, 1000),
        (Verdict.PARTLY_CORRECT, None, 500),
        (Verdict.PARTLY_CORRECT, 700, 700),
        (Verdict.WRONG, 900, 0),
        (Verdict.HARMFUL, None, 0),
    ],
)
def test_a_verdict_is_a_score(verdict: Verdict, score: int | None, expected: int) -> None:
    (evidence,) = evidence_of([said(verdict=verdict, score_milli=score, domain="units")])
    assert (evidence.judge, evidence.subject) == (REVIEWER.public_key, NODE.root.public_key)
    assert (evidence.score_milli, evidence.domain, evidence.time) == (expected, "units", NOW)
    assert (evidence.verification, evidence.paid_bucket) == (Verification.TOOL, 0)


def test_what_its_reviewer_cannot_judge_is_no_evidence() -> None:
    assert evidence_of([said(verdict=Verdict.UNVERIFIABLE)]) == ()


@pytest.mark.parametrize("method", [method for method in VerificationMethod if method > 0])
def test_how_it_was_verified_is_kept(method: VerificationMethod) -> None:
    nodes = 2 if method is VerificationMethod.CROSS_CHECK else 0
    (evidence,) = evidence_of([said(verification=Verified(method=method, independent_nodes=nodes))])
    assert evidence.verification.name == method.name


def test_a_ticket_counts_once_and_the_earlier_review_is_the_one() -> None:
    first, edited = said(verdict=Verdict.WRONG), said(verdict=Verdict.CORRECT, at=NOW + HOUR / 120)
    for records in ([first, edited], [edited, first, first]):
        assert [evidence.score_milli for evidence in evidence_of(records)] == [0]


def test_what_was_taken_back_is_no_evidence() -> None:
    review, other = said(), said(number=1)
    retraction = placed(retraction_of(review.record, author=REVIEWER))
    assert len(evidence_of([retraction, review, other])) == 1


def attested(asset: str) -> OpenRecord:
    ticket = said().record.object.value.ticket  # type: ignore[union-attr]
    attestation = PaymentAttestation(
        node_id=NODE.root.public_key,
        signing_key=NODE.signing.public_key,
        ticket_digest=ticket.digest,
        asset=asset,
        charge_digits=4,
        backing=Backing.PREPAID,
    )
    return review_of(NODE, reviewer=REVIEWER, ticket=ticket, attestation=seal(attestation, signer=NODE.signing))


@pytest.mark.parametrize(("asset", "bucket"), [("BTC/11", 4), ("TEST/0", 0)])
def test_a_payment_counts_if_the_money_has_value(asset: str, bucket: int) -> None:
    (evidence,) = evidence_of([placed(attested(asset))])
    assert evidence.paid_bucket == bucket


def test_scores_follow_the_reviews_of_those_who_are_trusted() -> None:
    me = key("viewer").public_key
    own = placed(review_of(NODE, reviewer=key("viewer"), number=9, verdict=Verdict.WRONG, domain="units"))
    reputation = Reputation(evidence_of([own]), viewer=me, edges=(), now=NOW)
    unknown = Reputation((), viewer=me, edges=(), now=NOW)
    node = NODE.root.public_key
    assert reputation.score(node, domain="units").mean < unknown.score(node, domain="units").mean
