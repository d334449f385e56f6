"""`make simulate`: runs all scenarios, writes tables and drawings into `docs/network`, and fails if a claim does.

python -m benchmarks.reputation.simulate --seeds 200
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from benchmarks.reputation.askers import METHODS, OURS, Ear, Method
from benchmarks.reputation.claims import verdicts
from benchmarks.reputation.experiments import Result, run
from benchmarks.reputation.plots import draw
from benchmarks.reputation.report import claims_table, comparison, write_page
from benchmarks.reputation.scenarios import CORRUPT_SHARES, SYBIL_COUNTS, ZOO, Scenario, collusion_sweep, sybil_sweep
from benchmarks.reputation.worlds import Floats
from consilience.network.reputation.policy import Policy

SEEDS = 200
SEED = 1
HALF_LIVES_DAYS = (2, 4, 7, 14, 30)
CHANGING = ("nobody lies", "on and off, praised by a quarter", "exit scam, praised by a quarter", "quality drifts")
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


def _bad(result: Result) -> Floats:
    return result.bad


def _regret(result: Result) -> Floats:
    return result.regret


def simulate(*, seeds: int) -> bool:
    """Runs everything, writes the page, and returns whether every claim holds."""
    zoo = _all(ZOO, seeds=seeds)
    sybils = _all(sybil_sweep(), seeds=seeds)
    collusion = _all(collusion_sweep(), seeds=seeds)
    caps = _all(collusion_sweep(), seeds=seeds, methods=CAPS)
    half_lives = _half_lives(seeds=seeds)
    found = verdicts([*zoo, *sybils, *collusion])
    tables = {
        "claims": claims_table(found),
        "zoo-bad": comparison(zoo, of=_bad),
        "zoo-regret": comparison(zoo, of=_regret),
        "zoo-start": comparison(zoo, of=lambda result: result.regret_at_start),
        "zoo-verified": comparison(zoo, of=lambda result: result.verified),
    }
    for name, results in ("sybils", sybils), ("collusion", collusion), ("cap", caps), ("half-life", half_lives):
        tables |= {f"{name}-bad": comparison(results, of=_bad), f"{name}-regret": comparison(results, of=_regret)}
    write_page(tables)
    shares = [f"{100 * share:g}%" for share in CORRUPT_SHARES]
    liars = "share of reviewers, trusted ones among them, who lie"
    bad = "bad service"
    counts = [f"{count:,}" for count in SYBIL_COUNTS]
    draw("sybils", sybils, ticks=counts, label="Sybils behind 3 attack edges", of=_bad, says=bad)
    draw("collusion", collusion, ticks=shares, label=liars, of=_bad, says=bad)
    draw("cap", caps, ticks=shares, label=liars, of=_bad, says=bad)
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
