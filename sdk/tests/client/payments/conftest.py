from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.client import Client
from sdk.tests.client.payments.shops import customer


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with customer(tmp_path) as client:
        yield client
