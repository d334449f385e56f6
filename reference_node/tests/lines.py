"""Lines between processes on this machine, which a test cuts and heals: each listens on a port and leads to another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
NOWHERE = f"{HOST}:9"
"""What somebody behind a line has to say of his address in his card, which would lead around the line."""

_CHUNK_BYTES = 64 * 1024


def free_ports(count: int) -> list[int]:
    """Returns ports on which nothing listens."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


class Line:
    """A way to a port, which can be cut."""

    def __init__(self, *, port: int, to: int) -> None:
        self.address = f"{HOST}:{port}"
        self._port = port
        self._to = to
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._leading: set[asyncio.Task[None]] = set()

    async def heal(self) -> None:
        """Lets calls through from now on."""
        self._server = await asyncio.start_server(self._take, HOST, self._port)

    async def cut(self) -> None:
        """Ends all connections, and takes no more."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.gather(*self._leading)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._lead(reader, writer))
        self._leading.add(task)
        task.add_done_callback(self._leading.discard)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(HOST, self._to)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_writer}
        if self._server is None:  # cut while the other end was dialled
            for each in both:
                each.transport.abort()
            return
        self._open |= both
        try:
            await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def lines(*made: Line) -> AsyncIterator[None]:
    """Opens lines, and cuts them at the end."""
    try:
        for line in made:
            await line.heal()
        yield
    finally:
        for line in made:
            await line.cut()
