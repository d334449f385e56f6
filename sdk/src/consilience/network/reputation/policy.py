"""The policy: the numbers of the model, and the bounds that follow from them (ADR 0020)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

PRIOR = 1.0
"""Successes, and failures, that every node begins with: Beta(1, 1) takes any quality for equally likely."""

_NAMES_OF_SHARES = ("damping", "lower_quantile", "cross_check_weight", "unpaid_weight", "audit_rate", "most_audit_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How evidence counts. The defaults are those that `docs/network/reputation.md` measures.

    Attributes:
        half_life: After this time evidence counts half.
        cap_start: What all trusted reviewers together may count before there is an own outcome (c0).
        cap_growth: By how much that grows with each own outcome (kappa).
        counts_per_flow: What a reviewer may count for each unit of trust that flows to it; all flow together is 1.
        damping: The part of the trust in a reviewer that flows on to those whom it trusts.
        cross_check_weight: What a judgement counts that rests on the agreement of other nodes alone.
        unpaid_weight: What the review of an answer counts that nobody attested a payment for; each bucket of amount
            halves what is missing to 1. The viewer's own outcomes count fully, paid or not.
        lower_quantile: Where in the posterior the lower bound lies.
        first_audits: A node of whose answers so many were verified has every second answer verified; a new one has
            every answer verified, and one that is well known fewer and fewer.
        audit_rate: The share of answers to verify of a node that is well known and that no stranger accuses.
        audit_step: By how much each accusing review of a stranger raises it.
        most_audit_rate: How far strangers can raise it.
    """

    half_life: timedelta = timedelta(days=7)
    cap_start: float = 0.5
    cap_growth: float = 0.25
    counts_per_flow: float = 16.0
    damping: float = 0.5
    cross_check_weight: float = 0.5
    unpaid_weight: float = 0.5
    lower_quantile: float = 0.05
    first_audits: float = 2.0
    audit_rate: float = 0.1
    audit_step: float = 0.02
    most_audit_rate: float = 0.25

    def __post_init__(self) -> None:
        if self.half_life <= timedelta(0):
            raise ValueError(f"a half-life is above zero, not {self.half_life}")
        for name in ("cap_start", "cap_growth", "counts_per_flow", "first_audits", "audit_step"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is zero or more, not {getattr(self, name):g}")
        for name in _NAMES_OF_SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is between 0 and 1, not {getattr(self, name):g}")
        if self.damping == 1 or self.lower_quantile in {0, 1}:
            raise ValueError("damping is below 1, and lower_quantile between 0 and 1")
        if self.audit_rate > self.most_audit_rate:
            raise ValueError("audit_rate is at most most_audit_rate")
        if self.cap_growth * PRIOR > PRIOR + self.cap_start:
            raise ValueError(
                f"cap_growth is at most {1 + self.cap_start / PRIOR:g}: above it, a good outcome of one's own could "
                "let in so much slander that the score falls"
            )

    def cap(self, own_count: float) -> float:
        """Returns what all trusted reviewers together may count beside so many own outcomes."""
        return self.cap_start + self.cap_growth * own_count

    def most_shift(self, own_count: float, *, inflow: float | None = None) -> float:
        """Returns by how much others can move the mean of a score at the most.

        However many identities, edges and reviews an attacker adds, and whatever they say, the mean changes by no more
        than this. Two bounds hold, and the smaller one counts. Of the cap: prior and own outcomes stand against all
        that others may count. Of the edges into the attacker's region: a walk that follows trust ends elsewhere than
        without the attack only if it crosses one of them, which moves at most twice that share of the flow, and scaling
        down to the cap at most doubles it.

        Args:
            own_count: Own outcomes, weighted as in `Score.own.weight`.
            inflow: Over the edges into the attacker's region, which others than the viewer made, the sum of the flow to
                the truster, as it is without the attack, times the share that the edge has of the truster's trust.
                None: everybody may be an attacker, those whom the viewer trusts among them.
        """
        ground = 2 * PRIOR + own_count
        cap = self.cap(own_count)
        crossing = 1.0 if inflow is None else min(1.0, inflow * self.damping / (1 - self.damping))
        return min(cap / (ground + cap), 4 * self.counts_per_flow * crossing / ground)
