"""What is said of a file that is in use, and of a server that is not there, lets nobody in, or refuses: what to do."""

import socket
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from consilience.server.registry.databases import (
    DatabaseInUseError,
    DatabaseRefusalError,
    DatabaseUnreachableError,
    PostgresDatabase,
    SqliteDatabase,
)
from consilience.server.registry.store import SqlRecordStore
from consilience.server.store.contract import StoreUnavailableError

WEAK = "registry_without_rights"


async def failure(url: URL) -> StoreUnavailableError:
    """Opens a store that cannot be opened, and returns why."""
    store = SqlRecordStore(PostgresDatabase(url))
    with pytest.raises(StoreUnavailableError) as caught:
        await store.open()
    said = str(caught.value)
    assert "hidden" not in said
    assert "\n" not in said
    return caught.value


async def test_a_server_that_is_not_there_is_told_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = make_url(f"postgresql+psycopg://registry:hidden@127.0.0.1:{port}/records?password=hidden")
    told = await failure(url)
    assert isinstance(told, DatabaseUnreachableError)
    assert f"cannot reach postgresql://registry:***@127.0.0.1:{port}/records: " in str(told)
    assert "the server runs at this address" in told.remedy


@pytest.mark.parametrize("changed", [{"database": "absent"}, {"username": "nobody_here"}])
async def test_a_server_without_the_database_or_the_user_says_which(postgres_uri: str, changed: dict[str, str]) -> None:
    url = make_url(postgres_uri).set(drivername="postgresql+psycopg", **changed)  # type: ignore[arg-type]
    told = await failure(url)
    assert isinstance(told, DatabaseUnreachableError)
    (name,) = changed.values()
    assert f'"{name}" does not exist' in str(told)


async def test_a_user_who_may_not_make_tables_is_told_to_need_the_right(postgres_url: URL) -> None:
    with psycopg.connect(postgres_url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(WEAK)))
        try:
            told = await failure(postgres_url.set(drivername="postgresql+psycopg", username=WEAK))
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(WEAK)))
    assert isinstance(told, DatabaseRefusalError)
    assert "the right to make tables" in told.remedy


async def test_a_file_is_for_one_store_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    (tmp_path / "link.db").symlink_to(file)
    store, other = SqlRecordStore(SqliteDatabase(file)), SqlRecordStore(SqliteDatabase(tmp_path / "link.db"))
    await store.open()
    with pytest.raises(DatabaseInUseError, match=r"another process keeps its records in .*link\.db") as caught:
        await other.open()
    assert "PostgreSQL" in caught.value.remedy
    await store.close()
    await other.open()
    await other.close()
