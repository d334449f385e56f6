"""Review evidence: signed reviews, as they came from registries, become what reputation reads.

>>> opinions = await client.reviews.about(node_id)
>>> evidence = evidence_of(opinions.records.records)
"""

from __future__ import annotations

from collections.abc import Iterable

from consilience.network.reputation.evidence import FULL_SCORE, Evidence, Verification
from consilience.reviews import PaymentAttestation, Placed, Review, Verdict, VerificationMethod, merged
from consilience.units import PublicKey

TEST_ASSETS = "TEST/"
"""How the ids of assets without value begin."""

_SCORES = {Verdict.CORRECT: FULL_SCORE, Verdict.PARTLY_CORRECT: FULL_SCORE // 2, Verdict.WRONG: 0, Verdict.HARMFUL: 0}
_WAYS = {
    VerificationMethod.GROUND_TRUTH: Verification.GROUND_TRUTH,
    VerificationMethod.TOOL: Verification.TOOL,
    VerificationMethod.HUMAN: Verification.HUMAN,
    VerificationMethod.CROSS_CHECK: Verification.CROSS_CHECK,
}


def evidence_of(records: Iterable[Placed]) -> tuple[Evidence, ...]:
    """Returns what reviews say of answers.

    A ticket counts once, whatever came of it from how many registries, and what was taken back does not count
    (REV-ONE-001, REV-RTR-001). An answer that its reviewer cannot judge is no evidence.

    Args:
        records: Reviews and retractions that hold, in any order; others are passed over.
    """
    reviews = (placed.record.object.value for placed in merged({"": records}).records)
    return tuple(_evidence(review) for review in reviews if isinstance(review, Review) and review.verdict in _SCORES)


def _evidence(review: Review) -> Evidence:
    score = _SCORES[review.verdict]
    if review.verdict is Verdict.PARTLY_CORRECT and review.score_milli is not None:
        score = review.score_milli
    attestation = review.attestation
    return Evidence(
        judge=review.reviewer,
        subject=PublicKey(review.ticket.value.node_id),
        domain=review.domain,
        score_milli=score,
        verification=_WAYS.get(review.verification.method, Verification.NONE),
        time=review.issue_time,
        paid_bucket=0 if attestation is None else _bucket(attestation.value),
    )


def _bucket(attestation: PaymentAttestation) -> int:
    """Returns the digits of a charge; none where the money has no value."""
    return 0 if attestation.asset.startswith(TEST_ASSETS) else attestation.charge_digits
