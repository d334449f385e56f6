"""Each way in which a request can be wrong arrives as it was meant."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamEnded

from conformance.tests.peers.http2.scripted_servers import PATIENCE, RESPONSE, ScriptedServer, scripted_server
from consilience_conformance.peers.http2 import Manners, Observation, Request, StreamEnd, connect, framed

PATH = "/test.Service/Method"


def acknowledge(connection: H2Connection, event: Event) -> None:
    """Answers a request that has ended with a status and no message."""
    if isinstance(event, DataReceived) and event.flow_controlled_length:
        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    if isinstance(event, StreamEnded):
        connection.send_headers(event.stream_id, [*RESPONSE, ("grpc-status", "0")], end_stream=True)


async def sent(request: Request, **options: Any) -> tuple[ScriptedServer, Observation]:
    async with scripted_server(acknowledge) as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        observed = await peer.call(request, budget=PATIENCE, **options)
    return server, observed


async def test_a_proper_request_is_what_grpc_describes() -> None:
    server, observed = await sent(Request(path=PATH, body=framed(b"hello"), metadata=(("x-more", "1"),)))
    (headers,) = server.requests
    assert headers == {
        ":method": "POST",
        ":scheme": "http",
        ":path": PATH,
        ":authority": f"127.0.0.1:{server.port}",
        "te": "trailers",
        "content-type": "application/grpc",
        "x-more": "1",
    }
    assert b"".join(server.pieces) == b"\x00\x00\x00\x00\x05hello"
    assert observed.end is StreamEnd.TRAILERS
    assert observed.sent_bytes == 10


@pytest.mark.parametrize(
    ("request_", "name", "value"),
    [
        (Request(path=PATH, content_type="text/plain"), "content-type", "text/plain"),
        (Request(path=PATH, content_type=None), "content-type", None),
        (Request(path=PATH, te=None), "te", None),
        (Request(path=PATH, method="GET"), ":method", "GET"),
        (Request(path="no path"), ":path", "no path"),
        (Request(path=PATH, metadata=(("X-Upper", "kept"),)), "X-Upper", "kept"),
    ],
)
async def test_a_wrong_header_arrives_wrong(request_: Request, name: str, value: str | None) -> None:
    server, _ = await sent(request_)
    assert server.requests[0].get(name) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        framed(b"abc", declared_bytes=100),
        framed(b"abc", compressed=True),
        framed(b"a") + framed(b"b"),
        framed(b"", declared_bytes=2**32 - 1),
    ],
)
async def test_a_broken_body_arrives_byte_for_byte(body: bytes) -> None:
    server, observed = await sent(Request(path=PATH, body=body))
    assert b"".join(server.pieces) == body
    assert observed.sent_bytes == len(body)
    assert len(server.of(StreamEnded)) == 1


async def test_a_body_goes_out_in_tiny_frames() -> None:
    server, _ = await sent(Request(path=PATH, body=framed(b"hello")), chunk_bytes=3)
    assert server.pieces == [b"\x00\x00\x00", b"\x00\x05h", b"ell", b"o"]


async def test_a_body_larger_than_the_windows_waits_for_them() -> None:
    body = framed(bytes(itertools.islice(itertools.cycle(range(251)), 300_000)))
    server, observed = await sent(Request(path=PATH, body=body))
    assert b"".join(server.pieces) == body
    assert observed.end is StreamEnd.TRAILERS


async def test_a_request_that_the_windows_stop_is_seen_as_far_as_it_went() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        observed = await peer.call(Request(path=PATH, body=bytes(70_000)), budget=0.2)
    assert observed.end is StreamEnd.OPEN
    assert observed.sent_bytes == 65_535


async def test_the_settings_are_those_of_the_manners() -> None:
    manners = Manners(initial_window_bytes=7, max_frame_bytes=20_000)
    async with (
        scripted_server(acknowledge) as server,
        connect("127.0.0.1", port=server.port, manners=manners, budget=PATIENCE) as peer,
    ):
        await peer.call(Request(path=PATH), budget=PATIENCE)
    announced = {code: change.new_value for event in server.seen for code, change in _changes(event)}
    assert announced | {2: 0, 4: 7, 5: 20_000} == announced


def _changes(event: Event) -> list[tuple[int, Any]]:
    return [(int(code), change) for code, change in getattr(event, "changed_settings", {}).items()]


async def test_too_many_frames_are_not_sent() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        stream = peer.start(Request(path=PATH))
        with pytest.raises(ValueError, match="larger chunks"):
            await stream.send(bytes(10_001), chunk_bytes=1, budget=PATIENCE)
        assert stream.observed.sent_bytes == 0


async def test_a_stream_is_not_ended_twice() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        stream = peer.start(Request(path=PATH), end=True)
        with pytest.raises(ValueError, match="ended before"):
            await stream.send(b"more", budget=PATIENCE)
