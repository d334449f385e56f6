"""Drawings in the docs, which all look alike. The same results give the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scripts.machine_cache import ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = ROOT / "docs/network"

_LOOK: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.3,
    "svg.fonttype": "none",
    "svg.hashsalt": "consilience",
}
_INCHES = (6.4, 3.2)


@contextmanager
def drawing(name: str) -> "Iterator[Axes]":
    """Gives axes to draw on, which become `name.svg` when the block ends."""
    # Not at the top: whoever only measures does not have it.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib import pyplot as plt  # noqa: PLC0415

    with mpl.rc_context(_LOOK):
        figure, axes = plt.subplots(figsize=_INCHES, layout="constrained")
        yield axes
        axes.legend(frameon=False, fontsize=8)
        figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
