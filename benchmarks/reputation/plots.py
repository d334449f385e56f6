"""The results of the simulations as drawings in the docs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.ticker import PercentFormatter

from benchmarks.drawings import drawing
from benchmarks.reputation.experiments import Result, figure
from benchmarks.reputation.worlds import Floats


def draw(
    name: str, results: Sequence[Result], *, ticks: Sequence[str], label: str, of: Callable[[Result], Floats], says: str
) -> None:
    """Draws a line for each method over the scenarios, with the 95 % interval as a band, into `name.svg`.

    Args:
        name: Of the file.
        results: Of all methods in all scenarios of a sweep, in its order.
        ticks: What each scenario is called on the axis.
        label: What the axis says.
        of: Which figure.
        says: What the figure is called.
    """
    with drawing(name) as axes:
        for method in dict.fromkeys(result.method for result in results):
            found = [figure(of(result)) for result in results if result.method == method]
            places = range(len(found))
            (line,) = axes.plot(places, [one.mean for one in found], marker="o", markersize=3, label=method)
            low, high = ([one.mean + sign * one.margin for one in found] for sign in (-1, 1))
            axes.fill_between(places, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_xlabel(label)
        axes.set_ylabel(says)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
