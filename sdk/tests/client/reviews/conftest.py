from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.identity import KeyPair
from sdk.tests.client.reviews.registries import House, registries


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[tuple[House, ...]]:
    async with registries(tmp_path) as serving:
        yield serving


@pytest.fixture
async def client(houses: tuple[House, ...], card_file: Path) -> AsyncIterator[Client]:
    addresses = [house.address for house in houses]
    async with Client(KeyPair.generate(), card_file=card_file, registries=addresses) as client:
        yield client
