"""The world of a simulation: nodes that serve, reviewers who say how, liars and Sybils. All seeds run side by side.

Arrays begin with the axis of seeds. A step is two hours; in each, a reviewer asks with some probability a node that it
chooses by its own experience, and says how right the answer was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from benchmarks.reputation.scenarios import Cover, Scenario, Scheme
from consilience.network.reputation.policy import Policy
from consilience.network.reputation.trust_flow import steps_of, trust_flow

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

STEP = timedelta(hours=2)
STEPS = 600
NODES = 24
REVIEWERS = 64
TRUSTED = 8
"""Reviewers that the viewer trusts, and that every reviewer trusts."""

ASKS_PER_STEP = 0.25
CURIOUS = 0.3
"""The share of a reviewer's asks that go to a node at random."""

GOOD, BAD = 0.95, 0.1
LOWEST, HIGHEST = 0.55, 0.95
"""Between which the quality of honest nodes lies."""

MATTERING = 0.1
"""The share of questions that matter, and that camouflaged nodes fail. All is measured by these questions."""

COMPARED = 2
"""So many other nodes, drawn at random, an answer is compared with where nobody finds out what is right."""

JUDGEMENTS_OF_A_SYBIL = 5.0
"""About each node that it speaks of, at any time."""

GLOBAL_DAMPING = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """What reviewers said in one step.

    Attributes:
        node: Which node each reviewer asked, by seed and reviewer; -1: none.
        score: What it says of the answer, 0 or 1.
        weight: What that counts.
        lies: How much weight its lies add to each node, by seed, reviewer and node.
        lie_score: What they say, 0 to 1, by seed and node.
    """

    node: Integers
    score: Floats
    weight: float
    lies: Floats
    lie_score: Floats


class World:
    """Nodes and reviewers over time; the viewer only looks on.

    Args:
        scenario: What is wrong.
        seeds: How many worlds run side by side.
        seed: What they are drawn from.
        half_life: Of what reviewers remember, and of their reviews.

    Attributes:
        attackers: Which nodes are the attackers'; they come first.
        quality: The probability of a right answer, by seed and node.
        trusted: Whom the viewer trusts, by seed and place, as numbers of reviewers.
        corrupt: Who lies, by seed and reviewer.
        count, total: Judgements of each node by each reviewer and their scores, weighted by age.
        renewed: Which nodes are new since the last step.
    """

    def __init__(self, scenario: Scenario, *, seeds: int, seed: int, half_life: timedelta) -> None:
        self.scenario = scenario
        self.seeds = seeds
        self.decay = 0.5 ** (STEP / half_life)
        self._random = np.random.default_rng(seed)
        self._now = 0
        self.attackers: Booleans = np.arange(NODES) < scenario.attackers
        self._base = self._random.uniform(LOWEST, HIGHEST, (seeds, NODES))
        self.quality = self._served_quality()
        self.renewed: Booleans = np.zeros((seeds, NODES), dtype=np.bool_)
        self.trusted = self._chosen(TRUSTED, out_of=REVIEWERS)
        self.corrupt = self._corrupt()
        self._left: Booleans = np.zeros((seeds, REVIEWERS), dtype=np.bool_)
        self.count = np.zeros((seeds, REVIEWERS, NODES))
        self.total = np.zeros((seeds, REVIEWERS, NODES))
        self._links = np.random.default_rng([seed, 2])  # of its own, so that Sybils change no other chance
        self._graphs = [self._graph(number) for number in range(seeds)]
        self._flows: dict[float, tuple[Floats, list[Floats]]] = {}

    def step(self) -> Reviews:
        """Lets two hours pass, and returns what reviewers said in them."""
        self._now += 1
        self._change_nodes()
        self._change_reviewers()
        self.count *= self.decay
        self.total *= self.decay
        reviews = self._reviews()
        seed, reviewer = np.nonzero(reviews.node >= 0)
        node = reviews.node[seed, reviewer]
        self.count[seed, reviewer, node] += reviews.weight
        self.total[seed, reviewer, node] += reviews.weight * reviews.score[seed, reviewer]
        self.count += reviews.lies
        self.total += reviews.lies * reviews.lie_score[:, None, :]
        return reviews

    def flows(self, *, damping: float) -> tuple[Floats, list[Floats]]:
        """Returns the trust that flows from the viewer to the reviewers, and to the Sybils of each seed."""
        if damping not in self._flows:
            found = [self._flow(number, damping=damping) for number in range(self.seeds)]
            self._flows[damping] = np.stack([one[:REVIEWERS] for one in found]), [one[REVIEWERS:] for one in found]
        flow, sybils = self._flows[damping]
        return np.where(self._left, 0.0, flow), sybils

    def global_ranks(self) -> tuple[Floats, list[Floats]]:
        """Returns the PageRank that is the same for everybody, times the number of identities; 1 is usual."""
        reviewers, sybils = [], []
        for graph in self._graphs:
            size = graph.shape[0]
            ranks = trust_flow(graph, start=np.full(size, 1 / size), damping=GLOBAL_DAMPING) * size
            reviewers.append(ranks[:REVIEWERS])
            sybils.append(ranks[REVIEWERS:])
        return np.stack(reviewers), sybils

    @property
    def said_by_sybils(self) -> Floats:
        """The score that Sybils give each node, by seed and node; nan where they say nothing."""
        if self.scenario.cover is Cover.COPYING:
            return self._said_by_liars()
        said = np.full((self.seeds, NODES), 0.0 if self.scenario.sybils_slander else np.nan)
        said[:, self.attackers] = 1.0
        return said

    @property
    def accusations_of_strangers(self) -> Floats:
        """What Sybils report of each node, by seed and node, where no trust flows to them."""
        strangers = self.scenario.sybils if self.scenario.attack_edges == 0 else 0
        return np.where(self.said_by_sybils == 0, JUDGEMENTS_OF_A_SYBIL * strangers, 0.0)

    def passes(self, *, compared: bool) -> Floats:
        """Returns the probability that an answer passes for right, by seed and node.

        Args:
            compared: With other nodes; otherwise somebody finds out what is right.
        """
        right = self.quality
        if self.scenario.scheme is Scheme.CAMOUFLAGE:
            right = np.where(self.attackers, MATTERING * BAD + (1 - MATTERING) * GOOD, right)
        if not compared:
            return right
        others = (right.sum(axis=1, keepdims=True) - right) / (NODES - 1)
        twins = np.where(self.attackers, (self.scenario.attackers - 1) / (NODES - 1), 0.0)
        others += twins * (1 - right)  # whose twins are right as well if it is
        passed: Floats = right * (1 - (1 - others) ** COMPARED) + (1 - right) * (1 - (1 - twins) ** COMPARED)
        return passed

    def _reviews(self) -> Reviews:
        shape = (self.seeds, REVIEWERS)
        best = np.argmax((1 + self.total) / (2 + self.count) + 1e-9 * self._random.random(self.count.shape), axis=2)
        curious = self._random.random(shape) < CURIOUS
        node = np.where(curious, self._random.integers(NODES, size=shape), best)
        compared = self.scenario.reviewers_compare
        right = self._random.random(shape) < np.take_along_axis(self.passes(compared=compared), node, axis=1)
        asks = self._random.random(shape) < ASKS_PER_STEP
        said = self._said_by_liars()
        lied_about = ~np.isnan(said)
        silent = self.corrupt & np.take_along_axis(lied_about, node, axis=1)  # who lies about a node says nothing else
        lies = np.where(self.corrupt[:, :, None] & lied_about[:, None, :], self.scenario.lies_per_step, 0.0)
        return Reviews(
            node=np.where(asks & ~silent, node, -1),
            score=right.astype(np.float64),
            weight=weight_of(compared=compared),
            lies=lies,
            lie_score=np.nan_to_num(said),
        )

    def _said_by_liars(self) -> Floats:
        """Returns the score that liars give each node, by seed and node; nan where they say what is true."""
        scenario = self.scenario
        said = np.full((self.seeds, NODES), np.nan)
        if scenario.cover is Cover.COPYING:
            count, total = ((array * ~self.corrupt[:, :, None]).sum(axis=1) for array in (self.count, self.total))
            said = np.divide(total, count, out=said, where=(count > 0) & ~self.attackers)
        if scenario.cover is not Cover.NONE and self._now <= STEPS // 2:
            return said
        if scenario.praises:
            said[:, self.attackers] = 1.0
        if scenario.slandered_share:
            honest = self._base[:, ~self.attackers]
            worst = np.quantile(honest, 1 - scenario.slandered_share, axis=1, keepdims=True)
            said[:, ~self.attackers] = np.where(honest >= worst, 0.0, said[:, ~self.attackers])
        return said

    def _served_quality(self) -> Floats:
        """Returns the quality of all nodes now."""
        quality = self._base.copy()
        phase = self._now // self.scenario.period
        good = {
            Scheme.ON_OFF: phase % 2 == 0,
            Scheme.EXIT: self._now < STEPS // 2,
        }.get(self.scenario.scheme, False)
        quality[:, self.attackers] = GOOD if good else BAD
        return quality

    def _change_nodes(self) -> None:
        scenario, shape = self.scenario, self._base.shape
        replaced = self._random.random(shape) < scenario.node_churn
        redrawn = replaced | (self._random.random(shape) < scenario.swap)
        self._base = np.where(redrawn, self._random.uniform(LOWEST, HIGHEST, shape), self._base)
        moved = self._base + scenario.drift * self._random.standard_normal(shape)
        self._base = np.clip(np.where(moved > HIGHEST, 2 * HIGHEST - moved, moved), BAD, HIGHEST)
        replaced[:, self.attackers] = scenario.scheme is Scheme.WHITEWASH and self._now % scenario.period == 0
        self.renewed = replaced
        self.quality = self._served_quality()
        self.count *= ~replaced[:, None, :]
        self.total *= ~replaced[:, None, :]

    def _change_reviewers(self) -> None:
        left = self._random.random(self._left.shape) < self.scenario.reviewer_churn
        self._left |= left
        self.count *= ~left[:, :, None]
        self.total *= ~left[:, :, None]

    def _chosen(self, count: int, *, out_of: int) -> Integers:
        return np.argsort(self._random.random((self.seeds, out_of)), axis=1)[:, :count]

    def _corrupt(self) -> Booleans:
        """Returns who lies: the same share of those whom the viewer trusts and of the rest."""
        share = self.scenario.corrupt_share
        corrupt: Booleans = np.zeros((self.seeds, REVIEWERS), dtype=np.bool_)
        for number in range(self.seeds):
            rest = np.setdiff1d(np.arange(REVIEWERS), self.trusted[number])
            corrupt[number, self.trusted[number][: round(share * TRUSTED)]] = True
            corrupt[number, self._random.permutation(rest)[: round(share * rest.size)]] = True
        return corrupt

    def _graph(self, number: int) -> csr_array:
        """Returns where trust goes on: liars trust liars, the others any reviewer, and the deceived the first Sybil."""
        size = REVIEWERS + self.scenario.sybils
        liars = np.flatnonzero(self.corrupt[number])
        honest = np.flatnonzero(~self.corrupt[number])
        edges = []
        for reviewer in range(REVIEWERS):
            whom = liars if self.corrupt[number, reviewer] else np.arange(REVIEWERS)
            whom = whom[whom != reviewer]
            edges += [(reviewer, other) for other in self._links.permutation(whom)[:TRUSTED]]
        pairs = np.array(edges, dtype=np.int64)
        if self.scenario.sybils:
            deceived = self._links.permutation(honest)[: self.scenario.attack_edges]
            rest = np.arange(REVIEWERS + 1, size)
            first = np.full_like(rest, REVIEWERS)
            ways = [
                (deceived, np.full_like(deceived, REVIEWERS)),
                (first, rest),
                (rest, np.roll(rest, 1)),
                (rest, first),
            ]
            pairs = np.concatenate([pairs, *map(np.column_stack, ways)])
        weights = np.ones(len(pairs))
        return steps_of(csr_array((weights, (pairs[:, 0], pairs[:, 1])), shape=(size, size)))

    def _flow(self, number: int, *, damping: float) -> Floats:
        start = np.zeros(self._graphs[number].shape[0])
        start[self.trusted[number]] = 1 / TRUSTED
        return trust_flow(self._graphs[number], start=start, damping=damping)


def weight_of(*, compared: bool) -> float:
    """Returns what an outcome counts: one that rests on a comparison less than one that somebody found out."""
    return Policy().cross_check_weight if compared else 1.0
