"""How a database gets a population within minutes: in bulk, and each row as the store would have written it.

Processes draw and sign; the rows come from the functions of the store. Indexes are taken off PostgreSQL meanwhile, and
SQLite gets its keys in order. What is left out is admission: so some of what was loaded is published once more
afterwards, and has to be known.
"""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import Table

from benchmarks.registry.population import records_of
from consilience.nodes import NodeCard
from consilience.reviews import Placed, place_of
from consilience.server.registry import shelving
from consilience.server.registry.offers import NOTHING, offers_of
from consilience.server.registry.ring import place_on_ring
from consilience.server.registry.schema import NUMBERS, RECORDS, TERMS
from consilience.server.registry.statements import row_of

T = TypeVar("T")
Rows = dict[str, list[tuple[Any, ...]]]
TABLES: tuple[Table, ...] = (RECORDS, TERMS, NUMBERS)
NODES_IN_A_BLOCK = 2_000
LAST_SERIAL = "SELECT last_serial FROM registry"
STEP = 100
"""Of so many nodes, there are as many reviews."""


def fill_postgres(uri: str, *, first: int, last: int, now: datetime) -> None:
    """Loads nodes with their reviews into the tables of a store, which was opened before.

    Args:
        uri: Of the database.
        first: The first node, a multiple of `STEP`.
        last: The first one that is left out, a multiple as well.
        now: Aware UTC.
    """
    with psycopg.connect(uri) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        before = _number(connection.execute(LAST_SERIAL).fetchone())
        taken_off = _take_indexes_off(connection)
        for encoded in _in_processes(partial(_encoded, offset=before - 2 * first, now=now), _blocks(first, last)):
            for name, rows in encoded.items():
                with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                    copy.write(rows)
        for statement in taken_off:
            connection.execute(statement)
        connection.execute("UPDATE registry SET last_serial = %s", (before + 2 * (last - first),))
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def fill_sqlite(path: Path, *, first: int, last: int, now: datetime) -> None:
    """Loads nodes with their reviews into the file of a store, which was opened before; see `fill_postgres`."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in TABLES:
            connection.execute(f"CREATE TEMP TABLE new_{table.name} AS SELECT * FROM {table.name} WHERE false")  # noqa: S608 - names of tables
        before = _number(connection.execute(LAST_SERIAL).fetchone())
        for rows in _in_processes(partial(_rows, offset=before - 2 * first, now=now), _blocks(first, last)):
            for name, some in rows.items():
                marks = ", ".join("?" for _ in some[0])
                connection.executemany(f"INSERT INTO temp.new_{name} VALUES ({marks})", some)  # noqa: S608 - names of tables
        for table in TABLES:
            key = ", ".join(column.name for column in table.primary_key)
            connection.execute(f"INSERT INTO {table.name} SELECT * FROM temp.new_{table.name} ORDER BY {key}")  # noqa: S608 - as above
        connection.execute("UPDATE registry SET last_serial = ?", (before + 2 * (last - first),))


def _blocks(first: int, last: int) -> Iterator[range]:
    for start in range(first, last, NODES_IN_A_BLOCK):
        yield range(start, min(start + NODES_IN_A_BLOCK, last))


def _in_processes(work: Callable[[range], T], blocks: Iterator[range]) -> Iterator[T]:
    """Yields what becomes of each block, as it comes, and no more than two for each processor ahead."""
    processors = os.cpu_count() or 1
    # Forked by a server: this process has threads.
    context = get_context("forkserver")
    with ProcessPoolExecutor(processors, mp_context=context, initializer=_leave_interrupts) as pool:
        running: set[Future[T]] = {pool.submit(work, block) for block in islice(blocks, 2 * processors)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, block) for block in islice(blocks, len(done))}
                yield from (future.result() for future in done)
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Leaves it to the process that is in charge to end at Ctrl-C, and to end the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _rows(numbers: range, *, offset: int, now: datetime) -> Rows:
    rows: Rows = {table.name: [] for table in TABLES}
    serials = count(offset + 2 * numbers.start + 1)
    for number in numbers:
        for record in records_of(number, now=now):
            card = record.object.value
            place = place_on_ring(card.node_id) if isinstance(card, NodeCard) else None
            row = row_of(Placed(record=record, place=place_of(record, now=now)), serial=next(serials), on_ring=place)
            rows[RECORDS.name].append(tuple(_stored(row[column.name], column.type) for column in RECORDS.columns))
            offers = offers_of(card) if isinstance(card, NodeCard) else NOTHING
            for table, some in shelving.rows_of(offers, place=place or 0).items():
                rows[table.name] += some
    return rows


def _stored(value: Any, kind: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """Returns what the driver is handed for a value of a column."""
    return kind.process_bind_param(value, None) if hasattr(kind, "process_bind_param") else value


def _encoded(numbers: range, *, offset: int, now: datetime) -> dict[str, bytes]:
    """Returns the rows of a block in the text format of COPY."""
    rows = _rows(numbers, offset=offset, now=now)
    return {name: "".join("\t".join(map(_text, row)) + "\n" for row in some).encode() for name, some in rows.items()}


def _text(value: object) -> str:
    match value:
        case None:
            return r"\N"
        case bytes():
            return rf"\\x{value.hex()}"
        case _:
            return str(value)


def _take_indexes_off(connection: psycopg.Connection[Any]) -> list[sql.SQL]:
    """Drops keys and indexes, and returns the statements that make them again."""
    again = []
    for table in TABLES:
        constraints = connection.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
            (table.name,),
        ).fetchall()
        for name, definition in constraints:
            connection.execute(f'ALTER TABLE {table.name} DROP CONSTRAINT "{name}"')
            again.append(sql.SQL(f'ALTER TABLE {table.name} ADD CONSTRAINT "{name}" {definition}'))
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s", (table.name,)
        ).fetchall()
        for name, definition in indexes:
            connection.execute(f'DROP INDEX "{name}"')
            again.append(sql.SQL(definition))
    return again


def _number(row: tuple[int, ...] | None) -> int:
    if row is None:
        raise RuntimeError("nothing made the tables of the store")
    return row[0]
