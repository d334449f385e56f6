"""`make simulate`: runs all scenarios, writes tables and drawings into `docs/network`, and fails if a claim does.

python -m benchmarks.reputation.simulate --seeds 100
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from benchmarks.report import write_tables
from benchmarks.reputation.askers import METHODS, OURS, OURS_BY_AGREEMENT, Ear, Method
from benchmarks.reputation.claims import verdicts
from benchmarks.reputation.experiments import Result, run
from benchmarks.reputation.plots import draw
from benchmarks.reputation.report import PAGE, claims_table, comparison
from benchmarks.reputation.scenarios import (
    COPIERS,
    CORRUPT_SHARES,
    SYBIL_COUNTS,
    ZOO,
    Scenario,
    collusion_sweep,
    copying_sweep,
    sybil_sweep,
)
from benchmarks.reputation.worlds import Floats
from consilience.network.reputation.policy import Policy

SEEDS = 100
SEED = 1
HALF_LIVES_DAYS = (2, 4, 7, 14, 30)
CHANGING = ("nobody lies", "on and off, praised by a quarter", "exit scam, praised by a quarter", "quality drifts")
COMPARISONS = {"reviewers compare": False, "all compare": True}
CAPS = tuple(
    Method(
        name=f"growth {growth:g}, start {start:g}",
        ear=Ear.TRUSTED,
        policy=replace(Policy(), cap_growth=growth, cap_start=start),
    )
    for growth, start in ((0.0, 0.5), (0.25, 0.5), (0.5, 1.0), (1.0, 0.5), (1.0, 2.0))
)


def _all(scenarios: Iterable[Scenario], *, seeds: int, methods: tuple[Method, ...] = METHODS) -> list[Result]:
    found = []
    for scenario in scenarios:
        print(f"{scenario.name}: {', '.join(method.name for method in methods)}", flush=True)
        found += run(scenario, methods=methods, seeds=seeds, seed=SEED)
    return found


def _half_lives(*, seeds: int) -> list[Result]:
    """Returns what ours got by half-life, which stands in the place of the method."""
    found = []
    for scenario in (scenario for scenario in ZOO if scenario.name in CHANGING):
        for days in HALF_LIVES_DAYS:
            print(f"{scenario.name}: half-life of {days} days", flush=True)
            (result,) = run(scenario, methods=(OURS,), seeds=seeds, seed=SEED, half_life=timedelta(days=days))
            found.append(replace(result, method=f"{days} days"))
    return found


def _copying(*, seeds: int) -> list[Result]:
    """Returns what came of copied answers, by who compares them."""
    sweeps = (copying_sweep(viewer_compares=viewer_compares) for viewer_compares in COMPARISONS.values())
    return [result for sweep in sweeps for result in _all(sweep, seeds=seeds)]


def _lines_of_copying(results: Iterable[Result]) -> list[Result]:
    """Returns ours and own outcomes alone, each by who compares, which stands beside the method."""
    return [
        replace(result, method=f"{result.method}, {who}")
        for who in COMPARISONS
        for result in results
        if result.scenario.endswith(who) and result.method in {OURS.name, "own outcomes alone"}
    ]


def _bad(result: Result) -> Floats:
    return result.bad


def _regret(result: Result) -> Floats:
    return result.regret


def _regret_at_start(result: Result) -> Floats:
    return result.regret_at_start


def _draw(sweeps: Mapping[str, list[Result]]) -> None:
    """Draws bad service over each sweep that goes from little of something to much of it."""
    shares = [f"{100 * share:g}%" for share in CORRUPT_SHARES]
    liars = "share of reviewers, trusted ones among them, who lie"
    axes = {
        "sybils": ([f"{count:,}" for count in SYBIL_COUNTS], "Sybils behind 3 attack edges"),
        "collusion": (shares, liars),
        "copying": ([f"{count}" for count in COPIERS], "nodes of 24 that give one another's wrong answers"),
        "cap": (shares, liars),
    }
    for name, (ticks, label) in axes.items():
        results = _lines_of_copying(sweeps[name]) if name == "copying" else sweeps[name]
        draw(name, results, ticks=ticks, label=label, of=_bad, says="bad service")


def simulate(*, seeds: int) -> bool:
    """Runs everything, writes the page, and returns whether every claim holds."""
    zoo = _all(ZOO, seeds=seeds)
    sybils = _all(sybil_sweep(), seeds=seeds)
    collusion = _all(collusion_sweep(), seeds=seeds)
    copying = _copying(seeds=seeds)
    agreement = [result for result in zoo if result.method == OURS.name]
    agreement += _all(ZOO, seeds=seeds, methods=(OURS_BY_AGREEMENT,))
    caps = _all(collusion_sweep(), seeds=seeds, methods=CAPS)
    half_lives = _half_lives(seeds=seeds)
    found = verdicts([*zoo, *sybils, *collusion, *copying])
    tables = {
        "claims": claims_table(found),
        "zoo-bad": comparison(zoo, of=_bad),
        "zoo-regret": comparison(zoo, of=_regret),
        "zoo-start": comparison(zoo, of=_regret_at_start),
        "zoo-verified": comparison(zoo, of=lambda result: result.verified),
    }
    sweeps = {"sybils": sybils, "collusion": collusion, "copying": copying, "cap": caps, "half-life": half_lives}
    for name, results in (sweeps | {"agreement": agreement}).items():
        tables |= {f"{name}-bad": comparison(results, of=_bad), f"{name}-regret": comparison(results, of=_regret)}
    tables["agreement-start"] = comparison(agreement, of=_regret_at_start)
    write_tables(PAGE, tables)
    _draw(sweeps)
    for verdict in found:
        if not verdict.holds:
            print(f"does not hold: {verdict}", file=sys.stderr)
    return all(verdict.holds for verdict in found)


def main() -> None:
    """Runs the command; exits with 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reputation.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many worlds of each scenario; 20 at least")
    sys.exit(0 if simulate(seeds=parser.parse_args().seeds) else 1)


if __name__ == "__main__":
    main()
