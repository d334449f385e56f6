from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.identity import KeyPair
from sdk.tests.client.scripted_nodes import ScriptedNode


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    return tmp_path / "cards.sqlite"


@pytest.fixture
async def client(card_file: Path) -> AsyncIterator[Client]:
    async with Client(KeyPair.generate(), card_file=card_file) as client:
        yield client


@pytest.fixture
async def node() -> AsyncIterator[ScriptedNode]:
    async with ScriptedNode() as node:
        yield node
