"""Tickets: what allows one review of one answer without telling who asked (spec section 4.1).

>>> reviewer, salt = PublicKey(bytes(32)), new_salt()
>>> len(reviewer_commitment(reviewer, salt=salt))
32
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.asks import Accepted, Ask
from consilience.envelopes import Signed
from consilience.errors import FieldViolation, ProtocolError
from consilience.nodes import NodeCard
from consilience.tariffs import Backing, is_asset, is_id
from consilience.units import Digest, PublicKey

SALT_BYTES = 32
DIGEST_BYTES = 32
KEY_BYTES = 32
MAX_CHARGE_DIGITS = 19
DAY = timedelta(days=1)
_TICKET = "REV-TKT-001"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTicket:
    """Allows one review of one answer, by whoever opens `reviewer_commitment`; see `ReviewTicket` in review.proto."""

    node_id: PublicKey
    signing_key: PublicKey
    skill_id: str
    reviewer_commitment: bytes
    issue_day: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAttestation:
    """Says that the answer of a ticket was paid for: the digits of the charge, and no more of it.

    See `PaymentAttestation` in review.proto for each field.
    """

    node_id: PublicKey
    signing_key: PublicKey
    ticket_digest: Digest
    asset: str
    charge_digits: int
    backing: Backing
    issuer: bytes = b""


def new_salt() -> bytes:
    """Returns 32 bytes from the system's random source: what opens a ticket, and is used for one ask."""
    return os.urandom(SALT_BYTES)


def reviewer_commitment(reviewer: PublicKey, *, salt: bytes) -> bytes:
    """Returns what an ask carries to get a ticket for a reviewer, 32 bytes."""
    return hashlib.sha256(reviewer + salt).digest()


def day_of(time: datetime) -> datetime:
    """Returns the first instant of the day of an aware UTC time."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def charge_digits(charge: int) -> int:
    """Returns how many decimal digits a charge above zero has."""
    return len(str(charge))


def check_ticket(ticket: Signed[ReviewTicket], *, card: NodeCard, ask: Ask, accepted: Accepted) -> None:
    """Checks a ticket against the ask that it was given for.

    Raises:
        ProtocolError: It is of another node, skill, commitment or day, or its key is none of the card's.
    """
    value = ticket.value
    if (value.node_id, value.skill_id, value.reviewer_commitment) != (
        card.node_id,
        ask.skill_id,
        ask.reviewer_commitment,
    ):
        raise ProtocolError("the ticket is of another node, skill or reviewer", requirement=_TICKET)
    if not card.may_sign(value.signing_key, at=accepted.accept_time):
        raise ProtocolError("the ticket is signed by a key that the card does not list", requirement=_TICKET)
    if value.issue_day != day_of(accepted.accept_time):
        raise ProtocolError("the ticket is of another day", requirement=_TICKET)


def ticket_violations(ticket: ReviewTicket, *, path: str = "") -> Iterator[FieldViolation]:
    """Tells what breaks the rules of a ticket's fields, by their paths."""
    for name, size in (("node_id", KEY_BYTES), ("signing_key", KEY_BYTES), ("reviewer_commitment", DIGEST_BYTES)):
        if len(getattr(ticket, name)) != size:
            yield FieldViolation(field=f"{path}{name}", description=f"must be {size} bytes")
    if not is_id(ticket.skill_id):
        yield FieldViolation(field=f"{path}skill_id", description="must be the id of a skill")
    if ticket.issue_day != day_of(ticket.issue_day):
        yield FieldViolation(field=f"{path}issue_day", description="must be the first instant of a day")


def attestation_violations(attestation: PaymentAttestation, *, path: str = "") -> Iterator[FieldViolation]:
    """Tells what breaks the rules of an attestation's fields, by their paths."""
    for name, size in (("node_id", KEY_BYTES), ("signing_key", KEY_BYTES), ("ticket_digest", DIGEST_BYTES)):
        if len(getattr(attestation, name)) != size:
            yield FieldViolation(field=f"{path}{name}", description=f"must be {size} bytes")
    if not is_asset(attestation.asset):
        yield FieldViolation(field=f"{path}asset", description="must be the id of an asset, as USD/6")
    if not 1 <= attestation.charge_digits <= MAX_CHARGE_DIGITS:
        yield FieldViolation(field=f"{path}charge_digits", description=f"must be 1 to {MAX_CHARGE_DIGITS}")
    if attestation.backing <= Backing.UNSPECIFIED:
        yield FieldViolation(field=f"{path}backing", description="must be a backing of this version")
    if attestation.issuer and len(attestation.issuer) != KEY_BYTES:
        yield FieldViolation(field=f"{path}issuer", description=f"must be empty, or {KEY_BYTES} bytes")
    if (attestation.backing is Backing.ESCROW) != bool(attestation.issuer):
        yield FieldViolation(field=f"{path}issuer", description="must be named in escrow, and only there")
