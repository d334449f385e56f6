"""Finding: nodes are found by cards that hold, by the newest ones, and without a word of the question (4.4 to 4.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK
from consilience_conformance.client_side.checks import DATA_CLASS, REGISTRY, TRUSTED_NODES, ClientCheck
from consilience_conformance.client_side.forgeries import by_a_stranger, of_another_type, of_other_bytes, unsigned
from consilience_conformance.client_side.judging import calls, envelope_of, given_out
from consilience_conformance.client_side.readings import nothing_else, read_rightly, rejected_card
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.client_side.subjects import HOUR, Subject, enlarged
from consilience_conformance.records.made_up import DAY
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PRIVATE = "CONFIDENTIAL"
_LONG_WORD = 7
"""Characters of a word that does not stand in other bytes by chance."""


def _too_large(subject: Subject) -> SignedEnvelope:
    return enlarged(subject.shown(), by=subject.node.root)


def _of_another_type(subject: Subject) -> SignedEnvelope:
    return of_another_type(subject.shown(), seed=subject.node.root.seed)


async def _replayed(stage: ClientStage) -> None:
    """Shows a card, then an older one of the same node in one of two registries, and then in both."""
    registries = [await stage.registry(), await stage.registry()]
    await stage.open(registries=registries)
    subject = Subject()
    newest, older = subject.shown(), subject.shown(issued=subject.today - DAY)
    for step, served in (("before", (newest, newest)), ("in-one", (older, newest)), ("in-both", (older, older))):
        for registry, card in zip(registries, served, strict=True):
            registry.cards = [card]
        await stage.find(step, right=[newest])


def _judge_replayed(seen: Transcript) -> Iterator[Finding]:
    for step in ("before", "in-one"):
        yield from read_rightly(seen, step, requirement="NODE-CARD-004")
    for step in ("in-one", "in-both"):
        what = "a card after a newer one of its node was seen"
        yield from nothing_else(seen, step, requirement="NODE-CARD-004", what=what)


async def _two(stage: ClientStage) -> None:
    """Shows something else in each of two registries."""
    registries = [await stage.registry(), await stage.registry()]
    await stage.open(registries=registries)
    one, other = Subject(), Subject()
    for registry, subject in zip(registries, (one, other), strict=True):
        registry.cards, registry.records = [subject.shown()], [one.review()]
    await stage.find("nodes", right=[one.shown(), other.shown()])
    await stage.about("reviews", one.node.node_id, right=[registry.records[0].object for registry in registries])


def _judge_two(seen: Transcript) -> Iterator[Finding]:
    for name in ("nodes", "reviews"):
        yield from read_rightly(seen, name, requirement="REG-ASK-001")


async def _in_private(stage: ClientStage) -> None:
    """Has the user look for a node with a question that few may read, ask that question, and review the answer."""
    node, registry = await stage.node(), await stage.registry()
    registry.cards = [node.card]
    await stage.open(trusted=(node.identity.text,), registries=[registry])
    question = f"How many furlongs did patient {stage.random.randrange(10**11, 10**12)} walk in seventeen leagues?"
    await stage.find("found", right=[node.card], near=question, data_class=_PRIVATE)
    if "answered" in await stage.ask("asked", node, question=question, data_class=_PRIVATE):
        await stage.review("reviewed", asked="asked")
    stage.note("received", b"\n".join(registry.server.received).hex())


def _judge_private(seen: Transcript) -> Iterator[Finding]:
    yield from read_rightly(seen, "found", requirement="REG-PRIV-001")
    yield from given_out(seen, "asked", requirement="REG-PRIV-001")
    received = bytes.fromhex(str(seen.notes["received"])).lower()
    for what, secret in _secrets(seen):
        if any(form in received for form in (secret.lower(), secret.hex().encode())):
            yield Finding(
                requirement="REG-PRIV-001",
                message=f"a registry is sent {what} of an ask above PUBLIC",
                expected="nothing of it",
                got=secret.decode() if secret.isascii() else secret.hex(),
            )
            return


def _secrets(seen: Transcript) -> Iterator[tuple[str, bytes]]:
    """Yields what no registry may be sent: the question, its longer words, and what is computed of them."""
    questions: Any = seen.notes["questions"]
    question = str(questions["asked"])
    yield "the question", question.encode()
    for word in question.split():
        if len(word) >= _LONG_WORD:
            yield "a word", word.strip("?").encode()
    yield "the digest of the question", hashlib.sha256(question.encode()).digest()
    for exchange in calls(seen, "asked", ASK):
        envelope = envelope_of(exchange)
        yield "the digest", envelopes.envelope_digest(envelope)
        yield "the digest of the payload", hashlib.sha256(envelope.payload).digest()


CHECKS = (
    rejected_card("found-card-that-is-too-large", what="a card of more than 65536 bytes", make=_too_large),
    rejected_card(
        "found-card-without-signature",
        what="a card without a signature",
        make=lambda one: unsigned(one.shown()),
    ),
    rejected_card(
        "found-card-with-wrong-signature",
        what="a card whose signature does not verify",
        make=lambda one: of_other_bytes(one.shown()),
    ),
    rejected_card(
        "found-card-under-another-name", what="a card that is signed under another name", make=_of_another_type
    ),
    rejected_card(
        "found-card-signed-by-another",
        what="a card that another key than its root signed",
        make=lambda one: by_a_stranger(one.shown()),
    ),
    rejected_card(
        "found-card-with-a-broken-field",
        what="a card with a name of 129 characters",
        make=lambda one: one.shown(name="n" * 129),
    ),
    rejected_card(
        "found-card-without-core",
        what="a card without the profile core",
        make=lambda one: one.shown(profiles=[node_pb2.PROFILE_DURABLE]),
    ),
    rejected_card(
        "found-card-from-the-future",
        what="a card from the future",
        make=lambda one: one.shown(issued=one.now + HOUR),
    ),
    rejected_card(
        "found-card-that-expired",
        what="a card that has expired",
        make=lambda one: one.shown(issued=one.now - 2 * HOUR, lasting=HOUR),
    ),
    ClientCheck(
        name="found-card-that-is-old",
        title="A node is not found by a card after a newer one of it was seen, whichever registry serves it.",
        requirements=("NODE-CARD-004",),
        drive=_replayed,
        judge=_judge_replayed,
        needs=(REGISTRY,),
    ),
    ClientCheck(
        name="two-registries-are-asked",
        title="Nodes that one registry knows are found, and reviews that it has are read, though another lacks them.",
        requirements=("REG-ASK-001",),
        drive=_two,
        judge=_judge_two,
        needs=(REGISTRY,),
    ),
    ClientCheck(
        name="private-question-stays-here",
        title="No registry is sent a word or a digest of a question above PUBLIC, by which a node is found and asked.",
        requirements=("REG-PRIV-001",),
        drive=_in_private,
        judge=_judge_private,
        needs=(REGISTRY, DATA_CLASS, TRUSTED_NODES),
    ),
)
