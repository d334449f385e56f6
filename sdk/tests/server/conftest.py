"""A node that repeats what it is told, word by word."""

from collections.abc import AsyncIterator

import pytest

from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Node


@pytest.fixture
def node() -> Node:
    node = Node("test", key=KeyPair.generate())

    @node.skill("echo")
    async def echo(ask: IncomingAsk) -> AsyncIterator[str]:
        first, *rest = ask.text.split(" ")
        yield first
        for word in rest:
            yield f" {word}"

    return node
