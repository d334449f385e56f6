"""The lock that keeps a second process from running under the replica id of a first."""

from __future__ import annotations

import hashlib
from pathlib import Path

from consilience.server.store.contract import StoreLockedError
from consilience.server.store.file_lock import FileLock


class ReplicaLock:
    """Holds one replica id of one store, from its making to `release`."""

    def __init__(self, *, database: Path, replica: str) -> None:
        """Takes the lock, without waiting.

        Raises:
            StoreLockedError: Another process, or another store of this one, holds it.
            StoreUnavailableError: The file of the lock cannot be made.
        """
        try:
            self._lock = FileLock(lock_file(database=database, replica=replica))
        except StoreLockedError as error:
            raise StoreLockedError(f"another process runs replica {replica!r} on {database}") from error

    def release(self) -> None:
        """Gives the lock back."""
        self._lock.release()


def lock_file(*, database: Path, replica: str) -> Path:
    """Returns the file beside the database whose lock stands for a replica id of any characters."""
    return database.with_name(f"{database.name}-replica-{hashlib.sha256(replica.encode()).hexdigest()[:16]}")
