"""The results as JSON, and as tables and drawings in the docs."""

import dataclasses
from collections.abc import Iterable, Sequence

from benchmarks.pairs import Ratio
from benchmarks.registry.figures import Point
from benchmarks.registry.plots import draw_growth
from benchmarks.report import table, write_results, write_tables
from scripts.machine_cache import ROOT

RESULTS = ROOT / "benchmarks/registry.json"
PAGE = ROOT / "docs/network/registry.md"
MEBI = 2**20


def write_report(points: Sequence[Point], *, ratios: Sequence[Ratio]) -> None:
    """Writes the results, the tables into the regions of their names, and the drawings; other text is left as it is."""
    write_results(RESULTS, ratios=ratios, growth=[dataclasses.asdict(point) for point in points])
    tables = {
        "ratios": table(ratios),
        "growth": table_of_points(points),
        "kinds": table_of_kinds(largest(points)),
    }
    write_tables(PAGE, tables)
    draw_growth(points)


def largest(points: Iterable[Point]) -> list[Point]:
    """Returns the largest of each database, in the order of the databases."""
    by_database = {point.database: point for point in sorted(points, key=lambda point: point.cards)}
    return [by_database[name] for name in dict.fromkeys(point.database for point in points)]


def table_of_points(points: Sequence[Point]) -> str:
    """Returns a table with a line for each size of each database."""
    lines = [
        "| database | cards, reviews | FindNodes, median | 99th percentile | published | on the disk | memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {point.database} | {point.cards:,} | {point.all_found.median:.1f} ms | {point.all_found.p99:.1f} ms "
        f"| {point.publishes_per_second:,.0f}/s | {point.database_bytes / MEBI:,.0f} MiB "
        f"| {point.process_bytes / MEBI:,.0f} MiB |"
        for point in points
    ]
    return "\n".join(lines)


def table_of_kinds(points: Sequence[Point]) -> str:
    """Returns a table with a line for each kind of question, and two columns for each database."""
    heads = [f"{point.database}, {point.cards:,}: {what}" for point in points for what in ("median", "99th percentile")]
    lines = [["a question for", *heads], ["---", *("--:" for _ in heads)]]
    for kind in points[0].find if points else ():
        timings = (timing for point in points for timing in (point.find[kind].median, point.find[kind].p99))
        lines.append([kind, *(f"{timing:.1f} ms" for timing in timings)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
