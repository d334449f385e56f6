"""Open stores of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.server.store import MemoryStore
from consilience.server.store.ledger import PayingStore
from consilience.server.store.sqlite import SqliteStore
from sdk.tests.server.store.specimens import LEASE_END, OTHER_REPLICA, REPLICA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node" / "answers.db"


@pytest.fixture(params=["memory", "sqlite"])
def closed_store(request: pytest.FixtureRequest, path: Path) -> PayingStore:
    return MemoryStore() if request.param == "memory" else SqliteStore(path)


@pytest.fixture
async def store(closed_store: PayingStore) -> AsyncIterator[PayingStore]:
    await closed_store.open(replica=REPLICA, lease_until=LEASE_END)
    yield closed_store
    await closed_store.close()


@pytest.fixture
async def sqlite(path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(path)
    await opened.open(replica=REPLICA, lease_until=LEASE_END)
    yield opened
    await opened.close()


@pytest.fixture
async def sibling(path: Path) -> AsyncIterator[SqliteStore]:
    """Is another replica on the same file."""
    opened = SqliteStore(path)
    await opened.open(replica=OTHER_REPLICA, lease_until=LEASE_END)
    yield opened
    await opened.close()
