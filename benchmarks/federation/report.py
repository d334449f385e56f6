"""The results of the courses as JSON, and as a table and a drawing in the docs."""

import dataclasses
import statistics
from collections.abc import Sequence

from benchmarks.drawings import drawing
from benchmarks.federation.course import Course
from benchmarks.federation.world import FOLLOW_SECONDS, NODES
from benchmarks.pairs import Ratio, ratio_of
from benchmarks.report import table, write_results, write_tables
from scripts.machine_cache import ROOT

RESULTS = ROOT / "benchmarks/federation.json"
PAGE = ROOT / "docs/network/federation.md"
_NAMES = ("first", "second", "third")
_STYLES = ("-", "--", ":")


def ratios_of(courses: Sequence[Course]) -> list[Ratio]:
    """Returns what was measured, one pair from each course."""
    parted = round(statistics.median(course.parted for course in courses))
    searches = len(courses[0].quiet.milliseconds)
    waits = (
        ("spread_vs_pause", [course.spread_seconds for course in courses], "s until all three hold what one was given"),
        ("heal_vs_pause", [course.heal_seconds for course in courses], f"s until {parted} records are on both sides"),
        ("return_vs_pause", [course.return_seconds for course in courses], f"s until the killed one has {parted} more"),
    )
    ratios = [
        ratio_of(
            [(second, FOLLOW_SECONDS) for second in seconds], name=name, unit=unit, goal=None, higher_is_better=False
        )
        for name, seconds, unit in waits
    ]
    found = [(float(course.broken.whole), float(searches)) for course in courses]
    unit = f"searches that found all {NODES} nodes, one registry dead and one cut off"
    ratios.append(ratio_of(found, name="found_vs_searched", unit=unit, goal=1.0, higher_is_better=True))
    took = [
        (statistics.median(course.broken.milliseconds), statistics.median(course.quiet.milliseconds))
        for course in courses
    ]
    unit = "ms, median of a search among three registries, broken and whole"
    ratios.append(ratio_of(took, name="find_broken_vs_whole", unit=unit, goal=None, higher_is_better=False))
    return ratios


def write_report(courses: Sequence[Course]) -> None:
    """Writes the results, the table into its region, and the drawing; other text is left as it is."""
    ratios = ratios_of(courses)
    figures = [dataclasses.asdict(dataclasses.replace(course, held=[])) for course in courses]  # those are drawn
    write_results(RESULTS, ratios=ratios, courses=figures)
    write_tables(PAGE, {"ratios": table(ratios)})
    _draw(courses[0])


def _draw(course: Course) -> None:
    """Draws what each registry held over time, and marks what happened."""
    with drawing("federation") as axes:
        times = [time for time, _ in course.held]
        for number, name in enumerate(_NAMES):
            counts = [held[number] for _, held in course.held]
            axes.step(times, counts, _STYLES[number], where="post", color=f"C{number}", label=f"the {name} registry")
        for what, time in course.moments.items():
            axes.axvline(time, color="grey", linewidth=0.8)
            axes.annotate(
                what, (time, 0.02), xycoords=("data", "axes fraction"), rotation=90, ha="right", va="bottom", fontsize=7
            )
        axes.set_xlabel("seconds")
        axes.set_ylabel("records on the disk")
