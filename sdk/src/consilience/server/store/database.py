"""The SQLite file: how it is connected to, and what its failures are called.

Transactions are begun and ended in so many words by whoever writes (`group_commit`), so connections are in SQLite's
autocommit mode; a read sees what was committed when its statement began.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from consilience.server.store.contract import StoreUnavailableError

BUSY_TIMEOUT_MS = 5_000
"""How long a connection waits for the write lock of another process, in milliseconds, before it gives up."""


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


def fault_named(error: Exception, *, path: Path) -> Exception:
    """Returns what a failure of the file is called outside; every other error as it is."""
    if not isinstance(error, DBAPIError):
        return error
    fault = StoreUnavailableError(f"cannot use {path}: {error.orig}")
    fault.__cause__ = error
    return fault


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Raises the failures of the file under the name that `fault_named` gives them."""
    try:
        yield
    except DBAPIError as error:
        raise fault_named(error, path=path) from error


def _configure(connection: SqliteConnection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
