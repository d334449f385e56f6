"""Answer stores: one contract, in memory for the core profile and in SQLite for the profile *durable*.

`contract` says what a store does; `memory` and `sqlite` do it. Under `sqlite`: `statements` on the tables of `schema`,
run by `group_commit` on the file of `database`, which a `replica_lock` guards, a `file_lock`; `migrations` brings old
files up.

`ledger` says what a node keeps of payments; `memory_ledger` and `sqlite_ledger` do it, by the same `ledger_steps`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

from consilience.errors import UsageError
from consilience.server.store.contract import AnswerStore
from consilience.server.store.memory import MemoryStore

__all__ = ["AnswerStore", "MemoryStore", "store_at"]


def store_at(url: str) -> AnswerStore:
    """Returns the store that a URL names, not yet open.

    SQLAlchemy is imported only where a file is named: a core node does without it.

    Args:
        url: `memory:`, or `sqlite:///relative/file.db`, or `sqlite:////absolute/file.db`.

    Raises:
        UsageError: The URL names no store.
    """
    match urlsplit(url):
        case ("memory", "", "", "", ""):
            return MemoryStore()
        case ("sqlite", "", path, "", "") if path.strip("/"):
            sqlite = import_module("consilience.server.store.sqlite")
            store: AnswerStore = sqlite.SqliteStore(Path(unquote(path.removeprefix("/"))))
            return store
        case _:
            raise UsageError(f"{url!r} names no store: write memory: or sqlite:///folder/file.db")
