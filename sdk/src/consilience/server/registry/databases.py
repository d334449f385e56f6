"""Databases under a record store: SQLite for one process after the other, PostgreSQL for several at once.

Each runs a function on a connection, within a transaction, in a thread; what the functions do is the same for both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from consilience.server.store.contract import StoreLockedError, StoreUnavailableError
from consilience.server.store.database import connect_writer, create_private_file, engine_of, fault_named
from consilience.server.store.file_lock import FileLock
from consilience.server.store.group_commit import GroupCommit

T = TypeVar("T")
Work = Callable[[Connection], T]

THREADS = 4
"""That read, and, where the database lets several write, write."""

_PREPARING = 0x0C05_111E
"""The number of the lock under which the processes of a registry make its tables, one after the other."""


TRIES = 5
"""How often a transaction is begun that the server breaks off for the sake of another one."""

_BROKEN_OFF = frozenset({"40P01", "40001"})
"""What the server calls that: a deadlock, and one that cannot be put in an order with the others."""

CONNECT_SECONDS = 10
"""How long a server gets to answer at all, unless the URL says `connect_timeout`."""


class DatabaseUnreachableError(StoreUnavailableError):
    """The server of the database is not there, or lets nobody in under this name."""

    remedy = "Check that the server runs at this address, has this database, and lets this user in; then start again."


class DatabaseRefusalError(StoreUnavailableError):
    """The server of the database does not do what it was told."""

    remedy = "Give this user the right to make tables and to write in them, and the server room on its disk."


class DatabaseBusyError(StoreUnavailableError):
    """Others write at the same time, and the server has broken the transaction off each time that it was tried."""

    remedy = "Try again. If it goes on, see which other programs write to this database, and stop them."


class DatabaseInUseError(StoreUnavailableError):
    """Another process keeps its records in the file."""

    remedy = "Stop the other process, or name another file; several share the records on PostgreSQL alone."


class Database(Protocol):
    """Runs functions on connections."""

    async def open(self) -> None:
        """Connects."""

    async def close(self) -> None:
        """Ends what was begun; a second call does nothing."""

    async def prepare(self, work: Work[T]) -> T:
        """Runs what makes the tables, which no other process does meanwhile."""

    async def write(self, work: Work[T]) -> T:
        """Runs a function in a transaction of its own, and returns once it is on the disk.

        The function may be run several times, where others write meanwhile; what it does beside the transaction stays.
        """

    async def read(self, work: Work[T]) -> T:
        """Runs a function that changes nothing."""


class SqliteDatabase:
    """A file; see `Database`. One thread writes for all, so what waits shares a commit."""

    def __init__(self, path: Path) -> None:
        """Names the file, which `open` makes, with mode 0600, where there is none."""
        self._path = path
        self._resources = AsyncExitStack()
        self._writer: GroupCommit | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._engine: Engine | None = None

    async def open(self) -> None:
        """Opens or makes the file, and keeps other processes from it until `close`.

        Raises:
            DatabaseInUseError: Another process, or another store of this one, works on it.
        """
        async with AsyncExitStack() as resources:
            resources.callback(self._held().release)
            create_private_file(self._path)
            self._engine = engine_of(self._path, connections=THREADS + 1)
            resources.callback(self._engine.dispose)
            self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="consilience-records")
            resources.push_async_callback(asyncio.to_thread, self._readers.shutdown)
            connection = await asyncio.to_thread(self._named, connect_writer, self._engine)
            self._writer = GroupCommit(connection, fault_named=partial(fault_named, path=self._path))
            resources.push_async_callback(self._writer.close)
            self._resources = resources.pop_all()

    async def close(self) -> None:
        """Closes the file."""
        self._writer = self._readers = None
        await self._resources.aclose()

    async def prepare(self, work: Work[T]) -> T:
        """Writes: a transaction here holds the lock of the file."""
        return await self.write(work)

    async def write(self, work: Work[T]) -> T:
        """Writes in the one thread that does."""
        if self._writer is None:
            raise StoreUnavailableError("the store is not open")
        return await self._writer.write(work, on_disk=True)

    async def read(self, work: Work[T]) -> T:
        """Reads on a connection of its own."""
        if self._readers is None or self._engine is None:
            raise StoreUnavailableError("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, self._engine, work)

    def _held(self) -> FileLock:
        """Takes the lock that stands for the file; one on the file itself would keep its own connections out."""
        file = self._path.resolve()
        try:
            return FileLock(file.with_name(f"{file.name}-in-use"))
        except StoreLockedError as error:
            raise DatabaseInUseError(f"another process keeps its records in {self._path}") from error

    def _read(self, engine: Engine, work: Work[T]) -> T:
        def run(engine: Engine) -> T:
            with engine.connect() as connection:
                return work(connection)

        return self._named(run, engine)

    def _named(self, run: Callable[[Engine], T], engine: Engine) -> T:
        try:
            return run(engine)
        except DBAPIError as error:
            raise fault_named(error, path=self._path) from error


class PostgresDatabase:
    """A database of a server; see `Database`. Any number of processes may share it."""

    def __init__(self, url: URL) -> None:
        """Names the database, which has to be there."""
        self._url = url
        self._engine: Engine | None = None
        self._reading: Engine | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Makes the pool; the first connection is made by the first function."""
        patience = {} if "connect_timeout" in self._url.query else {"connect_timeout": CONNECT_SECONDS}
        self._engine = create_engine(
            self._url, pool_size=THREADS, max_overflow=0, pool_pre_ping=True, connect_args=patience
        )
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="consilience-records")

    async def close(self) -> None:
        """Ends what was begun, and hangs up."""
        engine, threads = self._engine, self._threads
        self._engine = self._reading = self._threads = None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)
        if engine is not None:
            engine.dispose()

    async def prepare(self, work: Work[T]) -> T:
        """Waits until no other process makes the tables."""

        def alone(connection: Connection) -> T:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _PREPARING})
            return work(connection)

        return await self.write(alone)

    async def write(self, work: Work[T]) -> T:
        """Runs a function in a transaction."""
        if self._threads is None or self._engine is None:
            raise StoreUnavailableError("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, self._engine, work)

    async def read(self, work: Work[T]) -> T:
        """Runs a function each of whose statements sees what was committed when it began."""
        if self._threads is None or self._reading is None:
            raise StoreUnavailableError("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, self._reading, work)

    def _run(self, engine: Engine, work: Work[T]) -> T:
        tries = 1
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if tries == TRIES or _sqlstate(error) not in _BROKEN_OFF:
                    raise _failure(error, url=self._url) from error
                tries += 1


def _failure(error: DBAPIError, *, url: URL) -> StoreUnavailableError:
    """Returns what a failure of the server is called outside; without a code of its own, it was not reached.

    What the URL has behind a question mark is left out, since a password may stand there too.
    """
    where = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
    reason = " ".join(str(error.orig).split())
    if (sqlstate := _sqlstate(error)) is None:
        return DatabaseUnreachableError(f"cannot reach {where}: {reason}")
    if sqlstate in _BROKEN_OFF:
        return DatabaseBusyError(f"{where} has broken off what was written, {TRIES} times: {reason}")
    return DatabaseRefusalError(f"cannot use {where}: {reason}")


def _sqlstate(error: DBAPIError) -> str | None:
    """Returns the code under which the server failed; None: it was not the server."""
    return getattr(error.orig, "sqlstate", None)
