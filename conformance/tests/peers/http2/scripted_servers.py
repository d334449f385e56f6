"""A tiny HTTP/2 server that writes down what it sees and answers what a test tells it to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

Reaction = Callable[[H2Connection, Event], None]
PATIENCE = 10.0
RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]


class ScriptedServer:
    """What came over all connections, in order, and how each of them ended."""

    def __init__(self, reaction: Reaction, *, most_streams: int) -> None:
        self.port = 0
        self.seen: list[Event] = []
        self.ends: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self._reaction = reaction
        self._most_streams = most_streams
        self._changed = asyncio.Condition()

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def requests(self) -> list[dict[str, str]]:
        return [
            {bytes(name).decode(): bytes(value).decode() for name, value in event.headers}
            for event in self.seen
            if isinstance(event, RequestReceived)
        ]

    @property
    def pieces(self) -> list[bytes]:
        return [event.data for event in self.seen if isinstance(event, DataReceived)]

    @property
    def resets(self) -> list[int]:
        return [int(event.error_code) for event in self.seen if isinstance(event, StreamReset)]

    async def sees(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(reached)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            how = await self._converse(reader, writer)
        except ConnectionError:
            how = "reset"
        except ProtocolError:
            how = "broken"
        finally:
            writer.transport.abort()
        async with self._changed:
            self.ends.append(how)
            self._changed.notify_all()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        connection = H2Connection(H2Configuration(client_side=False, validate_inbound_headers=False))
        limits = {SettingCodes.MAX_CONCURRENT_STREAMS: self._most_streams}
        connection.local_settings = Settings(client=False, initial_values=limits)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            for event in connection.receive_data(data):
                self.seen.append(event)
                self._reaction(connection, event)
            writer.write(connection.data_to_send())
            async with self._changed:
                self._changed.notify_all()
        return "eof"


def say_nothing(connection: H2Connection, event: Event) -> None:
    """Leaves every stream open."""


@asynccontextmanager
async def scripted_server(
    reaction: Reaction = say_nothing, *, tls: ssl.SSLContext | None = None, most_streams: int = 100
) -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer(reaction, most_streams=most_streams)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    async with server:
        yield scripted
        server.close()
        async with asyncio.timeout(PATIENCE):  # they end with their clients
            await asyncio.gather(*scripted.tasks)
