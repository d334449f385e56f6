"""Askers: ways to choose a node by what one knows and hears. All live in the same world and share its chances."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.reputation.worlds import JUDGEMENTS_OF_A_SYBIL, NODES, STEPS, Floats, Integers, World, weight_of
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
        by_agreement: Whether a voice counts the more, the better it agreed with own outcomes.
        policy: The numbers of the model.
    """

    name: str
    ear: Ear
    by_agreement: bool = False
    policy: Policy = field(default_factory=Policy)


_UNCAPPED = replace(Policy(), cap_start=_NO_LIMIT)
OURS = Method(name="ours", ear=Ear.TRUSTED)
OURS_BY_AGREEMENT = Method(name="ours, weighed by agreement", ear=Ear.TRUSTED, by_agreement=True)
METHODS = (
    OURS,
    Method(name="own outcomes alone", ear=Ear.NOBODY),
    Method(name="trusted, no cap", ear=Ear.TRUSTED, policy=_UNCAPPED),
    Method(name="whoever agreed", ear=Ear.EVERYBODY, by_agreement=True, policy=_UNCAPPED),
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
        compared = world.scenario.viewer_compares
        passes = np.take_along_axis(world.passes(compared=compared)[None], chosen[:, :, None], axis=2)[:, :, 0]
        right = self._random.random(world.seeds) < passes
        rate = audit_rate(self.own_count, accusations=world.accusations_of_strangers, policy=self._methods[0].policy)
        verified = self._random.random(world.seeds) < np.take_along_axis(rate, chosen[:, :, None], axis=2)[:, :, 0]
        method, seed = np.nonzero(verified)
        weight = weight_of(compared=compared)
        self.own_count[method, seed, chosen[method, seed]] += weight
        self.own_total[method, seed, chosen[method, seed]] += weight * right[method, seed]
        self.served[number] = quality
        self.verified[number] = verified
        self.best[number] = world.quality.max(axis=1)

    def beliefs(self) -> tuple[Floats, Floats]:
        """Returns the successes and failures that each method believes in, by method, seed and node."""
        world = self._world
        share = np.divide(world.total, world.count, out=np.zeros_like(world.total), where=world.count > 0)
        heard = {
            self._ear_of(method): self._hear(method, number=number, share=share)
            for number, method in enumerate(self._methods)
        }
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
    def _ear_of(method: Method) -> tuple[Ear, str, float, float]:
        """Returns what two methods that hear the same have in common; by agreement, nobody hears what another does."""
        apart = method.name if method.by_agreement else ""
        return method.ear, apart, method.policy.damping, method.policy.counts_per_flow

    def _hear(self, method: Method, *, number: int, share: Floats) -> Heard:
        """Returns what a method hears.

        Args:
            method: Which.
            number: Its place.
            share: The mean score that each reviewer gave each node, by seed, reviewer and node.
        """
        said = self._world.said_by_sybils
        mute, score = np.isnan(said), np.nan_to_num(said)
        given = self._given(method)
        spoken = np.where(mute, 0.0, self._sybils[self._ear_of(method)][:, None])
        if method.by_agreement:
            given = given * self._agreement(number, count=self._world.count, share=share)
            count = np.where(mute, 0.0, JUDGEMENTS_OF_A_SYBIL)
            spoken = spoken * self._agreement(number, count=count[:, None], share=score[:, None])[:, 0]
        return Heard(weight=given.sum(axis=1) + spoken, total=np.einsum("srn,srn->sn", given, share) + spoken * score)

    def _given(self, method: Method) -> Floats:
        """Returns what each reviewer may count about each node, by seed, reviewer and node."""
        world = self._world
        match method.ear:
            case Ear.NOBODY:
                return np.zeros((world.seeds, 1, NODES))
            case Ear.TRUSTED:
                flow, _ = world.flows(damping=method.policy.damping)
                return reviewer_weight(world.count, flow=flow[:, :, None], policy=method.policy)
            case Ear.RANKED:
                return self._ranks[:, :, None] * world.count
            case Ear.EVERYBODY:
                return world.count

    def _agreement(self, number: int, *, count: Floats, share: Floats) -> Floats:
        """Returns how far judges agreed with the outcomes of one method, by seed and judge: 0 not at all, 1 always.

        Who judged nothing that it verified itself has 0.

        Args:
            number: Of the method.
            count: How often each judge judged each node, by seed, judge and node.
            share: The mean of its scores, in the same order.
        """
        own_count, own_total = self.own_count[number][:, None, :], self.own_total[number][:, None, :]
        common = np.minimum(own_count, count)
        own_share = np.divide(own_total, own_count, out=np.zeros_like(own_total), where=own_count > 0)
        agreed = np.einsum("srn,srn->sr", common, 1 - 2 * np.abs(own_share - share))
        agreement: Floats = np.maximum(agreed / (1 + common.sum(axis=2)), 0.0)
        return agreement[:, :, None]

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
