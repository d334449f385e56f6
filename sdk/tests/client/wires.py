"""What lies between a client and a node: wires that are cut, and ports that say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Self

from sdk.tests.client.scripted_nodes import ScriptedNode


class Proxy:
    """Stands between client and node, notes what the client sends, and cuts the wires when told to."""

    def __init__(self, target: int = 0) -> None:
        self.target = target
        self.port = 0
        self.address = ""
        self.sent = bytearray()
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Breaks every connection that goes through here."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            node_reader, node_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, node_writer}
        for source, sink, note in ((reader, node_writer, self.sent), (node_reader, writer, None)):
            pump = asyncio.create_task(_pump(source, sink, note))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: bytearray | None) -> None:
    try:
        while data := await source.read(65536):
            if note is not None:
                note += data
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.transport.abort()


@asynccontextmanager
async def proxied(node: ScriptedNode) -> AsyncIterator[Proxy]:
    """Puts a proxy before a node, whose card then names it alone, or the client would find its way around."""
    async with Proxy(node.port) as proxy:
        (endpoint,) = node.endpoints
        node.endpoints = (replace(endpoint, uri=f"{endpoint.uri.rpartition(':')[0]}:{proxy.port}"),)
        proxy.address = f"{node.node_id}@127.0.0.1:{proxy.port}"
        yield proxy


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """Yields a port that takes connections and says nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()
