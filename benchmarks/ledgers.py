"""What the ledger of a node costs on the disk: its steps against bare sqlite3, with the same care for the disk."""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.pairs import Ratio, in_turn, ratio_of
from consilience.payments import Account
from consilience.server.store.ledger import Ledger, StoredSession
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest, EncodedEnvelope

IN_FLIGHT = 32
STEPS = 1000
DURABLE_STEPS = 300
ROUNDS = 7
CREDIT = 2**40

VOUCHER = EncodedEnvelope(bytes(240))
TERMS = EncodedEnvelope(bytes(400))

Step = Callable[[], Awaitable[object]]


async def measure_ledgers() -> list[Ratio]:
    """Measures both kinds of steps: those that outlive the process, and those that outlive a power cut."""
    with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
        store = SqliteStore(Path(folder) / "node.db")
        await store.open(replica="bench", lease_until=datetime.max.replace(tzinfo=UTC))
        try:
            return [
                await _vouchers(store.ledger, Path(folder) / "bare.db"),
                await _sessions(store.ledger, Path(folder) / "bare.db"),
            ]
        finally:
            await store.close()


async def _vouchers(ledger: Ledger, file: Path) -> Ratio:
    session = await ledger.open_session(_new_session())
    counter = iter(range(1, CREDIT))

    async def authorize() -> None:
        await ledger.authorize(session.session_id, cumulative=next(counter), voucher=VOUCHER)

    async def bare() -> float:
        statement = "UPDATE sessions SET authorized = authorized + 1, voucher = ? WHERE id = 1"
        return await asyncio.to_thread(_bare, file, statement, (VOUCHER,), steps=STEPS, synchronous="NORMAL")

    pairs = await in_turn(lambda: _rate(authorize, steps=STEPS), bare, rounds=ROUNDS)
    unit = f"vouchers/s at {IN_FLIGHT} in flight (sqlite3: commits, NORMAL)"
    return ratio_of(pairs, name="ledger_vs_sqlite3", unit=unit, goal=None, higher_is_better=True)


async def _sessions(ledger: Ledger, file: Path) -> Ratio:
    async def open_session() -> None:
        await ledger.open_session(_new_session())

    async def bare() -> float:
        statement = "INSERT INTO sessions (terms) VALUES (?)"
        return await asyncio.to_thread(_bare, file, statement, (TERMS,), steps=DURABLE_STEPS, synchronous="FULL")

    pairs = await in_turn(lambda: _rate(open_session, steps=DURABLE_STEPS), bare, rounds=ROUNDS)
    unit = f"sessions/s at {IN_FLIGHT} in flight (sqlite3: commits, FULL)"
    return ratio_of(pairs, name="ledger_vs_sqlite3 durable", unit=unit, goal=None, higher_is_better=True)


def _new_session() -> StoredSession:
    return StoredSession(session_id=Digest(os.urandom(32)), terms=TERMS, account=Account(credit_limit=CREDIT))


async def _rate(step: Step, *, steps: int) -> float:
    """Returns steps per second with a fixed number in flight."""
    numbers = iter(range(steps))

    async def worker() -> None:
        for _ in numbers:
            await step()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return steps / (time.perf_counter() - started)


def _bare(file: Path, statement: str, values: tuple[bytes], *, steps: int, synchronous: str) -> float:
    """Returns commits per second of one connection that does one statement in each."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {synchronous}")
        database.execute(
            "CREATE TABLE IF NOT EXISTS sessions"
            " (id INTEGER PRIMARY KEY, authorized INTEGER NOT NULL DEFAULT 0, voucher BLOB, terms BLOB)"
        )
        database.execute("INSERT OR IGNORE INTO sessions (id) VALUES (1)")
        started = time.perf_counter()
        for _ in range(steps):
            database.execute("BEGIN IMMEDIATE")
            database.execute(statement, values)
            database.execute("COMMIT")
        return steps / (time.perf_counter() - started)
