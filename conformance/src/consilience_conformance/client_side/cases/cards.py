"""Cards: one that fails the checks of spec section 1.2 is not used for anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.forgeries import (
    UNKNOWN_FIELD,
    by_a_stranger,
    malleable,
    of_another_type,
    of_other_bytes,
    unsigned,
    with_other_bytes,
)
from consilience_conformance.client_side.nodes import Identity, Node
from consilience_conformance.client_side.twins import accepted_card, rejected_card
from consilience_conformance.wire_values import timestamp

_MAX_CARD_BYTES = 65536


def _microseconds(time: datetime) -> int:
    return int(time.timestamp() * 10**6)


def _sealed(change: Callable[[SignedEnvelope], SignedEnvelope]) -> Callable[[Node], None]:
    def show(node: Node) -> None:
        node.card = change(node.card)

    return show


def _signed(change: Callable[[node_pb2.NodeCard], None]) -> Callable[[Node], None]:
    def show(node: Node) -> None:
        card = node_pb2.NodeCard.FromString(node.card.payload)
        change(card)
        node.show(card)

    return show


def _under_another_name(node: Node) -> None:
    node.card = of_another_type(node.card, seed=node.identity.root)


def _of_another_node(node: Node) -> None:
    """Shows a right card of somebody else, who signs the answers as well."""
    named = node.identity
    other = Identity.new()
    node.card = envelopes.seal(other.card(node.plain_endpoint()), seed=other.root)
    node.identity, node.named = other, named


def _from_the_future(card: node_pb2.NodeCard) -> None:
    card.sequence = _microseconds(datetime.now(UTC) + timedelta(hours=1))


def _expired(card: node_pb2.NodeCard) -> None:
    now = datetime.now(UTC)
    card.sequence = _microseconds(now - timedelta(days=8))
    card.expire_time.CopyFrom(timestamp(now - timedelta(hours=1)))


def _too_large(card: node_pb2.NodeCard) -> None:
    for number in range(_MAX_CARD_BYTES // 1000):
        card.skills.add(id=f"skill-{number}", description="a" * 1000)


def _without_core(card: node_pb2.NodeCard) -> None:
    card.profiles[:] = [node_pb2.PROFILE_DURABLE]


def _with_a_long_lived_key(card: node_pb2.NodeCard) -> None:
    card.signing_keys[0].expire_time.CopyFrom(timestamp(datetime.now(UTC) + timedelta(days=31)))


def _with_a_plain_endpoint_elsewhere(card: node_pb2.NodeCard) -> None:
    card.endpoints.add(uri="http://192.0.2.7:7341", tls_mode=node_pb2.TLS_MODE_LOOPBACK_PLAIN)


def _in_other_bytes(node: Node) -> None:
    card = node_pb2.NodeCard.FromString(node.card.payload)
    node.card = with_other_bytes(card, last_first="profiles", seed=node.identity.root)


def _newer(node: Node) -> None:
    card = node_pb2.NodeCard.FromString(node.card.payload)
    card.MergeFromString(UNKNOWN_FIELD)
    card.skills[0].MergeFromString(UNKNOWN_FIELD)
    node.show(card)
    node.card_suffix = UNKNOWN_FIELD


def _rejected(name: str, *, requirement: str, what: str, change: Callable[[Node], None]) -> ClientCheck:
    title = f"A node with {what} is not asked."
    return rejected_card(name, title=title, requirement=requirement, what=what, change=change)


CHECKS = (
    _rejected(
        "card-without-signature", requirement="SIG-ENV-003", what="a card without a signature", change=_sealed(unsigned)
    ),
    _rejected(
        "card-with-wrong-signature",
        requirement="SIG-ENV-001",
        what="a card whose signature does not verify",
        change=_sealed(of_other_bytes),
    ),
    _rejected(
        "card-with-malleable-signature",
        requirement="SIG-ENV-001",
        what="a card whose signature was raised by the group order",
        change=_sealed(malleable),
    ),
    _rejected(
        "card-under-another-name",
        requirement="SIG-ENV-004",
        what="a card that is signed under another name",
        change=_under_another_name,
    ),
    _rejected(
        "card-signed-by-another",
        requirement="SIG-ENV-005",
        what="a card that another key than its root signed",
        change=_sealed(by_a_stranger),
    ),
    accepted_card(
        "card-in-unusual-bytes",
        title="A card is verified as it came: another order of fields changes nothing.",
        requirement="SIG-ENV-002",
        change=_in_other_bytes,
    ),
    accepted_card(
        "card-with-unknown-fields",
        title="Fields of a newer version, in the card and around it, are passed over.",
        requirement="VER-FLD-001",
        change=_newer,
    ),
    _rejected(
        "card-of-another-node",
        requirement="NODE-TLS-004",
        what="the card of another node than the address names",
        change=_of_another_node,
    ),
    _rejected(
        "card-from-the-future",
        requirement="NODE-CARD-003",
        what="a card from the future",
        change=_signed(_from_the_future),
    ),
    _rejected(
        "card-that-expired", requirement="NODE-CARD-005", what="a card that has expired", change=_signed(_expired)
    ),
    _rejected(
        "card-that-is-too-large",
        requirement="NODE-TLS-004",
        what="a card of more than 65536 bytes",
        change=_signed(_too_large),
    ),
    _rejected(
        "card-without-core",
        requirement="NODE-TLS-004",
        what="a card without the profile core",
        change=_signed(_without_core),
    ),
    _rejected(
        "card-with-a-long-lived-key",
        requirement="NODE-TLS-004",
        what="a card whose signing key lives longer than 30 days",
        change=_signed(_with_a_long_lived_key),
    ),
    _rejected(
        "card-with-a-plain-endpoint-elsewhere",
        requirement="NODE-TLS-003",
        what="a card with an endpoint without TLS on another machine",
        change=_signed(_with_a_plain_endpoint_elsewhere),
    ),
)
