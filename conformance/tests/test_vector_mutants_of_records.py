"""The vectors of records can fail too: a careless reader fails those made for its fault, and no others."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import protovalidate
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1 import node_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.node_pb2 import KeyAcceptance, NodeCard
from consilience.v1.registry_pb2 import Record
from consilience_conformance import vectors
from consilience_conformance.envelopes import defect_of, envelope_digest
from consilience_conformance.image import message_class
from consilience_conformance.wire_values import time_of

Test = dict[str, Any]

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
DAY, MICROSECOND, SKEW = timedelta(days=1), timedelta(microseconds=1), timedelta(seconds=30)
SIGNERS = {
    "NodeCard": "node_id",
    "KeySuccession": "old_node_id",
    "KeyAcceptance": "new_node_id",
    "Review": "reviewer",
    "ReviewTicket": "signing_key",
    "PaymentAttestation": "signing_key",
    "Rebuttal": "signing_key",
    "Retraction": "author",
    "Advisory": "author",
}
CLASSES = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        NodeCard,
        node_pb2.KeySuccession,
        KeyAcceptance,
        review_pb2.Review,
        review_pb2.ReviewTicket,
        review_pb2.PaymentAttestation,
        review_pb2.Rebuttal,
        review_pb2.Retraction,
        review_pb2.Advisory,
    )
}
KEPT = SIGNERS.keys() - {"KeyAcceptance", "ReviewTicket", "PaymentAttestation"}
QUOTAS = {1: 1, 2: 1, 3: 10_000, 5: 10_000, 6: 1_000}


@cache
def _tests() -> tuple[Test, ...]:
    groups = vectors.load("records")["testGroups"]
    return tuple(test for group in groups for test in group["tests"])


def _time(value: Timestamp) -> datetime:
    time = time_of(value)
    assert time is not None
    return time


def _issue_time(card: NodeCard) -> datetime:
    return EPOCH + timedelta(microseconds=card.sequence)


def _opened(envelope: SignedEnvelope) -> Any:
    return CLASSES[envelope.payload_type].FromString(envelope.payload)


@cache
def _breaks_a_rule(payload_type: str, payload: bytes) -> bool:
    """Asks the classes of the image, which know the rules."""
    return bool(protovalidate.collect_violations(message_class(payload_type).FromString(payload)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """How a reader checks a record, each step open to a fault."""

    steps: tuple[str, ...] = ("opens", "rules", "times", "ticket", "keys", "commitment")
    unknown_type: str = "PAYLOAD_TYPE_WRONG"
    verifies_inside: bool = True
    compares_signer: bool = True
    skew: timedelta = SKEW
    skew_of_cards: timedelta = SKEW
    end_of_review: str = "ticket.issue_day"
    ends: Callable[[datetime, datetime], bool] = lambda now, end: now >= end
    opening_matters: bool = True
    scripts: Callable[[str], bool] = lambda skill_id: skill_id == "conformance.script"
    day_matters: bool = True
    attested: tuple[str, ...] = ("ticket_digest", "node_id")
    root_key_signs: bool = True
    own_card_only: bool = True
    verifies_card: bool = True
    card_ahead: timedelta = DAY
    key_at: str = "ticket.issue_day"
    expiry: Callable[[datetime, datetime], bool] = lambda at, expiry: at <= expiry
    succeeds_after: timedelta = timedelta(0)

    def verdict(self, test: Test) -> object:
        """Returns the reason for refusing a vector, or the place of the record."""
        record, now = Record.FromString(bytes.fromhex(test["record"])), datetime.fromisoformat(test["now"])
        for step in self.steps:
            for reason in getattr(self, f"_{step}")(record, now):
                return reason
        return self._place(record)

    def _opens(self, record: Record, _: datetime) -> Iterator[str]:
        if record.object.payload_type.rpartition(".")[2] not in KEPT:
            yield self.unknown_type
            return
        for envelope, kind in self._envelopes(record):
            if envelope.payload_type != f"consilience.v1.{kind}":
                yield self.unknown_type
            elif envelope is not record.object and not self.verifies_inside:
                continue
            elif defect_of(envelope, payload_type=envelope.payload_type):
                yield "SIGNATURE_INVALID"
            elif envelope.public_key != getattr(_opened(envelope), SIGNERS[kind]) and self.compares_signer:
                yield "SIGNER_WRONG"

    def _envelopes(self, record: Record) -> Iterator[tuple[SignedEnvelope, str]]:
        kind, value = record.object.payload_type.rpartition(".")[2], _opened(record.object)
        yield record.object, kind
        if kind == "KeySuccession":
            yield value.acceptance, "KeyAcceptance"
        if kind == "Review":
            yield value.ticket, "ReviewTicket"
        if kind == "Review" and value.HasField("attestation"):
            yield value.attestation, "PaymentAttestation"

    def _rules(self, record: Record, _: datetime) -> Iterator[str]:
        for envelope, _kind in self._envelopes(record):
            if _breaks_a_rule(envelope.payload_type, envelope.payload) or _breaks_12(_opened(envelope)):
                yield "FIELD_INVALID"

    def _times(self, record: Record, now: datetime) -> Iterator[str]:
        issued, end = self._span(record)
        is_card = record.object.payload_type == "consilience.v1.NodeCard"
        if issued > now + self.skew:
            yield "RECORD_NOT_YET_VALID"
        elif end is not None and (now > end + self.skew_of_cards if is_card else self.ends(now, end)):
            yield "RECORD_EXPIRED"

    def _span(self, record: Record) -> tuple[datetime, datetime | None]:
        value = _opened(record.object)
        match value:
            case NodeCard():
                return _issue_time(value), _time(value.expire_time)
            case node_pb2.KeySuccession():
                return _time(KeyAcceptance.FromString(value.acceptance.payload).issue_time), None
            case review_pb2.Review():
                return _time(value.issue_time), self._moment(value, self.end_of_review) + 730 * DAY
            case review_pb2.Rebuttal():
                return _time(value.issue_time), _time(value.issue_time) + 730 * DAY
            case _:
                return _time(value.issue_time), _time(value.expire_time)

    def _moment(self, review: review_pb2.Review, name: str) -> datetime:
        return _time(_opened(review.ticket).issue_day if name == "ticket.issue_day" else review.issue_time)

    def _ticket(self, record: Record, _: datetime) -> Iterator[str]:
        review = _opened(record.object)
        if not isinstance(review, review_pb2.Review):
            return
        ticket = _opened(review.ticket)
        commitment = hashlib.sha256(review.reviewer + review.ticket_salt).digest()
        named = {"ticket_digest": envelope_digest(review.ticket), "node_id": ticket.node_id}
        wrong = (
            (self.opening_matters and commitment != ticket.reviewer_commitment)
            or self.scripts(ticket.skill_id)
            or (self.day_matters and _time(review.issue_time) < _time(ticket.issue_day))
            or (
                review.HasField("attestation")
                and any(getattr(_opened(review.attestation), name) != named[name] for name in self.attested)
            )
        )
        if wrong:
            yield "TICKET_INVALID"

    def _keys(self, record: Record, _: datetime) -> Iterator[str]:
        value = _opened(record.object)
        signed = []
        if isinstance(value, review_pb2.Review):
            at = self._moment(value, self.key_at)
            signed = [(_opened(value.ticket).node_id, key.signing_key, at) for key in _signed_for(value)]
        elif isinstance(value, review_pb2.Rebuttal):
            signed = [(value.node_id, value.signing_key, _time(value.issue_time))]
        if not all(self._signs(node, key, at, record.card) for node, key, at in signed):
            yield "SIGNING_KEY_UNKNOWN"

    def _signs(self, node: bytes, key: bytes, at: datetime, card: SignedEnvelope) -> bool:
        if key == node and self.root_key_signs:
            return True
        if not self._card_opens(card):
            return False
        shown = NodeCard.FromString(card.payload)
        expiries = [_time(listed.expire_time) for listed in shown.signing_keys if listed.public_key == key]
        return (
            (shown.node_id == node or not self.own_card_only)
            and _issue_time(shown) <= at + self.card_ahead
            and any(self.expiry(at, expiry) for expiry in expiries)
        )

    def _card_opens(self, card: SignedEnvelope) -> bool:
        if card.payload_type != "consilience.v1.NodeCard":
            return False
        signer = NodeCard.FromString(card.payload).node_id
        return not self.verifies_card or not defect_of(card, payload_type=card.payload_type, signer=signer)

    def _commitment(self, record: Record, _: datetime) -> Iterator[str]:
        value = _opened(record.object)
        if not isinstance(value, node_pb2.KeySuccession):
            return
        accepted, card = _opened(value.acceptance), NodeCard.FromString(record.card.payload)
        holds = (
            self._card_opens(record.card)
            and accepted.old_node_id == value.old_node_id
            and (card.node_id == value.old_node_id or not self.own_card_only)
            and _issue_time(card) <= _time(accepted.issue_time) + self.succeeds_after
            and card.next_root_digest == hashlib.sha256(accepted.new_node_id).digest()
        )
        if not holds:
            yield "SUCCESSION_INVALID"

    def _place(self, record: Record) -> object:
        value = _opened(record.object)
        issued, end = self._span(record)
        author, subject, slot, kind = _slot(value, record.object)
        return {
            "author": author.hex(),
            "subject": subject.hex(),
            "slot": slot.hex(),
            "issueTime": _shown(issued),
            "end": "" if end is None else _shown(end),
            "quota": QUOTAS[kind],
        }


def _shown(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _breaks_12(card: Message) -> bool:
    if not isinstance(card, NodeCard):
        return False
    latest = _issue_time(card) + 30 * DAY
    return node_pb2.PROFILE_CORE not in card.profiles or any(
        _time(key.expire_time) > latest for key in card.signing_keys
    )


def _signed_for(review: review_pb2.Review) -> Iterator[Any]:
    yield _opened(review.ticket)
    if review.HasField("attestation"):
        yield _opened(review.attestation)


def _slot(value: Message, envelope: SignedEnvelope) -> tuple[bytes, bytes, bytes, int]:
    match value:
        case NodeCard():
            return value.node_id, value.node_id, value.node_id, 1
        case node_pb2.KeySuccession():
            return value.old_node_id, value.old_node_id, value.old_node_id, 2
        case review_pb2.Review():
            return value.reviewer, _opened(value.ticket).node_id, envelope_digest(value.ticket), 3
        case review_pb2.Rebuttal():
            return value.node_id, value.node_id, value.target_digest, 5
        case review_pb2.Retraction():
            return value.author, value.subject, value.target_digest, value.target_type
        case _:
            assert isinstance(value, review_pb2.Advisory)
            return value.author, value.node_id or value.weights_digest, envelope_digest(envelope), 6


def _expected(test: Test) -> object:
    if test["result"] == "invalid":
        return test["reason"]
    return {name: test[name] for name in ("author", "subject", "slot", "issueTime", "end", "quota")}


def _misjudged(reader: Reader) -> list[Test]:
    return [test for test in _tests() if reader.verdict(test) != _expected(test)]


def _without(step: str) -> dict[str, Any]:
    return {"steps": tuple(name for name in Reader().steps if name != step)}


FAULTS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("takes another type for damage", {"unknown_type": "ENVELOPE_MALFORMED"}, {"Type"}),
    ("does not verify what is inside", {"verifies_inside": False}, {"Envelope", "Order"}),
    ("does not compare the signer", {"compares_signer": False}, {"Envelope", "Order"}),
    ("has no rules", _without("rules"), {"Fields", "Order"}),
    ("allows no skew", {"skew": timedelta(0)}, {"Future"}),
    ("allows a microsecond less", {"skew": SKEW - MICROSECOND}, {"Future"}),
    ("allows a microsecond more", {"skew": SKEW + MICROSECOND}, {"Future"}),
    ("drops cards at their ends", {"skew_of_cards": timedelta(0)}, {"Ended"}),
    ("keeps cards too long", {"skew_of_cards": SKEW + MICROSECOND}, {"Ended"}),
    ("keeps what ends now", {"ends": lambda now, end: now > end}, {"Ended", "End", "Order"}),
    ("allows the ended the skew", {"ends": lambda now, end: now > end + SKEW}, {"Ended", "End", "Order"}),
    ("drops too early", {"ends": lambda now, end: now > end - 2 * MICROSECOND}, {"Ended", "End"}),
    (
        "counts the end of a review from its issue",
        {"end_of_review": "issue_time"},
        {"Place", "End", "Attestation", "KeyTime", "NodeKey", "Order", "Script"},
    ),
    ("opens no ticket", {"opening_matters": False}, {"Opening", "Order"}),
    ("reviews scripts", {"scripts": lambda _: False}, {"Script", "Order"}),
    ("takes more for scripts", {"scripts": lambda skill: skill.startswith("conformance.")}, {"Script"}),
    ("does not look at the day", {"day_matters": False}, {"Day"}),
    ("takes any payment to the node", {"attested": ("node_id",)}, {"Attestation"}),
    ("takes a payment to anyone", {"attested": ("ticket_digest",)}, {"Attestation"}),
    ("wants a card for the root key", {"root_key_signs": False}, {"NodeKey"}),
    ("takes the card of anyone", {"own_card_only": False}, {"Key", "NotCommitted"}),
    ("does not verify cards", {"verifies_card": False}, {"Key", "NotCommitted"}),
    ("takes any later card", {"card_ahead": 365 * DAY}, {"KeyTime"}),
    ("takes a card a microsecond less late", {"card_ahead": DAY - MICROSECOND}, {"KeyTime"}),
    ("takes a card a microsecond too late", {"card_ahead": DAY + MICROSECOND}, {"KeyTime"}),
    ("judges keys when the review was written", {"key_at": "issue_time"}, {"KeyTime", "End"}),
    ("ignores that keys expire", {"expiry": lambda _at, _expiry: True}, {"KeyTime"}),
    ("lets keys expire an instant too early", {"expiry": lambda at, expiry: at < expiry}, {"KeyTime"}),
    ("checks no key", _without("keys"), {"Key", "KeyTime"}),
    ("lets keys be handed on before the card", {"succeeds_after": DAY}, {"NotCommitted"}),
    ("lets keys be handed on after the card alone", {"succeeds_after": -MICROSECOND}, {"NotCommitted"}),
    ("lets anyone succeed", _without("commitment"), {"NotCommitted"}),
    (
        "looks at the ticket first",
        {"steps": ("opens", "ticket", "rules", "times", "keys", "commitment")},
        {"Order"},
    ),
    ("looks at the keys first", {"steps": ("opens", "keys", "rules", "times", "ticket", "commitment")}, {"Order"}),
    (
        "looks at the time first",
        {"steps": ("opens", "times", "rules", "ticket", "keys", "commitment")},
        {"Fields", "Order"},
    ),
]


def test_a_careful_reader_of_records_passes() -> None:
    assert [test["comment"] for test in _misjudged(Reader())] == []


@pytest.mark.parametrize(("fault", "flags"), [pytest.param(fault, flags, id=name) for name, fault, flags in FAULTS])
def test_a_careless_reader_of_records_fails(fault: dict[str, Any], flags: set[str]) -> None:
    assert {flag for test in _misjudged(dataclasses.replace(Reader(), **fault)) for flag in test["flags"]} == flags


def test_every_flag_has_a_careless_reader() -> None:
    found = {flag for _, _, flags in FAULTS for flag in flags}
    assert found == vectors.load("records")["notes"].keys()
