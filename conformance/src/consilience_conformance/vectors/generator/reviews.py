"""Well-formed objects of reviews: tickets, what reviewers make of them, and what is said to it (spec chapter 4)."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from google.protobuf.message import Message

from consilience.v1 import node_pb2, registry_pb2, review_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages, payments
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NEXT_ROOT,
    NODE,
    NOON,
    SIGNING_KEY,
    Actor,
    fixed_bytes,
    timestamp,
)

TICKET_SALT = fixed_bytes("salt of the ticket", size=32)
ISSUE_DAY = NOON.replace(hour=0)
REVIEW_TIME = NOON + timedelta(hours=1)
LIFETIME = timedelta(days=730)
"""Of a statement, from its beginning."""
REVIEW_END = ISSUE_DAY + LIFETIME


def reviewer_commitment() -> bytes:
    """Returns what the ask carries."""
    return hashlib.sha256(ASKER.public_key + TICKET_SALT).digest()


def ticket() -> review_pb2.ReviewTicket:
    """Returns the ticket that the node answers it with."""
    return review_pb2.ReviewTicket(
        node_id=NODE.public_key,
        signing_key=SIGNING_KEY.public_key,
        skill_id="units.convert",
        reviewer_commitment=reviewer_commitment(),
        issue_day=timestamp(ISSUE_DAY),
    )


def sealed_ticket() -> SignedEnvelope:
    """Returns the ticket, signed."""
    return envelopes.seal(ticket(), seed=SIGNING_KEY.seed)


def attestation(*, ticket_digest: bytes) -> review_pb2.PaymentAttestation:
    """Returns what the node attests of an answer that cost 10 to 99, lent to the asker."""
    return review_pb2.PaymentAttestation(
        node_id=NODE.public_key,
        signing_key=SIGNING_KEY.public_key,
        ticket_digest=ticket_digest,
        asset=payments.ASSET,
        charge_digits=2,
        backing=tariff_pb2.BACKING_CREDIT,
    )


def review(*, of: SignedEnvelope) -> review_pb2.Review:
    """Returns what the asker says of the answer of a ticket an hour later."""
    return review_pb2.Review(
        reviewer=ASKER.public_key,
        ticket=of,
        ticket_salt=TICKET_SALT,
        verdict=review_pb2.VERDICT_CORRECT,
        verification=review_pb2.Verification(method=review_pb2.VERIFICATION_METHOD_GROUND_TRUTH),
        domain="units",
        issue_time=timestamp(REVIEW_TIME),
    )


def sealed_review() -> SignedEnvelope:
    """Returns the review, signed."""
    return envelopes.seal(review(of=sealed_ticket()), seed=ASKER.seed)


def retraction() -> review_pb2.Retraction:
    """Returns what takes the review back, for as long as it would last."""
    return review_pb2.Retraction(
        author=ASKER.public_key,
        target_type=review_pb2.RECORD_TYPE_REVIEW,
        target_digest=envelopes.envelope_digest(sealed_ticket()),
        subject=NODE.public_key,
        issue_time=timestamp(REVIEW_TIME + timedelta(minutes=10)),
        expire_time=timestamp(REVIEW_END),
    )


def rebuttal(*, signing_key: Actor = SIGNING_KEY) -> review_pb2.Rebuttal:
    """Returns what the node has to say to the review."""
    return review_pb2.Rebuttal(
        node_id=NODE.public_key,
        signing_key=signing_key.public_key,
        target_type=review_pb2.RECORD_TYPE_REVIEW,
        target_digest=envelopes.envelope_digest(sealed_ticket()),
        comment="The table has had more digits since.",
        issue_time=timestamp(REVIEW_TIME + timedelta(minutes=20)),
    )


def advisory() -> review_pb2.Advisory:
    """Returns a warning of the node by the asker, for thirty days."""
    return review_pb2.Advisory(
        author=ASKER.public_key,
        node_id=NODE.public_key,
        category=review_pb2.ADVISORY_CATEGORY_UNRELIABLE,
        severity=review_pb2.SEVERITY_MEDIUM,
        summary="It takes the US survey foot for the foot.",
        issue_time=timestamp(REVIEW_TIME),
        expire_time=timestamp(REVIEW_TIME + timedelta(days=30)),
    )


def acceptance() -> node_pb2.KeyAcceptance:
    """Returns the consent of the next root key of the node."""
    return node_pb2.KeyAcceptance(
        old_node_id=NODE.public_key, new_node_id=NEXT_ROOT.public_key, issue_time=timestamp(REVIEW_TIME)
    )


def succession(*, accepted: SignedEnvelope) -> node_pb2.KeySuccession:
    """Returns what hands the node over."""
    return node_pb2.KeySuccession(old_node_id=NODE.public_key, acceptance=accepted)


def record(said: SignedEnvelope, *, card: SignedEnvelope | None = None) -> registry_pb2.Record:
    """Returns a record as it travels."""
    return registry_pb2.Record(object=said, card=card)


def shown(message: Message, *, by: Actor) -> registry_pb2.Record:
    """Returns a record that was signed just so, with the card of the node beside it."""
    return record(envelopes.seal(message, seed=by.seed), card=messages.sealed_card())
