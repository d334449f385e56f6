"""The store of the profile *durable*: one SQLite file, which the replicas of a node on one machine may share.

What hurts an asker when it is lost (that an ask is bound, that it is finished, which cards were issued) is on the disk
before the method returns. The entries in between outlive the process; a power cut may take the latest of them, and
ends their answer FAILED in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine

from consilience.errors import UsageError
from consilience.server.store import ledger_statements, migrations, statements
from consilience.server.store.contract import (
    AnswerForgottenError,
    AskKey,
    AskReservation,
    LogEntry,
    Settlement,
    StoredAsk,
    StoredCard,
    StoreUnavailableError,
)
from consilience.server.store.database import connect_writer, create_private_file, engine_of, fault_named, faults_named
from consilience.server.store.group_commit import GroupCommit
from consilience.server.store.replica_lock import ReplicaLock
from consilience.server.store.sqlite_ledger import SqliteLedger
from consilience.units import CardSequence, Digest, Sequence

T = TypeVar("T")

READERS = 4
"""Threads that read, each on a connection of its own, beside the one that writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What an open store holds; `resources` gives it back, last taken first."""

    replica: str
    life: int
    engine: Engine
    writer: GroupCommit
    readers: ThreadPoolExecutor
    resources: AsyncExitStack


class SqliteStore:
    """Keeps answers in a file; see `AnswerStore` for each method.

    >>> SqliteStore(Path("/var/lib/units/answers.db")).durable
    True
    """

    durable = True

    def __init__(self, path: Path) -> None:
        """Names the file, which `open` makes, with mode 0600, where there is none. It belongs to one node."""
        self._path = path
        self._opened: _Opened | None = None
        self._cards: dict[Digest, datetime] = {}
        self._ledger = SqliteLedger(write=self._write, read=self._read)

    @property
    def ledger(self) -> SqliteLedger:
        """The sessions, deposits, receipts and payouts; usable while the store is open."""
        return self._ledger

    @property
    def replica(self) -> str:
        """The replica id that `open` was given; empty while not open."""
        return "" if self._opened is None else self._opened.replica

    async def open(self, *, replica: str, lease_until: datetime) -> None:
        """Opens or makes the file and begins a new life of a replica; see `AnswerStore.open`."""
        if self._opened is not None:
            raise UsageError("the store is open already")
        async with AsyncExitStack() as resources:
            create_private_file(self._path)
            resources.callback(ReplicaLock(database=self._path, replica=replica).release)
            engine = engine_of(self._path, connections=READERS + 1)
            resources.callback(engine.dispose)
            readers = ThreadPoolExecutor(READERS, thread_name_prefix="consilience-store-reader")
            resources.push_async_callback(asyncio.to_thread, readers.shutdown)
            named = partial(fault_named, path=self._path)
            writer = GroupCommit(await asyncio.to_thread(self._connect, engine), fault_named=named)
            resources.push_async_callback(writer.close)
            begin = partial(_begin_life, replica=replica, lease_until=lease_until)
            life = await writer.write(begin, on_disk=True)
            self._opened = _Opened(
                replica=replica,
                life=life,
                engine=engine,
                writer=writer,
                readers=readers,
                resources=resources.pop_all(),
            )

    async def close(self) -> None:
        """Ends what was begun and closes the file. A lock that others hold is waited for, but not for ever."""
        opened, self._opened = self._opened, None
        self._cards.clear()
        if opened is not None:
            await opened.resources.aclose()

    async def bind(
        self, ask: StoredAsk, *, first: LogEntry, reservation: AskReservation | None = None
    ) -> StoredAsk | None:
        """Binds a key that is free; see `AnswerStore.bind`."""
        life = self._open_file().life
        bind = partial(statements.bind, ask=ask, first=first, life=life, reservation=reservation)
        return await self._write(bind, on_disk=True)

    async def find(self, key: AskKey) -> StoredAsk | None:
        """Returns what is bound to a key, or None."""
        return await self._read(partial(statements.find, key=key))

    async def append(self, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> None:
        """Appends to the log of a running ask; see `AnswerStore.append`."""
        await self._write(partial(statements.append, key=key, entries=entries, epoch=epoch), on_disk=False)

    async def finish(
        self,
        key: AskKey,
        entries: tuple[LogEntry, ...],
        *,
        epoch: int,
        finish_time: datetime,
        keep_until_time: datetime,
        settlement: Settlement | None = None,
    ) -> None:
        """Appends the end of a log; see `AnswerStore.finish`."""
        finish = partial(
            statements.finish,
            key=key,
            entries=entries,
            epoch=epoch,
            finish_time=finish_time,
            keep_until_time=keep_until_time,
            settlement=settlement,
        )
        await self._write(finish, on_disk=True)

    async def read(self, key: AskKey, *, after: Sequence, limit: int) -> tuple[LogEntry, ...]:
        """Returns the next entries of a log; see `AnswerStore.read`."""
        entries = await self._read(partial(statements.read, key=key, after=after, limit=limit))
        if not entries and await self.find(key) is None:
            raise AnswerForgottenError("the store holds no answer under this key")
        return entries

    async def renew(self, *, until: datetime) -> None:
        """Prolongs the lease of this replica; see `AnswerStore.renew`."""
        replica = self._open_file().replica
        await self._write(partial(statements.renew, replica=replica, until=until), on_disk=False)

    async def claim_abandoned(self, *, now: datetime) -> tuple[StoredAsk, ...]:
        """Takes over the running asks that nobody works on; see `AnswerStore.claim_abandoned`."""
        opened = self._open_file()
        claim = partial(statements.claim_abandoned, replica=opened.replica, life=opened.life, now=now)
        return await self._write(claim, on_disk=True)

    async def forget(self, *, now: datetime) -> int:
        """Drops answers and cards whose time has passed, some at a time; see `AnswerStore.forget`."""
        self._cards = {digest: end for digest, end in self._cards.items() if end > now}
        await self._write(partial(statements.forget_cards, now=now), on_disk=False)
        await self._write(partial(ledger_statements.forget_quotes, now=now), on_disk=False)
        forgotten = 0
        while some := await self._write(partial(statements.forget_some, now=now), on_disk=False):
            forgotten += some
        return forgotten

    async def reserve_card_sequence(self, *, at_least: CardSequence) -> CardSequence:
        """Returns a sequence above all former ones; see `AnswerStore.reserve_card_sequence`."""
        return await self._write(partial(statements.reserve_card_sequence, at_least=at_least), on_disk=True)

    async def remember_card(self, card: StoredCard) -> None:
        """Keeps a card that was issued."""
        await self._write(partial(statements.remember_card, card=card), on_disk=True)

    async def newer_card(self, *, than: CardSequence) -> StoredCard | None:
        """Returns the newest card of all replicas, where its sequence is higher; see `AnswerStore.newer_card`."""
        return await self._read(partial(statements.newer_card, than=than))

    async def honours_card(self, digest: Digest, *, now: datetime) -> bool:
        """Tells whether a card issued from this file has not expired; each card is looked up once and then known."""
        expire_time = self._cards.get(digest)
        if expire_time is None:
            expire_time = await self._read(partial(statements.card_expire_time, digest=digest))
            if expire_time is None:
                return False
            self._cards[digest] = expire_time
        return now < expire_time

    def _open_file(self) -> _Opened:
        if self._opened is None:
            raise StoreUnavailableError("the store is not open")
        return self._opened

    async def _write(self, run: Callable[[Connection], T], *, on_disk: bool) -> T:
        return await self._open_file().writer.write(run, on_disk=on_disk)

    async def _read(self, run: Callable[[Connection], T]) -> T:
        opened = self._open_file()
        return await asyncio.get_running_loop().run_in_executor(opened.readers, self._run, opened.engine, run)

    def _run(self, engine: Engine, run: Callable[[Connection], T]) -> T:
        """Reads on a connection of its own; called in a reader's thread."""
        with faults_named(self._path), engine.connect() as connection:
            return run(connection)

    def _connect(self, engine: Engine) -> Connection:
        with faults_named(self._path):
            return connect_writer(engine)


def _begin_life(connection: Connection, *, replica: str, lease_until: datetime) -> int:
    migrations.prepare(connection)
    return statements.begin_life(connection, replica=replica, lease_until=lease_until)
