"""Registries: the records of everyone, kept, served and passed on (spec chapter 4).

`contract` says what a record store does; `store` does it on one of the `databases`, by the `statements` that take in
and those of `reading`, on the tables of `schema`, which `migrations` makes. A card is found by its `offers`, from its
place on the `ring` on: `shelving` keeps what is searched, and `finding` searches it.

`office` is all that a node runs to be a registry: the `service` with its `pages`, the `visitors` that it counts, the
`intake` that every record passes, in `turns`, and `sync`, which follows other registries over `peers`. `announcing`
brings a node's own card to registries.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from consilience.errors import UsageError
from consilience.server.registry.contract import Admission, Entry, Found, RecordStore
from consilience.server.registry.ring import Arc

__all__ = ["Admission", "Arc", "Entry", "Found", "RecordStore", "record_store_at", "without_password"]


def record_store_at(url: str) -> RecordStore:
    """Returns the record store that a URL names, not yet open.

    Args:
        url: `sqlite:///relative/file.db`, `sqlite:////absolute/file.db`, or `postgresql://user@host/database`, for
            which `consilience[postgresql]` is installed.

    Raises:
        UsageError: The URL names no store, or the driver is not there.
    """
    databases = import_module("consilience.server.registry.databases")
    stores = import_module("consilience.server.registry.store")
    match urlsplit(url):
        case ("sqlite", "", path, "", "") if path.strip("/"):
            database = databases.SqliteDatabase(Path(unquote(path.removeprefix("/"))))
        case ("postgresql", _, path, _, "") if path.strip("/"):
            if find_spec("psycopg") is None:
                raise UsageError("a registry on PostgreSQL needs a driver: pip install 'consilience[postgresql]'")
            try:
                address = import_module("sqlalchemy").make_url(url).set(drivername="postgresql+psycopg")
            except ValueError as error:
                raise UsageError(f"{without_password(url)!r} names no registry: its port is no number") from error
            database = databases.PostgresDatabase(address)
        case _:
            ways = "write sqlite:///folder/file.db, or postgresql://user@host/name"
            raise UsageError(f"{without_password(url)!r} names no registry: {ways}")
    store: RecordStore = stores.SqlRecordStore(database)
    return store


def without_password(text: str) -> str:
    """Returns a text with stars in the place of each password of a URL in it."""
    return re.sub(r"(://[^/\s:@]*:)[^\s@]*@", r"\1***@", text)
