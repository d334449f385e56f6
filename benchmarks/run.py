"""`make bench`: measures everything, tells it as it goes, and writes the report."""

import argparse
import asyncio

from benchmarks.engine import measure_engine
from benchmarks.imports import measure_imports
from benchmarks.ledgers import measure_ledgers
from benchmarks.pairs import Ratio
from benchmarks.payments import measure_payments
from benchmarks.report import table, write_report
from benchmarks.trust import measure_reputation
from benchmarks.wire import measure_wire

PARTS = ("imports", "wire", "payments", "engine", "reputation")


async def measure(parts: list[str]) -> list[Ratio]:
    """Returns the ratios of the parts named, in the order of the report."""
    ratios: list[Ratio] = []
    if "wire" in parts:
        ratios += await measure_wire()
    if "imports" in parts:
        ratios.append(await measure_imports())
    if "payments" in parts:
        ratios += [*await measure_payments(), *await measure_ledgers()]
    if "engine" in parts:
        ratios += await measure_engine()
    if "reputation" in parts:
        ratios += await measure_reputation()
    return ratios


def main() -> None:
    """Measures all parts and writes the report, or only some parts and prints them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these, without a report: {', '.join(PARTS)}")
    parts = parser.parse_args().parts
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    ratios = asyncio.run(measure(parts or list(PARTS)))
    print(table(ratios))
    if not parts:
        write_report(ratios)


if __name__ == "__main__":
    main()
