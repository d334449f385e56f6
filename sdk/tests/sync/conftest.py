from collections.abc import Iterator
from pathlib import Path

import pytest

from consilience.identity import KeyPair
from consilience.sync import Client, background
from sdk.tests.client.scripted_nodes import ScriptedNode


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    """A node on the loop in the background, because the tests block the loop that they are on."""
    loop = background.hold()
    node = ScriptedNode()
    loop.run(node.__aenter__())
    yield node
    loop.run(node.stop())
    background.release(loop)


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    return tmp_path / "cards.sqlite"


@pytest.fixture
def client(card_file: Path) -> Iterator[Client]:
    with Client(KeyPair.generate(), card_file=card_file) as client:
        yield client
