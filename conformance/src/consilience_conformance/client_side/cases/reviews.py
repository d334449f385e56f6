"""Reviews: one that fails a step of spec sections 4.2 and 4.4 does not count, whatever registry serves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from consilience.v1 import registry_pb2, review_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.client_side.forgeries import by_a_stranger, of_another_type, of_other_bytes, unsigned
from consilience_conformance.client_side.readings import accepted, rejected
from consilience_conformance.client_side.subjects import HOUR, Subject, enlarged
from consilience_conformance.records.made_up import DAY, LONGEST, MadeUpNode
from consilience_conformance.wire_values import timestamp

_SCRIPT = "conformance.script"


def _too_large(subject: Subject) -> registry_pb2.Record:
    return subject.review(sealed=lambda one: enlarged(one, by=subject.reviewer))


def _of_another_type(subject: Subject) -> registry_pb2.Record:
    return subject.review(sealed=lambda one: of_another_type(one, seed=subject.reviewer.seed))


def _edited(subject: Subject) -> registry_pb2.Record:
    """Returns a review whose verdict a registry has changed."""
    record = subject.review()
    review = review_pb2.Review.FromString(record.object.payload)
    review.verdict = review_pb2.VERDICT_HARMFUL
    record.object.payload = review.SerializeToString(deterministic=True)
    return record


def _with_a_forged_ticket(subject: Subject) -> registry_pb2.Record:
    ticket = subject.ticket()
    return subject.review(replace(ticket, envelope=of_other_bytes(ticket.envelope)))


def _with_a_forged_attestation(subject: Subject) -> registry_pb2.Record:
    ticket = subject.ticket()
    return subject.review(ticket, attestation=of_other_bytes(subject.attested(ticket)))


def _expired(subject: Subject) -> registry_pb2.Record:
    age = LONGEST + DAY
    return subject.review(
        subject.ticket(age=age), issued=subject.now - age, beside=subject.shown(issued=subject.today - age - HOUR)
    )


def _with_the_ticket_of_another(subject: Subject) -> registry_pb2.Record:
    others = replace(subject, reviewer=Caller.new())
    return subject.review(replace(others.ticket(), reviewer=subject.reviewer))


def _with_an_attestation_of_another_ticket(subject: Subject) -> registry_pb2.Record:
    return subject.review(attestation=subject.attested(subject.ticket()))


def _with_an_attestation_of_another_node(subject: Subject) -> registry_pb2.Record:
    ticket = subject.ticket()
    return subject.review(ticket, attestation=subject.attested(ticket, node_id=MadeUpNode.new().node_id))


def _with_an_attestation_by_a_stranger(subject: Subject) -> registry_pb2.Record:
    ticket = subject.ticket()
    return subject.review(ticket, attestation=subject.attested(ticket, by=Caller.new()))


def _by_an_expired_key(subject: Subject) -> registry_pb2.Record:
    card = subject.card(issued=subject.today - 2 * DAY)
    card.signing_keys[0].expire_time.CopyFrom(timestamp(subject.today - DAY))
    return subject.review(beside=subject.node.root.seal(card))


def _beside_the_card_of_another(subject: Subject) -> registry_pb2.Record:
    """Returns a review beside the card of a node that lists the same signing key."""
    other = replace(MadeUpNode.new(), signer=subject.node.signer)
    return subject.review(beside=replace(subject, node=other).shown())


def _beside_a_later_card(subject: Subject) -> registry_pb2.Record:
    """Returns a review of an answer of three days ago, beside a card that was issued since."""
    age = 3 * DAY
    return subject.review(subject.ticket(age=age), issued=subject.now - age, beside=subject.shown())


def _beside_no_card(subject: Subject) -> registry_pb2.Record:
    return registry_pb2.Record(object=subject.review().object)


def _beside_a_large_card(subject: Subject) -> registry_pb2.Record:
    return subject.review(beside=enlarged(subject.shown(), by=subject.node.root))


def _beside_a_forged_card(subject: Subject) -> registry_pb2.Record:
    return subject.review(beside=of_other_bytes(subject.shown()))


def _beside_an_expired_card(subject: Subject) -> registry_pb2.Record:
    return subject.review(beside=subject.shown(issued=subject.today - HOUR, lasting=timedelta(seconds=1)))


def _by_the_root_key(subject: Subject) -> registry_pb2.Record:
    ticket = subject.ticket(by=subject.node.root)
    return registry_pb2.Record(object=subject.review(ticket).object)


def _paid(subject: Subject) -> registry_pb2.Record:
    ticket = subject.ticket()
    return subject.review(ticket, attestation=subject.attested(ticket))


CHECKS = (
    accepted(
        "review-of-a-paid-answer",
        title="A review counts that carries what its node attests of the payment.",
        make=_paid,
    ),
    accepted(
        "review-by-the-root-key",
        title="A review counts whose ticket the root key signed, without a card beside it.",
        make=_by_the_root_key,
    ),
    accepted(
        "review-beside-an-expired-card",
        title="A review counts beside a card that has expired since: it shows what held then.",
        make=_beside_an_expired_card,
    ),
    rejected("review-that-is-too-large", what="a review of more than 65536 bytes", make=_too_large),
    rejected(
        "review-without-signature", what="a review without a signature", make=lambda one: one.review(sealed=unsigned)
    ),
    rejected("review-that-was-edited", what="a review that a registry has edited", make=_edited),
    rejected("review-under-another-name", what="a review that is signed under another name", make=_of_another_type),
    rejected(
        "review-signed-by-another",
        what="a review that another key than its reviewer signed",
        make=lambda one: one.review(sealed=by_a_stranger),
    ),
    rejected(
        "review-with-a-forged-ticket",
        what="a review whose ticket carries a signature that does not verify",
        make=_with_a_forged_ticket,
    ),
    rejected(
        "review-with-a-forged-attestation",
        what="a review whose attestation carries a signature that does not verify",
        make=_with_a_forged_attestation,
    ),
    rejected(
        "review-with-a-broken-field",
        what="a review with a score above 1000",
        make=lambda one: one.review(score_milli=1001),
    ),
    rejected(
        "review-from-the-future",
        what="a review from the future",
        make=lambda one: one.review(issued=one.now + HOUR),
    ),
    rejected("review-that-expired", what="a review of an answer of more than 730 days ago", make=_expired),
    rejected(
        "review-with-the-ticket-of-another",
        what="a review with a ticket that was given to another",
        make=_with_the_ticket_of_another,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-of-a-scripted-answer",
        what="a review of an answer of conformance.script",
        make=lambda one: one.review(one.ticket(skill_id=_SCRIPT)),
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-before-its-ticket",
        what="a review that was issued before the day of its ticket",
        make=lambda one: one.review(issued=one.today - HOUR),
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-with-an-attestation-of-another-ticket",
        what="a review with the attestation of another ticket",
        make=_with_an_attestation_of_another_ticket,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-with-an-attestation-of-another-node",
        what="a review with an attestation that names another node",
        make=_with_an_attestation_of_another_node,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-by-an-unlisted-key",
        what="a review whose ticket is signed by a key that the card beside it does not list",
        make=lambda one: one.review(one.ticket(by=Caller.new())),
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-by-an-expired-key",
        what="a review whose ticket is signed by a key that had expired",
        make=_by_an_expired_key,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-attested-by-an-unlisted-key",
        what="a review whose attestation is signed by a key that the card beside it does not list",
        make=_with_an_attestation_by_a_stranger,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-beside-no-card",
        what="a review whose ticket a signing key signed, without a card beside it",
        make=_beside_no_card,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-beside-the-card-of-another",
        what="a review beside the card of another node",
        make=_beside_the_card_of_another,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-beside-a-later-card",
        what="a review beside a card that was issued more than a day after its ticket",
        make=_beside_a_later_card,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-beside-a-large-card",
        what="a review beside a card of more than 65536 bytes",
        make=_beside_a_large_card,
        requirement="REV-OPEN-001",
    ),
    rejected(
        "review-beside-a-forged-card",
        what="a review beside a card whose signature does not verify",
        make=_beside_a_forged_card,
        requirement="REV-OPEN-001",
    ),
)
