"""Opening, asking for a sign of life, vanishing, and leaving no socket behind."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import signal
import socket
import ssl
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, RequestReceived

from conformance.tests.peers.http2.scripted_servers import PATIENCE, RESPONSE, scripted_server
from consilience_conformance.peers.http2 import (
    ConnectionEnd,
    PeerClosedError,
    PeerTimeoutError,
    PeerUnreachableError,
    Request,
    StreamEnd,
    connect,
)

REQUEST = Request(path="/test.Service/Method")


def refuse(connection: H2Connection, event: Event) -> None:
    if isinstance(event, RequestReceived):
        connection.send_headers(event.stream_id, [*RESPONSE, ("grpc-status", "12")], end_stream=True)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of localhost, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "localhost.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def server_tls(certificate: Path, *, protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols([protocol])
    return context


async def test_a_ping_is_answered() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        assert await peer.ping(budget=PATIENCE) >= 0
        assert await peer.ping(budget=PATIENCE) >= 0


async def test_a_ping_without_an_answer_times_out() -> None:
    def swallow(connection: H2Connection, _: Event) -> None:
        connection.clear_outbound_data_buffer()

    async with scripted_server(swallow) as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        with pytest.raises(PeerTimeoutError):
            await peer.ping(budget=0.2)


async def test_a_ping_on_a_connection_that_is_over_says_so() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        await peer.drop()
        with pytest.raises(PeerClosedError):
            await peer.ping(budget=PATIENCE)
        assert not peer.grant(1)
        assert not peer.send_raw(b"late")


async def test_tls_is_spoken_with_h2_chosen(certificate: Path) -> None:
    tls = ssl.create_default_context(cafile=certificate)
    async with (
        scripted_server(refuse, tls=server_tls(certificate, protocol="h2")) as server,
        connect("127.0.0.1", port=server.port, tls=tls, server_name="localhost", budget=PATIENCE) as peer,
    ):
        observed = await peer.call(REQUEST, budget=PATIENCE)
    assert observed.status is not None
    assert server.requests[0][":scheme"] == "https"
    assert server.requests[0][":authority"] == f"localhost:{server.port}"
    assert len(server.of(ConnectionTerminated)) == 1


async def test_a_tls_peer_without_http2_is_not_spoken_to(certificate: Path) -> None:
    tls = ssl.create_default_context(cafile=certificate)
    async with scripted_server(tls=server_tls(certificate, protocol="http/1.1")) as server:
        with pytest.raises(PeerUnreachableError, match="ALPN"):
            async with connect("127.0.0.1", port=server.port, tls=tls, server_name="localhost", budget=PATIENCE):
                pass


async def test_a_certificate_of_another_name_is_refused(certificate: Path) -> None:
    tls = ssl.create_default_context(cafile=certificate)
    async with scripted_server(tls=server_tls(certificate, protocol="h2")) as server:
        with pytest.raises(PeerUnreachableError, match="certificate"):
            async with connect("127.0.0.1", port=server.port, tls=tls, server_name="elsewhere", budget=PATIENCE):
                pass


async def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PeerUnreachableError):
            async with connect("127.0.0.1", port=taken.getsockname()[1], budget=PATIENCE):
                pass


async def test_a_peer_that_never_greets_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(PeerTimeoutError, match="SETTINGS"):
            async with connect("127.0.0.1", port=silent.getsockname()[1], budget=0.2):
                pass
        accepted, _ = silent.accept()
        with accepted:
            accepted.settimeout(PATIENCE)
            while accepted.recv(65_536):
                pass


async def test_a_peer_that_speaks_something_else_is_left() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        with pytest.raises(PeerClosedError):
            async with connect("127.0.0.1", port=server.sockets[0].getsockname()[1], budget=PATIENCE):
                pass


async def test_the_block_ends_with_a_goaway() -> None:
    async with scripted_server() as server:
        async with connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
            stream = peer.start(REQUEST)
        await server.sees(lambda: server.ends == ["eof"])
        assert len(server.of(ConnectionTerminated)) == 1
        assert stream.observed.end is StreamEnd.ABANDONED
        assert peer.observed.end is ConnectionEnd.LEFT


@pytest.mark.parametrize(("hard", "how"), [(False, "eof"), (True, "reset")])
async def test_a_dropped_connection_ends_without_a_goaway(hard: bool, how: str) -> None:  # noqa: FBT001 - a parameter
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        stream = peer.start(REQUEST)
        await server.sees(lambda: len(server.requests) == 1)
        await peer.drop(hard=hard)
        await server.sees(lambda: server.ends == [how])
        assert server.of(ConnectionTerminated) == []
        assert stream.observed.end is StreamEnd.ABANDONED


async def test_bytes_that_no_library_would_send_go_out_as_they_are() -> None:
    async with scripted_server() as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        assert peer.send_raw(bytes.fromhex("000000 08 00 00000000"))  # WINDOW_UPDATE without its number
        await server.sees(lambda: server.ends == ["broken"])
        assert (await peer.wait_closed(budget=PATIENCE)).end in {ConnectionEnd.CLOSED, ConnectionEnd.RESET}


async def test_a_cancelled_wait_leaves_no_socket() -> None:
    async with scripted_server() as server:

        async def wait() -> None:
            async with connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
                await peer.call(REQUEST, budget=PATIENCE)

        task = asyncio.create_task(wait())
        await server.sees(lambda: len(server.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.sees(lambda: server.ends == ["eof"])


async def test_a_peer_that_takes_no_bytes_does_not_keep_the_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)

        async def greet_and_stall() -> socket.socket:
            stalled, _ = await asyncio.to_thread(silent.accept)
            settings = {4: 2**31 - 1, 5: 2**24 - 1}
            body = b"".join(code.to_bytes(2, "big") + value.to_bytes(4, "big") for code, value in settings.items())
            stalled.sendall(len(body).to_bytes(3, "big") + b"\x04\x00" + bytes(4) + body)
            stalled.sendall(bytes.fromhex("000004 08 00 00000000") + (2**31 - 1 - 65_535).to_bytes(4, "big"))
            return stalled

        greeting = asyncio.create_task(greet_and_stall())
        async with connect("127.0.0.1", port=silent.getsockname()[1], budget=PATIENCE) as peer:
            await greeting
            stream = peer.start(REQUEST)
            sent = await stream.send(bytes(32 * 1024 * 1024), budget=0.5)
            assert 0 < sent < 32 * 1024 * 1024
            assert not await peer.wait_written(budget=0.1)
        greeting.result().close()
        assert peer.observed.end is ConnectionEnd.LEFT


INTERRUPTED = """
import asyncio, sys
from consilience_conformance.peers.http2 import Request, connect

async def main() -> None:
    async with connect("127.0.0.1", port=int(sys.argv[1]), budget=30) as peer:
        await peer.ping(budget=30)  # what lies unread when a socket is closed makes a reset of its end
        await peer.call(Request(path="/test.Service/Method"), budget=60)

asyncio.run(main())
"""


async def test_an_interrupt_leaves_no_socket() -> None:
    async with scripted_server() as server:
        command = [sys.executable, "-c", INTERRUPTED, str(server.port)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:  # noqa: ASYNC220 - starting takes no waiting
            await server.sees(lambda: len(server.requests) == 1)
            process.send_signal(signal.SIGINT)
            await server.sees(lambda: len(server.ends) == 1)
            _, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    assert server.ends == ["eof"]
    assert len(server.of(ConnectionTerminated)) == 1
    assert errors.rstrip().endswith(b"KeyboardInterrupt")


async def test_what_was_seen_goes_into_a_transcript() -> None:
    async with scripted_server(refuse) as server, connect("127.0.0.1", port=server.port, budget=PATIENCE) as peer:
        observed = await peer.call(REQUEST, budget=PATIENCE)
        seen = json.loads(json.dumps([asdict(observed), asdict(peer.observed)], default=bytes.hex))
    assert seen[0]["end"] == "trailers"
    assert ["grpc-status", "12"] in seen[0]["trailers"]
    assert seen[1]["end"] == "open"
