"""Experiments: a scenario, the methods that live in it, and what it cost them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter

import numpy as np
from scipy.stats import t as student

from benchmarks.reputation.askers import METHODS, Askers, Method
from benchmarks.reputation.scenarios import Scenario
from benchmarks.reputation.worlds import LOWEST, STEPS, Floats, World
from consilience.network.reputation.policy import Policy

SEEDS = 24
_AT_ONCE = 25
"""Worlds side by side: as many as fit into the caches of a processor."""

START_STEPS = 100
"""The first asks, in which a viewer knows next to nothing itself; what comes after is told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean over seeds, and how far the ends of its 95 % interval are from it."""

    mean: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one method got in one scenario, by seed.

    Attributes:
        scenario, method: Their names.
        regret_at_start: By how much the quality of the nodes it chose fell behind that of the best there was, over the
            first asks.
        regret: The same over all asks after them.
        bad: After the start, the share of asks that went to a node worse than any honest one is at first.
        verified: After the start, the share of answers that it verified.
    """

    scenario: str
    method: str
    regret_at_start: Floats
    regret: Floats
    bad: Floats
    verified: Floats


def run(
    scenario: Scenario,
    *,
    methods: tuple[Method, ...] = METHODS,
    seeds: int = SEEDS,
    seed: int = 1,
    half_life: timedelta | None = None,
) -> list[Result]:
    """Returns what each method got in a scenario.

    Args:
        scenario: What is wrong.
        methods: They meet the same chances.
        seeds: How many worlds run side by side.
        seed: What they are drawn from.
        half_life: Of all that is remembered; None: that of the policy.
    """
    bunches = [
        _bunch(
            scenario,
            methods=methods,
            seeds=min(_AT_ONCE, seeds - first),
            seed=seed + first,
            half_life=half_life or Policy().half_life,
        )
        for first in range(0, seeds, _AT_ONCE)
    ]
    figures = ("regret_at_start", "regret", "bad", "verified")
    return [
        replace(found[0], **{name: np.concatenate([*map(attrgetter(name), found)]) for name in figures})
        for found in zip(*bunches, strict=True)
    ]


def _bunch(
    scenario: Scenario, *, methods: tuple[Method, ...], seeds: int, seed: int, half_life: timedelta
) -> list[Result]:
    world = World(scenario, seeds=seeds, seed=seed, half_life=half_life)
    askers = Askers(world, methods=methods, seed=seed)
    for number in range(STEPS):
        world.step()
        askers.ask(number)
    lost = askers.best[:, None, :] - askers.served
    return [
        Result(
            scenario=scenario.name,
            method=method.name,
            regret_at_start=lost[:START_STEPS, number].mean(axis=0),
            regret=lost[START_STEPS:, number].mean(axis=0),
            bad=(askers.served[START_STEPS:, number] < LOWEST).mean(axis=0),
            verified=askers.verified[START_STEPS:, number].mean(axis=0),
        )
        for number, method in enumerate(methods)
    ]


def figure(values: Floats) -> Figure:
    """Returns mean and margin of figures of independent seeds, by Student's t."""
    margin = student.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    return Figure(mean=float(values.mean()), margin=float(margin))
