"""Group commit: one thread writes for all tasks, and whatever waits goes into one transaction.

A commit that reaches the disk costs milliseconds whether it carries one operation or a hundred, so operations that
come while one runs share the next. Each has a savepoint of its own: one that fails takes back only itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from consilience.server.store.contract import StoreUnavailableError
from consilience.server.store.database import begin_writing

T = TypeVar("T")

MAX_GROUP = 512
"""Operations of one transaction, so that the first of them does not wait for ever new ones."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Operation:
    """What is to be done, who waits for it, and how it went."""

    run: Callable[[Connection], Any]
    on_disk: bool
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class GroupCommit:
    """Runs operations on one connection in the order in which they come, many to a transaction.

    Made, awaited and closed on one event loop. The thread is a daemon, so a program that forgets to close can end.
    """

    def __init__(self, connection: Connection, *, fault_named: Callable[[Exception], Exception]) -> None:
        """Starts the thread.

        Args:
            connection: From `connect_writer`, and used by nobody else from now on.
            fault_named: Translates what the connection raises into what `write` raises.
        """
        self._connection = connection
        self._fault_named = fault_named
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[_Operation | None] = SimpleQueue()
        self._closed = False
        self._on_disk = False
        self._thread = Thread(target=self._work, name="consilience-store-writer", daemon=True)
        self._thread.start()

    async def write(self, run: Callable[[Connection], T], *, on_disk: bool) -> T:
        """Runs an operation and returns its result once the transaction that holds it is committed.

        Args:
            run: Does its work on the connection, within a transaction and a savepoint that it leaves alone. Called
                in the thread of the group, so it touches nothing but the connection and its own arguments.
            on_disk: Whether the result waits for the disk and so outlives a power cut; without it, it outlives the
                process.

        Raises:
            StoreUnavailableError: The transaction failed, or this is closed.
            Exception: Whatever `run` raised; then nothing of it is kept.
        """
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        operation = _Operation(run=run, on_disk=on_disk, future=self._loop.create_future())
        self._waiting.put(operation)
        result: T = await operation.future
        return result

    async def close(self) -> None:
        """Does what was begun, ends the thread and closes the connection; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            if group:
                self._commit(group)
                with suppress(RuntimeError):  # the loop is closed, so nobody waits
                    self._loop.call_soon_threadsafe(_settle, group)
        self._connection.close()

    def _next_group(self) -> tuple[list[_Operation], bool]:
        """Waits for an operation, takes what else is there, and tells whether more may come."""
        group: list[_Operation] = []
        operation = self._waiting.get()
        with suppress(Empty):
            while operation is not None:
                group.append(operation)
                if len(group) == MAX_GROUP:
                    break
                operation = self._waiting.get_nowait()
        return group, operation is not None

    def _commit(self, group: list[_Operation]) -> None:
        try:
            self._wait_for_disk(any(operation.on_disk for operation in group))
            begin_writing(self._connection)
            for operation in group:
                self._run(operation)
            self._execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            with suppress(SQLAlchemyError):  # SQLite has rolled back already
                self._execute("ROLLBACK")
            for operation in group:
                operation.error = self._fault_named(error)

    def _run(self, operation: _Operation) -> None:
        self._execute("SAVEPOINT operation")
        try:
            operation.result = operation.run(self._connection)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked for the operation
            operation.error = self._fault_named(error)
            self._execute("ROLLBACK TO operation")
        self._execute("RELEASE operation")

    def _wait_for_disk(self, on_disk: bool) -> None:  # noqa: FBT001 - the name says what it is about
        if on_disk != self._on_disk:
            self._execute(f"PRAGMA synchronous = {'FULL' if on_disk else 'NORMAL'}")
            self._on_disk = on_disk

    def _execute(self, statement: str) -> None:
        self._connection.exec_driver_sql(statement)


def _settle(group: list[_Operation]) -> None:
    """Hands the results out, on the event loop; whoever was cancelled meanwhile waits no more."""
    for operation in group:
        if operation.future.done():
            continue
        if operation.error is not None:
            operation.future.set_exception(operation.error)
        else:
            operation.future.set_result(operation.result)
