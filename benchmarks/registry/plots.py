"""How a registry does as it grows, as drawings in the docs."""

from collections.abc import Callable, Sequence

from benchmarks.drawings import drawing
from benchmarks.registry.figures import Point

LIMIT_MS = 20.0
GIBI = 2**30

Line = tuple[str, str, Callable[[Point], float]]
"""A label, a style, and what is drawn."""


def draw_growth(points: Sequence[Point]) -> None:
    """Draws how long questions take, how fast records come in, and what they take up, over the number of cards."""
    timed: tuple[Line, ...] = (
        ("99th percentile", "-", lambda point: point.all_found.p99),
        ("median", "--", lambda point: point.all_found.median),
    )
    _draw("registry-find", points, lines=timed, says="FindNodes, ms", limit=LIMIT_MS)
    published: tuple[Line, ...] = (("published", "-", lambda point: point.publishes_per_second),)
    _draw("registry-publish", points, lines=published, says="records/s")
    taken: tuple[Line, ...] = (
        ("on the disk", "-", lambda point: point.database_bytes / GIBI),
        ("memory of the registry", "--", lambda point: point.process_bytes / GIBI),
    )
    _draw("registry-size", points, lines=taken, says="GiB", logarithmic=True)


def _draw(
    name: str,
    points: Sequence[Point],
    *,
    lines: Sequence[Line],
    says: str,
    limit: float | None = None,
    logarithmic: bool = False,
) -> None:
    with drawing(name) as axes:
        for number, database in enumerate(dict.fromkeys(point.database for point in points)):
            of_database = [point for point in points if point.database == database]
            for label, style, of in lines:
                axes.plot(
                    [point.cards for point in of_database],
                    [of(point) for point in of_database],
                    style,
                    color=f"C{number}",
                    marker="o",
                    markersize=3,
                    label=f"{database}, {label}",
                )
        if limit is not None:
            axes.axhline(limit, color="grey", linewidth=0.8, label="the limit")
        axes.set_xscale("log")
        if logarithmic:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel("cards, and as many reviews")
        axes.set_ylabel(says)
