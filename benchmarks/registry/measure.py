"""`make bench-registry`: how a registry does as it grows to a million cards and as many reviews.

python -m benchmarks.registry.measure                            # everything, and writes the report
python -m benchmarks.registry.measure --sizes 1000 --quick       # a look, without a report
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

from nacl.signing import VerifyKey

from benchmarks.pairs import Ratio, in_turn, ratio_of
from benchmarks.processes import Served
from benchmarks.registry.callers import Caller, calling
from benchmarks.registry.databases import Measured, Postgres, Sqlite, bare_row
from benchmarks.registry.figures import Point, Timing, p99_of
from benchmarks.registry.loading import STEP
from benchmarks.registry.population import records_of
from benchmarks.registry.processes import postgres, registry
from benchmarks.registry.questions import KINDS
from benchmarks.registry.report import table_of_points, write_report
from benchmarks.report import table
from consilience.envelopes import Envelope, pre_authentication_encoding
from consilience.reviews import OpenRecord, PublishOutcome, Review
from consilience.server.registry import record_store_at
from consilience.units import utc_now
from scripts.child_processes import unwind_when_told_to_end

POSTGRES_SIZES = (1_000, 10_000, 100_000, 1_000_000)
SQLITE_SIZES = (1_000, 10_000, 100_000)
LIMIT_MS = 20.0
ROUNDS = 5
SYNC_ROUNDS = 3
CALLS = 100
"""Of each kind of question, in each round."""
PUBLISHED = 400
SYNCED = 2_000
SAMPLE = 20
WATCH_SECONDS = 0.02
SYNC_SECONDS = 600.0


class Bench:
    """Measures registries on one database, as it grows."""

    def __init__(self, database: Measured, *, now: datetime, quick: bool) -> None:
        """Begins with an empty database.

        Args:
            database: To be filled.
            now: When the population is.
            quick: Whether a few calls will do: a look at whether all of it works.
        """
        self._database = database
        self._now = now
        self._calls, self._published, self._synced = (3, 100, 100) if quick else (CALLS, PUBLISHED, SYNCED)
        self._rounds, self._sync_rounds = (1, 1) if quick else (ROUNDS, SYNC_ROUNDS)
        self._chance = random.Random(1)  # noqa: S311 - which questions are asked
        self._fresh = 0
        self._followers = 0

    async def grow(self, sizes: Sequence[int]) -> tuple[list[Point], list[Ratio]]:
        """Fills the database step by step and returns what was measured at each size, and ratios at the last one."""
        store = record_store_at(self._database.url)
        await store.open()
        await store.close()
        points, ratios = [], list[Ratio]()
        for before, size in pairwise((0, *sizes)):
            self._say(f"loads up to {size:,} cards and as many reviews")
            began = time.perf_counter()
            await asyncio.to_thread(self._database.fill, first=before, last=size, now=self._now)
            self._say(f"loaded in {time.perf_counter() - began:.0f} s")
            self._fresh = max(sizes) + size
            async with self._running(size) as (served, caller):
                if size == sizes[-1]:
                    ratios = [await self._publishing(caller), await self._following(served, caller)]
                points.append(await self._point(size, served, caller))
                if size == sizes[-1]:
                    ratios.insert(0, await self._finding(caller, size=size))
        return points, ratios

    @asynccontextmanager
    async def _running(self, size: int) -> AsyncIterator[tuple[Served, Caller]]:
        async with registry(self._database.url) as served, calling(served.address) as caller:
            await self._check(caller, size=size)
            yield served, caller

    async def _check(self, caller: Caller, *, size: int) -> None:
        """Looks whether what was loaded is there, as if it had been published.

        Raises:
            RuntimeError: Something is not.
        """
        numbers = self._chance.sample(range(size), min(SAMPLE, size))
        there = [record.record for number in numbers for record in records_of(number, now=self._now)]
        if await caller.records([record.digest for record in there]) != there:
            raise RuntimeError("what was loaded is not what is read")
        if set(await caller.publish(there)) != {PublishOutcome.KNOWN}:
            raise RuntimeError("what was loaded is not known")

    async def _point(self, size: int, served: Served, caller: Caller) -> Point:
        self._say(f"measures {size:,}")
        found = {kind.name: await caller.find(kind, count=self._calls, chance=self._chance) for kind in KINDS}
        return Point(
            database=self._database.name,
            cards=size,
            find={name: Timing.of(took) for name, took in found.items()},
            all_found=Timing.of([one for took in found.values() for one in took]),
            publishes_per_second=await self._publish_rate(caller, self._unpublished()),
            database_bytes=self._database.size(),
            process_bytes=served.process.memory_info().rss,
        )

    async def _finding(self, caller: Caller, *, size: int) -> Ratio:
        pairs = []
        for _ in range(self._rounds):
            took = [await caller.find(kind, count=self._calls, chance=self._chance) for kind in KINDS]
            pairs.append((p99_of([one for some in took for one in some]), LIMIT_MS))
        calls = self._calls * len(KINDS)
        unit = f"ms, 99th percentile of {calls:,} FindNodes of {len(KINDS)} kinds among {size:,} cards"
        return ratio_of(pairs, name=self._named("find_p99_vs_20_ms"), unit=unit, goal=1.0, higher_is_better=False)

    async def _publishing(self, caller: Caller) -> Ratio:
        """Measures publishing against the verification of the same signatures and bare inserts of the same records."""
        self._say("measures publishing")

        async def ours() -> float:
            return await self._publish_rate(caller, self._unpublished())

        async def peer() -> float:
            records = self._unpublished()
            return await asyncio.to_thread(self._bare_rate, records)

        pairs = await in_turn(ours, peer, rounds=self._rounds)
        unit = "records/s (verified and inserted one by one with nothing around)"
        return ratio_of(pairs, name=self._named("publish_vs_bare"), unit=unit, goal=None, higher_is_better=True)

    async def _following(self, served: Served, caller: Caller) -> Ratio:
        """Measures how fast an empty registry follows, against reading the same records."""
        self._say("measures following")

        async def peer() -> float:
            digests = await caller.digests(self._synced)
            began = time.perf_counter()
            await caller.records(digests)
            return self._synced / (time.perf_counter() - began)

        pairs = [(await self._sync_rate(served), await peer()) for _ in range(self._sync_rounds)]
        unit = "records/s from one registry to another (read alone)"
        return ratio_of(pairs, name=self._named("sync_vs_reading"), unit=unit, goal=None, higher_is_better=True)

    async def _sync_rate(self, served: Served) -> float:
        """Starts a follower, and returns how many records a second it takes in once it does."""
        self._followers += 1
        database = self._database.another(f"follower_{self._followers}")
        store = record_store_at(database.url)
        await store.open()
        await store.close()
        async with registry(database.url, follow=[served.address.strip()]), asyncio.timeout(SYNC_SECONDS):
            first, began = await self._held(database, at_least=self._synced // 10)
            last, ended = await self._held(database, at_least=first + self._synced)
        return (last - first) / (ended - began)

    async def _held(self, database: Measured, *, at_least: int) -> tuple[int, float]:
        while (held := database.held()) < at_least:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(WATCH_SECONDS)
        return held, time.perf_counter()

    def _unpublished(self) -> list[OpenRecord]:
        """Returns records of nodes that nobody has heard of."""
        first, self._fresh = self._fresh, self._fresh + self._published // 2
        numbers = range(first, first + self._published // 2)
        return [record for number in numbers for record in records_of(number, now=self._now)]

    async def _publish_rate(self, caller: Caller, records: Sequence[OpenRecord]) -> float:
        began = time.perf_counter()
        outcomes = await caller.publish([record.record for record in records])
        if set(outcomes) != {PublishOutcome.STORED}:
            raise RuntimeError("a new record was not stored")
        return len(records) / (time.perf_counter() - began)

    def _bare_rate(self, records: Sequence[OpenRecord]) -> float:
        began = time.perf_counter()
        for record in records:
            for envelope in _signed_in(record):
                signed = pre_authentication_encoding(envelope.payload_type, envelope.payload)
                VerifyKey(envelope.public_key).verify(signed, envelope.signature)
        self._database.insert([bare_row(record.record) for record in records])
        return len(records) / (time.perf_counter() - began)

    def _named(self, name: str) -> str:
        return f"{name} {self._database.name}"

    def _say(self, what: str) -> None:
        print(f"{self._database.name}: {what}", flush=True)


def _signed_in(record: OpenRecord) -> list[Envelope]:
    inner = [record.object.value.ticket.envelope] if isinstance(record.object.value, Review) else []
    return [record.object.envelope, *inner]


async def measure(
    folder: Path, *, postgres_sizes: Sequence[int], sqlite_sizes: Sequence[int], quick: bool
) -> tuple[list[Point], list[Ratio]]:
    """Returns what was measured at each size, and ratios at the last one of each database.

    Args:
        folder: Empty; takes up to 9 GB for a million cards.
        postgres_sizes: How many cards there are at each step, upwards, multiples of a hundred; none: leaves it out.
        sqlite_sizes: The same.
        quick: Whether a few calls will do.
    """
    points, ratios, now = list[Point](), list[Ratio](), utc_now()
    bench = partial(Bench, now=now, quick=quick)
    if sqlite_sizes:
        some, of_last = await bench(Sqlite(folder / "records.db")).grow(sqlite_sizes)
        points, ratios = [*points, *some], [*ratios, *of_last]
    if postgres_sizes:
        with postgres(folder) as uri:
            some, of_last = await bench(Postgres(uri)).grow(postgres_sizes)
        points, ratios = [*some, *points], [*of_last, *ratios]
    return points, ratios


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in text.split(",") if size)
    if any(size % STEP or size < STEP for size in sizes) or list(sizes) != sorted(set(sizes)):
        raise argparse.ArgumentTypeError(f"sizes are multiples of {STEP}, upwards, as 1000,10000")
    return sizes


def main() -> None:
    """Measures all sizes and writes the report, or those that are named and prints them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registry.measure", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, help="cards at each step on PostgreSQL, as 1000,10000; no report")
    parser.add_argument("--sqlite-sizes", type=_sizes, help="the same on SQLite; those of --sizes when absent")
    parser.add_argument("--quick", action="store_true", help="a few calls of each kind alone")
    parser.add_argument("--folder", type=Path, help="where the databases are kept meanwhile, 9 GB for a million")
    given = parser.parse_args()
    whole = given.sizes is None and given.sqlite_sizes is None and not given.quick
    postgres_sizes = POSTGRES_SIZES if given.sizes is None else given.sizes
    default = SQLITE_SIZES if given.sizes is None else given.sizes
    sqlite_sizes = default if given.sqlite_sizes is None else given.sqlite_sizes
    unwind_when_told_to_end()
    try:
        with tempfile.TemporaryDirectory(prefix="consilience-bench-", dir=given.folder) as folder:
            measured = measure(
                Path(folder), postgres_sizes=postgres_sizes, sqlite_sizes=sqlite_sizes, quick=given.quick
            )
            points, ratios = asyncio.run(measured)
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written, and what was loaded is gone")
    print(table(ratios))
    print(table_of_points(points))
    if whole:
        write_report(points, ratios=ratios)


if __name__ == "__main__":
    main()
