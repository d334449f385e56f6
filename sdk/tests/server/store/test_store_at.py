from pathlib import Path

import pytest

from consilience.errors import UsageError
from consilience.server.store import MemoryStore, store_at
from consilience.server.store.sqlite import SqliteStore
from sdk.tests.server.store.specimens import LEASE_END, REPLICA


def test_memory_is_a_store() -> None:
    assert isinstance(store_at("memory:"), MemoryStore)


async def test_a_sqlite_url_names_an_absolute_file(tmp_path: Path) -> None:
    store = store_at(f"sqlite:///{tmp_path}/an%20answer.db")
    assert isinstance(store, SqliteStore)
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    await store.close()
    assert (tmp_path / "an answer.db").exists()


async def test_a_sqlite_url_names_a_file_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = store_at("sqlite:///answers.db")
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    await store.close()
    assert (tmp_path / "answers.db").exists()


@pytest.mark.parametrize(
    "url", ["", "answers.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite://host/file.db", "postgresql://host/db"]
)
def test_anything_else_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(UsageError, match=r"write memory: or sqlite:///folder/file\.db"):
        store_at(url)
