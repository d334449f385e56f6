"""Scenarios: what is wrong in a network, in numbers. What they do is in `worlds`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Scheme(enum.Enum):
    """How the attackers' nodes serve."""

    BAD = "bad at all times"
    ON_OFF = "good and bad in turn"
    EXIT = "good for half of the time, bad ever after"
    WHITEWASH = "bad, under a new name again and again"
    CAMOUFLAGE = "bad where it matters, good at everything else"


class Cover(enum.Enum):
    """What liars do in the first half of the time."""

    NONE = "they lie"
    HONESTY = "they say what they found out"
    COPYING = "they repeat what the honest ones say of honest nodes, and go on with it when they praise their own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way in which a network is attacked or changes.

    Attributes:
        name: As in the tables.
        scheme: How the attackers' nodes serve.
        attackers: How many nodes are theirs.
        corrupt_share: Of all reviewers, and exactly of those whom the viewer trusts, how many lie.
        praises: Whether liars praise the attackers' nodes; otherwise they say of them what is true.
        slandered_share: How many of the honest nodes, the best of them, liars accuse.
        lies_per_step: How often a liar, in a step, says so of each node that it lies about.
        cover: What liars do before they lie.
        sybils: Invented identities, all of which praise the attackers' nodes.
        sybils_slander: Whether they accuse the honest nodes as well.
        attack_edges: How many honest reviewers were deceived into trusting one of them.
        reviewers_compare: Whether reviewers take an answer for right that one of two other nodes gives as well. Those
            of the attackers give the same one, right or wrong; other wrong answers differ.
        viewer_compares: Whether the viewer does.
        period: Steps of a phase of ON_OFF, and of a name of WHITEWASH.
        node_churn: The probability, for each step, that an honest node is replaced by another one.
        reviewer_churn: The probability, for each step, that a reviewer is replaced by a stranger.
        swap: The probability, for each step, that an honest node changes its model, and so its quality.
        drift: The standard deviation of what an honest node's quality moves in a step.
    """

    name: str
    scheme: Scheme = Scheme.BAD
    attackers: int = 4
    corrupt_share: float = 0.0
    praises: bool = True
    slandered_share: float = 0.0
    lies_per_step: float = 0.25
    cover: Cover = Cover.NONE
    sybils: int = 0
    sybils_slander: bool = False
    attack_edges: int = 0
    reviewers_compare: bool = False
    viewer_compares: bool = False
    period: int = 60
    node_churn: float = 0.0
    reviewer_churn: float = 0.0
    swap: float = 0.0
    drift: float = 0.0


BASELINE = Scenario(name="nobody lies")
SYBIL_COUNTS = (0, 10, 100, 1_000, 10_000)
CORRUPT_SHARES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
COLLUSION = Scenario(name="collusion", slandered_share=1.0)
SYBILS = Scenario(name="Sybils", attack_edges=3, sybils_slander=True)
COPIERS = (4, 6, 8, 10, 12)
_QUARTER = 0.25

ZOO = (
    BASELINE,
    replace(COLLUSION, name="collusion: a quarter praises and slanders", corrupt_share=_QUARTER),
    Scenario(name="ballot stuffing: a quarter praises, ten times as often", corrupt_share=_QUARTER, lies_per_step=2.5),
    Scenario(name="self-promotion: an eighth praises, ten times as often", corrupt_share=0.125, lies_per_step=2.5),
    Scenario(name="badmouthing: a quarter slanders", corrupt_share=_QUARTER, praises=False, slandered_share=0.5),
    Scenario(name="slander by 1,000 strangers", sybils=1_000, sybils_slander=True),
    Scenario(name="ring: 30 keys behind 3 attack edges praise one another", sybils=30, attack_edges=3),
    replace(SYBILS, name="1,000 Sybils behind 3 attack edges", sybils=1_000),
    Scenario(name="camouflage: nodes fail where it matters", scheme=Scheme.CAMOUFLAGE),
    Scenario(name="camouflage: the same, praised by a quarter", scheme=Scheme.CAMOUFLAGE, corrupt_share=_QUARTER),
    replace(
        COLLUSION,
        name="camouflage: a quarter is honest, then colludes",
        corrupt_share=_QUARTER,
        cover=Cover.HONESTY,
    ),
    Scenario(name="copycat: a quarter copies, then praises", corrupt_share=_QUARTER, cover=Cover.COPYING),
    Scenario(name="copycat: 1,000 Sybils copy, then praise", sybils=1_000, attack_edges=3, cover=Cover.COPYING),
    Scenario(name="whitewashing, praised by a quarter", scheme=Scheme.WHITEWASH, corrupt_share=_QUARTER),
    Scenario(name="on and off, praised by a quarter", scheme=Scheme.ON_OFF, corrupt_share=_QUARTER),
    Scenario(name="exit scam, praised by a quarter", scheme=Scheme.EXIT, corrupt_share=_QUARTER),
    Scenario(name="churn of nodes and reviewers", node_churn=1 / 200, reviewer_churn=1 / 800),
    Scenario(name="churn, and a quarter lies", node_churn=1 / 200, reviewer_churn=1 / 800, corrupt_share=_QUARTER),
    Scenario(name="models are swapped", swap=1 / 200),
    Scenario(name="quality drifts", drift=0.015),
    Scenario(name="quality drifts, and a quarter lies", drift=0.015, corrupt_share=_QUARTER, slandered_share=0.5),
)


def sybil_sweep() -> tuple[Scenario, ...]:
    """Returns the flood of Sybils behind three attack edges, by their number."""
    return tuple(replace(SYBILS, name=f"{count:,} Sybils", sybils=count) for count in SYBIL_COUNTS)


def collusion_sweep() -> tuple[Scenario, ...]:
    """Returns collusion, by the share of reviewers, the trusted ones among them, who lie."""
    return tuple(replace(COLLUSION, name=f"{100 * share:g}% lie", corrupt_share=share) for share in CORRUPT_SHARES)


def copying_sweep(*, viewer_compares: bool) -> tuple[Scenario, ...]:
    """Returns answers copied among the attackers' nodes, by their number; reviewers compare, and the viewer as said."""
    who = "all compare" if viewer_compares else "reviewers compare"
    return tuple(
        Scenario(
            name=f"{count} copiers, {who}", attackers=count, reviewers_compare=True, viewer_compares=viewer_compares
        )
        for count in COPIERS
    )
