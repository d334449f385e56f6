"""A window that is not opened holds a peer up, byte by byte."""

from __future__ import annotations

from h2.connection import H2Connection
from h2.events import Event, RequestReceived, WindowUpdated

from conformance.tests.peers.http2.scripted_servers import PATIENCE, RESPONSE, Reaction, scripted_server
from consilience_conformance.peers.http2 import Manners, Message, Request, StreamEnd, connect, framed

REQUEST = Request(path="/test.Service/Method")


def pouring(body: bytes) -> Reaction:
    """Sends a body as far as the windows let it, then trailers."""
    left = bytearray()

    def react(connection: H2Connection, event: Event) -> None:
        match event:
            case RequestReceived():
                connection.send_headers(event.stream_id, RESPONSE)
                left.extend(body)
            case WindowUpdated() if left:
                pass
            case _:
                return
        window = connection.local_flow_control_window(1)
        while left and window > 0:
            size = min(window, connection.max_outbound_frame_size, len(left))
            connection.send_data(1, bytes(left[:size]))
            del left[:size]
            window = connection.local_flow_control_window(1)
        if not left:
            connection.send_headers(1, [("grpc-status", "0")], end_stream=True)

    return react


async def test_a_closed_window_lets_nothing_but_headers_through() -> None:
    manners = Manners(initial_window_bytes=0, refills_windows=False)
    async with (
        scripted_server(pouring(framed(b"hello"))) as server,
        connect("127.0.0.1", port=server.port, manners=manners, budget=PATIENCE) as peer,
    ):
        stream = peer.start(REQUEST)
        assert (await stream.read_headers(budget=PATIENCE)).http_status == 200
        await peer.ping(budget=PATIENCE)
        assert stream.observed.end is StreamEnd.OPEN
        assert stream.observed.rest == b""
        assert stream.grant(4)
        assert (await stream.read_bytes(4, budget=PATIENCE)).rest == b"\x00\x00\x00\x00"
        assert stream.grant(3)
        assert (await stream.read_bytes(7, budget=PATIENCE)).rest == b"\x00\x00\x00\x00\x05he"
        assert stream.grant(1_000)
        observed = await stream.read(budget=PATIENCE)
    assert observed.messages == (Message(payload=b"hello"),)
    assert observed.end is StreamEnd.TRAILERS


async def test_a_small_window_that_is_refilled_makes_a_slow_reader() -> None:
    async with (
        scripted_server(pouring(framed(bytes(20)))) as server,
        connect("127.0.0.1", port=server.port, manners=Manners(initial_window_bytes=10), budget=PATIENCE) as peer,
    ):
        observed = await peer.call(REQUEST, budget=PATIENCE)
        await peer.ping(budget=PATIENCE)
    assert observed.messages == (Message(payload=bytes(20)),)
    grants = [event.delta for event in server.seen if isinstance(event, WindowUpdated) and event.stream_id == 1]
    assert grants[:2] == [10, 10]  # the rest may come with the end, which needs no grant


async def test_the_window_of_the_connection_is_granted_by_itself() -> None:
    manners = Manners(initial_window_bytes=1_000_000, refills_windows=False)
    async with (
        scripted_server(pouring(framed(bytes(70_000)))) as server,
        connect("127.0.0.1", port=server.port, manners=manners, budget=PATIENCE) as peer,
    ):
        stream = peer.start(REQUEST)
        observed = await stream.read_bytes(65_535, budget=PATIENCE)
        await peer.ping(budget=PATIENCE)
        assert len(stream.observed.rest) == len(observed.rest) == 65_535
        assert peer.grant(10_000)
        assert (await stream.read(budget=PATIENCE)).end is StreamEnd.TRAILERS


async def test_a_reader_who_pauses_leaves_the_bytes_in_the_socket() -> None:
    async with (
        scripted_server(pouring(framed(b"hello"))) as server,
        connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer,
    ):
        peer.pause_reading()
        stream = peer.start(REQUEST)
        await server.sees(lambda: len(server.requests) == 1)
        assert (await stream.read_headers(budget=0.1)).headers == ()
        peer.resume_reading()
        assert (await stream.read(budget=PATIENCE)).messages == (Message(payload=b"hello"),)
