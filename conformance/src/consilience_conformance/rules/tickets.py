"""Rules of tickets (spec section 4.1): who gets one, what it says, and what is attested of an answer that has one."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from consilience.v1 import ask_pb2, node_pb2, review_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.rules.answers import ask_of, card_of
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.rules.logs import Log, read_log
from consilience_conformance.rules.payments import differs, opened, receipt_of
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of

TICKET = ("REV-TKT-001", "ERR-FLD-001")
ATTESTATION = ("REV-PAY-001", "ERR-FLD-001")

DAY_NANOSECONDS = 24 * 60 * 60 * 10**9


def ticket_findings(seen: Transcript, exchange: Exchange) -> Iterator[Finding]:
    """Yields what is wrong with the ticket of an ask that was accepted, or with its absence (REV-TKT-001)."""
    accepted = _accepted(read_log(exchange))
    if accepted is None:
        return  # other rules tell it
    _, ask = ask_of(exchange)
    if not ask.reviewer_commitment or not accepted.HasField("ticket"):
        if bool(ask.reviewer_commitment) != accepted.HasField("ticket"):
            yield differs(
                "REV-TKT-001",
                "Accepted carries a ticket if the ask commits to a reviewer, and none otherwise",
                expected="a ticket" if ask.reviewer_commitment else "none",
                got="a ticket" if accepted.HasField("ticket") else "none",
                exchange=exchange.name,
            )
        return
    _, card = card_of(seen)
    yield from _signed(accepted.ticket, review_pb2.ReviewTicket, card, requirement="REV-TKT-001", name=exchange.name)
    ticket = opened(accepted.ticket, review_pb2.ReviewTicket)
    if ticket is None:
        return
    accept_time = nanoseconds_of(accepted.accept_time)
    for what, expected, got in (
        ("node_id", card.node_id, ticket.value.node_id),
        ("skill_id", ask.skill_id, ticket.value.skill_id),
        ("reviewer_commitment", ask.reviewer_commitment, ticket.value.reviewer_commitment),
        ("issue_day", accept_time - accept_time % DAY_NANOSECONDS, nanoseconds_of(ticket.value.issue_day)),
    ):
        if expected != got:
            yield differs(
                "REV-TKT-001", f"the ticket has another {what}", expected=expected, got=got, exchange=exchange.name
            )
    expiry = {key.public_key: nanoseconds_of(key.expire_time) for key in card.signing_keys}
    if accept_time > expiry.get(ticket.value.signing_key, accept_time):
        yield Finding(
            requirement="REV-TKT-001", message="the key that signs the ticket had expired", exchange=exchange.name
        )


def attestation_findings(seen: Transcript, exchange: Exchange) -> Iterator[Finding]:
    """Yields what is wrong with the attestation of an answer, or with its absence (REV-PAY-001)."""
    log = read_log(exchange)
    accepted, receipt = _accepted(log), receipt_of(log.final)
    if accepted is None or log.final is None:
        return
    attested = log.final.HasField("attestation")
    due = accepted.HasField("ticket") and receipt is not None and receipt.value.charge > 0
    if due != attested:
        yield differs(
            "REV-PAY-001",
            "the Final carries an attestation if the answer has a ticket and is charged, and none otherwise",
            expected="an attestation" if due else "none",
            got="an attestation" if attested else "none",
            exchange=exchange.name,
        )
    if receipt is None or not due or not attested:
        return
    _, card = card_of(seen)
    envelope, name = log.final.attestation, exchange.name
    yield from _signed(envelope, review_pb2.PaymentAttestation, card, requirement="REV-PAY-001", name=name)
    attestation = opened(envelope, review_pb2.PaymentAttestation)
    if attestation is None:
        return
    in_escrow = receipt.value.backing == tariff_pb2.BACKING_ESCROW
    for what, expected, got in (
        ("node_id", card.node_id, attestation.value.node_id),
        ("ticket_digest", envelopes.envelope_digest(accepted.ticket), attestation.value.ticket_digest),
        ("asset", receipt.value.asset, attestation.value.asset),
        ("charge_digits", len(str(receipt.value.charge)), attestation.value.charge_digits),
        ("backing", receipt.value.backing, attestation.value.backing),
        ("issuer", receipt.value.issuer if in_escrow else b"", attestation.value.issuer),
    ):
        if expected != got:
            yield differs(
                "REV-PAY-001", f"the attestation has another {what}", expected=expected, got=got, exchange=name
            )


def _accepted(log: Log) -> ask_pb2.Accepted | None:
    """Returns the event with which a log begins, or None: it begins otherwise."""
    first = log.events[0] if log.events else ask_pb2.AnswerEvent()
    return first.accepted if first.HasField("accepted") else None


def _signed(
    envelope: SignedEnvelope, kind: type[Message], card: node_pb2.NodeCard, *, requirement: str, name: str
) -> Iterator[Finding]:
    """Yields that an object is not signed by a signing key of the card that it names, or breaks rules of its fields."""
    what = kind.DESCRIPTOR.name
    if defect := envelopes.defect_of(envelope, payload_type=kind.DESCRIPTOR.full_name):
        yield Finding(requirement=requirement, message=f"the {what} is not signed: {defect}", exchange=name)
        return
    yield from field_findings(envelope.payload, kind.DESCRIPTOR.full_name, exchange=name)
    found = opened(envelope, kind)
    named = getattr(found.value, "signing_key", b"") if found is not None else b""
    keys = {key.public_key for key in card.signing_keys}
    if envelope.public_key != named or envelope.public_key not in keys:
        yield differs(
            requirement,
            f"the {what} is signed by another key than a signing key of the card that it names",
            expected=", ".join(key.hex() for key in keys),
            got=f"signed by {envelope.public_key.hex()}, names {named.hex()}",
            exchange=name,
        )
