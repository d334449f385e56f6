"""Every end of a stream is told apart from the others."""

from __future__ import annotations

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived

from conformance.tests.peers.http2.scripted_servers import PATIENCE, RESPONSE, Reaction, scripted_server
from consilience_conformance.peers.http2 import (
    ConnectionEnd,
    ConnectionObservation,
    GoAway,
    GrpcStatus,
    Manners,
    Message,
    Observation,
    Request,
    StreamEnd,
    connect,
    framed,
)

REQUEST = Request(path="/test.Service/Method")


async def observed_of(reaction: Reaction, *, budget: float = PATIENCE) -> tuple[Observation, ConnectionObservation]:
    async with scripted_server(reaction) as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        observed = await peer.call(REQUEST, budget=budget)
        return observed, peer.observed


async def test_trailers_end_a_stream() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, RESPONSE)
            connection.send_data(event.stream_id, framed(b"one") + framed(b"two", compressed=True))
            connection.send_headers(event.stream_id, [("grpc-status", "9"), ("grpc-message", "no%21")], end_stream=True)

    observed, _ = await observed_of(react)
    assert observed.end is StreamEnd.TRAILERS
    assert observed.headers == tuple(RESPONSE)
    assert observed.messages == (Message(payload=b"one"), Message(payload=b"two", compressed=True))
    assert observed.status == GrpcStatus(code=9, message="no!")


async def test_headers_alone_end_a_stream() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, [*RESPONSE, ("grpc-status", "12")], end_stream=True)

    observed, _ = await observed_of(react)
    assert observed.end is StreamEnd.TRAILERS
    assert observed.status == GrpcStatus(code=12)
    assert observed.headers == observed.trailers


async def test_data_without_trailers_end_a_stream_without_a_status() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, [(":status", "200"), ("grpc-status", "0")])
            connection.send_data(event.stream_id, b"\x00\x00\x00\x00\x09unwhole", end_stream=True)

    observed, _ = await observed_of(react)
    assert observed.end is StreamEnd.DATA
    assert observed.status is None
    assert observed.messages == ()
    assert observed.rest == b"\x00\x00\x00\x00\x09unwhole"


async def test_a_reset_tells_its_code() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, RESPONSE)
            connection.send_data(event.stream_id, framed(b"one"))
            connection.reset_stream(event.stream_id, error_code=ErrorCodes.ENHANCE_YOUR_CALM)

    observed, connection = await observed_of(react)
    assert (observed.end, observed.error_code) == (StreamEnd.RESET, 11)
    assert observed.messages == (Message(payload=b"one"),)
    assert connection.end is ConnectionEnd.OPEN


async def test_a_goaway_ends_the_streams_above_the_one_it_names() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM, additional_data=b"calm", last_stream_id=0)

    observed, connection = await observed_of(react)
    assert (observed.end, observed.error_code) == (StreamEnd.GOAWAY, 11)
    assert connection.goaway == GoAway(code=11, last_stream_id=0, debug=b"calm")


GOAWAY_SPARING_STREAM_1 = bytes.fromhex("000008 07 00 00000000 00000001 00000000")


async def test_a_goaway_spares_the_stream_that_it_names() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, RESPONSE)
            connection._data_to_send += GOAWAY_SPARING_STREAM_1
            connection.send_data(event.stream_id, framed(b"still"))
            connection.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)

    observed, connection = await observed_of(react)
    assert observed.end is StreamEnd.TRAILERS
    assert observed.messages == (Message(payload=b"still"),)
    assert connection.goaway == GoAway(code=0, last_stream_id=1)


class _HangUpError(ConnectionError):
    """What the scripted server takes for the end of a connection."""


async def test_a_closed_connection_ends_a_stream() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            raise _HangUpError

    observed, connection = await observed_of(react)
    assert observed.end is StreamEnd.CLOSED
    assert connection.end in {ConnectionEnd.CLOSED, ConnectionEnd.RESET}
    assert connection.goaway is None


async def test_a_stream_that_nobody_ends_is_open_when_the_budget_ends() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, RESPONSE)
            connection.send_data(event.stream_id, framed(b"one"))

    observed, connection = await observed_of(react, budget=0.2)
    assert observed.end is StreamEnd.OPEN
    assert observed.messages == (Message(payload=b"one"),)
    assert observed.status is None
    assert connection.end is ConnectionEnd.OPEN


@pytest.mark.parametrize(
    "frame",
    [
        bytes.fromhex("000001 00 00 00000000 00"),  # DATA on stream 0
        bytes.fromhex("ffffff 00 00 00000001") + bytes(0xFFFFFF),  # a frame larger than allowed
        bytes.fromhex("000001 01 04 00000001 ff"),  # HEADERS that no table can decode
    ],
)
async def test_a_peer_that_breaks_http2_is_found_out(frame: bytes) -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection._data_to_send += frame

    observed, connection = await observed_of(react)
    assert observed.end is StreamEnd.BROKEN
    assert connection.end is ConnectionEnd.BROKEN
    assert connection.fault


async def test_a_peer_that_exceeds_a_window_is_found_out() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, RESPONSE)
            connection._data_to_send += bytes.fromhex("000005 00 00 00000001") + framed(b"")

    manners = Manners(initial_window_bytes=4)
    async with (
        scripted_server(react) as server,
        connect("127.0.0.1", port=server.port, manners=manners, budget=PATIENCE) as peer,
    ):
        observed = await peer.call(REQUEST, budget=PATIENCE)
    assert observed.end is StreamEnd.BROKEN


async def test_a_peer_without_measure_is_left() -> None:
    def react(connection: H2Connection, event: Event) -> None:
        if isinstance(event, RequestReceived):
            connection.send_headers(event.stream_id, RESPONSE)
            connection.send_data(event.stream_id, framed(bytes(10_000)))

    manners = Manners(most_bytes=5_000)
    async with (
        scripted_server(react) as server,
        connect("127.0.0.1", port=server.port, manners=manners, budget=PATIENCE) as peer,
    ):
        observed = await peer.call(REQUEST, budget=PATIENCE)
        assert observed.end is StreamEnd.ABANDONED
        assert peer.observed.end is ConnectionEnd.TOO_MUCH
        await server.sees(lambda: len(server.ends) == 1)


async def test_a_stream_that_we_reset_is_abandoned_once() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        stream = peer.start(REQUEST)
        assert stream.reset(code=ErrorCodes.INTERNAL_ERROR)
        assert not stream.reset()
        assert not stream.grant(1)
        assert (await stream.read(budget=PATIENCE)).end is StreamEnd.ABANDONED
        assert await stream.send(b"late", budget=PATIENCE) == 0
        await server.sees(lambda: server.resets == [2])
