"""Askers: ways to choose a node by what one knows and hears. All live in the same world and share its chances."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.reputation.worlds import JUDGEMENTS_OF_A_SYBIL, NODES, STEPS, Floats, Integers, World
from consilience.network.reputation.policy import Policy
from consilience.network.reputation.posteriors import audit_rate, posterior, reviewer_weight

EXPLORED_SHARE = 0.06
"""Of its asks so many go to the best of a draw from the posteriors (Thompson)."""

CAUTION = 0.5
"""Standard deviations that it subtracts from a mean."""

_NO_LIMIT = 1e12


class Ear(enum.Enum):
    """Whom an asker hears."""

    NOBODY = "nobody"
    TRUSTED = "trusted"
    EVERYBODY = "everybody"
    RANKED = "ranked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to score nodes.

    Attributes:
        name: As in the tables.
        ear: Whom it hears.
        policy: The numbers of the model.
    """

    name: str
    ear: Ear
    policy: Policy = field(default_factory=Policy)


_UNCAPPED = replace(Policy(), cap_start=_NO_LIMIT)
OURS = Method(name="ours", ear=Ear.TRUSTED)
METHODS = (
    OURS,
    Method(name="own outcomes alone", ear=Ear.NOBODY),
    Method(name="trusted, no cap", ear=Ear.TRUSTED, policy=_UNCAPPED),
    Method(name="global PageRank", ear=Ear.RANKED, policy=_UNCAPPED),
    Method(name="mean of all reviews", ear=Ear.EVERYBODY, policy=_UNCAPPED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an asker heard of each node, by seed and node: weights added up, and scores with these weights."""

    weight: Floats
    total: Floats


class Askers:
    """One viewer for each method, in each world.

    Attributes:
        served: The quality of the node that each chose, by step, method and seed.
        verified: Whether each verified the answer, 0 or 1, by step, method and seed.
        best: The quality of the best node there was, by step and seed.
    """

    def __init__(self, world: World, *, methods: tuple[Method, ...], seed: int) -> None:
        self._world = world
        self._methods = methods
        self._random = np.random.default_rng([seed, 1])
        shape = (len(methods), world.seeds, NODES)
        self.own_count = np.zeros(shape)
        self.own_total = np.zeros(shape)
        self.served = np.zeros((STEPS, len(methods), world.seeds))
        self.verified = np.zeros((STEPS, len(methods), world.seeds))
        self.best = np.zeros((STEPS, world.seeds))
        self._ranks, sybil_ranks = world.global_ranks()
        self._sybils = {self._ear_of(method): self._sybil_weight(method, ranks=sybil_ranks) for method in methods}

    def ask(self, number: int) -> None:
        """Has each viewer ask once, in the step with this number, and remember what it verified."""
        world = self._world
        self.own_count *= world.decay * ~world.renewed
        self.own_total *= world.decay * ~world.renewed
        chosen = self._choose()
        quality = np.take_along_axis(world.quality[None], chosen[:, :, None], axis=2)[:, :, 0]
        right = self._random.random(world.seeds) < quality
        rate = audit_rate(self.own_count, accusations=world.accusations_of_strangers, policy=self._methods[0].policy)
        verified = self._random.random(world.seeds) < np.take_along_axis(rate, chosen[:, :, None], axis=2)[:, :, 0]
        method, seed = np.nonzero(verified)
        self.own_count[method, seed, chosen[method, seed]] += 1
        self.own_total[method, seed, chosen[method, seed]] += right[method, seed]
        self.served[number] = quality
        self.verified[number] = verified
        self.best[number] = world.quality.max(axis=1)

    def beliefs(self) -> tuple[Floats, Floats]:
        """Returns the successes and failures that each method believes in, by method, seed and node."""
        heard = {self._ear_of(method): self._hear(method) for method in self._methods}
        found = [
            posterior(
                self.own_count[number],
                own_sum=self.own_total[number],
                trusted_weight=heard[self._ear_of(method)].weight,
                trusted_sum=heard[self._ear_of(method)].total,
                policy=method.policy,
            )
            for number, method in enumerate(self._methods)
        ]
        return np.stack([one.successes for one in found]), np.stack([one.failures for one in found])

    def _choose(self) -> Integers:
        successes, failures = self.beliefs()
        total = successes + failures
        mean = successes / total
        deviation = np.sqrt(mean * (1 - mean) / (total + 1))
        shape = successes.shape[1:]
        draw = self._random.standard_normal(shape)  # of a Beta, nearly, and the same chance for all methods
        explores = self._random.random((shape[0], 1)) < EXPLORED_SHARE
        utility = mean + np.where(explores, draw, -CAUTION) * deviation
        chosen: Integers = np.argmax(utility + 1e-9 * self._random.random(shape), axis=2)
        return chosen

    @staticmethod
    def _ear_of(method: Method) -> tuple[Ear, float, float]:
        return method.ear, method.policy.damping, method.policy.counts_per_flow

    def _hear(self, method: Method) -> Heard:
        world = self._world
        match method.ear:
            case Ear.NOBODY:
                weight = total = np.zeros((world.seeds, NODES))
            case Ear.TRUSTED:
                flow, _ = world.flows(damping=method.policy.damping)
                given = reviewer_weight(world.count, flow=flow[:, :, None], policy=method.policy)
                share = np.divide(world.total, world.count, out=np.zeros_like(given), where=world.count > 0)
                weight, total = given.sum(axis=1), (given * share).sum(axis=1)
            case Ear.RANKED:
                rank = self._ranks[:, :, None]
                weight, total = (rank * world.count).sum(axis=1), (rank * world.total).sum(axis=1)
            case Ear.EVERYBODY:
                weight, total = world.count.sum(axis=1), world.total.sum(axis=1)
        said = world.said_by_sybils
        sybils = np.where(np.isnan(said), 0.0, self._sybils[self._ear_of(method)][:, None])
        return Heard(weight=weight + sybils, total=total + sybils * np.nan_to_num(said))

    def _sybil_weight(self, method: Method, *, ranks: list[Floats]) -> Floats:
        """Returns what all Sybils together count about each node that they speak of, by seed."""
        world = self._world
        match method.ear:
            case Ear.NOBODY:
                return np.zeros(world.seeds)
            case Ear.EVERYBODY:
                return np.full(world.seeds, JUDGEMENTS_OF_A_SYBIL * world.scenario.sybils)
            case Ear.RANKED:
                return np.array([JUDGEMENTS_OF_A_SYBIL * one.sum() for one in ranks])
            case Ear.TRUSTED:
                _, flows = world.flows(damping=method.policy.damping)
                counts = (np.full(one.size, JUDGEMENTS_OF_A_SYBIL) for one in flows)
                given = zip(counts, flows, strict=True)
                return np.array([reviewer_weight(one, flow=flow, policy=method.policy).sum() for one, flow in given])
