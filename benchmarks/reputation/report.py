"""The results of the simulations as tables in the docs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.reputation.claims import Verdict
from benchmarks.reputation.experiments import Result, figure
from benchmarks.reputation.worlds import Floats
from scripts.machine_cache import ROOT

PAGE = ROOT / "docs/network/reputation.md"


def comparison(results: Sequence[Result], *, of: Callable[[Result], Floats]) -> str:
    """Returns a table with a line for each scenario and a column for each method, in per cent."""
    scenarios = list(dict.fromkeys(result.scenario for result in results))
    methods = list(dict.fromkeys(result.method for result in results))
    values = {(result.scenario, result.method): of(result) for result in results}
    lines = [["", *methods], ["---", *("--:" for _ in methods)]]
    lines += [[scenario, *(percent(values[scenario, method]) for method in methods)] for scenario in scenarios]
    return _table(lines)


def claims_table(verdicts: Iterable[Verdict]) -> str:
    """Returns the claims with what was found of each."""
    lines = [["scenario", "method", "bad service is said to be", "95 % interval", "holds"], ["---"] * 5]
    for one in verdicts:
        claim = one.claim
        said = f"{claim.at_most:.0%} at most" if claim.at_most < 1 else f"{claim.at_least:.0%} at least"
        interval = f"{one.lowest:.1%} to {one.highest:.1%}"
        lines.append([claim.scenario, claim.method, said, interval, "yes" if one.holds else "**no**"])
    return _table(lines)


def percent(values: Floats) -> str:
    """Returns a mean with its margin, in per cent."""
    found = figure(values)
    return f"{100 * found.mean:.1f} ± {100 * found.margin:.1f}"


def _table(lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
