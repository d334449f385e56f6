"""The SQLite file: how it is connected to, and what its failures are called.

Transactions are begun and ended in so many words by whoever writes (`group_commit`), so connections are in SQLite's
autocommit mode; a read sees what was committed when its statement began.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from consilience.server.store.contract import StoreDamagedError, StoreUnavailableError

BUSY_TIMEOUT_MS = 5_000
"""How long a connection waits for a lock that another process holds, in milliseconds, before it gives up."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_LOCK_POLL = 0.001
"""Seconds between two attempts at a lock."""


def create_private_file(path: Path) -> None:
    """Creates an empty file that only its owner can read, and its folder, unless they exist.

    SQLite gives the files that it puts beside it (log and shared memory) the same mode.

    Raises:
        StoreUnavailableError: The folder or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailableError(f"cannot open {path}: {error.strerror}") from error


def engine_of(path: Path, *, connections: int) -> Engine:
    """Returns an engine on a file that hands out at most so many connections, to whatever threads."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _configure)
    return engine


def connect_writer(engine: Engine) -> Connection:
    """Returns a connection for `begin_writing`; the first one on a file sets its write-ahead log up."""
    connection = engine.connect()
    try:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # the waiting is done here, not by SQLite
        _insist(connection, "PRAGMA journal_mode = WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def begin_writing(connection: Connection) -> None:
    """Begins a transaction that holds the write lock of the file.

    Raises:
        OperationalError: The lock was not to be had in the time allowed, or the file fails.
    """
    _insist(connection, "BEGIN IMMEDIATE")


def _insist(connection: Connection, statement: str) -> None:
    """Runs a statement, again and again while others hold the lock that it needs.

    SQLite's own waiting backs off to a tenth of a second and so starves beside a sibling that writes all the time,
    since the gap between two transactions is far shorter; and it does not wait at all where two set up one file.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.exec_driver_sql(statement)
        except OperationalError as error:
            if not _is_busy(error) or time.monotonic() > give_up:
                raise
            time.sleep(_LOCK_POLL)
        else:
            return


def fault_named(error: Exception, *, path: Path) -> Exception:
    """Returns what a failure of the file is called outside; every other error as it is."""
    if not isinstance(error, DBAPIError):
        return error
    kind = StoreDamagedError if _code(error) in _DAMAGED else StoreUnavailableError
    fault = kind(f"cannot use {path}: {error.orig}")
    fault.__cause__ = error
    return fault


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Raises the failures of the file under the name that `fault_named` gives them."""
    try:
        yield
    except DBAPIError as error:
        raise fault_named(error, path=path) from error


def _is_busy(error: OperationalError) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: DBAPIError) -> int:
    """Returns the primary result code of SQLite, 0 without one."""
    code: int = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF  # the low byte; the rest says which kind of it


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
