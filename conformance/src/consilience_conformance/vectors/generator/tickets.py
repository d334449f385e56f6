"""Makes tickets.json: to whom an ask commits, the ticket that comes of it, and how much a payment attestation tells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from consilience.v1.ask_pb2 import Accepted, AnswerEvent, Ask
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.review_pb2 import ReviewTicket
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages, reviews
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NODE,
    OTHER_NODE,
    SIGNING_KEY,
    STRANGER,
    Actor,
    fixed_bytes,
    timestamp,
)
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Json, Note, Refused, VectorFile

_NOTES = {
    "Commitment": Note(bug_type=BugType.BASIC, description="SHA-256 over the bytes of the reviewer and of the salt."),
    "Plain": Note(bug_type=BugType.BASIC, description="A ticket that is in order."),
    "Absent": Note(
        bug_type=BugType.MISSING_CHECK, description="The ask commits to a reviewer, and there is no ticket."
    ),
    "Envelope": Note(bug_type=BugType.AUTH_BYPASS, description="The node did not sign the ticket."),
    "Fields": Note(bug_type=BugType.MISSING_CHECK, description="A field of the ticket breaks its rules."),
    "Binding": Note(
        bug_type=BugType.AUTH_BYPASS, description="The ticket is of another node, skill or reviewer than the ask."
    ),
    "Key": Note(bug_type=BugType.AUTH_BYPASS, description="The key that signed the ticket is none of the card's."),
    "KeyTime": Note(bug_type=BugType.BOUNDARY, description="A key signs up to the instant in which it expires."),
    "Day": Note(bug_type=BugType.BOUNDARY, description="A day begins and ends in UTC, whatever clocks show elsewhere."),
    "Digits": Note(bug_type=BugType.WRONG_AMOUNT, description="A whole number has its digits, by exact arithmetic."),
}
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_KEY_END = messages.CARD_ISSUE_TIME + messages.KEY_LIFETIME
_REFUSED = Refused(requirement="REV-TKT-001")

_Change = Callable[[ReviewTicket], object]


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="tickets",
        subject="Tickets: to whom an ask commits, whether its ticket holds, and the digits of a charge.",
        spec="docs/spec/4-reviews.md",
        notes=_NOTES,
        groups=[
            Group(type="ReviewerCommitment", comment="A reviewer and a salt", cases=[*_commitments()]),
            Group(
                type="TicketCheck",
                comment="An ask for units.convert that commits to a reviewer, and how it is accepted",
                shared={"card": _hex(messages.sealed_card()), "ask": _hex(_sealed_ask(_ask()))},
                cases=[*_valid(), *_unsigned(), *_misnamed(), *_wrong_keys(), *_wrong_days()],
            ),
            Group(type="ChargeDigits", comment="What a receipt charges", cases=[*_digits()]),
        ],
    )


def _hex(message: SignedEnvelope | AnswerEvent) -> str:
    return message.SerializeToString(deterministic=True).hex()


def _commitments() -> Iterator[Case]:
    for comment, reviewer, salt in (
        ("the reviewer of the example", ASKER.public_key, reviews.TICKET_SALT),
        ("the same reviewer with another salt", ASKER.public_key, fixed_bytes("another salt", size=32)),
        ("another reviewer with the same salt", STRANGER.public_key, reviews.TICKET_SALT),
        ("a salt of zeros", ASKER.public_key, bytes(32)),
        ("a salt that begins with zeros", ASKER.public_key, fixed_bytes("short salt", size=16).rjust(32, b"\0")),
    ):
        inputs = {
            "reviewer": reviewer.hex(),
            "salt": salt.hex(),
            "reviewerCommitment": hashlib.sha256(reviewer + salt).hexdigest(),
        }
        yield Case(comment=comment, flags=["Commitment"], inputs=inputs)


def _ask() -> Ask:
    ask = messages.ask(card_digest=envelopes.envelope_digest(messages.sealed_card()))
    ask.reviewer_commitment = reviews.reviewer_commitment()
    return ask


def _sealed_ask(ask: Ask) -> SignedEnvelope:
    return envelopes.seal(ask, seed=ASKER.seed)


def _case(
    comment: str,
    flag: str,
    ticket: SignedEnvelope | None,
    *,
    at: datetime = messages.ACCEPT_TIME,
    refused: Refused | None = None,
    **more: str,
) -> Case:
    """Returns a test of a ticket.

    Args:
        comment: What is special about it.
        flag: Of the notes.
        ticket: What Accepted carries.
        at: When the ask was accepted.
        refused: Why the ticket fails, or None where it holds.
        more: Other inputs than those of the group.
    """
    ask = SignedEnvelope.FromString(bytes.fromhex(more["ask"])) if "ask" in more else _sealed_ask(_ask())
    accepted = Accepted(ask_digest=envelopes.envelope_digest(ask), accept_time=timestamp(at), ticket=ticket)
    inputs: Json = {"accepted": _hex(AnswerEvent(sequence=1, accepted=accepted)), **more}
    return Case(comment=comment, flags=[flag], inputs=inputs, refused=refused)


def _ticket(change: _Change = lambda _: None, *, by: Actor = SIGNING_KEY) -> SignedEnvelope:
    ticket = reviews.ticket()
    change(ticket)
    return envelopes.seal(ticket, seed=by.seed)


def _with(field: str, value: object) -> _Change:
    return lambda ticket: setattr(ticket, field, value)


def _of_day(day: datetime) -> SignedEnvelope:
    return _ticket(lambda ticket: ticket.issue_day.CopyFrom(timestamp(day)))


def _valid() -> Iterator[Case]:
    yield _case("the ticket of the example", "Plain", _ticket())
    day = reviews.ISSUE_DAY + 2 * _DAY
    yield _case("accepted in the first instant of its day", "Day", _of_day(day), at=day)
    yield _case("accepted in the last microsecond of its day", "Day", _of_day(day), at=day + _DAY - _MICROSECOND)
    last = _of_day(_KEY_END.replace(hour=0))
    yield _case("accepted in the instant in which its key expires", "KeyTime", last, at=_KEY_END)


def _unsigned() -> Iterator[Case]:
    yield _case("there is no ticket", "Absent", None, refused=_REFUSED)
    yield _case("signed by a stranger", "Envelope", _ticket(by=STRANGER), refused=_REFUSED)
    changed = _ticket()
    changed.payload = _ticket(_with("skill_id", "units.table")).payload
    yield _case(
        "the skill changed after it was signed",
        "Envelope",
        changed,
        refused=_REFUSED,
        ask=_hex(_sealed_ask(_of_skill("units.table"))),
    )
    renamed = envelopes.seal_bytes(
        _ticket().payload, payload_type="consilience.v1.PaymentAttestation", seed=SIGNING_KEY.seed
    )
    yield _case("signed as an attestation", "Envelope", renamed, refused=_REFUSED)
    unsigned = _ticket()
    unsigned.signature = b""
    yield _case("not signed", "Envelope", unsigned, refused=_REFUSED)
    yield _case("tells the time of the acceptance", "Fields", _of_day(messages.ACCEPT_TIME), refused=_REFUSED)
    yield _case(
        "tells the microsecond behind the beginning of the day",
        "Fields",
        _of_day(reviews.ISSUE_DAY + _MICROSECOND),
        refused=_REFUSED,
    )


def _of_skill(skill_id: str) -> Ask:
    ask = _ask()
    ask.skill_id = skill_id
    return ask


def _misnamed() -> Iterator[Case]:
    other_salt = hashlib.sha256(ASKER.public_key + bytes(32)).digest()
    for comment, field, value in (
        ("of another node", "node_id", OTHER_NODE.public_key),
        ("of another skill", "skill_id", "units.table"),
        ("of another commitment", "reviewer_commitment", other_salt),
        ("with the key of the asker in place of the commitment", "reviewer_commitment", ASKER.public_key),
    ):
        yield _case(comment, "Binding", _ticket(_with(field, value)), refused=_REFUSED)
    silent = _ask()
    silent.reviewer_commitment = b""
    yield _case(
        "for an ask that commits to nobody", "Binding", _ticket(), refused=_REFUSED, ask=_hex(_sealed_ask(silent))
    )


def _wrong_keys() -> Iterator[Case]:
    for name, actor in (("a stranger", STRANGER), ("the root key, which the card does not list", NODE)):
        forged = _ticket(_with("signing_key", actor.public_key), by=actor)
        yield _case(f"names {name} as its key, which signed it", "Key", forged, refused=_REFUSED)
    late = _KEY_END + _MICROSECOND
    yield _case(
        "accepted a microsecond after its key expired",
        "KeyTime",
        _of_day(_KEY_END.replace(hour=0)),
        at=late,
        refused=_REFUSED,
    )


def _wrong_days() -> Iterator[Case]:
    day = reviews.ISSUE_DAY
    yield _case("of the day before", "Day", _of_day(day - _DAY), refused=_REFUSED)
    yield _case("of the day after", "Day", _of_day(day + _DAY), refused=_REFUSED)
    late, early = day + timedelta(hours=23, minutes=30), day + timedelta(minutes=30)
    yield _case("of the day that it is in Sydney", "Day", _of_day(day + _DAY), at=late, refused=_REFUSED)
    yield _case("of the day that it is in Honolulu", "Day", _of_day(day - _DAY), at=early, refused=_REFUSED)
    yield _case("of the first day of all", "Day", _of_day(datetime(1970, 1, 1, tzinfo=UTC)), refused=_REFUSED)


def _digits() -> Iterator[Case]:
    for charge in (1, 9, 10, 99, 100, 1000, 10**15 - 1, 10**15, 10**17 - 1, 10**18 - 1, 10**18, 2**63 - 1):
        digits = next(digits for digits in range(1, 20) if charge < 10**digits)
        inputs = {"charge": str(charge), "chargeDigits": digits}
        yield Case(comment=f"a charge of {charge}", flags=["Digits"], inputs=inputs)
