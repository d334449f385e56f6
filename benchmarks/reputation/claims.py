"""Claims: the region in which the model is said to hold, and where it is said to break, as numbers that can fail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.reputation.experiments import Result, figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is said of the bad service that one method gets in one scenario, after the start.

    Attributes:
        scenario, method: By name.
        at_most, at_least: What the whole 95 % interval of the share of bad service stays below, or above.
    """

    scenario: str
    method: str
    at_most: float = 1.0
    at_least: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a claim holds, with the ends of the interval that was found."""

    claim: Claim
    lowest: float
    highest: float

    @property
    def holds(self) -> bool:
        """Whether the interval lies where the claim says."""
        return self.claim.at_least <= self.lowest and self.highest <= self.claim.at_most


CLAIMS = (
    Claim(scenario="nobody lies", method="ours", at_most=0.02),
    *(Claim(scenario=f"{count} Sybils", method="ours", at_most=0.02) for count in ("10", "100", "1,000", "10,000")),
    Claim(scenario="10,000 Sybils", method="global PageRank", at_least=0.9),
    Claim(scenario="10,000 Sybils", method="mean of all reviews", at_least=0.9),
    Claim(scenario="slander by 1,000 strangers", method="ours", at_most=0.02),
    Claim(scenario="25% lie", method="ours", at_most=0.03),
    Claim(scenario="50% lie", method="ours", at_most=0.05),
    Claim(scenario="50% lie", method="trusted, no cap", at_least=0.9),
    Claim(scenario="50% lie", method="mean of all reviews", at_least=0.9),
    Claim(scenario="100% lie", method="ours", at_most=0.05),
    Claim(scenario="ballot stuffing: a quarter praises, ten times as often", method="ours", at_most=0.03),
    Claim(scenario="self-promotion: an eighth praises, ten times as often", method="ours", at_most=0.03),
    Claim(scenario="badmouthing: a quarter slanders", method="ours", at_most=0.03),
    Claim(scenario="ring: 30 keys behind 3 attack edges praise one another", method="ours", at_most=0.02),
    Claim(scenario="camouflage: nodes fail where it matters", method="own outcomes alone", at_least=0.1),
    Claim(scenario="camouflage: the same, praised by a quarter", method="ours", at_least=0.4),
    Claim(scenario="camouflage: a quarter is honest, then colludes", method="ours", at_most=0.02),
    Claim(scenario="camouflage: a quarter is honest, then colludes", method="mean of all reviews", at_least=0.4),
    Claim(scenario="copycat: a quarter copies, then praises", method="ours", at_most=0.02),
    Claim(scenario="copycat: 1,000 Sybils copy, then praise", method="ours", at_most=0.02),
    Claim(scenario="copycat: 1,000 Sybils copy, then praise", method="whoever agreed", at_least=0.08),
    Claim(scenario="4 copiers, all compare", method="ours", at_most=0.02),
    Claim(scenario="8 copiers, reviewers compare", method="ours", at_most=0.03),
    Claim(scenario="12 copiers, reviewers compare", method="ours", at_most=0.05),
    Claim(scenario="12 copiers, reviewers compare", method="mean of all reviews", at_least=0.9),
    Claim(scenario="12 copiers, all compare", method="ours", at_least=0.9),
    Claim(scenario="whitewashing, praised by a quarter", method="ours", at_most=0.03),
    Claim(scenario="exit scam, praised by a quarter", method="ours", at_least=0.05, at_most=0.2),
    Claim(scenario="churn of nodes and reviewers", method="ours", at_most=0.02),
    Claim(scenario="churn, and a quarter lies", method="ours", at_most=0.03),
    Claim(scenario="models are swapped", method="ours", at_most=0.02),
)


def verdicts(results: Iterable[Result], *, claims: tuple[Claim, ...] = CLAIMS) -> list[Verdict]:
    """Returns whether each claim holds in results that cover all of them."""
    bad = {(result.scenario, result.method): figure(result.bad) for result in results}
    found = []
    for claim in claims:
        one = bad[claim.scenario, claim.method]
        found.append(
            Verdict(claim=claim, lowest=max(0.0, one.mean - one.margin), highest=min(1.0, one.mean + one.margin))
        )
    return found
