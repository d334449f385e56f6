import asyncio
import socket

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from consilience.client.certificates import Certificate, read_certificate, subject_public_key_info
from consilience.errors import ProtocolError, UnreachableError
from consilience.identity import KeyPair, format_node_id
from sdk.tests.client.certificate_makers import PrivateKey, make_identity
from sdk.tests.client.scripted_nodes import ScriptedNode
from sdk.tests.client.wires import silent_port


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-256", "P-384", "RSA", "Ed25519"],
)
def test_the_public_key_comes_out_as_cryptography_reads_it(key: PrivateKey) -> None:
    identity = make_identity("node.example", key=key)
    assert subject_public_key_info(identity.der) == identity.spki
    assert Certificate(der=identity.der).spki_digest == identity.pin


def test_a_certificate_that_ends_anywhere_is_refused() -> None:
    der = make_identity("node.example").der
    for end in range(len(der)):
        with pytest.raises(ProtocolError) as error:
            subject_public_key_info(der[:end])
        assert error.value.requirement == "NODE-TLS-001"


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_refused(der: bytes) -> None:
    with pytest.raises(ProtocolError):
        subject_public_key_info(der)


@given(st.data())
def test_a_certificate_with_a_wrong_byte_is_read_or_refused(data: st.DataObject) -> None:
    der = bytearray(SAMPLE)
    der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert subject_public_key_info(bytes(der)) in bytes(der)
    except ProtocolError as error:
        assert error.requirement == "NODE-TLS-001"  # noqa: PT017 - either outcome is right


SAMPLE = make_identity("node.example").der


def test_the_node_that_a_certificate_names_is_found() -> None:
    key = KeyPair.generate().public_key
    assert Certificate(der=make_identity(format_node_id(key)).der).node_ids == (key,) * 3
    assert Certificate(der=SAMPLE).node_ids == ()


async def test_the_certificate_of_a_port_is_read_by_a_bare_handshake() -> None:
    identity = make_identity("node.example")
    async with ScriptedNode(credentials=identity.credentials) as node:
        certificate = await read_certificate("127.0.0.1", node.port, server_name="node.example", seconds=10)
    assert certificate == Certificate(der=identity.der)
    assert node.calls == []


async def test_a_plain_port_has_no_certificate(node: ScriptedNode) -> None:
    assert await read_certificate("127.0.0.1", node.port, server_name="node.example", seconds=10) is None


async def test_a_port_that_hangs_up_has_no_certificate() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await read_certificate("127.0.0.1", port, server_name="node.example", seconds=10) is None


async def test_a_silent_port_is_unreachable_after_the_time_allowed() -> None:
    async with silent_port() as port:
        with pytest.raises(UnreachableError, match="within"):
            await read_certificate("127.0.0.1", port, server_name="node.example", seconds=0.2)


async def test_a_port_where_nothing_listens_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnreachableError, match="cannot be reached"):
        await read_certificate("127.0.0.1", port, server_name="node.example", seconds=10)


@pytest.mark.parametrize("host", ["x" * 70 + ".example", ".example", "a..b"])
async def test_a_name_that_is_none_is_unreachable(host: str) -> None:
    with pytest.raises(UnreachableError):
        await read_certificate(host, 1, server_name=host, seconds=10)
