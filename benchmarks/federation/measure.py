"""`make bench-federation`: how soon registries know what one of them was told, through a death and a cut.

python -m benchmarks.federation.measure            # everything, and writes the report
python -m benchmarks.federation.measure --quick    # a look, without a report
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.federation.course import Course, settled, take
from benchmarks.federation.report import ratios_of, write_report
from benchmarks.federation.world import World
from benchmarks.report import table
from scripts.child_processes import unwind_when_told_to_end

COURSES = 7
RECORDS = 200
SEARCHES = 50
NUMBERS = 10_000
"""Of the population, for each course: more than it publishes."""


async def measure(folder: Path, *, quick: bool) -> list[Course]:
    """Takes one federation through several courses.

    Args:
        folder: Empty, for what the registries keep.
        quick: Whether one short course will do.
    """
    courses, records, searches = (1, 10, 5) if quick else (COURSES, RECORDS, SEARCHES)
    world, taken = World(folder), list[Course]()
    async with world.running():
        await settled(world)
        for number in range(courses):
            print(f"course {number + 1} of {courses}", flush=True)
            taken.append(await take(world, first=number * NUMBERS, records=records, searches=searches))
    return taken


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures several courses and writes the report, or one and prints it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.federation.measure", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short course alone, and no report")
    given = parser.parse_args(arguments)
    unwind_when_told_to_end()
    try:
        with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
            courses = asyncio.run(measure(Path(folder), quick=given.quick))
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written")
    print(table(ratios_of(courses)))
    if not given.quick:
        write_report(courses)


if __name__ == "__main__":
    main()
