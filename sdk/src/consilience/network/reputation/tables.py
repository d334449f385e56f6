"""Tables: evidence as arrays, one row for each judgement, and one for each judge of each node.

Rows are in an order that depends on what they say and on nothing else, so that sums of floats come out the same in
whatever order evidence arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from consilience.network.reputation.evidence import FULL_SCORE, Evidence, EvidenceClass, Verification
from consilience.network.reputation.policy import Policy
from consilience.network.reputation.posteriors import Floats
from consilience.units import PublicKey

Integers = npt.NDArray[np.int64]

CLASSES = tuple(EvidenceClass)
OWN, TRUSTED, STRANGER, SET_ASIDE = range(len(CLASSES))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTable:
    """What each judge says of each node in each domain: one row for judge, pair and class.

    Attributes:
        judges: All judges, sorted.
        pairs: The number of each pair of node and domain.
        judge, pair: The numbers of both, by row.
        evidence_class: Its place in `CLASSES`, by row.
        items: Judgements.
        count: Their weights by age and kind, added up.
        total: Their scores with these weights, added up.
        youngest: The age in seconds of the newest.
    """

    judges: Sequence[PublicKey]
    pairs: dict[tuple[PublicKey, str], int]
    judge: Integers
    pair: Integers
    evidence_class: Integers
    items: Integers
    count: Floats
    total: Floats
    youngest: Floats


def judge_table(
    evidence: Sequence[Evidence],
    *,
    viewer: PublicKey,
    flow: Callable[[PublicKey], float],
    now: datetime,
    policy: Policy,
) -> JudgeTable:
    """Returns the table of all evidence.

    Args:
        evidence: In any order.
        viewer: From whose point of view classes are given.
        flow: Tells the trust that flows to a judge.
        now: The time from which age is counted.
        policy: The numbers of the model.
    """
    judges = sorted({one.judge for one in evidence})
    pairs = {pair: number for number, pair in enumerate(sorted({(one.subject, one.domain) for one in evidence}))}
    number_of_judge = {key: number for number, key in enumerate(judges)}
    size = len(evidence)
    judge = np.fromiter((number_of_judge[one.judge] for one in evidence), dtype=np.int64, count=size)
    pair = np.fromiter((pairs[one.subject, one.domain] for one in evidence), dtype=np.int64, count=size)
    score = np.fromiter((one.score_milli for one in evidence), dtype=np.float64, count=size) / FULL_SCORE
    age = np.fromiter(((now - one.time).total_seconds() for one in evidence), dtype=np.float64, count=size)
    age = np.maximum(age, 0.0)
    kind = np.fromiter((kind_weight(one, viewer=viewer, policy=policy) for one in evidence), dtype=float, count=size)
    aside = np.fromiter((is_set_aside(one) for one in evidence), dtype=np.bool_, count=size)
    class_of_judge = np.array([_class_of(key, viewer=viewer, flow=flow) for key in judges], dtype=np.int64)
    evidence_class = np.where(aside, SET_ASIDE, class_of_judge[judge]) if size else np.empty(0, dtype=np.int64)

    order = np.lexsort((kind, age, score, evidence_class, judge, pair))
    judge, pair, evidence_class = judge[order], pair[order], evidence_class[order]
    score, age, kind = score[order], age[order], kind[order]
    weight = kind * np.exp2(-age / policy.half_life.total_seconds())

    changed = (np.diff(pair) != 0) | (np.diff(judge) != 0) | (np.diff(evidence_class) != 0)
    starts = np.flatnonzero(np.concatenate(([True], changed))) if size else np.empty(0, dtype=np.int64)
    return JudgeTable(
        judges=judges,
        pairs=pairs,
        judge=judge[starts],
        pair=pair[starts],
        evidence_class=evidence_class[starts],
        items=np.diff(np.append(starts, size)),
        count=_sums(weight, starts),
        total=_sums(weight * score, starts),
        youngest=np.minimum.reduceat(age, starts) if size else age,
    )


def is_set_aside(evidence: Evidence) -> bool:
    """Tells whether evidence counts nothing, whoever judged: nobody checked it, or the node judged itself."""
    return evidence.verification is Verification.NONE or evidence.judge == evidence.subject


def kind_weight(evidence: Evidence, *, viewer: PublicKey, policy: Policy) -> float:
    """Returns what evidence counts for how it was verified and paid, before age and trust, 0 to 1."""
    certainty = policy.cross_check_weight if evidence.verification is Verification.CROSS_CHECK else 1.0
    if evidence.judge == viewer:
        return certainty
    return certainty * (1 - (1 - policy.unpaid_weight) * 0.5**evidence.paid_bucket)


def _class_of(judge: PublicKey, *, viewer: PublicKey, flow: Callable[[PublicKey], float]) -> int:
    if judge == viewer:
        return OWN
    return TRUSTED if flow(judge) > 0 else STRANGER


def _sums(values: Floats, starts: Integers) -> Floats:
    return np.add.reduceat(values, starts) if starts.size else np.empty(0)
