"""One socket and the HTTP/2 on it: bytes in, records of streams out.

The frames are made and read by `h2`, which does no input or output. One thing is changed in it: it takes every GOAWAY
for the end of the connection, although streams up to the last one named there may still finish (RFC 9113, 6.8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, H2Connection, H2ConnectionStateMachine
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import Settings

from consilience_conformance.peers.http2.manners import Manners
from consilience_conformance.peers.http2.observations import ConnectionEnd, ConnectionObservation, GoAway, StreamEnd
from consilience_conformance.peers.http2.received import Received
from consilience_conformance.peers.http2.requests import Header

_CLOSE_SECONDS = 1.0
_NO_STREAM_LIMIT = 2**31 - 1


class _ReadsOnAfterGoAway(H2ConnectionStateMachine):
    """Lets the streams that a GOAWAY spares come to their end."""

    def process_input(self, input_: ConnectionInputs) -> list[Event]:
        before = self.state
        events = super().process_input(input_)
        if input_ is ConnectionInputs.RECV_GOAWAY:
            self.state = before
        return events


class Wire(asyncio.Protocol):
    """One socket and the HTTP/2 on it."""

    transport: asyncio.Transport

    def __init__(self, manners: Manners) -> None:
        self.manners = manners
        self.h2 = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
        self.h2.state_machine = _ReadsOnAfterGoAway()
        self.h2.local_settings = Settings(client=True, initial_values=manners.settings())
        self.h2.max_inbound_frame_size = manners.max_frame_bytes
        self.streams: dict[int, Received] = {}
        self.answered_pings: set[bytes] = set()
        self.end = ConnectionEnd.OPEN
        self.writable = True
        self._fault = ""
        self._goaway: GoAway | None = None
        self._peer_settings: dict[int, int] = {}
        self._received_bytes = 0
        self._greeted = False
        self._changed = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def greeted(self) -> bool:
        """Whether the peer has sent its SETTINGS."""
        return self._greeted

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self.end is not ConnectionEnd.OPEN

    def observation(self) -> ConnectionObservation:
        """Returns what is known of the connection by now."""
        return ConnectionObservation(
            end=self.end,
            fault=self._fault,
            goaway=self._goaway,
            settings=tuple(sorted(self._peer_settings.items())),
            received_bytes=self._received_bytes,
        )

    async def until(self, reached: Callable[[], bool], *, deadline: float) -> bool:
        """Waits for a condition on what came.

        Args:
            reached: The condition.
            deadline: When to give up, in seconds of the running loop's clock.

        Returns:
            Whether the condition holds.
        """
        try:
            async with asyncio.timeout_at(deadline):
                while not reached():
                    await self._changed.wait()
        except TimeoutError:
            return reached()
        return True

    def flush(self) -> None:
        """Writes what `h2` has made."""
        if data := self.h2.data_to_send():
            self.transport.write(data)

    async def leave(self) -> None:
        """Ends the connection properly if that is still possible, and frees the socket in any case."""
        try:
            if not self.over:
                self.h2.close_connection()
                self.flush()
                self._finish(ConnectionEnd.LEFT)
            if self.transport.get_write_buffer_size() == 0:
                # Once: before Python 3.11.4, a TLS transport that is closed twice can no longer be aborted.
                if not self.transport.is_closing():
                    self.transport.close()
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._lost.wait()
        except TimeoutError:
            pass
        finally:
            await self.drop()

    async def drop(self) -> None:
        """Closes the socket at once, whatever is under way."""
        self._finish(ConnectionEnd.LEFT)
        if not self._lost.is_set():
            self.transport.abort()
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets the peer: the preface and our SETTINGS."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream protocol is given a stream transport
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Takes bytes of the peer, as many as our manners allow."""
        if self.over:
            return
        self._received_bytes += len(data)
        if self._received_bytes > self.manners.most_bytes:
            self._finish(ConnectionEnd.TOO_MUCH)
            self.transport.abort()
            return
        try:
            events = self.h2.receive_data(data)
            for event in events:
                self._take(event)
            self._refill(event for event in events if isinstance(event, DataReceived))
        except H2Error as error:
            self._fault = str(error)
            self._finish(ConnectionEnd.BROKEN)
            self.flush()
            self.transport.close()
        else:
            self.flush()
            self._notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that the socket is closed."""
        self._lost.set()
        self._finish(ConnectionEnd.CLOSED if exc is None else ConnectionEnd.RESET)

    def pause_writing(self) -> None:
        """Notes that the peer does not take our bytes."""
        self.writable = False

    def resume_writing(self) -> None:
        """Notes that the peer takes our bytes again."""
        self.writable = True
        self._notify()

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                self.streams[event.stream_id].take_headers(_decoded(event.headers))
            case DataReceived():
                self.streams[event.stream_id].take_data(event.data)
            case StreamEnded():
                self.streams[event.stream_id].end_stream()
            case StreamReset():
                end = StreamEnd.RESET if event.remote_reset else StreamEnd.BROKEN
                self.streams[event.stream_id].finish(end, error_code=int(event.error_code))
            case PingAckReceived():
                self.answered_pings.add(event.ping_data)
            case RemoteSettingsChanged():
                self._take_settings(event)
            case ConnectionTerminated():
                self._take_goaway(event)
            case _:
                pass

    def _refill(self, events: Iterable[DataReceived]) -> None:
        """Grants anew what came; a stream that the same bytes have ended is not granted anything."""
        for event in events:
            if not self.manners.refills_windows or event.flow_controlled_length == 0:
                continue
            self.h2.increment_flow_control_window(event.flow_controlled_length)
            if not self.streams[event.stream_id].over:
                self.h2.increment_flow_control_window(event.flow_controlled_length, event.stream_id)

    def _take_settings(self, event: RemoteSettingsChanged) -> None:
        self._greeted = True
        self._peer_settings |= {int(code): change.new_value for code, change in event.changed_settings.items()}
        if not self.manners.heeds_stream_limit:
            self.h2.remote_settings.max_concurrent_streams = _NO_STREAM_LIMIT
            self.h2.remote_settings.acknowledge()

    def _take_goaway(self, event: ConnectionTerminated) -> None:
        code, last = int(event.error_code or ErrorCodes.NO_ERROR), event.last_stream_id or 0
        self._goaway = GoAway(code=code, last_stream_id=last, debug=event.additional_data or b"")
        for stream in self.streams.values():
            if stream.stream_id > last:
                stream.finish(StreamEnd.GOAWAY, error_code=code)

    def _finish(self, end: ConnectionEnd) -> None:
        if self.over:
            return
        self.end = end
        for stream in self.streams.values():
            match end:
                case ConnectionEnd.BROKEN:
                    stream.finish(StreamEnd.BROKEN)
                case ConnectionEnd.LEFT | ConnectionEnd.TOO_MUCH:
                    stream.finish(StreamEnd.ABANDONED)
                case _ if self._goaway is not None:
                    stream.finish(StreamEnd.GOAWAY, error_code=self._goaway.code)
                case _:
                    stream.finish(StreamEnd.CLOSED)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _decoded(headers: Iterable[tuple[str | bytes, str | bytes]]) -> tuple[Header, ...]:
    return tuple((_text(name), _text(value)) for name, value in headers)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
