"""Books: those of a configured node, in the database of its state folder, whether the node runs or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consilience.server.keys import FixedKey
from consilience.server.payments.books import Books, opened_books
from consilience.server.store.sqlite import SqliteStore
from consilience_node.config import Config
from consilience_node.grants import root_key
from consilience_node.state import StateFolder, StateFolderError


class NoBooksError(StateFolderError):
    """The node keeps its books in memory, or has not kept any yet."""

    remedy = "Start the node once, with its store on disk, or name the folder or the file of the node that is meant."


@asynccontextmanager
async def books_of(config: Config) -> AsyncIterator[Books]:
    """Opens the books of a node.

    Raises:
        NoBooksError: There are none.
        KeyFileError: The root key cannot be read.
        StoreError: The database cannot be opened, or another command works on it.
    """
    file = StateFolder.of(config).answers
    if config.node.store == "memory" or not file.exists():
        raise NoBooksError(f"there are no books in {file}")
    root = root_key(config)
    async with opened_books(SqliteStore(file), root=root, keys=FixedKey(root)) as books:
        yield books
