"""Books: those of a configured node, in the database of its state folder, whether the node runs or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consilience.payments import Amount
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


async def held_for_payers(config: Config) -> tuple[Amount, ...]:
    """Returns what lies in the sessions of a node and is its payers', asset by asset; nothing where it has no books.

    What is promised to an answer that runs is among it, for it may come back; credit is not.

    Raises:
        As `books_of`.
    """
    held = Counter[str]()
    try:
        async with books_of(config) as books:
            async for session in books.sessions():
                account = session.account
                left = account.deposited + account.refunded - account.withdrawn - account.spent
                held[session.terms.asset] += max(left, 0)
    except NoBooksError:
        return ()
    return tuple(Amount(value, asset) for asset, value in sorted(held.items()) if value)
