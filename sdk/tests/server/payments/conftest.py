"""Stores of each kind, and the payments of a node over them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.identity import KeyPair
from consilience.server.store import MemoryStore
from consilience.server.store.ledger import PayingStore
from consilience.server.store.sqlite import SqliteStore
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import SimulatedRail, SimulatedWorld
from sdk.tests.server.payments.tellers import HOLD, Payer, Teller, teller

REPLICA = "http://127.0.0.1:7341"
LIFE = timedelta(days=1)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[PayingStore]:
    opened: PayingStore = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "node.db")
    await opened.open(replica=REPLICA, lease_until=clock.now + LIFE)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "node.db")
    await opened.open(replica=REPLICA, lease_until=clock.now + LIFE)
    yield opened
    await opened.close()


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


@pytest.fixture
async def node_teller(
    store: PayingStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> AsyncIterator[Teller]:
    """Takes promises, and money of a simulated world."""
    async with teller(store, key=key, clock=clock, rails=(HOLD, SimulatedRail(world))) as made:
        yield made


@pytest.fixture
def payer(node_teller: Teller) -> Payer:
    return node_teller.payer()
