"""What becomes of a store whose file is no store, cannot be written, is locked, or has no room."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from consilience.server.store import database
from consilience.server.store.contract import SchemaTooNewError, StoreDamagedError, StoredAsk, StoreUnavailableError
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Sequence
from sdk.tests.server.store.processes import run
from sdk.tests.server.store.specimens import ACCEPTED, LEASE_END, REPLICA, entries, running_ask

WRITE_VERSION = 18  # the byte of the file that says which format a writer must know
PAGE = 4096  # bytes, of which the first page knows the tables, and the others hold them
UNKNOWN_FORMAT = 3  # SQLite only reads a file of it


async def open_store(store: SqliteStore) -> None:
    await store.open(replica=REPLICA, lease_until=LEASE_END)


async def bound(store: SqliteStore) -> StoredAsk:
    ask = running_ask()
    assert await store.bind(ask, first=ACCEPTED) is None
    return ask


def set_schema_version(path: Path, version: int) -> bytes:
    """Writes a version, and returns the content of the file that has it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE store SET schema_version = ?", (version,))
    return path.read_bytes()


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def overwrite_tables(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:PAGE] + b"\xff" * (len(content) - PAGE))


def set_byte(path: Path, position: int, value: int) -> int:
    """Overwrites a byte of a file, and returns the one that was there."""
    content = bytearray(path.read_bytes())
    before, content[position] = content[position], value
    path.write_bytes(content)
    return before


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Holds the write lock of a database, as another program might."""
    with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute("CREATE TABLE IF NOT EXISTS intruder (number)")
        intruder.execute("BEGIN IMMEDIATE")
        yield


@pytest.fixture
def impatient(path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteStore:
    """Is a store that does not wait long for the write lock."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    return SqliteStore(path)


async def test_a_file_of_a_later_version_is_refused_and_left_as_it_was(sqlite: SqliteStore, path: Path) -> None:
    await sqlite.close()
    before = set_schema_version(path, 99)
    with pytest.raises(SchemaTooNewError, match="99"):
        await open_store(sqlite)
    assert set_schema_version(path, 99) == before


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "answers.db"
    overwrite(place, b"These are not the answers that you are looking for. " * 100)
    with pytest.raises(StoreDamagedError, match="not a database") as caught:
        await open_store(SqliteStore(place))
    assert "a copy of the file" in caught.value.remedy


async def test_a_damaged_page_is_told_as_damage_and_not_as_a_full_disk(sqlite: SqliteStore, path: Path) -> None:
    await sqlite.close()
    overwrite_tables(path)
    with pytest.raises(StoreDamagedError, match="malformed"):
        await open_store(sqlite)


async def test_a_place_where_no_file_can_be_made_is_refused(sqlite: SqliteStore, path: Path) -> None:
    await sqlite.close()
    for place in (path / "answers.db", path.parent):
        with pytest.raises(StoreUnavailableError, match="cannot open"):
            await open_store(SqliteStore(place))


async def test_a_file_that_cannot_be_written_is_refused_and_what_was_taken_is_given_back(
    sqlite: SqliteStore, path: Path
) -> None:
    await sqlite.close()
    format_version = set_byte(path, WRITE_VERSION, UNKNOWN_FORMAT)
    with pytest.raises(StoreUnavailableError, match="readonly"):
        await open_store(sqlite)
    set_byte(path, WRITE_VERSION, format_version)
    await open_store(sqlite)
    await bound(sqlite)


async def test_a_write_lock_that_is_not_given_back_fails_writes_but_neither_reads_nor_the_closing(
    impatient: SqliteStore, path: Path
) -> None:
    await open_store(impatient)
    ask = await bound(impatient)
    with write_lock(path):
        with pytest.raises(StoreUnavailableError, match="locked"):
            await impatient.append(ask.key, entries(2, 2), epoch=ask.epoch)
        assert await impatient.read(ask.key, after=Sequence(0), limit=10) == (ACCEPTED,)
        late = asyncio.create_task(impatient.append(ask.key, entries(2, 2), epoch=ask.epoch))
        await asyncio.sleep(0)
        await impatient.close()
        with pytest.raises(StoreUnavailableError):
            await late


async def test_writing_goes_on_once_the_write_lock_is_free(impatient: SqliteStore, path: Path) -> None:
    await open_store(impatient)
    ask = await bound(impatient)
    with write_lock(path), pytest.raises(StoreUnavailableError):
        await impatient.append(ask.key, entries(2, 2), epoch=ask.epoch)
    await impatient.append(ask.key, entries(2, 3), epoch=ask.epoch)
    assert await impatient.read(ask.key, after=Sequence(0), limit=10) == entries(1, 3)
    await impatient.close()


async def test_a_file_that_another_process_is_setting_up_is_waited_for(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new.db")
    with write_lock(tmp_path / "new.db"):
        opening = asyncio.create_task(open_store(store))
        await asyncio.wait([opening], timeout=0.2)
        assert not opening.done()
    await opening
    await store.close()


def test_a_full_disk_fails_writes_and_loses_nothing_and_room_is_enough_to_go_on(path: Path) -> None:
    assert run("fill_the_disk", path) == ["unavailable", "as acknowledged", "goes on", "closed"]


def test_a_program_that_forgets_to_close_ends(path: Path) -> None:
    assert run("forget_to_close", path) == ["bound"]
