"""Streams that are left half open, reset at a chosen moment, or opened by the hundred."""

from __future__ import annotations

import pytest
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, StreamEnded, StreamReset

from conformance.tests.peers.http2.scripted_servers import PATIENCE, RESPONSE, scripted_server
from consilience_conformance.peers.http2 import (
    MOST_RESETS,
    ErrorCodes,
    Manners,
    PeerClosedError,
    Request,
    StreamEnd,
    StreamLimitError,
    call_many,
    connect,
    framed,
    open_many,
    rapid_resets,
)

REQUEST = Request(path="/test.Service/Method")


def count_for_ever(connection: H2Connection, event: Event) -> None:
    """Answers a request with three messages and no end."""
    if isinstance(event, RequestReceived):
        connection.send_headers(event.stream_id, RESPONSE)
        connection.send_data(event.stream_id, framed(b"1") + framed(b"2") + framed(b"3"))


def echo_status(connection: H2Connection, event: Event) -> None:
    """Ends a call with its own number as the status."""
    if isinstance(event, StreamEnded):
        connection.send_headers(event.stream_id, [*RESPONSE, ("grpc-status", str(event.stream_id))], end_stream=True)


async def test_a_half_open_stream_sends_what_it_is_told_and_no_end() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        stream = peer.start(REQUEST)
        assert await stream.send(framed(b"hello", declared_bytes=50), budget=PATIENCE) == 10
        await server.sees(lambda: bool(server.pieces))
        await peer.ping(budget=PATIENCE)
        assert server.pieces == [b"\x00\x00\x00\x00\x32hello"]
        assert server.of(StreamEnded) == []
        assert stream.observed.end is StreamEnd.OPEN


async def test_a_stream_is_reset_after_so_many_messages() -> None:
    async with (
        scripted_server(count_for_ever) as server,
        connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer,
    ):
        stream = peer.start(REQUEST, end=True)
        observed = await stream.read(messages=3, budget=PATIENCE)
        assert stream.reset(code=ErrorCodes.STREAM_CLOSED)
        await server.sees(lambda: server.resets == [5])
    assert [message.payload for message in observed.messages] == [b"1", b"2", b"3"]
    assert observed.end is StreamEnd.OPEN


async def test_a_stream_is_reset_right_after_its_headers() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        peer.start(REQUEST).reset()
        await server.sees(lambda: server.resets == [8])
        assert (server.pieces, server.of(StreamEnded)) == ([], [])


async def test_rapid_resets_open_and_reset_so_many_streams() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        assert await rapid_resets(peer, REQUEST, count=MOST_RESETS, budget=PATIENCE) == MOST_RESETS
        await peer.ping(budget=PATIENCE)
    numbers = [event.stream_id for event in server.seen if isinstance(event, RequestReceived)]
    reset = [event.stream_id for event in server.seen if isinstance(event, StreamReset)]
    assert numbers == reset == list(range(1, 2 * MOST_RESETS, 2))


async def test_rapid_resets_stop_when_the_peer_hangs_up() -> None:
    def hang_up(connection: H2Connection, event: Event) -> None:
        if isinstance(event, StreamReset) and event.stream_id > 9:
            raise ConnectionError

    async with scripted_server(hang_up) as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        await rapid_resets(peer, REQUEST, count=20, budget=PATIENCE)
        await peer.wait_closed(budget=PATIENCE)
        assert await rapid_resets(peer, REQUEST, count=20, budget=PATIENCE) == 0
        with pytest.raises(PeerClosedError):
            peer.start(REQUEST)
    assert 0 < len(server.resets) <= 20


async def test_more_resets_than_the_bound_are_not_sent() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        with pytest.raises(ValueError, match="not within"):
            await rapid_resets(peer, REQUEST, count=MOST_RESETS + 1, budget=PATIENCE)
        await peer.ping(budget=PATIENCE)
    assert server.requests == []


async def test_the_limit_of_the_peer_is_heeded() -> None:
    async with (
        scripted_server(most_streams=3) as server,
        connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer,
    ):
        with pytest.raises(StreamLimitError):
            open_many(peer, REQUEST, count=4)
        await server.sees(lambda: len(server.requests) == 3)


async def test_the_limit_of_the_peer_is_disregarded_on_demand() -> None:
    async with (
        scripted_server(most_streams=3) as server,
        connect("127.0.0.1", port=server.port, manners=Manners(heeds_stream_limit=False), budget=PATIENCE) as peer,
    ):
        streams = open_many(peer, REQUEST, count=4)
        await server.sees(lambda: "broken" in server.ends)  # this server hangs up on it
        assert [stream.stream_id for stream in streams] == [1, 3, 5, 7]


async def test_many_calls_at_once_are_told_apart() -> None:
    async with scripted_server(echo_status) as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        observed = await call_many(peer, [REQUEST] * 50, budget=PATIENCE)
    assert [each.stream_id for each in observed] == list(range(1, 100, 2))
    assert all(each.status is not None and each.status.code == each.stream_id for each in observed)
