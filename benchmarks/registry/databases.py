"""The two databases of a registry, as measurements see them: loaded, written to with nothing around, and weighed."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psycopg

from benchmarks.registry.loading import fill_postgres, fill_sqlite
from consilience.reviews import Record

Insert = tuple[bytes, bytes]
"""A digest and a record."""

BARE = "CREATE TABLE IF NOT EXISTS bare (digest {blob} PRIMARY KEY, record {blob})"
HELD = "SELECT count(*) FROM records"


class Measured(Protocol):
    """A database of a registry."""

    @property
    def name(self) -> str:
        """What it is called in the report."""

    @property
    def url(self) -> str:
        """What the registry is told."""

    def another(self, name: str) -> "Measured":
        """Returns an empty database beside this one."""

    def fill(self, *, first: int, last: int, now: datetime) -> None:
        """Loads nodes with their reviews."""

    def insert(self, rows: Sequence[Insert]) -> None:
        """Inserts rows into a table with a key, each in a transaction that is on the disk before the next begins."""

    def held(self) -> int:
        """Counts the records."""

    def size(self) -> int:
        """Returns the bytes on the disk."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of a server."""

    url: str
    name: str = "PostgreSQL"

    def another(self, name: str) -> Measured:
        """Makes a database of that name."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return Postgres(self.url.replace("/postgres?", f"/{name}?"))

    def fill(self, *, first: int, last: int, now: datetime) -> None:
        """Loads them by COPY."""
        fill_postgres(self.url, first=first, last=last, now=now)

    def insert(self, rows: Sequence[Insert]) -> None:
        """Inserts rows by a connection of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(BARE.format(blob="BYTEA"))
            for row in rows:
                connection.execute("INSERT INTO bare VALUES (%s, %s)", row)

    def held(self) -> int:
        """Counts the rows."""
        with psycopg.connect(self.url) as connection:
            return _number(connection.execute(HELD).fetchone())

    def size(self) -> int:
        """Asks the server."""
        with psycopg.connect(self.url) as connection:
            return _number(connection.execute("SELECT pg_database_size(current_database())").fetchone())


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A file."""

    path: Path
    name: str = "SQLite"

    @property
    def url(self) -> str:
        """Its path, as a URL."""
        return f"sqlite:///{self.path}"

    def another(self, name: str) -> Measured:
        """Names a file beside this one."""
        return Sqlite(self.path.with_name(f"{name}.db"))

    def fill(self, *, first: int, last: int, now: datetime) -> None:
        """Loads them in the order of their keys."""
        fill_sqlite(self.path, first=first, last=last, now=now)

    def insert(self, rows: Sequence[Insert]) -> None:
        """Inserts rows into a file of its own."""
        with self._connected(self.path.with_name("bare.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(BARE.format(blob="BLOB"))
            for row in rows:
                connection.execute("INSERT INTO bare VALUES (?, ?)", row)

    def held(self) -> int:
        """Counts the rows."""
        with self._connected(self.path) as connection:
            return _number(connection.execute(HELD).fetchone())

    def digests(self) -> set[bytes]:
        """Returns those of all records."""
        with self._connected(self.path) as connection:
            return {bytes(digest) for (digest,) in connection.execute("SELECT digest FROM records")}

    def size(self) -> int:
        """Adds up the file and its log."""
        return sum(file.stat().st_size for file in self.path.parent.glob(f"{self.path.name}*"))

    @contextmanager
    def _connected(self, path: Path) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection


def bare_row(record: Record) -> Insert:
    """Returns what a bare database keeps of a record."""
    return record.digest, record.object.payload


def _number(row: tuple[int, ...] | None) -> int:
    if row is None:
        raise RuntimeError("the database counts nothing")
    return row[0]
