"""Tickets: what a node signs so that an answer of it can be reviewed (spec section 4.1)."""

from __future__ import annotations

from datetime import datetime

from consilience._wire import envelopes
from consilience.asks import Ask
from consilience.envelopes import Envelope
from consilience.identity import Signer
from consilience.payments import Receipt
from consilience.reviews import PaymentAttestation, ReviewTicket, charge_digits, day_of
from consilience.tariffs import Backing
from consilience.units import Digest, PublicKey


def ticket_for(ask: Ask, *, node_id: PublicKey, signer: Signer, accept_time: datetime) -> Envelope:
    """Signs the ticket of an ask that commits to a reviewer (REV-TKT-001).

    Args:
        ask: With its `reviewer_commitment`.
        node_id: The root key of the node, 32 bytes.
        signer: Holds a key that the card named by the ask lists.
        accept_time: When the ask is accepted, aware UTC; the ticket tells no more than its day.
    """
    ticket = ReviewTicket(
        node_id=node_id,
        signing_key=signer.public_key,
        skill_id=ask.skill_id,
        reviewer_commitment=ask.reviewer_commitment,
        issue_day=day_of(accept_time),
    )
    return envelopes.seal(ticket, signer=signer).envelope


def attestation_of(receipt: Receipt, *, ticket_digest: Digest, signer: Signer) -> Envelope:
    """Signs that the answer of a ticket was paid for, by the receipt that says what it cost (REV-PAY-001).

    Args:
        receipt: It charges something.
        ticket_digest: Names the ticket.
        signer: Holds a key that the card named by the ask lists.
    """
    attestation = PaymentAttestation(
        node_id=receipt.node_id,
        signing_key=signer.public_key,
        ticket_digest=ticket_digest,
        asset=receipt.asset,
        charge_digits=charge_digits(receipt.charge),
        backing=receipt.backing,
        issuer=receipt.issuer if receipt.backing is Backing.ESCROW else b"",
    )
    return envelopes.seal(attestation, signer=signer).envelope
