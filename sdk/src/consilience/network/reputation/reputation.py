"""Reputation from one point of view: evidence and edges go in, scores and their explanations come out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np

from consilience.network.reputation.evidence import Evidence
from consilience.network.reputation.policy import Policy
from consilience.network.reputation.posteriors import Floats, audit_rate, posterior, reviewer_weight
from consilience.network.reputation.scores import ClassCount, Contribution, Explanation, Limit, Score
from consilience.network.reputation.tables import (
    CLASSES,
    OWN,
    SET_ASIDE,
    STRANGER,
    TRUSTED,
    Integers,
    judge_table,
)
from consilience.network.reputation.trust_flow import TrustGraph
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey


class Reputation:
    """What one viewer is to believe of every node, at one time.

    The same evidence and edges give the same scores, to the bit, in whatever order they are given.

    Args:
        evidence: Judgements of anybody, the viewer's own among them.
        viewer: Whose point of view it is.
        now: The time, aware.
        edges: Edges of trust of anybody; those of the viewer decide who is heard at all.
        policy: The numbers of the model.
    """

    def __init__(
        self,
        evidence: Iterable[Evidence],
        *,
        viewer: PublicKey,
        now: datetime,
        edges: Iterable[TrustEdge] = (),
        policy: Policy | None = None,
    ) -> None:
        self._policy = policy = policy or Policy()
        self._graph = TrustGraph(edges, viewer=viewer, damping=policy.damping)
        listed = evidence if isinstance(evidence, Sequence) else tuple(evidence)
        self._table = judge_table(listed, viewer=viewer, flow=self._graph.flow, now=now, policy=policy)
        table = self._table
        flow = np.array([self._graph.flow(key) for key in table.judges], dtype=np.float64)
        self._given = self._given_weights(flow[table.judge] if flow.size else np.empty(0))
        own, trusted, strange = (table.evidence_class == kind for kind in (OWN, TRUSTED, STRANGER))
        share_of_total = np.divide(table.total, table.count, out=np.zeros_like(table.total), where=table.count > 0)
        self._own_count = self._by_pair(table.count, own)
        self._posterior = posterior(
            self._own_count,
            own_sum=self._by_pair(table.total, own),
            trusted_weight=self._by_pair(self._given, trusted),
            trusted_sum=self._by_pair(self._given * share_of_total, trusted),
            policy=policy,
        )
        self._mean = self._posterior.mean
        self._lower = self._posterior.lower(policy.lower_quantile)
        accusations = self._by_pair(table.count - table.total, strange)
        self._audit_rate = audit_rate(self._own_count, accusations=accusations, policy=policy)
        self._rows = np.searchsorted(table.pair, np.arange(len(table.pairs) + 1))

    def trust(self, node_id: PublicKey) -> float:
        """Returns the trust that flows to a node as a reviewer, 0 to 1; 0 for strangers."""
        return self._graph.flow(node_id)

    def score(self, node_id: PublicKey, *, domain: str) -> Score:
        """Returns the score of a node in a domain; one of which nothing is known has the mean 0.5."""
        pair = self._table.pairs.get((node_id, domain))
        if pair is None:
            return self._unknown(node_id, domain=domain)
        rows = self._rows_of(pair)
        table = self._table
        counted = rows[(table.evidence_class[rows] <= TRUSTED) & (table.count[rows] > 0)]
        age = timedelta(seconds=float(table.youngest[counted].min())) if counted.size else None
        return Score(
            node_id=node_id,
            domain=domain,
            mean=float(self._mean[pair]),
            lower=float(self._lower[pair]),
            own=self._class_count(rows, OWN),
            trusted=self._class_count(rows, TRUSTED, share=float(self._posterior.kept_share[pair])),
            strangers=self._class_count(rows, STRANGER),
            age=age,
            audit_rate=float(self._audit_rate[pair]),
        )

    def scores(self, *, domain: str) -> tuple[Score, ...]:
        """Returns the scores of all nodes that anybody judged in a domain, that with the best lower bound first."""
        found = [self.score(node_id, domain=domain) for node_id, named in self._table.pairs if named == domain]
        return tuple(sorted(found, key=lambda score: (-score.lower, score.node_id)))

    def explain(self, node_id: PublicKey, *, domain: str) -> Explanation:
        """Returns the score of a node in a domain with all that it rests on."""
        score = self.score(node_id, domain=domain)
        pair = self._table.pairs.get((node_id, domain))
        rows = np.empty(0, dtype=np.int64) if pair is None else self._rows_of(pair)
        kept_share = 1.0 if pair is None else float(self._posterior.kept_share[pair])
        paths = self._graph.paths(self._table.judges[self._table.judge[row]] for row in rows)
        found = [self._contribution(row, kept_share=kept_share, paths=paths) for row in rows]
        return Explanation(
            score=score,
            contributions=tuple(sorted(found, key=lambda one: (-one.weight, -one.weight_stated, one.judge))),
            cap=self._policy.cap(score.own.weight),
            kept_share=kept_share,
            most_shift=self._policy.most_shift(score.own.weight),
            elsewhere={
                other: int(self._table.items[self._rows_of(number)].sum())
                for (subject, other), number in self._table.pairs.items()
                if subject == node_id and other != domain
            },
        )

    def _given_weights(self, flow: Floats) -> Floats:
        """Returns what each row counts before the cap."""
        table = self._table
        limited = reviewer_weight(table.count, flow=flow, policy=self._policy)
        return np.select([table.evidence_class == OWN, table.evidence_class == TRUSTED], [table.count, limited], 0.0)

    def _by_pair(self, values: Floats, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
        pairs = self._table.pair[chosen]
        return np.asarray(
            np.bincount(pairs, weights=values[chosen], minlength=len(self._table.pairs)), dtype=np.float64
        )

    def _rows_of(self, pair: int) -> Integers:
        return np.arange(self._rows[pair], self._rows[pair + 1])

    def _class_count(self, rows: Integers, number: int, *, share: float = 1.0) -> ClassCount:
        chosen = rows[self._table.evidence_class[rows] == number]
        weights = self._table.count if number == STRANGER else self._given
        return ClassCount(items=int(self._table.items[chosen].sum()), weight=share * float(weights[chosen].sum()))

    def _unknown(self, node_id: PublicKey, *, domain: str) -> Score:
        nothing = posterior(
            np.zeros(1), own_sum=np.zeros(1), trusted_weight=np.zeros(1), trusted_sum=np.zeros(1), policy=self._policy
        )
        return Score(
            node_id=node_id,
            domain=domain,
            mean=float(nothing.mean[0]),
            lower=float(nothing.lower(self._policy.lower_quantile)[0]),
            own=ClassCount(),
            trusted=ClassCount(),
            strangers=ClassCount(),
            age=None,
            audit_rate=float(audit_rate(np.zeros(1), accusations=np.zeros(1), policy=self._policy)[0]),
        )

    def _contribution(
        self, row: int, *, kept_share: float, paths: dict[PublicKey, tuple[PublicKey, ...]]
    ) -> Contribution:
        table = self._table
        judge, number = table.judges[table.judge[row]], int(table.evidence_class[row])
        stated, given = float(table.count[row]), float(self._given[row])
        binding = ((Limit.TRUST, given < stated), (Limit.CAP, kept_share < 1))
        return Contribution(
            judge=judge,
            evidence_class=CLASSES[number],
            items=int(table.items[row]),
            mean=float(table.total[row] / table.count[row]) if table.count[row] else 0.0,
            weight_stated=0.0 if number == SET_ASIDE else stated,
            weight=given * kept_share if number == TRUSTED else given,
            flow=self._graph.flow(judge),
            path=paths.get(judge, ()),
            limits=tuple(limit for limit, binds in binding if binds and number == TRUSTED),
        )
