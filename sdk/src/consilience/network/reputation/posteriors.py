"""The rule that makes a posterior of counts, over arrays of any shape.

The simulations of `benchmarks/reputation` run these very functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from consilience.network.reputation.policy import PRIOR, Policy

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Beta distributions of the quality of nodes.

    Attributes:
        successes, failures: Their parameters.
        kept_share: The part of the trusted reviewers' weight that the cap let through, 0 to 1.
    """

    successes: Floats
    failures: Floats
    kept_share: Floats

    @property
    def mean(self) -> Floats:
        """The expected quality."""
        return self.successes / (self.successes + self.failures)

    def lower(self, quantile: float) -> Floats:
        """Returns the quality that is reached with probability `1 - quantile`."""
        bound: Floats = betaincinv(self.successes, self.failures, quantile)
        return bound


def reviewer_weight(count: Floats, *, flow: Floats, policy: Policy) -> Floats:
    """Returns what a reviewer may count: as often as it judged, and no more than trust flows to it.

    Args:
        count: Its judgements of one node in one domain, weighted by age and kind.
        flow: The trust that flows to it.
        policy: The numbers of the model.
    """
    return np.minimum(count, policy.counts_per_flow * flow)


def posterior(
    own_count: Floats, *, own_sum: Floats, trusted_weight: Floats, trusted_sum: Floats, policy: Policy
) -> Posterior:
    """Returns what is to be believed of nodes.

    Args:
        own_count: Own outcomes, weighted by age and kind.
        own_sum: Their scores, 0 to 1, with the same weights.
        trusted_weight: The weights of the trusted reviewers, added up.
        trusted_sum: The mean score that each of them gave, times its weight, added up.
        policy: The numbers of the model.
    """
    cap = policy.cap_start + policy.cap_growth * own_count
    kept_share = np.divide(cap, trusted_weight, out=np.ones_like(cap), where=trusted_weight > cap)
    successes = PRIOR + own_sum + kept_share * trusted_sum
    failures = PRIOR + (own_count - own_sum) + kept_share * (trusted_weight - trusted_sum)
    return Posterior(successes=successes, failures=failures, kept_share=kept_share)


def audit_rate(own_count: Floats, *, accusations: Floats, policy: Policy) -> Floats:
    """Returns the share of their answers that the viewer should verify.

    Args:
        own_count: Own outcomes, weighted by age and kind.
        accusations: Failures that strangers reported, weighted in the same way.
        policy: The numbers of the model.
    """
    known = policy.first_audits + own_count
    new = np.divide(policy.first_audits, known, out=np.zeros_like(known), where=known > 0)
    accused = np.minimum(policy.most_audit_rate, policy.audit_rate + policy.audit_step * accusations)
    return np.maximum(new, accused)
