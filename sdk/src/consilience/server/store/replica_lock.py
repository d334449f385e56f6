"""The lock that keeps a second process from running under the replica id of a first.

It is a SQLite file of no content on which the first holds an exclusive lock. The system gives the lock back when the
process ends, however it ends, so that a restart after `kill -9` needs no waiting and no clearing up; and SQLite knows
how to lock a file on every system.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from consilience.server.store.contract import StoreLockedError, StoreUnavailableError
from consilience.server.store.database import create_private_file


class ReplicaLock:
    """Holds one replica id of one store, from its making to `release`."""

    def __init__(self, *, database: Path, replica: str) -> None:
        """Takes the lock, without waiting.

        Raises:
            StoreLockedError: Another process, or another store of this one, holds it.
            StoreUnavailableError: The file of the lock cannot be made.
        """
        path = lock_file(database=database, replica=replica)
        create_private_file(path)
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._connection.close()
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                raise StoreLockedError(f"another process runs replica {replica!r} on {database}") from error
            raise StoreUnavailableError(f"cannot lock {path}: {error}") from error

    def release(self) -> None:
        """Gives the lock back. Its file stays, because removing it would race with whoever opens it next."""
        self._connection.close()


def lock_file(*, database: Path, replica: str) -> Path:
    """Returns the file beside the database whose lock stands for a replica id of any characters."""
    return database.with_name(f"{database.name}-replica-{hashlib.sha256(replica.encode()).hexdigest()[:16]}")
