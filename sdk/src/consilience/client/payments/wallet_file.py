"""The file of a wallet: its tables, its version, and transactions that several threads and processes may share.

It is written with the standard library's sqlite3 and not with SQLAlchemy, as the node's ledger is: whoever asks has the
four dependencies of the base, and a wallet needs one database and a dozen statements. Every transaction is on disk when
it ends (WAL, synchronous FULL): what was about to be paid is not forgotten in a power cut.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from consilience.errors import WalletFileError

VERSION = 2
LOCK_SECONDS = 10.0
"""How long a transaction waits for those of other processes."""
_PAUSE_SECONDS = 0.01

_SCHEMA = """
CREATE TABLE cards (digest BLOB PRIMARY KEY, card BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE quotes (
    digest BLOB PRIMARY KEY,
    payer BLOB NOT NULL, payee BLOB NOT NULL, skill_id TEXT NOT NULL, model_id TEXT NOT NULL, asset TEXT NOT NULL,
    card_digest BLOB NOT NULL REFERENCES cards, used_up INTEGER NOT NULL DEFAULT 0, quote BLOB NOT NULL,
    ask_count INTEGER NOT NULL DEFAULT 0, charges INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX quotes_by_skill ON quotes (payee, skill_id);
CREATE TABLE sessions (
    session_id BLOB PRIMARY KEY,
    payer BLOB NOT NULL, payee BLOB NOT NULL, asset TEXT NOT NULL, terms BLOB NOT NULL, address TEXT NOT NULL,
    authorized INTEGER NOT NULL DEFAULT 0 CHECK (authorized >= 0),
    spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
    refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND spent),
    acknowledged INTEGER NOT NULL DEFAULT 0, trouble TEXT NOT NULL DEFAULT '', state BLOB,
    close_asked INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE asks (
    request_id BLOB PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions, quote_digest BLOB NOT NULL REFERENCES quotes,
    asset TEXT NOT NULL, day TEXT NOT NULL, begin_time TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('RUNNING', 'PAID', 'RELEASED')),
    ceiling INTEGER NOT NULL CHECK (ceiling > 0), question INTEGER NOT NULL CHECK (question >= 0),
    metered INTEGER CHECK (metered >= 0), exposed INTEGER NOT NULL CHECK (exposed BETWEEN 0 AND ceiling),
    charge INTEGER CHECK (charge >= 0), ask_digest BLOB, ask BLOB, shared INTEGER NOT NULL DEFAULT 1,
    CHECK ((status = 'PAID') = (charge IS NOT NULL))
) WITHOUT ROWID;
CREATE INDEX running_asks ON asks (session_id, ceiling, exposed) WHERE status = 'RUNNING';
CREATE TABLE days (
    asset TEXT NOT NULL, day TEXT NOT NULL, charges INTEGER NOT NULL, PRIMARY KEY (asset, day)
) WITHOUT ROWID;
CREATE TABLE receipts (
    session_id BLOB NOT NULL REFERENCES sessions, number INTEGER NOT NULL, digest BLOB NOT NULL UNIQUE,
    receipt BLOB NOT NULL, PRIMARY KEY (session_id, number)
) WITHOUT ROWID;
CREATE TABLE deposits (
    session_id BLOB NOT NULL REFERENCES sessions, deposit_id BLOB NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), status TEXT NOT NULL, begin_time TEXT NOT NULL, instruction BLOB,
    PRIMARY KEY (session_id, deposit_id)
) WITHOUT ROWID;
CREATE TABLE withdrawals (
    session_id BLOB NOT NULL REFERENCES sessions, withdrawal_id BLOB NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), status TEXT NOT NULL, begin_time TEXT NOT NULL, detail BLOB,
    PRIMARY KEY (session_id, withdrawal_id)
) WITHOUT ROWID;
"""

_UPGRADES = {
    1: """
ALTER TABLE asks ADD COLUMN shared INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sessions ADD COLUMN close_asked INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET close_asked = 1;
""",
}
"""What makes the next version of a file out of each. Of version 1 nobody knows which asks ran beside each other,
and who had its sessions closed."""

_TABLES = {"asks", "days", "deposits", "quotes", "receipts", "sessions", "withdrawals"}
"""Of every version of the schema, together in no other database of ours."""

Database = sqlite3.Connection


class WalletFile:
    """One database. Its transactions wait for the disk: call them from a thread.

    Args:
        path: The file, made where there is none, readable by its owner alone; None: kept in memory, and gone with it.

    Raises:
        WalletFileError: It cannot be opened, is no wallet, or was made by a newer version.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(
                path or ":memory:", timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise WalletFileError(f"{path} cannot be opened: {error}") from error
        self._transaction = _Transaction(self._database, lock=self._lock, name=str(path or "the wallet"))
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def transaction(self) -> contextlib.AbstractContextManager[Database]:
        """Gives the database for statements that happen together, or not at all where the block raises.

        Within another transaction of the same thread it is a part of that one, and is kept or taken back with it.

        Raises:
            WalletFileError: The file cannot be read or written.
        """
        return self._transaction

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Takes back, alone of a transaction that goes on, what the block has done where it raises.

        Raises:
            WalletFileError: The file cannot be read or written.
        """
        with self.transaction() as database:
            database.execute("SAVEPOINT step")
            try:
                yield
            except BaseException:
                database.execute("ROLLBACK TO step")
                raise
            finally:
                database.execute("RELEASE step")

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._database.close()

    def _prepare(self) -> None:
        with self._lock, self._telling():
            self._check_ours()
            self._write_ahead()
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA foreign_keys = ON")
        with self.transaction() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise WalletFileError(f"{self.path} was made by a newer version of this library: {version}")
            steps = [_UPGRADES[earlier] for earlier in range(version, VERSION)] if version else [_SCHEMA]
            for statement in filter(str.strip, ";".join(steps).split(";")):
                database.execute(statement)
            if version != VERSION:
                database.execute(f"PRAGMA user_version = {VERSION}")

    def _write_ahead(self) -> None:
        """Turns on the write-ahead log; SQLite waits for no other process that does the same at this moment."""
        give_up = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _check_ours(self) -> None:
        """Checks that nothing but a wallet is in the file, before anything is written into it.

        Raises:
            WalletFileError: It is the database of something else.
        """
        self._database.execute("BEGIN")  # another process may make the tables at this moment
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        finally:
            if self._database.in_transaction:  # else a disk that is full has ended it
                self._database.execute("ROLLBACK")
        if version <= VERSION and (_TABLES - tables if version else tables):
            raise WalletFileError(f"{self.path} is no wallet, but a database of something else: name another file")

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            is_another = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB
            trouble = "is no wallet" if is_another else "cannot be read or written"
            raise WalletFileError(f"{self.path} {trouble}: {error}") from error


class _Transaction:
    """The transaction of a file; every paid ask enters it a dozen times, and so it is no generator."""

    __slots__ = ("_database", "_depth", "_lock", "_name")

    def __init__(self, database: Database, *, lock: threading.RLock, name: str) -> None:
        self._database = database
        self._lock = lock
        self._name = name
        self._depth = 0

    def __enter__(self) -> Database:
        self._lock.acquire()
        try:
            if not self._depth:
                self._database.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._lock.release()
            self._tell(error)
            raise
        self._depth += 1
        return self._database

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        try:
            if not self._depth:
                self._end(whole=error is None)
        except sqlite3.Error as failure:
            self._tell(failure)
        finally:
            self._lock.release()
        self._tell(error)

    def _end(self, *, whole: bool) -> None:
        try:
            if whole:
                self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def _tell(self, error: BaseException | None) -> None:
        if isinstance(error, sqlite3.Error):
            raise WalletFileError(f"{self._name} cannot be read or written: {error}") from error
