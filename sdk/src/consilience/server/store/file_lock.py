"""A lock on a file, held alone or together with others, that the system gives back however the process ends.

It is a SQLite file of no content in a transaction that does not end: a restart after `kill -9` needs no waiting and no
clearing up, and SQLite knows how to lock a file on every system.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from consilience.server.store.contract import StoreLockedError, StoreUnavailableError
from consilience.server.store.database import create_private_file

_ALONE = ("BEGIN EXCLUSIVE",)
_SHARED = ("BEGIN", "SELECT count(*) FROM sqlite_schema")
"""A transaction that only reads takes its lock with the first statement that does."""


class FileLock:
    """Holds a file, from its making to `release`."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        """Takes the lock, without waiting.

        Args:
            path: Is made where it is not there.
            shared: Together with all who want it shared as well; otherwise alone.

        Raises:
            StoreLockedError: Somebody holds it, in this process or another, and one of both wants it alone.
            StoreUnavailableError: The file cannot be made.
        """
        create_private_file(path)
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            for statement in _SHARED if shared else _ALONE:
                self._connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            self._connection.close()
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                raise StoreLockedError(f"another process holds {path}") from error
            raise StoreUnavailableError(f"cannot lock {path}: {error}") from error

    def release(self) -> None:
        """Gives the lock back. Its file stays, because removing it would race with whoever opens it next."""
        self._connection.close()
