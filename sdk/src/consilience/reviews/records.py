"""Records: what registries keep, and the rules by which one is admitted (spec section 4.4).

A `Record` is as it travels. Once `consilience._wire` has opened it, `place_of` says whether it may be kept at all, and
where: whose it is, in which slot, until when. That needs nothing but the record and the time, so a registry and every
reader come to the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from consilience.asks.questions import refuse_violations
from consilience.calls import MAX_CLOCK_SKEW
from consilience.conformance import SCRIPT_SKILL_ID
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    FieldInvalidError,
    FieldViolation,
    FieldViolations,
    ProtocolError,
    RecordExpiredError,
    RecordNotYetValidError,
    ServerTime,
    SigningKeyUnknownError,
    SuccessionInvalidError,
    TicketInvalidError,
)
from consilience.identity import next_root_digest
from consilience.nodes import MAX_CARD_BYTES, KeySuccession, NodeCard, check_card
from consilience.reviews.cards import card_violations
from consilience.reviews.statements import (
    MAX_LIFETIME,
    Advisory,
    Rebuttal,
    RecordType,
    Retraction,
    Review,
    check_statement,
)
from consilience.reviews.tickets import DAY, KEY_BYTES, reviewer_commitment
from consilience.units import MICROSECOND, Digest, PublicKey, card_sequence, issue_time

MAX_RECORD_BYTES = 64 * 1024
"""Of the payload of a record."""

NEVER = datetime.max.replace(tzinfo=UTC)
"""The end of what has none."""

Kept = NodeCard | KeySuccession | Review | Retraction | Rebuttal | Advisory
"""What a record can be."""

_REFUSED_CARDS = {"NODE-CARD-003": RecordNotYetValidError, "NODE-CARD-005": RecordExpiredError}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it travels, unverified; `card` shows what the object rests on, where anything is to be shown."""

    object: Envelope
    card: Envelope | None = None

    @property
    def digest(self) -> Digest:
        """Its name."""
        return self.object.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRecord:
    """A record whose signatures were verified; what it says is for `place_of` to judge."""

    object: Signed[Kept]
    card: Signed[NodeCard] | None = None

    @property
    def digest(self) -> Digest:
        """Its name."""
        return self.object.digest

    @property
    def record(self) -> Record:
        """The record as it travels."""
        return Record(object=self.object.envelope, card=None if self.card is None else self.card.envelope)

    def resting_on(self, card: Signed[NodeCard] | None) -> OpenRecord:
        """Returns the record with a card beside it, unless there is one."""
        return self if self.card is not None else replace(self, card=card)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record belongs.

    Attributes:
        type: Its own.
        slot_type: That of the slot: of a retraction, its target's.
        author: Whose slot and quota it takes, 32 bytes.
        slot: Which of the author's slots, 32 bytes.
        subject: Whom it is about, 32 bytes.
        issue_time: When it was written, aware UTC.
        since: From when the key has to have been the node's, or None where no node signed.
        end: Until when it is kept, aware UTC.
        digest: Its name.
    """

    type: RecordType
    slot_type: RecordType
    author: bytes
    slot: bytes
    subject: bytes
    issue_time: datetime
    end: datetime
    digest: Digest
    since: datetime | None = None

    def has_ended(self, *, now: datetime) -> bool:
        """Tells whether nobody is to use it any more; of a card, section 1.2 tells that."""
        return self.end <= now and self.type is not RecordType.NODE_CARD

    def is_in_dispute(self, *, now: datetime) -> bool:
        """Tells whether the clock of a registry, within `MAX_CLOCK_SKEW` of `now`, may have it refuse or drop this."""
        return self.issue_time > now or self.end <= now + MAX_CLOCK_SKEW


def card_wanted(record: OpenRecord) -> PublicKey | None:
    """Returns the node whose card has to stand beside a record, or None where none has to."""
    match record.object.value:
        case KeySuccession(old_node_id=node_id):
            return node_id
        case Rebuttal(node_id=node_id, signing_key=key) if key != node_id:
            return node_id
        case Review() as review if any(key != review.ticket.value.node_id for key, _ in _node_keys(review)):
            return review.ticket.value.node_id
        case _:
            return None


def place_of(record: OpenRecord, *, now: datetime, skew: timedelta = timedelta(0)) -> Place:
    """Checks steps 3 to 8 of spec section 4.4, and returns the place of a record that passes them.

    Args:
        record: With the card that it rests on, where it rests on one.
        now: Aware UTC.
        skew: By how much a clock may be behind `now` by which the record must not have ended.

    Raises:
        FieldInvalidError: A field breaks its rules.
        RecordNotYetValidError, RecordExpiredError: By `now`.
        TicketInvalidError, SigningKeyUnknownError, SuccessionInvalidError: It rests on nothing.
    """
    value = record.object.value
    if isinstance(value, NodeCard):
        _check_card(record.object, now=now)
    elif isinstance(value, KeySuccession):
        refuse_violations(_succession_violations(value))
    else:
        check_statement(value)
    place = _place(record)
    if place.issue_time - now > MAX_CLOCK_SKEW:
        raise RecordNotYetValidError("the record was issued in the future", detail=ServerTime(server_time=now))
    if place.has_ended(now=now - skew):
        raise RecordExpiredError(f"the record ended at {place.end:%F %T}", detail=ServerTime(server_time=now))
    match value:
        case Review():
            _check_ticket(value)
            for key, what in _node_keys(value):
                check_signing_key(
                    value.ticket.value.node_id, key, at=value.ticket.value.issue_day, card=record.card, what=what
                )
        case Rebuttal():
            check_signing_key(value.node_id, value.signing_key, at=value.issue_time, card=record.card, what="rebuttal")
        case KeySuccession():
            _check_succession(value, card=record.card)
    return place


def check_signing_key(
    node_id: PublicKey, key: PublicKey, *, at: datetime, card: Signed[NodeCard] | None, what: str
) -> None:
    """Checks that a key signs for a node at a time.

    Args:
        node_id: The node.
        key: The key.
        at: Aware UTC.
        card: What shows it, of whatever age; None: nothing does.
        what: What was signed, for the message.

    Raises:
        SigningKeyUnknownError: The key is not the node id, and the card does not list it.
    """
    if key == node_id:
        return
    if card is None or len(card.envelope.payload) > MAX_CARD_BYTES or card.value.node_id != node_id:
        raise SigningKeyUnknownError(f"no card of the node shows that its key signed the {what}")
    # A sequence may be beyond all calendars: whoever compares numbers needs none.
    if card.value.sequence > card_sequence(at) + DAY // MICROSECOND or not card.value.may_sign(key, at=at):
        raise SigningKeyUnknownError(f"the card does not list the key that signed the {what}, for that time")


def _node_keys(review: Review) -> Iterator[tuple[PublicKey, str]]:
    """Yields the keys that signed for the node in a review, and what they signed."""
    yield review.ticket.value.signing_key, "ticket"
    if review.attestation is not None:
        yield review.attestation.value.signing_key, "attestation"


def _check_card(card: Signed[Kept], *, now: datetime) -> None:
    """Checks a card, and gives the refusal of a registry for what every client complains about."""
    refuse_violations(card_violations(card.value))  # type: ignore[arg-type]  # a record of the type NODE_CARD
    try:
        check_card(card, now=now)  # type: ignore[arg-type]  # a record of the type NODE_CARD
    except ProtocolError as error:
        if error.requirement in _REFUSED_CARDS:
            raise _REFUSED_CARDS[error.requirement](str(error), detail=ServerTime(server_time=now)) from error
        violation = FieldViolation(field="node_card", description=str(error))
        raise FieldInvalidError(str(error), detail=FieldViolations(violations=(violation,))) from error


def _succession_violations(succession: KeySuccession) -> Iterator[FieldViolation]:
    """Tells what no signature shows: whoever signs names himself, and so names a key."""
    if len(succession.acceptance.value.old_node_id) != KEY_BYTES:
        yield FieldViolation(field="acceptance.old_node_id", description=f"must be {KEY_BYTES} bytes")


def _check_ticket(review: Review) -> None:
    ticket = review.ticket
    if reviewer_commitment(review.reviewer, salt=review.ticket_salt) != ticket.value.reviewer_commitment:
        raise TicketInvalidError("the ticket does not open for this reviewer and salt")
    if ticket.value.skill_id == SCRIPT_SKILL_ID:
        raise TicketInvalidError(f"answers of {SCRIPT_SKILL_ID} are not reviewed")
    if review.issue_time < ticket.value.issue_day:
        raise TicketInvalidError("the review is older than its ticket")
    if review.attestation is not None and (
        review.attestation.value.ticket_digest != ticket.digest
        or review.attestation.value.node_id != ticket.value.node_id
    ):
        raise TicketInvalidError("the attestation is of another ticket")


def _check_succession(succession: KeySuccession, *, card: Signed[NodeCard] | None) -> None:
    if succession.acceptance.value.old_node_id != succession.old_node_id:
        raise SuccessionInvalidError("the new root key accepts the succession to another node")
    if card is None or card.value.node_id != succession.old_node_id:
        raise SuccessionInvalidError("no card of the old root key shows to whom it hands over")
    if card.value.sequence > card_sequence(succession.acceptance.value.issue_time):
        raise SuccessionInvalidError("the card was issued after the succession")
    check_commitment(succession, card=card)


def check_commitment(succession: KeySuccession, *, card: Signed[NodeCard]) -> None:
    """Checks that a card of the old root key commits to the new one.

    Raises:
        SuccessionInvalidError: It commits to another key, or to none.
    """
    if next_root_digest(succession.new_node_id) != card.value.next_root_digest:
        raise SuccessionInvalidError("the new root key is not the one that the card commits to")


def _place(record: OpenRecord) -> Place:
    """Returns the place of a record whose fields keep their rules."""
    digest = record.digest
    match record.object.value:
        case NodeCard() as card:
            since = issue_time(card.sequence)
            return _of_node(RecordType.NODE_CARD, card.node_id, issued=since, end=card.expire_time, digest=digest)
        case KeySuccession() as succession:
            issued = succession.acceptance.value.issue_time
            place = _of_node(RecordType.KEY_SUCCESSION, succession.old_node_id, issued=issued, end=NEVER, digest=digest)
            return replace(place, since=None)
        case Review() as review:
            ticket = review.ticket
            return Place(
                type=RecordType.REVIEW,
                slot_type=RecordType.REVIEW,
                author=review.reviewer,
                slot=ticket.digest,
                subject=ticket.value.node_id,
                issue_time=review.issue_time,
                since=ticket.value.issue_day,
                end=_later(ticket.value.issue_day, MAX_LIFETIME),
                digest=digest,
            )
        case Retraction() as retraction:
            return Place(
                type=RecordType.RETRACTION,
                slot_type=retraction.target_type,
                author=retraction.author,
                slot=retraction.target_digest,
                subject=retraction.subject,
                issue_time=retraction.issue_time,
                end=retraction.expire_time,
                digest=digest,
            )
        case Rebuttal() as rebuttal:
            end = _later(rebuttal.issue_time, MAX_LIFETIME)
            place = _of_node(RecordType.REBUTTAL, rebuttal.node_id, issued=rebuttal.issue_time, end=end, digest=digest)
            return replace(place, slot=rebuttal.target_digest)
        case Advisory() as advisory:
            return Place(
                type=RecordType.ADVISORY,
                slot_type=RecordType.ADVISORY,
                author=advisory.author,
                slot=digest,
                subject=advisory.node_id or advisory.weights_digest,
                issue_time=advisory.issue_time,
                end=advisory.expire_time,
                digest=digest,
            )


def _of_node(kind: RecordType, node_id: PublicKey, *, issued: datetime, end: datetime, digest: Digest) -> Place:
    return Place(
        type=kind,
        slot_type=kind,
        author=node_id,
        slot=node_id,
        subject=node_id,
        issue_time=issued,
        since=issued,
        end=end,
        digest=digest,
    )


def _later(time: datetime, span: timedelta) -> datetime:
    """Returns the sum, or the last time that there is."""
    return NEVER if NEVER - time < span else time + span
