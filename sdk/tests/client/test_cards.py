import asyncio
import gc
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience._wire.envelopes import seal
from consilience._wire.services import encode_card_response
from consilience.client import Client
from consilience.envelopes import Envelope
from consilience.errors import AddressInvalidError, AudienceWrongError, ProtocolError, UnreachableError
from consilience.identity import KeyPair, next_root_digest
from consilience.nodes import (
    Endpoint,
    KeyAcceptance,
    KeySuccession,
    NodeAddress,
    SigningKey,
    TlsMode,
)
from consilience.units import card_sequence, utc_now
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode, greet
from sdk.tests.client.wires import proxied, silent_port

ROOT = KeyPair.generate()


def succession(old: KeyPair, new: KeyPair, *, by: KeyPair | None = None) -> Envelope:
    acceptance = KeyAcceptance(old_node_id=old.public_key, new_node_id=new.public_key, issue_time=utc_now())
    signed = seal(acceptance, signer=new)
    handed_over = KeySuccession(old_node_id=old.public_key, acceptance=signed)
    return seal(handed_over, signer=by or old).envelope


async def test_a_card_is_fetched_once_while_it_is_young(client: Client, node: ScriptedNode) -> None:
    for _ in range(3):
        assert (await client.card(node.address)).value.node_id == node.root.public_key
    assert node.methods == ["GetNodeCard"]


async def test_callers_at_once_wait_for_one_fetch(client: Client, node: ScriptedNode) -> None:
    cards = await asyncio.gather(*(client.card(node.address) for _ in range(20)))
    assert len({card.digest for card in cards}) == 1
    assert node.methods == ["GetNodeCard"]


async def test_a_caller_that_gives_up_does_not_take_the_card_from_the_others(
    client: Client, node: ScriptedNode
) -> None:
    release = asyncio.Event()

    async def slow() -> bytes:
        await release.wait()
        return encode_card_response(node.card().envelope)

    node.on_card = slow
    impatient, patient = (asyncio.create_task(client.card(node.address)) for _ in range(2))
    await node.called["GetNodeCard"].wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    release.set()
    assert (await patient).value.node_id == node.root.public_key
    assert node.methods == ["GetNodeCard"]


async def test_a_fetch_that_fails_when_nobody_waits_any_more_is_not_complained_about(
    client: Client, node: ScriptedNode, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()

    async def garbage() -> bytes:
        await release.wait()
        return b"garbage"

    node.on_card = garbage
    impatient = asyncio.create_task(client.card(node.address))
    await node.called["GetNodeCard"].wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    release.set()
    node.on_card = None
    with pytest.raises(ProtocolError):
        await client.card(node.address)
    del impatient
    gc.collect()
    assert "was never retrieved" not in caplog.text


async def test_a_card_is_fetched_again_after_its_greatest_age(card_file: Path, node: ScriptedNode) -> None:
    async with Client(ROOT, card_file=card_file, card_max_age=timedelta(0)) as client:
        await client.card(node.address)
        await client.card(node.address)
    assert node.methods == ["GetNodeCard"] * 2


async def test_a_card_is_fetched_again_once_it_has_expired(card_file: Path, node: ScriptedNode) -> None:
    now = utc_now()
    async with Client(ROOT, card_file=card_file, clock=lambda: now) as client:
        await client.card(node.address)
        node.publish(lifetime=timedelta(hours=3))
        now += timedelta(hours=2)
        assert (await client.card(node.address)).digest == node.card().digest


async def test_the_connection_is_kept_when_a_card_is_fetched_again(card_file: Path, node: ScriptedNode) -> None:
    async with Client(ROOT, card_file=card_file, card_max_age=timedelta(0)) as client, proxied(node) as proxy:
        for _ in range(3):
            await client.card(proxy.address)
        assert proxy.connections == 2  # one to look for TLS, one to talk


async def test_a_card_that_was_had_elsewhere_leads_to_its_node(client: Client, node: ScriptedNode) -> None:
    assert (await client.ask("Hello?", node=node.card())).text == "Hello, world."
    assert node.methods == ["Ask"]


async def test_a_card_from_elsewhere_that_has_expired_is_refused(client: Client, node: ScriptedNode) -> None:
    node.lifetime = timedelta(minutes=-5)
    with pytest.raises(ProtocolError) as error:
        await client.card(node.card())
    assert error.value.requirement == "NODE-CARD-005"
    assert re.search(r"expired at \S+ \S+, and it is \S+ \S+ UTC here", str(error.value)), "a clock may be wrong"


@pytest.mark.parametrize("form", ["{node_id}@{authority}", "{authority}", "http://{authority}", "localhost:{port}"])
async def test_a_node_of_this_machine_is_reached_by_any_form_of_its_address(
    client: Client, node: ScriptedNode, form: str
) -> None:
    address = form.format(node_id=node.node_id, authority=node.authority, port=node.port)
    assert (await client.card(address)).value.node_id == node.root.public_key
    assert (await client.card(NodeAddress.parse(address))).value.node_id == node.root.public_key


@pytest.mark.parametrize("address", ["", "nonsense", "node.example:7341", "cn1short@127.0.0.1:1", "ftp://127.0.0.1:1"])
async def test_an_address_that_cannot_be_trusted_is_refused(client: Client, address: str) -> None:
    with pytest.raises(AddressInvalidError):
        await client.card(address)


async def test_a_node_that_is_not_there_is_unreachable(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
        with pytest.raises(UnreachableError):
            await client.card(address)


async def test_a_silent_port_is_unreachable_after_the_time_allowed(card_file: Path) -> None:
    async with silent_port() as port, Client(ROOT, card_file=card_file, call_timeout=0.2) as client:
        for address in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"):
            with pytest.raises(UnreachableError):
                await client.card(address)


async def test_a_failed_fetch_is_not_remembered(client: Client, node: ScriptedNode) -> None:
    async def nothing() -> bytes:
        return b""

    node.on_card = nothing
    with pytest.raises(ProtocolError):
        await client.card(node.address)
    node.on_card = None
    assert (await client.card(node.address)).value.node_id == node.root.public_key


Bend = Callable[[ScriptedNode], bytes]


def bent(bend: Callable[[Envelope], Envelope]) -> Bend:
    return lambda node: encode_card_response(bend(node.card().envelope))


def card_with(**changes: Any) -> Bend:
    return lambda node: encode_card_response(seal(replace(node.card_value(), **changes), signer=node.root).envelope)


def card_by_another_key(node: ScriptedNode) -> bytes:
    return encode_card_response(seal(node.card_value(), signer=KeyPair.generate()).envelope)


def card_of_another_node(node: ScriptedNode) -> bytes:
    return encode_card_response(ScriptedNode(endpoints=node.endpoints).card().envelope)


NOW = utc_now()

BREACHES: dict[str, tuple[Bend, str]] = {
    "no card": (lambda _: b"", "ERR-FLD-001"),
    "garbage": (lambda _: b"\xff\xff", "ERR-FLD-001"),
    "no signature": (bent(lambda envelope: replace(envelope, signature=b"")), "SIG-ENV-003"),
    "a wrong bit": (
        bent(lambda envelope: replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:])),
        "SIG-ENV-001",
    ),
    "another type": (bent(lambda envelope: replace(envelope, payload_type="consilience.v1.Answer")), "SIG-ENV-004"),
    "another key": (card_by_another_key, "SIG-ENV-005"),
    "another node": (card_of_another_node, "NODE-KEY-003"),
    "from the future": (card_with(sequence=card_sequence(NOW + timedelta(hours=1))), "NODE-CARD-003"),
    "expired": (card_with(expire_time=NOW - timedelta(minutes=1)), "NODE-CARD-005"),
    "too large": (card_with(description="x" * 70000), "NODE-CARD-002"),
    "not core": (card_with(profiles=()), "NODE-CARD-006"),
    "an endless key": (
        card_with(signing_keys=(SigningKey(public_key=ROOT.public_key, expire_time=NOW + timedelta(days=40)),)),
        "NODE-KEY-001",
    ),
    "plain over the network": (
        card_with(endpoints=(Endpoint(uri="http://192.0.2.1:80", tls_mode=TlsMode.LOOPBACK_PLAIN),)),
        "NODE-TLS-003",
    ),
    "no endpoint": (card_with(endpoints=()), "ERR-FLD-001"),
    "no skill": (card_with(skills=()), "ERR-FLD-001"),
    "an endpoint that is none": (
        card_with(endpoints=(Endpoint(uri="http://[::1", tls_mode=TlsMode.LOOPBACK_PLAIN),)),
        "ERR-FLD-001",
    ),
    "a port that is none": (
        card_with(endpoints=(Endpoint(uri="https://node.example:99999", tls_mode=TlsMode.WEBPKI),)),
        "ERR-FLD-001",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_card_that_does_not_hold_is_told_by_its_requirement(
    client: Client, node: ScriptedNode, breach: str
) -> None:
    bend, requirement = BREACHES[breach]

    async def bent_card() -> bytes:
        return bend(node)

    node.on_card = bent_card
    with pytest.raises(ProtocolError) as error:
        await client.ask("Hello?", node=node.address)
    assert error.value.requirement == requirement
    assert "Ask" not in node.methods


async def test_a_node_is_not_rolled_back_within_a_run(card_file: Path, node: ScriptedNode) -> None:
    async with Client(ROOT, card_file=card_file, card_max_age=timedelta(0)) as client:
        old = node.issue_time
        node.publish()
        await client.card(node.address)
        node.issue_time = old
        with pytest.raises(ProtocolError) as error:
            await client.card(node.address)
    assert error.value.requirement == "NODE-CARD-004"


async def test_a_node_is_not_rolled_back_across_runs(card_file: Path, node: ScriptedNode) -> None:
    old = node.issue_time
    node.publish()
    async with Client(ROOT, card_file=card_file) as client:
        await client.card(node.address)
    node.issue_time = old
    async with Client(ROOT, card_file=card_file) as client:
        with pytest.raises(ProtocolError) as error:
            await client.card(node.address)
    assert error.value.requirement == "NODE-CARD-004"


async def test_a_card_that_was_held_gives_way_to_a_newer_one_that_was_seen(card_file: Path, node: ScriptedNode) -> None:
    """The node has renewed its card, and another program of the user has met it since."""
    held = node.card()
    node.publish()
    async with Client(ROOT, card_file=card_file) as other:
        await other.card(node.address)
    async with Client(ROOT, card_file=card_file) as client:
        assert (await client.card(held)).digest == node.card().digest
        assert (await client.ask("Hello?", node=held)).text


async def test_a_card_that_another_address_has_outdated_is_not_used_again(client: Client, node: ScriptedNode) -> None:
    await client.card(node.address)
    node.publish()
    newer = await client.card(f"http://{node.authority}")
    assert (await client.card(node.address)).digest == newer.digest
    assert node.methods == ["GetNodeCard"] * 3


async def refuse_the_old(call: AskCall) -> AsyncIterator[bytes]:
    """Refuses what is for another node, as every node does."""
    if call.ask.value.header.audience != call.log.node.root.public_key:
        raise AudienceWrongError("the header is for another node")
    async for encoded in greet(call):
        yield encoded


async def test_another_node_on_this_machine_is_met_where_none_was_named(client: Client, node: ScriptedNode) -> None:
    await client.ask("Hello?", node=node.authority)
    node.root, node.on_ask = KeyPair.generate(), refuse_the_old
    result = await client.ask("Hello?", node=node.authority)
    assert result.node.value.node_id == node.root.public_key


async def test_another_node_is_not_met_where_one_was_named(client: Client, node: ScriptedNode) -> None:
    await client.ask("Hello?", node=node.address)
    address = node.address
    node.root, node.on_ask = KeyPair.generate(), refuse_the_old
    with pytest.raises(ProtocolError) as error:
        await client.ask("Hello?", node=address)
    assert error.value.requirement == "NODE-KEY-003"


class TestSuccession:
    """A node hands over to a root key that its newest card commits to."""

    OLD, NEW, NEWEST, THIEF = (KeyPair.generate() for _ in range(4))

    async def seen(self, card_file: Path, key: KeyPair, *, commits_to: KeyPair | None) -> None:
        """Lets the client see the card of a key."""
        digest = next_root_digest(commits_to.public_key) if commits_to else b""
        async with ScriptedNode(root=key, next_root_digest=digest) as node, Client(ROOT, card_file=card_file) as client:
            await client.card(node.address)

    async def ask_as(self, card_file: Path, node: ScriptedNode) -> str:
        old = ScriptedNode(root=self.OLD, port=node.port)
        async with Client(ROOT, card_file=card_file) as client:
            return (await client.ask("Hello?", node=old.address)).text

    async def test_the_key_that_the_old_card_commits_to_is_followed(self, card_file: Path) -> None:
        await self.seen(card_file, self.OLD, commits_to=self.NEW)
        async with ScriptedNode(root=self.NEW, successions=(succession(self.OLD, self.NEW),)) as node:
            assert await self.ask_as(card_file, node) == "Hello, world."

    async def test_two_steps_are_followed_where_both_cards_were_seen(self, card_file: Path) -> None:
        await self.seen(card_file, self.OLD, commits_to=self.NEW)
        await self.seen(card_file, self.NEW, commits_to=self.NEWEST)
        steps = (succession(self.OLD, self.NEW), succession(self.NEW, self.NEWEST))
        async with ScriptedNode(root=self.NEWEST, successions=steps) as node:
            assert await self.ask_as(card_file, node) == "Hello, world."

    async def test_a_node_with_more_former_keys_than_a_response_holds_is_not_followed(self, card_file: Path) -> None:
        await self.seen(card_file, self.OLD, commits_to=self.NEW)
        steps = (succession(self.OLD, self.NEW),) * 17
        async with ScriptedNode(root=self.NEW, successions=steps) as node:
            with pytest.raises(ProtocolError, match="ERR-FLD-001"):
                await self.ask_as(card_file, node)

    @pytest.mark.parametrize(
        ("commits_to", "chain"),
        [
            ("thief", "old to new"),
            (None, "old to new"),
            ("new", "none"),
            ("new", "signed by a thief"),
            ("new", "of another node"),
            ("new", "through a key never seen"),
        ],
    )
    async def test_a_step_that_the_old_card_does_not_commit_to_is_refused(
        self, card_file: Path, commits_to: str | None, chain: str
    ) -> None:
        keys = {"new": self.NEW, "thief": self.THIEF}
        await self.seen(card_file, self.OLD, commits_to=keys[commits_to] if commits_to else None)
        chains: dict[str, tuple[KeyPair, tuple[Envelope, ...]]] = {
            "old to new": (self.NEW, (succession(self.OLD, self.NEW),)),
            "none": (self.NEW, ()),
            "signed by a thief": (self.NEW, (succession(self.OLD, self.NEW, by=self.THIEF),)),
            "of another node": (self.NEW, (succession(self.THIEF, self.NEW),)),
            "through a key never seen": (
                self.NEWEST,
                (succession(self.OLD, self.NEW), succession(self.NEW, self.NEWEST)),
            ),
        }
        root, successions = chains[chain]
        async with ScriptedNode(root=root, successions=successions) as node:
            with pytest.raises(ProtocolError) as error:
                await self.ask_as(card_file, node)
            assert "Ask" not in node.methods
        assert error.value.requirement == ("SIG-ENV-005" if chain == "signed by a thief" else "NODE-KEY-003")

    async def test_a_node_that_hands_over_while_it_is_asked_is_followed(self, client: Client) -> None:
        commitment = next_root_digest(self.NEW.public_key)
        async with ScriptedNode(root=self.OLD, next_root_digest=commitment) as node:
            await client.ask("Hello?", node=node.address)
            address = node.address
            node.root, node.successions, node.on_ask = self.NEW, (succession(self.OLD, self.NEW),), refuse_the_old
            result = await client.ask("Hello?", node=address)
        assert result.node.value.node_id == self.NEW.public_key
        assert node.methods == ["GetNodeCard", "Ask", "Ask", "GetNodeCard", "Ask"]

    async def test_a_node_that_was_never_seen_cannot_hand_over(self, card_file: Path) -> None:
        async with ScriptedNode(root=self.NEW, successions=(succession(self.OLD, self.NEW),)) as node:
            with pytest.raises(ProtocolError) as error:
                await self.ask_as(card_file, node)
        assert error.value.requirement == "NODE-KEY-003"
