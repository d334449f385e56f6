"""`make bench-registry` in small: what it loads is what the store writes, and all of it runs, on both databases."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pairs import ratio_of
from benchmarks.registry.figures import Point, Timing
from benchmarks.registry.loading import TABLES, fill_sqlite
from benchmarks.registry.population import records_of
from benchmarks.registry.questions import KINDS
from benchmarks.registry.report import PAGE, largest, table_of_kinds, table_of_points
from consilience.reviews import Placed, PublishOutcome, place_of
from consilience.server.registry import record_store_at
from scripts.machine_cache import ROOT
from scripts.spec_regions import region_names

NODES = 200
NOW = datetime(2026, 5, 1, tzinfo=UTC)


async def test_what_is_loaded_is_what_the_store_writes(tmp_path: Path) -> None:
    loaded, admitted = tmp_path / "loaded.db", tmp_path / "admitted.db"
    for file in (loaded, admitted):
        store = record_store_at(f"sqlite:///{file}")
        await store.open()
        if file == admitted:
            records = [record for number in range(NODES) for record in records_of(number, now=NOW)]
            placed = [Placed(record=record, place=place_of(record, now=NOW)) for record in records]
            assert set(await store.admit(placed, now=NOW)) == {PublishOutcome.STORED}
        await store.close()
    fill_sqlite(loaded, first=0, last=NODES, now=NOW)
    assert _rows(loaded) == _rows(admitted)


def _rows(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(file)) as connection:
        names = (*(table.name for table in TABLES), "registry")
        rows = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608 - names of tables
    rows["registry"] = [(version, last) for version, _, last in rows["registry"]]
    return rows


def test_a_population_is_the_same_whoever_draws_it_and_as_many_reviews_as_nodes() -> None:
    drawn = [record for number in range(100) for record in records_of(number, now=NOW)]
    assert len(drawn) == 200
    assert drawn == [record for number in range(100) for record in records_of(number, now=NOW)]
    assert len({record.digest for record in drawn}) == 200


@pytest.mark.timeout(240)  # several processes on a small machine
def test_all_of_it_runs_in_small() -> None:
    command = [sys.executable, "-m", "benchmarks.registry.measure", "--sizes", "100,200", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=230, check=False)
    assert done.returncode == 0, done.stderr
    for database in ("PostgreSQL", "SQLite"):
        for size in (100, 200):
            assert f"| {database} | {size} |" in done.stdout
        for name in ("find_p99_vs_20_ms", "publish_vs_bare", "sync_vs_reading"):
            assert f"| `{name} {database}` |" in done.stdout


def _point(database: str, cards: int) -> Point:
    timing = Timing.of([float(number) for number in range(1, 201)])
    return Point(
        database=database,
        cards=cards,
        find={kind.name: timing for kind in KINDS},
        all_found=timing,
        publishes_per_second=500.0,
        database_bytes=3 * 2**20,
        process_bytes=2**27,
    )


def test_figures_are_summed_up_by_the_median_and_the_99th_percentile() -> None:
    points = [_point("PostgreSQL", 1000), _point("PostgreSQL", 2000), _point("SQLite", 1000)]
    assert (points[0].all_found.median, points[0].all_found.p99) == (100.5, 199.0)
    assert largest(points) == points[1:]
    assert "| PostgreSQL | 2,000 | 100.5 ms | 199.0 ms | 500/s | 3 MiB | 128 MiB |" in table_of_points(points)
    assert len(table_of_kinds(largest(points)).splitlines()) == 2 + len(KINDS)
    assert not ratio_of([(21.0, 20.0)], name="x", unit="ms", goal=1.0, higher_is_better=False).reached


def test_the_page_has_the_regions_that_the_report_writes() -> None:
    assert region_names(PAGE.read_text(), kind="table") == ["ratios", "growth", "kinds"]
