"""Scores, and why they are what they are."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from consilience.network.reputation.evidence import EvidenceClass
from consilience.units import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """How much evidence of one class there is.

    Attributes:
        items: Judgements, each counted once.
        weight: What they count together, after age, kind, trust and cap. Of strangers: what they would count if they
            were trusted.
    """

    items: int = 0
    weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good a node is in one domain, from the viewer's point of view.

    Attributes:
        node_id: Which node.
        domain: In which domain; empty: of what was judged without one.
        mean: The expected share of right answers, 0 to 1; 0.5 where nothing is known.
        lower: What that share reaches with the probability that the policy names, usually 0.95.
        own: What the viewer verified itself (class A).
        trusted: What reviewers said to whom trust flows (class B).
        strangers: What all others said (class C).
        age: Of the newest evidence that counts; None: there is none.
        audit_rate: The share of this node's answers that the viewer should verify: many while it knows the node little,
            and more where strangers accuse it.
    """

    node_id: PublicKey
    domain: str
    mean: float
    lower: float
    own: ClassCount
    trusted: ClassCount
    strangers: ClassCount
    age: timedelta | None
    audit_rate: float


class Limit(enum.Enum):
    """What kept a judge from counting as often as it judged."""

    TRUST = "trust"
    """No more trust flows to it."""

    CAP = "cap"
    """All trusted reviewers together reached what they may count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one judge adds to a score.

    Attributes:
        judge: Who.
        evidence_class: What its judgements are to the viewer.
        items: How many they are.
        mean: The mean of its scores, 0 to 1.
        weight_stated: How often it judged, weighted by age and kind.
        weight: What it counts in the end.
        flow: The trust that flows to it.
        path: The most likely way of that trust, from the viewer to the judge; empty where none flows.
        limits: What made the weight less than was stated.
    """

    judge: PublicKey
    evidence_class: EvidenceClass
    items: int
    mean: float
    weight_stated: float
    weight: float
    flow: float
    path: tuple[PublicKey, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that a score rests on.

    Attributes:
        score: What is explained.
        contributions: Those of every judge, the heaviest first.
        cap: What all trusted reviewers together may count.
        kept_share: The part of their weight that the cap let through, 0 to 1.
        most_shift: By how much all others together can move the mean, whatever they say and however many they are.
        elsewhere: How often the node was judged in other domains, which does not count here; `""`: without a domain.
    """

    score: Score
    contributions: tuple[Contribution, ...]
    cap: float
    kept_share: float
    most_shift: float
    elsewhere: dict[str, int]
