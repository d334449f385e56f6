"""Nodes under test: real ones, over real sockets of this machine, on an event loop of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consilience.server import Node, RunningNode

ANY_PORT = "127.0.0.1:0"
STOP_SECONDS = 30.0


@contextlib.contextmanager
def serving_in_thread(node: Node, *, address: str = ANY_PORT) -> Iterator[RunningNode]:
    """Serves a node until the block is left, whether or not the test has an event loop.

    Args:
        node: What to serve.
        address: `host:port`; port 0 takes a free one, which `RunningNode.address` tells.

    Raises:
        ConsilienceError: The node cannot be served; as `Node.serving`.
        TimeoutError: It did not stop in time.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="node-under-test", daemon=True)
    thread.start()
    try:
        running = asyncio.run_coroutine_threadsafe(_enter(node, address), loop).result()
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(STOP_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(STOP_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_SECONDS)
        loop.close()


async def _enter(node: Node, address: str) -> RunningNode:
    running = node.serving(address)
    return await running.__aenter__()
