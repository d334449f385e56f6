"""Paired measuring: two things in turn in one run on one machine, and the ratio pair by pair.

No absolute figure of a shared machine means anything tomorrow; the median of paired ratios does.
"""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure divided by its peer's, over several pairs.

    Attributes:
        name: As in `ask_vs_raw`.
        ours, peer: Medians, in `unit`.
        ratio, lowest, highest: Median, minimum and maximum of the ratios pair by pair.
        goal: What the ratio should reach, or None where it is only reported.
        higher_is_better: Which side of the goal is the good one.
    """

    name: str
    unit: str
    ours: float
    peer: float
    ratio: float
    lowest: float
    highest: float
    goal: float | None
    higher_is_better: bool

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.higher_is_better else self.ratio <= self.goal


def ratio_of(
    pairs: list[tuple[float, float]], *, name: str, unit: str, goal: float | None, higher_is_better: bool
) -> Ratio:
    """Returns the ratio over pairs of (ours, peer's) figures."""
    ratios = [ours / peer for ours, peer in pairs]
    return Ratio(
        name=name,
        unit=unit,
        ours=statistics.median(ours for ours, _ in pairs),
        peer=statistics.median(peer for _, peer in pairs),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        goal=goal,
        higher_is_better=higher_is_better,
    )


async def in_turn(ours: Measure, peer: Measure, *, rounds: int) -> list[tuple[float, float]]:
    """Measures both in turn, after one warm-up of each; which one goes first changes from round to round."""
    await ours()
    await peer()
    pairs = []
    for number in range(rounds):
        if number % 2:
            peers_figure = await peer()
            pairs.append((await ours(), peers_figure))
        else:
            our_figure = await ours()
            pairs.append((our_figure, await peer()))
    return pairs
