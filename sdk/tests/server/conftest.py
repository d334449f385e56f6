"""A node with the skills of `specimens`, a clock that stands still, a key."""

import pytest

from consilience.identity import KeyPair
from consilience.server import Node
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import Counting, serve_test_skills


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def key() -> KeyPair:
    return KeyPair.generate()


@pytest.fixture
def node(key: KeyPair, counting: Counting) -> Node:
    node = Node("test", key=key)
    serve_test_skills(node, counting)
    return node
