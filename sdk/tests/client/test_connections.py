"""Pinned TLS as a client meets it: wrong pins, swapped nodes, renewed certificates."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.errors import ProtocolError, TransportError, UnreachableError
from consilience.identity import KeyPair, format_node_id
from consilience.nodes import Endpoint, TlsMode
from sdk.tests.client.certificate_makers import Identity, make_identity
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode, greet
from sdk.tests.client.wires import proxied

ROOT = KeyPair.generate()
NAME = format_node_id(ROOT.public_key)


def pinned_node(
    identity: Identity, *, pin: bytes, next_pin: bytes = b"", port: int = 0, **more: object
) -> ScriptedNode:
    """Returns a node that serves with one certificate, and whose card pins what the test says."""
    node = ScriptedNode(root=ROOT, credentials=identity.credentials, port=port, **more)  # type: ignore[arg-type]
    node.endpoints = (
        Endpoint(uri="https://127.0.0.1:1", tls_mode=TlsMode.PINNED, spki_sha256=pin, next_spki_sha256=next_pin),
    )
    return node


@pytest.fixture
def identity() -> Identity:
    return make_identity(NAME)


async def test_a_pinned_node_is_reached_by_its_id(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=identity.pin) as node:
        assert (await client.ask("Hello?", node=node.address)).text == "Hello, world."


@pytest.mark.parametrize("form", ["{authority}", "https://{authority}", "localhost:{port}"])
async def test_a_pinned_node_of_this_machine_is_reached_without_its_id(
    client: Client, identity: Identity, form: str
) -> None:
    async with pinned_node(identity, pin=identity.pin) as node:
        address = form.format(authority=node.authority, port=node.port)
        assert (await client.ask("Hello?", node=address)).text == "Hello, world."


async def test_the_next_pin_of_a_card_is_as_good_as_the_present_one(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=bytes(32), next_pin=identity.pin) as node:
        assert (await client.ask("Hello?", node=node.address)).text == "Hello, world."


async def test_a_certificate_that_the_card_does_not_pin_is_refused_before_anything_is_asked(
    client: Client, identity: Identity
) -> None:
    async with pinned_node(identity, pin=bytes(32)) as node:
        with pytest.raises(ProtocolError) as error:
            await client.ask("Hello?", node=node.address)
        assert error.value.requirement == "NODE-TLS-001"
        assert node.methods == ["GetNodeCard"]


async def test_a_man_in_the_middle_with_the_name_of_the_node_is_refused(client: Client, identity: Identity) -> None:
    """He has the true card and a certificate for the node's name; what he lacks is the pinned key."""
    async with pinned_node(make_identity(NAME), pin=identity.pin) as middle:
        with pytest.raises(ProtocolError) as error:
            await client.ask("Hello?", node=middle.address)
        assert error.value.requirement == "NODE-TLS-001"
        assert "Ask" not in middle.methods


async def test_another_node_at_the_address_is_refused(client: Client, identity: Identity) -> None:
    other = KeyPair.generate()
    theirs = make_identity(format_node_id(other.public_key))
    async with pinned_node(identity, pin=identity.pin) as node:
        address = node.address
    async with pinned_node(theirs, pin=theirs.pin, port=node.port) as swapped:
        swapped.root = other
        with pytest.raises((ProtocolError, TransportError)):
            await client.ask("Hello?", node=address)
        assert "Ask" not in swapped.methods


async def test_another_node_with_a_certificate_for_the_name_is_refused(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=identity.pin) as swapped:
        address = swapped.address
        swapped.root = KeyPair.generate()
        with pytest.raises(ProtocolError) as error:
            await client.ask("Hello?", node=address)
        assert error.value.requirement == "NODE-KEY-003"
        assert "Ask" not in swapped.methods


async def test_a_node_that_is_swapped_between_card_and_ask_gets_nothing(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=identity.pin) as node:
        await client.card(node.address)
    thief = make_identity(NAME)
    async with pinned_node(thief, pin=identity.pin, port=node.port) as swapped:
        with pytest.raises((ProtocolError, TransportError)):
            await client.ask("Hello?", node=node.address, timeout=5)
        assert "Ask" not in swapped.methods


async def test_a_certificate_renewed_to_the_next_pin_breaks_no_stream(client: Client, identity: Identity) -> None:
    renewed = make_identity(NAME)
    pinned = partial(pinned_node, pin=identity.pin, next_pin=renewed.pin)

    async def half(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        yield log.text("before, ")
        log.text("after")
        log.final()
        await asyncio.Event().wait()

    async with pinned(identity) as node:
        node.on_ask = half
        async with client.stream("Hello?", node=node.address) as stream:
            assert await anext(stream) == "before, "
            await node.stop()
            async with pinned(renewed, port=node.port, signing=node.signing, logs=node.logs) as again:
                assert (await stream.final()).text == "before, after"
                assert again.methods == ["ResumeAnswer"]


async def test_a_certificate_renewed_with_a_newer_card_breaks_no_stream(client: Client, identity: Identity) -> None:
    renewed = make_identity(NAME)

    async def half(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        yield log.text("before, ")
        log.text("after")
        log.final()
        await asyncio.Event().wait()

    async with pinned_node(identity, pin=identity.pin) as node:
        node.on_ask = half
        async with client.stream("Hello?", node=node.address) as stream:
            assert await anext(stream) == "before, "
            await node.stop()
            again = pinned_node(renewed, pin=renewed.pin, port=node.port, signing=node.signing, logs=node.logs)
            again.publish()
            async with again:
                assert (await stream.final()).text == "before, after"
                assert again.methods == ["GetNodeCard", "ResumeAnswer"]


async def test_a_renewed_certificate_is_met_by_a_new_ask(card_file: Path, identity: Identity) -> None:
    renewed = make_identity(NAME)
    async with Client(card_file=card_file, key=KeyPair.generate(), card_max_age=timedelta(0)) as client:
        async with pinned_node(identity, pin=identity.pin, next_pin=renewed.pin) as node:
            await client.ask("Hello?", node=node.address)
        async with pinned_node(renewed, pin=renewed.pin, port=node.port) as again:
            again.publish()
            assert (await client.ask("Hello?", node=node.address)).text == "Hello, world."


async def test_a_card_from_elsewhere_leads_to_its_pinned_endpoint(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=identity.pin) as node:
        (endpoint,) = node.endpoints
        node.endpoints = (
            Endpoint(uri=f"https://{node.authority}", tls_mode=TlsMode.PINNED, spki_sha256=endpoint.spki_sha256),
        )
        assert (await client.ask("Hello?", node=node.card())).text == "Hello, world."
        assert node.methods == ["Ask"]


async def test_an_endpoint_that_is_down_is_passed_over(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=identity.pin) as node:
        down = Endpoint(uri="https://127.0.0.1:1", tls_mode=TlsMode.PINNED, spki_sha256=identity.pin)
        up = Endpoint(uri=f"https://{node.authority}", tls_mode=TlsMode.PINNED, spki_sha256=identity.pin)
        node.endpoints = (down, up)
        assert (await client.ask("Hello?", node=node.card())).text == "Hello, world."


async def test_a_certificate_without_the_name_of_the_node_needs_a_public_authority(client: Client) -> None:
    stranger = make_identity("node.example")
    async with pinned_node(stranger, pin=stranger.pin) as node:
        for address in (node.address, f"https://{node.authority}"):
            with pytest.raises(UnreachableError):
                await client.card(address)
        assert node.methods == []


async def test_a_node_whose_certificate_a_known_authority_signed_is_reached(tmp_path: Path) -> None:
    """In a process of its own, because gRPC reads the authorities once per process."""
    authority = make_identity("authority.example", authority=True)
    (tmp_path / "roots.pem").write_bytes(authority.pem)
    identity = make_identity("localhost", issuer=authority)
    code = f"""
import asyncio
from pathlib import Path
from consilience import Client, KeyPair

async def main(address):
    async with Client(KeyPair.generate(), card_file=Path({str(tmp_path / "cards.sqlite")!r})) as client:
        print((await client.ask("Hello?", node=address)).text)

import sys
asyncio.run(main(sys.argv[1]))
"""
    async with pinned_node(identity, pin=identity.pin) as node:
        for address in (f"https://localhost:{node.port}", f"{node.node_id}@localhost:{node.port}"):
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                code,
                address,
                env={**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "roots.pem")},
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await child.communicate()
            assert output == b"Hello, world.\n"


async def test_an_address_that_says_tls_is_never_spoken_to_without(client: Client, node: ScriptedNode) -> None:
    async with proxied(node) as proxy:
        with pytest.raises(UnreachableError, match="TLS"):
            await client.card(f"https://127.0.0.1:{proxy.port}")
    assert node.methods == []


async def test_two_addresses_of_one_endpoint_share_its_connection(client: Client, identity: Identity) -> None:
    async with pinned_node(identity, pin=identity.pin) as node:
        for address in (node.address, node.authority, f"https://{node.authority}"):
            await client.ask("Hello?", node=address)
        assert len({call.peer for call in node.calls if call.method.endswith("/Ask")}) == 1


async def test_closing_a_client_leaves_the_connections_of_another_alone(card_file: Path, node: ScriptedNode) -> None:
    release = asyncio.Event()

    async def slow(call: AskCall) -> AsyncIterator[bytes]:
        events = [encoded async for encoded in greet(call)]
        yield events[0]
        await release.wait()
        for encoded in events[1:]:
            yield encoded

    node.on_ask = slow
    async with Client(KeyPair.generate(), card_file=card_file) as one:
        async with Client(KeyPair.generate(), card_file=card_file) as other:
            await other.card(node.address)
            stream = one.stream("Hello?", node=node.address)
            await stream.__aenter__()
        release.set()
        assert (await stream.final()).text == "Hello, world."
        await stream.__aexit__(None, None, None)
    assert "ResumeAnswer" not in node.methods
