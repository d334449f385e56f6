"""Transport: which certificate is trusted, and what is sent before anything is (spec section 1.4)."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import node_pb2
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.judging import given_out, not_given_out, nothing_sent
from consilience_conformance.client_side.nodes import Identity, Node
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.peers.certificates import self_signed
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding


async def _pinned(stage: ClientStage) -> Node:
    """Starts a node with a certificate of its own, which its card pins."""
    identity = Identity.new()
    return await stage.node(identity, certificate=self_signed(identity.text))


async def _first_contact(stage: ClientStage) -> None:
    await stage.ask("pinned", await _pinned(stage))
    await stage.ask("plain", await stage.node())


def _judge_first_contact(seen: Transcript) -> Iterator[Finding]:
    for name in ("pinned", "plain"):
        yield from given_out(seen, name, requirement="NODE-TLS-004")
        card_at: float | None = None
        for exchange in seen.named(f"{name}/"):
            is_card = exchange.method == GET_NODE_CARD
            if not is_card and (card_at is None or exchange.began < card_at):
                yield Finding(
                    requirement="NODE-TLS-004",
                    message="a first contact sends something else before it has the card",
                    expected=GET_NODE_CARD,
                    got=exchange.method,
                    exchange=exchange.name,
                )
                break
            if is_card and card_at is None and exchange.responses:
                card_at = exchange.responses[0].at


async def _another_pin(stage: ClientStage) -> None:
    right, wrong = await _pinned(stage), await _pinned(stage)
    card = node_pb2.NodeCard.FromString(wrong.card.payload)
    card.endpoints[0].spki_sha256 = self_signed(wrong.identity.text).pin
    wrong.show(card)
    await stage.ask("before", right)
    await stage.ask("defect", wrong)
    await stage.ask("after", right)


def _judge_another_pin(seen: Transcript) -> Iterator[Finding]:
    what = "a certificate that its card does not pin"
    yield from given_out(seen, "before", requirement="NODE-TLS-001")
    yield from nothing_sent(seen, "defect", requirement="NODE-TLS-001", why=f"to a node with {what}")
    yield from not_given_out(seen, "defect", requirement="NODE-TLS-001", what=f"the answer of a node with {what}")
    yield from given_out(seen, "after", requirement="NODE-TLS-001")


async def _swapped_key(stage: ClientStage) -> None:
    """Another server takes the port over, with another key, the same card, and the keys of the node besides."""
    node, right = await _pinned(stage), await _pinned(stage)
    await stage.ask("before", node)
    await node.server.stop()
    swapped = await stage.node(node.identity, certificate=self_signed(node.identity.text), port=node.server.port)
    swapped.card = node.card
    await stage.ask("defect", swapped)
    await stage.ask("after", right)


def _judge_swapped_key(seen: Transcript) -> Iterator[Finding]:
    what = "a node whose certificate was replaced by one that its card does not pin"
    yield from given_out(seen, "before", requirement="NODE-TLS-001")
    yield from nothing_sent(seen, "defect", requirement="NODE-TLS-001", why=f"to {what}")
    yield from not_given_out(seen, "defect", requirement="NODE-TLS-001", what=f"the answer of {what}")
    yield from given_out(seen, "after", requirement="NODE-TLS-001")


CHECKS = (
    ClientCheck(
        name="first-contact-asks-for-the-card-alone",
        title="A first contact sends nothing but GetNodeCard until it has the card.",
        requirements=("NODE-TLS-004",),
        drive=_first_contact,
        judge=_judge_first_contact,
    ),
    ClientCheck(
        name="pin-that-does-not-match",
        title="A node whose certificate its own card does not pin is not asked.",
        requirements=("NODE-TLS-001",),
        drive=_another_pin,
        judge=_judge_another_pin,
    ),
    ClientCheck(
        name="key-that-was-swapped",
        title="A node that was asked before is not asked any more once another key answers at its port.",
        requirements=("NODE-TLS-001",),
        drive=_swapped_key,
        judge=_judge_swapped_key,
    ),
)
