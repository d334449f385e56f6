"""One connection to a peer: opened with chosen manners, closed with the block that opened it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from h2.exceptions import TooManyStreamsError

from consilience_conformance.peers.http2.errors import (
    PeerClosedError,
    PeerTimeoutError,
    PeerUnreachableError,
    StreamLimitError,
)
from consilience_conformance.peers.http2.manners import Manners
from consilience_conformance.peers.http2.observations import ConnectionObservation, Observation
from consilience_conformance.peers.http2.received import Received
from consilience_conformance.peers.http2.requests import Request
from consilience_conformance.peers.http2.streams import Stream
from consilience_conformance.peers.http2.wire import Wire

_PROTOCOL = "h2"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, no time


class Connection:
    """One connection to a peer. `connect` opens it."""

    def __init__(self, wire: Wire, *, scheme: str, authority: str) -> None:
        self._wire = wire
        self._scheme = scheme
        self._authority = authority
        self._pings = 0

    @property
    def observed(self) -> ConnectionObservation:
        """What is known of the connection by now."""
        return self._wire.observation()

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._wire.over

    def start(self, request: Request, *, end: bool = False) -> Stream:
        """Sends the HEADERS of a request, and no byte of its body.

        Args:
            request: The request.
            end: Whether the HEADERS carry END_STREAM: a request of no message at all.

        Raises:
            PeerClosedError: The connection is over.
            StreamLimitError: The peer takes no more streams at once, and our manners heed that.
        """
        if self._wire.over:
            raise PeerClosedError(f"the connection is over ({self._wire.end}); no stream can be started on it")
        stream_id = self._wire.h2.get_next_available_stream_id()
        block = request.headers(scheme=self._scheme, authority=self._authority)
        try:
            self._wire.h2.send_headers(stream_id, block, end_stream=end)
        except TooManyStreamsError as error:
            raise StreamLimitError("the peer takes no more streams at once; Manners can disregard that") from error
        received = self._wire.streams[stream_id] = Received(stream_id)
        self._wire.flush()
        return Stream(self._wire, received=received, open_for_sending=not end)

    async def call(
        self,
        request: Request,
        *,
        chunk_bytes: int | None = None,
        end: bool = True,
        messages: int | None = None,
        budget: float,
    ) -> Observation:
        """Sends a request and reads what comes.

        Args:
            request: The request.
            chunk_bytes: The most bytes in one DATA frame.
            end: Whether the request is ended; if not, it stays half open.
            messages: How many messages of the response suffice; only the end suffices if absent.
            budget: How long sending and reading may take together, in seconds.

        Returns:
            What is known then. If the budget ended first, `end` is OPEN.

        Raises:
            PeerClosedError: The connection was over before.
            StreamLimitError: As for `start`.
        """
        stream = self.start(request)
        return await stream.exchange(request.body, end=end, chunk_bytes=chunk_bytes, messages=messages, budget=budget)

    async def ping(self, *, budget: float) -> float:
        """Sends a PING and waits for its acknowledgement: does the peer live?

        A gRPC server hangs up on a client that pings often without sending anything else.

        Args:
            budget: How long to wait, in seconds.

        Returns:
            How long it took, in seconds.

        Raises:
            PeerClosedError: The connection was over first.
            PeerTimeoutError: No acknowledgement came within the budget.
        """
        self._pings += 1
        data = self._pings.to_bytes(8, "big")
        begin = asyncio.get_running_loop().time()
        if not self._wire.over:
            self._wire.h2.ping(data)
            self._wire.flush()
        answered = self._wire.answered_pings
        reached = await self._wire.until(lambda: self._wire.over or data in answered, deadline=begin + budget)
        if not reached:
            raise PeerTimeoutError(f"no acknowledgement of a PING came within {budget} s")
        if data not in answered:
            raise PeerClosedError(f"the connection ended ({self._wire.end}) before a PING was acknowledged")
        return asyncio.get_running_loop().time() - begin

    async def wait_closed(self, *, budget: float) -> ConnectionObservation:
        """Waits until the peer has closed the connection, for `budget` seconds at most."""
        deadline = asyncio.get_running_loop().time() + budget
        await self._wire.until(lambda: self._wire.over, deadline=deadline)
        return self.observed

    async def wait_written(self, *, budget: float) -> bool:
        """Waits until the peer's side takes our bytes again, for `budget` seconds at most; tells whether it does."""
        deadline = asyncio.get_running_loop().time() + budget
        return await self._wire.until(lambda: self._wire.over or self._wire.writable, deadline=deadline)

    def grant(self, count: int) -> bool:
        """Lets the peer send so many bytes more on the connection as a whole; False if it was over."""
        if self._wire.over:
            return False
        self._wire.h2.increment_flow_control_window(count)
        self._wire.flush()
        return True

    def send_raw(self, data: bytes) -> bool:
        """Writes bytes that need not be HTTP/2, between our frames; False if the connection was over."""
        if self._wire.over:
            return False
        self._wire.transport.write(data)
        return True

    def pause_reading(self) -> None:
        """Leaves what comes in the socket, until the peer's writes block."""
        if not self._wire.over:
            self._wire.transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads again after `pause_reading`."""
        if not self._wire.over:
            self._wire.transport.resume_reading()

    async def drop(self, *, hard: bool = False) -> None:
        """Closes the socket without GOAWAY, in the midst of whatever is under way.

        Args:
            hard: Whether the socket is reset (TCP RST) instead of closed.
        """
        if hard and not self._wire.over:
            ours: socket.socket = self._wire.transport.get_extra_info("socket")
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        await self._wire.drop()


@asynccontextmanager
async def connect(
    host: str,
    *,
    port: int,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    manners: Manners | None = None,
    budget: float,
) -> AsyncIterator[Connection]:
    """Opens a connection, exchanges SETTINGS, and closes it with the block.

    Args:
        host: The peer's host.
        port: Its port.
        tls: How to speak TLS; plain if absent. Its ALPN is set to `h2`.
        server_name: The name that the certificate must have; the host if absent.
        manners: How to treat windows and limits; well if absent.
        budget: How long opening may take, in seconds.

    Raises:
        PeerUnreachableError: No connection came about, or the peer chose no HTTP/2.
        PeerTimeoutError: The budget ended before the peer's SETTINGS had come.
        PeerClosedError: The peer hung up before its SETTINGS.
    """
    deadline = asyncio.get_running_loop().time() + budget
    wire = await _open(host, port=port, tls=tls, server_name=server_name, manners=manners, deadline=deadline)
    try:
        if tls is not None and _chosen_protocol(wire) != _PROTOCOL:
            raise PeerUnreachableError(f"{host}:{port} chose {_chosen_protocol(wire)} instead of h2 (TLS ALPN)")
        if not await wire.until(lambda: wire.greeted or wire.over, deadline=deadline):
            raise PeerTimeoutError(f"{host}:{port} sent no HTTP/2 SETTINGS within {budget} s")
        if not wire.greeted:
            raise PeerClosedError(f"{host}:{port} ended the connection ({wire.end}) before its HTTP/2 SETTINGS")
        yield Connection(wire, scheme="http" if tls is None else "https", authority=f"{server_name or host}:{port}")
    finally:
        await wire.leave()


async def _open(
    host: str,
    *,
    port: int,
    tls: ssl.SSLContext | None,
    server_name: str | None,
    manners: Manners | None,
    deadline: float,
) -> Wire:
    wire = Wire(manners or Manners())
    if tls is not None:
        tls.set_alpn_protocols([_PROTOCOL])
    try:
        async with asyncio.timeout_at(deadline):
            await asyncio.get_running_loop().create_connection(
                lambda: wire, host, port, ssl=tls, server_hostname=(server_name or host) if tls is not None else None
            )
    except TimeoutError as error:
        raise PeerTimeoutError(f"{host}:{port} was not reached in time") from error
    except OSError as error:
        raise PeerUnreachableError(f"{host}:{port} could not be reached: {error}") from error
    return wire


def _chosen_protocol(wire: Wire) -> str | None:
    tls_socket: ssl.SSLObject = wire.transport.get_extra_info("ssl_object")
    return tls_socket.selected_alpn_protocol()
