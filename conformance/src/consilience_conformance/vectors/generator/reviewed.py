"""The tests of records.json that are about reviews: whether the ticket opens, and who signed it (section 4.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from consilience.v1 import review_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.node_pb2 import NodeCard
from consilience.v1.registry_pb2 import Record
from consilience.v1.review_pb2 import PaymentAttestation, Review, ReviewTicket
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages, reviews
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NODE,
    OTHER_NODE,
    SIGNING_KEY,
    STRANGER,
    Actor,
    timestamp,
)
from consilience_conformance.vectors.generator.layout import Case, Refused
from consilience_conformance.vectors.generator.record_cases import (
    DAY,
    ENDED,
    FIELD,
    KEY_OF_REVIEW,
    MICROSECOND,
    NOW,
    SIGNATURE,
    SIGNER,
    TICKET,
    TYPE,
    Place,
    changed,
    kept,
    refused,
    sealed_card,
    setting,
)

_USUAL_CARD = messages.sealed_card()
_DAY_OF_TICKET = reviews.ISSUE_DAY

_TicketChange = Callable[[ReviewTicket], object]
_ReviewChange = Callable[[Review], object]
_AttestationChange = Callable[[PaymentAttestation], object]


def cases() -> Iterator[Case]:
    """Yields them, by the steps of the check."""
    yield from _in_order()
    yield from _strange_envelopes()
    yield from _broken_fields()
    yield from _other_openings()
    yield from _days()
    yield from _attestations()
    yield from _keys()
    yield from _key_times()
    yield from _first_faults()


def _ticket(change: _TicketChange = lambda _: None, *, by: Actor = SIGNING_KEY) -> SignedEnvelope:
    """Returns a ticket that names its signer as its key, after a change."""
    ticket = changed(reviews.ticket(), setting(signing_key=by.public_key))
    return envelopes.seal(changed(ticket, change), seed=by.seed)


def _attestation(
    of: SignedEnvelope, change: _AttestationChange = lambda _: None, *, by: Actor = SIGNING_KEY
) -> SignedEnvelope:
    attestation = reviews.attestation(ticket_digest=envelopes.envelope_digest(of))
    attestation.signing_key = by.public_key
    return envelopes.seal(changed(attestation, change), seed=by.seed)


def _review(
    ticket: SignedEnvelope | None = None,
    change: _ReviewChange = lambda _: None,
    *,
    by: Actor = ASKER,
    card: SignedEnvelope | None = _USUAL_CARD,
) -> Record:
    """Returns a review that names the asker, after a change."""
    review = changed(reviews.review(of=ticket or _ticket()), change)
    return reviews.record(envelopes.seal(review, seed=by.seed), card=card)


def _paid(ticket: SignedEnvelope, attestation: SignedEnvelope, *, card: SignedEnvelope | None = _USUAL_CARD) -> Record:
    return _review(ticket, setting(attestation=attestation), card=card)


def _place(ticket: SignedEnvelope | None = None, *, issued: datetime = reviews.REVIEW_TIME) -> Place:
    ticket = ticket or _ticket()
    day = ReviewTicket.FromString(ticket.payload).issue_day.ToDatetime(tzinfo=NOW.tzinfo)
    return Place(
        author=ASKER.public_key,
        subject=NODE.public_key,
        slot=envelopes.envelope_digest(ticket),
        issued=issued,
        end=day + reviews.LIFETIME,
        quota=10_000,
    )


def _written(time: datetime) -> _ReviewChange:
    return setting(issue_time=timestamp(time))


def _in_order() -> Iterator[Case]:
    yield kept("the review of the example", "Place", _review(), _place())
    ticket = _ticket()
    yield kept("a review with an attestation", "Attestation", _paid(ticket, _attestation(ticket)), _place())
    late = reviews.REVIEW_TIME + timedelta(days=100)
    record, place = _review(change=_written(late)), _place(issued=late)
    yield kept("a review that was written after 100 days", "End", record, place, now=late + timedelta(hours=1))
    last = reviews.REVIEW_END - MICROSECOND
    yield kept("a review a microsecond before the end of its ticket", "End", record, place, now=last)
    yield refused("a review at the end of its ticket", "End", record, ENDED, now=reviews.REVIEW_END)


def _strange_envelopes() -> Iterator[Case]:
    yield refused("a review that a stranger signed", "Envelope", _review(by=STRANGER), SIGNER)
    forged = envelopes.seal(reviews.ticket(), seed=STRANGER.seed)
    yield refused("a ticket that a stranger signed", "Envelope", _review(forged), SIGNER)
    changed_ticket = _ticket()
    changed_ticket.payload = _ticket(setting(skill_id="units.table")).payload
    yield refused("a ticket that was changed", "Envelope", _review(changed_ticket), SIGNATURE)
    ticket = _ticket()
    attestation = _attestation(ticket)
    attestation.payload = _attestation(ticket, setting(charge_digits=9)).payload
    yield refused("an attestation that was changed", "Envelope", _paid(ticket, attestation), SIGNATURE)
    by_reviewer = envelopes.seal(reviews.attestation(ticket_digest=envelopes.envelope_digest(ticket)), seed=ASKER.seed)
    yield refused("an attestation that the reviewer signed", "Envelope", _paid(ticket, by_reviewer), SIGNER)
    yield refused("an attestation in place of the ticket", "Type", _review(_attestation(ticket)), TYPE)
    yield refused("the ticket in place of an attestation", "Type", _paid(ticket, ticket), TYPE)


def _broken_fields() -> Iterator[Case]:
    def at_noon(ticket: ReviewTicket) -> None:
        ticket.issue_day.FromSeconds(ticket.issue_day.seconds + 12 * 3600)

    yield refused("a ticket of noon", "Fields", _review(_ticket(at_noon)), FIELD)
    unverified = review_pb2.Verification(method=review_pb2.VERIFICATION_METHOD_CROSS_CHECK)
    yield refused("a cross-check of nobody", "Fields", _review(change=setting(verification=unverified)), FIELD)
    yield refused("a score above 1000", "Fields", _review(change=setting(score_milli=1001)), FIELD)
    yield refused("no verdict", "Fields", _review(change=setting(verdict=review_pb2.VERDICT_UNSPECIFIED)), FIELD)
    ticket = _ticket()
    for comment, fields in (
        ("an attestation of no digits", {"charge_digits": 0}),
        ("an attestation of 20 digits", {"charge_digits": 20}),
        ("an attestation that names an issuer of credit", {"issuer": ASKER.public_key}),
        ("an attestation of an escrow of nobody", {"backing": tariff_pb2.BACKING_ESCROW}),
    ):
        yield refused(comment, "Fields", _paid(ticket, _attestation(ticket, setting(**fields))), FIELD)


def _other_openings() -> Iterator[Case]:
    stolen = _review(change=setting(reviewer=STRANGER.public_key), by=STRANGER)
    yield refused("with the ticket of another", "Opening", stolen, TICKET)
    yield refused("with another salt", "Opening", _review(change=setting(ticket_salt=bytes(32))), TICKET)
    for comment, commitment in (
        ("a commitment over salt and reviewer", hashlib.sha256(reviews.TICKET_SALT + ASKER.public_key).digest()),
        ("a commitment over the reviewer alone", hashlib.sha256(ASKER.public_key).digest()),
        ("a commitment that is the reviewer", ASKER.public_key),
    ):
        ticket = _ticket(setting(reviewer_commitment=commitment))
        yield refused(comment, "Opening", _review(ticket), TICKET)
    yield refused("of a script", "Script", _review(_ticket(setting(skill_id="conformance.script"))), TICKET)
    ticket = _ticket(setting(skill_id="conformance.scripts"))
    yield kept("of a skill that is called almost as scripts are", "Script", _review(ticket), _place(ticket))


def _days() -> Iterator[Case]:
    first = _review(change=_written(_DAY_OF_TICKET))
    yield kept("of the first instant of the day", "Day", first, _place(issued=_DAY_OF_TICKET))
    early = _review(change=_written(_DAY_OF_TICKET - MICROSECOND))
    yield refused("of a microsecond before the day", "Day", early, TICKET)
    ticket = _ticket(setting(issue_day=timestamp(_DAY_OF_TICKET + DAY)))
    yield refused("with a ticket of tomorrow", "Day", _review(ticket), TICKET)


def _attestations() -> Iterator[Case]:
    ticket, other = _ticket(), _ticket(setting(issue_day=timestamp(_DAY_OF_TICKET - DAY)))
    payload_digest = hashlib.sha256(ticket.payload).digest()
    for comment, attestation in (
        ("paid for the answer of another ticket", _attestation(other)),
        ("paid for the hash of the ticket", _attestation(ticket, setting(ticket_digest=payload_digest))),
        ("paid to another node", _attestation(ticket, setting(node_id=OTHER_NODE.public_key))),
    ):
        yield refused(comment, "Attestation", _paid(ticket, attestation), TICKET)


def _keys() -> Iterator[Case]:
    by_root = _ticket(by=NODE)
    yield kept("a ticket of the root key, without a card", "NodeKey", _review(by_root, card=None), _place(by_root))
    other = sealed_card(setting(node_id=OTHER_NODE.public_key), by=OTHER_NODE)
    yield kept("a ticket of the root key, with another card", "NodeKey", _review(by_root, card=other), _place(by_root))
    ticket = _ticket()
    paid = _paid(ticket, _attestation(ticket, by=NODE))
    yield kept("an attestation of the root key", "NodeKey", paid, _place())
    older = envelopes.seal(messages.card(issue_time=NOW - timedelta(days=10)), seed=NODE.seed)
    yield kept("beside a card that has expired", "KeyTime", _review(card=older), _place())
    for comment, record in (
        ("a ticket without a card", _review(card=None)),
        ("a ticket of a stranger", _review(_ticket(by=STRANGER))),
        ("a ticket that its reviewer signed", _review(_ticket(by=ASKER))),
        ("beside the card of another node", _review(card=other)),
        ("beside a card that a stranger signed", _review(card=sealed_card(lambda _: None, by=STRANGER))),
        ("beside an ask in place of a card", _review(card=messages.sealed_ask())),
        ("an attestation of a stranger", _paid(ticket, _attestation(ticket, by=STRANGER))),
        (
            "an attestation of a stranger, of a ticket of the root key",
            _paid(by_root, _attestation(by_root, by=STRANGER)),
        ),
        (
            "an attestation without a card, of a ticket of the root key",
            _paid(by_root, _attestation(by_root), card=None),
        ),
    ):
        yield refused(comment, "Key", record, KEY_OF_REVIEW)


def _key_times() -> Iterator[Case]:
    def expiring(time: datetime) -> SignedEnvelope:
        def change(card: NodeCard) -> None:
            card.signing_keys[0].expire_time.CopyFrom(timestamp(time))

        return sealed_card(change)

    def issued(time: datetime) -> SignedEnvelope:
        return envelopes.seal(messages.card(issue_time=time), seed=NODE.seed)

    day = _DAY_OF_TICKET
    yield kept("a key that expires as the day begins", "KeyTime", _review(card=expiring(day)), _place())
    late = _review(card=expiring(day - MICROSECOND))
    yield refused("a key that expired a microsecond before the day", "KeyTime", late, KEY_OF_REVIEW)
    yield kept("beside a card of a day after the day", "KeyTime", _review(card=issued(day + DAY)), _place())
    late = _review(card=issued(day + DAY + MICROSECOND))
    yield refused("beside a card of more than a day after the day", "KeyTime", late, KEY_OF_REVIEW)


def _first_faults() -> Iterator[Case]:
    two: tuple[tuple[str, Record, Refused], ...] = (
        (
            "a score above 1000, and another salt",
            _review(change=setting(score_milli=1001, ticket_salt=bytes(32))),
            FIELD,
        ),
        (
            "another salt, and a ticket of a stranger",
            _review(_ticket(by=STRANGER), setting(ticket_salt=bytes(32))),
            TICKET,
        ),
        ("of a script, without a card", _review(_ticket(setting(skill_id="conformance.script")), card=None), TICKET),
        (
            "a score above 1000, and a ticket that a stranger signed",
            _review(_forged(), setting(score_milli=1001)),
            SIGNER,
        ),
    )
    for comment, record, why in two:
        yield refused(comment, "Order", record, why)
    ended = _review(change=setting(ticket_salt=bytes(32)))
    yield refused("ended, and another salt", "Order", ended, ENDED, now=reviews.REVIEW_END)


def _forged() -> SignedEnvelope:
    return envelopes.seal(reviews.ticket(), seed=STRANGER.seed)
