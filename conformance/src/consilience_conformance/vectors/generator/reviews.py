"""Well-formed objects of a review: the ticket of an answer, and what its reviewer makes of it (spec chapter 4)."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from consilience.v1 import review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator.actors import ASKER, NODE, NOON, SIGNING_KEY, fixed_bytes, timestamp

TICKET_SALT = fixed_bytes("salt of the ticket", size=32)


def reviewer_commitment() -> bytes:
    """Returns what the ask carries."""
    return hashlib.sha256(ASKER.public_key + TICKET_SALT).digest()


def sealed_ticket() -> SignedEnvelope:
    """Returns the ticket that the node answers it with."""
    ticket = review_pb2.ReviewTicket(
        node_id=NODE.public_key,
        signing_key=SIGNING_KEY.public_key,
        skill_id="units.convert",
        reviewer_commitment=reviewer_commitment(),
        issue_day=timestamp(NOON.replace(hour=0)),
    )
    return envelopes.seal(ticket, seed=SIGNING_KEY.seed)


def sealed_review() -> SignedEnvelope:
    """Returns what the asker says of the answer an hour later."""
    review = review_pb2.Review(
        reviewer=ASKER.public_key,
        ticket=sealed_ticket(),
        ticket_salt=TICKET_SALT,
        verdict=review_pb2.VERDICT_CORRECT,
        verification=review_pb2.Verification(method=review_pb2.VERIFICATION_METHOD_GROUND_TRUTH),
        domain="units",
        issue_time=timestamp(NOON + timedelta(hours=1)),
    )
    return envelopes.seal(review, seed=ASKER.seed)
