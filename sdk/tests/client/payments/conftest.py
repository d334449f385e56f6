from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.payments import Wallet
from sdk.tests.client.payments.shops import customer
from sdk.tests.client.payments.wallet_specimens import Specimens


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with customer(tmp_path) as client:
        yield client


@pytest.fixture
def specimens() -> Specimens:
    return Specimens()


@pytest.fixture
def wallet(tmp_path: Path) -> Iterator[Wallet]:
    wallet = Wallet.at(tmp_path / "wallet.sqlite")
    yield wallet
    wallet.close()
