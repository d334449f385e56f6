import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from consilience.errors import UnreachableError, UsageError
from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Node, RunningNode
from consilience.sync import Client
from consilience.testing import serving_in_thread


@pytest.fixture
def node() -> Node:
    node = Node(name="echo", key=KeyPair.generate())

    @node.skill("echo")
    async def echo(ask: IncomingAsk) -> AsyncIterator[str]:
        yield ask.text

    return node


def test_the_fixture_serves_a_node_to_a_test_without_an_event_loop(
    serve_node: Callable[[Node], RunningNode], node: Node, tmp_path: Path
) -> None:
    running = serve_node(node)
    with Client(key=KeyPair.generate(), card_file=tmp_path / "cards") as client:
        assert client.ask("ping", node=running.address).text == "ping"


def test_a_node_under_test_leaves_nothing_behind(node: Node, tmp_path: Path) -> None:
    before = threading.active_count()
    with serving_in_thread(node) as running:
        address = running.address
    assert threading.active_count() == before
    with Client(key=KeyPair.generate(), card_file=tmp_path / "cards") as client, pytest.raises(UnreachableError):
        client.ask("ping", node=address, timeout=5)


def test_a_node_that_cannot_be_served_raises_in_the_test() -> None:
    with pytest.raises(UsageError), serving_in_thread(Node(name="empty", key=KeyPair.generate())):
        pass
