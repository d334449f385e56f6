"""The pytest plugin: `serve_node`, a fixture that serves nodes for the length of a test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from consilience.server import Node, RunningNode


@pytest.fixture
def serve_node() -> Iterator[Callable[[Node], RunningNode]]:
    """Returns a function that serves a node on a free port of this machine until the test ends.

    >>> def test_miles(serve_node):
    ...     with Client() as client:
    ...         assert client.ask("1 mile", node=serve_node(node).address).text == "1.609344 km"
    """
    from consilience.testing.nodes import serving_in_thread  # noqa: PLC0415 - costs nothing where it is not used

    with contextlib.ExitStack() as nodes:
        yield lambda node: nodes.enter_context(serving_in_thread(node))
