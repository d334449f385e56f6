"""History: names, older cards and successors: which node a client takes for which, and by which card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.forgeries import STRANGER, unsigned
from consilience_conformance.client_side.judging import (
    calls,
    envelope_of,
    given_out,
    not_given_out,
    nothing_sent,
)
from consilience_conformance.client_side.nodes import Identity, Node
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_NAMES = ("capitals", "padded", "spaced", "spare-bits")


async def _ask_under_other_names(stage: ClientStage) -> None:
    node = await stage.node()
    name = node.identity.text
    last = _ALPHABET[_ALPHABET.index(name[-1]) + 1]
    await stage.ask("before", node)
    for what, written in zip(
        _NAMES, (f"cn1{name[3:].upper()}", f"{name}====", f" {name}", f"{name[:-1]}{last}"), strict=True
    ):
        await stage.ask(what, node, address=f"{written}@{node.authority}")
    await stage.ask("after", node)


def _judge_names(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="NODE-ID-001")
    for name in _NAMES:
        what = f"an answer of a node whose id is written otherwise ({name})"
        yield from not_given_out(seen, name, requirement="NODE-ID-001", what=what)
    yield from given_out(seen, "after", requirement="NODE-ID-001")


def _cards(node: Node, *, step: int) -> list[SignedEnvelope]:
    """Returns two cards of a node, the one that loses first: by sequence, or where that is the same by digest."""
    card = node_pb2.NodeCard.FromString(node.card.payload)
    other = node_pb2.NodeCard.FromString(node.card.payload)
    other.sequence -= step
    other.description = "another"
    sealed = [envelopes.seal(one, seed=node.identity.root) for one in (card, other)]
    return sorted(
        sealed,
        key=lambda one: (-node_pb2.NodeCard.FromString(one.payload).sequence, envelopes.envelope_digest(one)),
        reverse=True,
    )


async def _two_cards(stage: ClientStage, *, step: int) -> None:
    """Shows the card that wins at one address, then the one that loses at another."""
    one = await stage.node()
    other = await stage.node(one.identity)
    loser, winner = _cards(one, step=step)
    one.card, other.card = winner, loser
    stage.transcript.card = winner.SerializeToString()
    await stage.ask("winner", one)
    await stage.ask("loser", other)
    other.card = winner
    await stage.ask("after", other)


async def _older_card(stage: ClientStage) -> None:
    await _two_cards(stage, step=60 * 10**6)


async def _card_of_the_same_time(stage: ClientStage) -> None:
    await _two_cards(stage, step=0)


def _judge_cards(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "winner", requirement="NODE-CARD-004")
    winner = envelopes.envelope_digest(SignedEnvelope.FromString(seen.card))
    for exchange in calls(seen, "loser", ASK):
        named = ask_pb2.Ask.FromString(envelope_of(exchange).payload).card_digest
        if named != winner:
            yield Finding(
                requirement="NODE-CARD-004",
                message="an ask relies on a card after another one that wins against it was seen",
                expected=winner.hex(),
                got=named.hex(),
                exchange=exchange.name,
            )
    yield from given_out(seen, "after", requirement="NODE-CARD-004")


def _recommitted(node: Node, *, to: bytes) -> SignedEnvelope:
    """Returns a newer card of a node, which commits to another next root key, by its `next_root_digest`."""
    card = node_pb2.NodeCard.FromString(node.card.payload)
    card.sequence += 1
    card.next_root_digest = to
    return envelopes.seal(card, seed=node.identity.root)


async def _changed_commitments(stage: ClientStage) -> None:
    """Shows a card that commits, then newer ones at other addresses that say otherwise; one hands over besides."""
    one = await stage.node()
    await stage.ask("before", one)
    thief, changed = Identity.new(), {}
    for name, to in (("to-another", hashlib.sha256(thief.node_id).digest()), ("to-none", b"")):
        other = await stage.node(one.identity)
        other.card = _recommitted(one, to=to)
        changed[name] = envelopes.envelope_digest(other.card).hex()
        await stage.ask(name, other)
    stage.note("changed", dict(changed))
    handed_over = _succession(one.identity, thief)
    await _succeed(stage, "thief", old=one, new=thief, successions=[handed_over])
    await stage.ask("after", one)


def _judge_changed_commitments(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="NODE-KEY-005")
    changed = cast("dict[str, str]", seen.notes["changed"])
    for name, digest in changed.items():
        for exchange in calls(seen, name, ASK):
            named = ask_pb2.Ask.FromString(envelope_of(exchange).payload).card_digest.hex()
            if named == digest:
                yield Finding(
                    requirement="NODE-KEY-005",
                    message="an ask relies on a card that commits otherwise than one that was seen",
                    expected="no ask, or one that relies on the card seen before",
                    got=named,
                    exchange=exchange.name,
                )
    what = "to a successor to whom a changed commitment leads"
    yield from nothing_sent(seen, "thief", requirement="NODE-KEY-005", why=what)
    yield from given_out(seen, "after", requirement="NODE-KEY-005")


def _succession(old: Identity, new: Identity, *, signer: bytes | None = None, consents: bool = True) -> SignedEnvelope:
    """Returns the hand-over of a node; `signer` is the seed of whoever signs it in place of the old root."""
    acceptance = envelopes.seal(
        node_pb2.KeyAcceptance(
            old_node_id=old.node_id, new_node_id=new.node_id, issue_time=timestamp(datetime.now(UTC))
        ),
        seed=new.root,
    )
    succession = node_pb2.KeySuccession(
        old_node_id=old.node_id, acceptance=acceptance if consents else unsigned(acceptance)
    )
    if signer is None:
        return envelopes.seal(succession, seed=old.root)
    return envelopes.seal(succession, seed=signer)


async def _succeed(
    stage: ClientStage, name: str, *, old: Node, new: Identity, successions: Sequence[SignedEnvelope]
) -> Node:
    """Starts the successor of a node, and sends the client to it under the name of the old one."""
    node = await stage.node(new)
    node.named = old.identity
    node.successions = list(successions)
    await stage.ask(name, node)
    node.named = None
    return node


async def _false_successors(stage: ClientStage) -> None:
    old = await stage.node()
    await stage.ask("before", old)
    right, other = old.identity.successor, Identity.new()
    await _succeed(stage, "no-succession", old=old, new=right, successions=())
    uncommitted = _succession(old.identity, other)
    await _succeed(stage, "uncommitted", old=old, new=other, successions=[uncommitted])
    by_a_stranger = _succession(old.identity, right, signer=STRANGER)
    await _succeed(stage, "by-a-stranger", old=old, new=right, successions=[by_a_stranger])
    without_consent = _succession(old.identity, right, consents=False)
    await _succeed(stage, "without-consent", old=old, new=right, successions=[without_consent])
    never_met = await stage.node()
    heir = never_met.identity.successor
    handed_over = _succession(never_met.identity, heir)
    await _succeed(stage, "never-met", old=never_met, new=heir, successions=[handed_over])
    await stage.ask("after", old)


_FALSE = {
    "no-succession": "that shows no succession",
    "uncommitted": "to whose key the old card does not commit",
    "by-a-stranger": "whose succession the old root did not sign",
    "without-consent": "who did not sign the consent",
    "never-met": "of a node whose card was never seen",
}


def _judge_false_successors(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="NODE-KEY-003")
    for name, what in _FALSE.items():
        yield from nothing_sent(seen, name, requirement="NODE-KEY-003", why=f"to a successor {what}")
        yield from not_given_out(seen, name, requirement="NODE-KEY-003", what=f"the answer of a successor {what}")
    yield from given_out(seen, "after", requirement="NODE-KEY-003")


async def _true_successor(stage: ClientStage) -> None:
    old = await stage.node()
    await stage.ask("before", old)
    new = old.identity.successor
    node = await _succeed(stage, "followed", old=old, new=new, successions=[_succession(old.identity, new)])
    stage.note("newNode", new.node_id.hex())
    await stage.ask("after", node)


def _judge_true_successor(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="NODE-KEY-003")
    for exchange in calls(seen, "followed", ASK):
        audience = ask_pb2.Ask.FromString(envelope_of(exchange).payload).header.audience.hex()
        if audience != seen.notes["newNode"]:
            yield Finding(
                requirement="NODE-KEY-003",
                message="a client that follows a succession goes on asking the old key",
                expected=str(seen.notes["newNode"]),
                got=audience,
                exchange=exchange.name,
            )
    if calls(seen, "followed", ASK):
        yield from given_out(seen, "followed", requirement="NODE-KEY-003")
    yield from given_out(seen, "after", requirement="NODE-KEY-003")


CHECKS = (
    ClientCheck(
        name="node-id-in-another-form",
        title="A text that is not exactly the text form of a key is no address: capitals, padding, spaces, spare bits.",
        requirements=("NODE-ID-001",),
        drive=_ask_under_other_names,
        judge=_judge_names,
    ),
    ClientCheck(
        name="older-card-is-not-used",
        title="After a newer card was seen, no ask relies on an older one, wherever it is shown.",
        requirements=("NODE-CARD-004",),
        drive=_older_card,
        judge=_judge_cards,
    ),
    ClientCheck(
        name="larger-digest-loses",
        title="Of two cards of one sequence, no ask relies on the one with the larger digest once both were seen.",
        requirements=("NODE-CARD-004",),
        drive=_card_of_the_same_time,
        judge=_judge_cards,
    ),
    ClientCheck(
        name="changed-commitment-is-not-believed",
        title="No ask relies on a card that commits to another next root key than one seen before, or to none.",
        requirements=("NODE-KEY-005",),
        drive=_changed_commitments,
        judge=_judge_changed_commitments,
    ),
    ClientCheck(
        name="false-successor-is-not-followed",
        title="A root key that the old one did not hand over to is not taken for its successor.",
        requirements=("NODE-KEY-003",),
        drive=_false_successors,
        judge=_judge_false_successors,
    ),
    ClientCheck(
        name="successor-is-asked-by-its-own-key",
        title="A client that follows a succession asks the new root key; one that does not can be sent to it by name.",
        requirements=("NODE-KEY-003",),
        drive=_true_successor,
        judge=_judge_true_successor,
    ),
)
