"""Successions: a hand-over that fails a step of spec section 4.4 is not read, whatever registry serves it."""

from __future__ import annotations

from dataclasses import replace

from consilience.v1 import node_pb2, registry_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.forgeries import by_a_stranger, of_other_bytes, unsigned
from consilience_conformance.client_side.readings import Make, rejected_record
from consilience_conformance.client_side.subjects import HOUR, Subject, enlarged
from consilience_conformance.records.made_up import MadeUpNode


def _without_consent(subject: Subject) -> registry_pb2.Record:
    def forge(sealed: SignedEnvelope) -> SignedEnvelope:
        succession = node_pb2.KeySuccession.FromString(sealed.payload)
        succession.acceptance.CopyFrom(of_other_bytes(succession.acceptance))
        return subject.node.root.seal(succession)

    return subject.succession(sealed=forge)


def _beside_no_card(subject: Subject) -> registry_pb2.Record:
    return registry_pb2.Record(object=subject.succession().object)


def _beside_the_card_of_another(subject: Subject) -> registry_pb2.Record:
    """Returns a hand-over beside the card of a node that commits to the same key."""
    other = replace(MadeUpNode.new(), successor=subject.node.successor)
    return subject.succession(beside=replace(subject, node=other).shown())


def _rejected(name: str, *, what: str, make: Make) -> ClientCheck:
    return rejected_record(name, what=f"a succession {what}", right=Subject.succession, make=make)


CHECKS = (
    _rejected(
        "succession-that-is-too-large",
        what="of more than 65536 bytes",
        make=lambda one: one.succession(sealed=lambda envelope: enlarged(envelope, by=one.node.root)),
    ),
    _rejected(
        "succession-without-signature",
        what="without a signature",
        make=lambda one: one.succession(sealed=unsigned),
    ),
    _rejected(
        "succession-with-wrong-signature",
        what="whose signature does not verify",
        make=lambda one: one.succession(sealed=of_other_bytes),
    ),
    _rejected(
        "succession-signed-by-another",
        what="that another key than the old root signed",
        make=lambda one: one.succession(sealed=by_a_stranger),
    ),
    _rejected("succession-without-consent", what="whose acceptance carries a forged signature", make=_without_consent),
    _rejected(
        "succession-to-another-node",
        what="whose acceptance names another node than the old one",
        make=lambda one: one.succession(old_node_id=MadeUpNode.new().node_id),
    ),
    _rejected(
        "succession-from-the-future",
        what="from the future",
        make=lambda one: one.succession(issued=one.now + HOUR),
    ),
    _rejected(
        "succession-to-an-unknown-key",
        what="to a key that the card beside it does not commit to",
        make=lambda one: one.succession(heir=Caller.new()),
    ),
    _rejected("succession-beside-no-card", what="without a card beside it", make=_beside_no_card),
    _rejected(
        "succession-beside-the-card-of-another",
        what="beside the card of another node",
        make=_beside_the_card_of_another,
    ),
    _rejected(
        "succession-beside-a-later-card",
        what="beside a card that was issued after it",
        make=lambda one: one.succession(issued=one.now - 2 * HOUR, beside=one.shown(issued=one.now - HOUR)),
    ),
    _rejected(
        "succession-beside-a-forged-card",
        what="beside a card whose signature does not verify",
        make=lambda one: one.succession(beside=of_other_bytes(one.shown())),
    ),
)
