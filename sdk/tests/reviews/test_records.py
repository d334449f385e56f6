from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience import nodes, reviews
from consilience._wire import envelopes, records
from consilience.envelopes import seal
from consilience.errors import (
    FieldInvalidError,
    FieldViolations,
    LimitExceededError,
    PayloadTypeWrongError,
    RecordExpiredError,
    RecordNotYetValidError,
    RefusedError,
    ServerTime,
    SignatureInvalidError,
    SigningKeyUnknownError,
    SuccessionInvalidError,
    TicketInvalidError,
)
from consilience.identity import next_root_digest
from consilience.reviews.records import NEVER
from consilience.tariffs import Backing
from consilience.units import CardSequence, PublicKey, card_sequence
from consilience.v1 import review_pb2
from sdk.tests.reviews.specimens import (
    DAY,
    HOUR,
    NOW,
    TestNode,
    advisory_about,
    card_record,
    key,
    retraction_of,
    review_of,
)

NODE, OTHER = TestNode.named("node"), TestNode.named("other")
REVIEWER, STRANGER = key("reviewer"), key("stranger")
REVIEW = review_of(NODE, reviewer=REVIEWER)
ADVISORY = advisory_about(NODE.root.public_key, author=REVIEWER)
ALL = {
    "card": card_record(NODE),
    "succession": NODE.succession(),
    "review": REVIEW,
    "retraction": retraction_of(REVIEW, author=REVIEWER),
    "rebuttal": NODE.rebuttal(REVIEW),
    "advisory": ADVISORY,
}


def _place(record: reviews.OpenRecord) -> reviews.Place:
    return reviews.place_of(record, now=NOW)


@pytest.mark.parametrize("name", ALL)
def test_a_record_comes_back_from_the_wire_as_it_was(name: str) -> None:
    record = ALL[name]
    assert records.open_record(records.from_bytes(records.to_bytes(record.record))) == record


@pytest.mark.parametrize(
    ("name", "author", "slot", "end"),
    [
        ("card", NODE.root.public_key, NODE.root.public_key, NOW - HOUR + 7 * DAY),
        ("succession", NODE.root.public_key, NODE.root.public_key, NEVER),
        ("review", REVIEWER.public_key, _place(REVIEW).slot, reviews.day_of(NOW) + 730 * DAY),
        ("retraction", REVIEWER.public_key, _place(REVIEW).slot, reviews.day_of(NOW) + 730 * DAY),
        ("rebuttal", NODE.root.public_key, _place(REVIEW).slot, NOW + 730 * DAY),
        ("advisory", REVIEWER.public_key, ADVISORY.digest, NOW + 30 * DAY),
    ],
)
def test_every_type_has_its_author_slot_and_end(name: str, author: bytes, slot: bytes, end: Any) -> None:
    place = _place(ALL[name])
    assert (place.author, place.slot, place.end) == (author, slot, end)
    assert place.subject == NODE.root.public_key
    assert place.type.name.lower().endswith(name)


def test_the_slot_of_a_review_is_its_ticket() -> None:
    review = REVIEW.object.value
    assert isinstance(review, reviews.Review)
    assert _place(REVIEW).slot == review.ticket.digest
    assert _place(ALL["retraction"]).slot_type is reviews.RecordType.REVIEW


@pytest.mark.parametrize(
    "record",
    [
        card_record(NODE, issued=NOW + timedelta(seconds=31)),
        review_of(NODE, reviewer=REVIEWER, at=NOW + timedelta(seconds=31)),
        advisory_about(NODE.root.public_key, author=REVIEWER, at=NOW + timedelta(seconds=31)),
        NODE.succession(at=NOW + timedelta(seconds=31)),
    ],
)
def test_a_record_from_the_future_is_refused_with_the_time_of_the_registry(record: reviews.OpenRecord) -> None:
    with pytest.raises(RecordNotYetValidError) as caught:
        _place(record)
    assert caught.value.detail == ServerTime(server_time=NOW)


def test_the_skew_is_thirty_seconds() -> None:
    _place(advisory_about(NODE.root.public_key, author=REVIEWER, at=NOW + timedelta(seconds=30)))
    _place(card_record(NODE, issued=NOW + timedelta(seconds=30)))


@pytest.mark.parametrize(
    "record",
    [
        advisory_about(NODE.root.public_key, author=REVIEWER, at=NOW - 30 * DAY),
        card_record(NODE, issued=NOW - 8 * DAY),
        review_of(NODE, reviewer=REVIEWER, ticket=NODE.ticket(reviewer=REVIEWER, salt=b"s" * 32, at=NOW - 731 * DAY)),
    ],
)
def test_a_record_that_has_ended_is_refused(record: reviews.OpenRecord) -> None:
    with pytest.raises(RecordExpiredError):
        _place(record)


def test_a_review_with_the_ticket_of_another_is_refused() -> None:
    review = REVIEW.object.value
    assert isinstance(review, reviews.Review)
    stolen = review_of(NODE, reviewer=STRANGER, ticket=review.ticket)
    with pytest.raises(TicketInvalidError, match="does not open"):
        _place(stolen)


def test_a_review_with_another_salt_is_refused() -> None:
    with pytest.raises(TicketInvalidError, match="does not open"):
        _place(review_of(NODE, reviewer=REVIEWER, ticket_salt=b"x" * 32))


def test_a_review_without_a_ticket_is_refused_by_the_name_of_the_field() -> None:
    bare = review_pb2.Review.FromString(REVIEW.object.envelope.payload)
    bare.ClearField("ticket")
    envelope = seal(bare.SerializeToString(), payload_type="consilience.v1.Review", signer=REVIEWER)
    with pytest.raises(FieldInvalidError) as caught:
        records.open_record(reviews.Record(object=envelope))
    assert isinstance(caught.value.detail, FieldViolations)
    assert [violation.field for violation in caught.value.detail.violations] == ["ticket"]


def test_a_forged_ticket_is_refused() -> None:
    forged = NODE.ticket(reviewer=REVIEWER, salt=b"s" * 32)
    broken = replace(forged, envelope=replace(forged.envelope, signature=bytes(64)))
    record = review_of(NODE, reviewer=REVIEWER, ticket=broken)
    with pytest.raises(SignatureInvalidError):
        records.open_record(record.record)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"skill_id": "conformance.script"}, "are not reviewed"),
        ({"issue_day": reviews.day_of(NOW + DAY)}, "older than its ticket"),
    ],
)
def test_a_ticket_that_nothing_can_be_reviewed_with_is_refused(changes: dict[str, Any], complaint: str) -> None:
    ticket = NODE.ticket(reviewer=REVIEWER, salt=b"salt 0".ljust(32, b"."), **changes)
    with pytest.raises(TicketInvalidError, match=complaint):
        _place(review_of(NODE, reviewer=REVIEWER, ticket=ticket))


@pytest.mark.parametrize("changes", [{"ticket_digest": b"x" * 32}, {"node_id": OTHER.root.public_key}])
def test_an_attestation_of_another_ticket_or_node_is_refused(changes: dict[str, Any]) -> None:
    review = REVIEW.object.value
    assert isinstance(review, reviews.Review)
    described: dict[str, Any] = {
        "node_id": NODE.root.public_key,
        "signing_key": NODE.signing.public_key,
        "ticket_digest": review.ticket.digest,
        "asset": "TEST/0",
        "charge_digits": 2,
        "backing": Backing.PREPAID,
    }
    whole = envelopes.seal(reviews.PaymentAttestation(**described), signer=NODE.signing)
    _place(review_of(NODE, reviewer=REVIEWER, attestation=whole))
    broken = envelopes.seal(reviews.PaymentAttestation(**(described | changes)), signer=NODE.signing)
    with pytest.raises(TicketInvalidError, match="attestation"):
        _place(review_of(NODE, reviewer=REVIEWER, attestation=broken))


def _without_card(record: reviews.OpenRecord) -> reviews.OpenRecord:
    return replace(record, card=None)


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (_without_card(REVIEW), "no card"),
        (_without_card(NODE.rebuttal(REVIEW)), "no card"),
        (replace(REVIEW, card=OTHER.card()), "no card"),
        (replace(REVIEW, card=NODE.card(signing_keys=())), "does not list"),
        (replace(REVIEW, card=NODE.card(issued=NOW - 30 * DAY)), "does not list"),
        (replace(REVIEW, card=NODE.card(issued=NOW + 2 * DAY)), "does not list"),
    ],
)
def test_what_no_card_shows_to_be_signed_for_the_node_is_refused(record: reviews.OpenRecord, complaint: str) -> None:
    with pytest.raises(SigningKeyUnknownError, match=complaint):
        _place(record)


def test_a_card_that_has_expired_still_shows_who_signed() -> None:
    issued = NOW - 10 * DAY
    old = NODE.card(issued=issued)
    assert old.value.expire_time < NOW
    assert _place(replace(REVIEW, card=old)).type is reviews.RecordType.REVIEW


def test_a_ticket_that_the_root_key_signed_needs_no_card() -> None:
    ticket = NODE.ticket(reviewer=REVIEWER, salt=b"salt 0".ljust(32, b"."), signer=NODE.root)
    record = _without_card(review_of(NODE, reviewer=REVIEWER, ticket=ticket))
    assert reviews.card_wanted(record) is None
    _place(record)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("card", False), ("succession", True), ("review", True), ("retraction", False), ("rebuttal", True)],
)
def test_who_rests_on_a_card_says_so(name: str, *, wanted: bool) -> None:
    assert reviews.card_wanted(ALL[name]) == (NODE.root.public_key if wanted else None)


def test_a_succession_to_a_key_that_was_not_committed_to_is_refused() -> None:
    with pytest.raises(SuccessionInvalidError, match="commits"):
        _place(NODE.succession(to=STRANGER))


@pytest.mark.parametrize(
    "card",
    [
        OTHER.card(next_root_digest=next_root_digest(NODE.next_root.public_key)),
        NODE.card(issued=NOW + timedelta(seconds=1)),
        NODE.card(next_root_digest=b""),
    ],
)
def test_a_succession_is_shown_by_an_earlier_card_of_the_old_key_alone(card: Any) -> None:
    with pytest.raises(SuccessionInvalidError):
        _place(NODE.succession(card=card))


def test_a_card_beyond_all_calendars_shows_nothing() -> None:
    absurd = NODE.card(sequence=CardSequence(2**63 - 1))
    with pytest.raises(SigningKeyUnknownError):
        _place(replace(REVIEW, card=absurd))
    with pytest.raises(SuccessionInvalidError):
        _place(NODE.succession(card=absurd))


def test_an_acceptance_that_names_no_key_breaks_a_rule_of_fields() -> None:
    acceptance = nodes.KeyAcceptance(
        old_node_id=PublicKey(b"short"), new_node_id=NODE.next_root.public_key, issue_time=NOW
    )
    sealed = envelopes.seal(acceptance, signer=NODE.next_root)
    handed = nodes.KeySuccession(old_node_id=NODE.root.public_key, acceptance=sealed)
    with pytest.raises(FieldInvalidError):
        _place(reviews.OpenRecord(object=envelopes.seal(handed, signer=NODE.root), card=NODE.card()))


def test_a_succession_without_a_card_is_refused() -> None:
    with pytest.raises(SuccessionInvalidError, match="no card"):
        _place(_without_card(NODE.succession()))


def test_a_card_that_breaks_a_rule_of_every_client_is_refused() -> None:
    too_long = (nodes.SigningKey(public_key=NODE.signing.public_key, expire_time=NOW + 60 * DAY),)
    with pytest.raises(FieldInvalidError, match="30 days"):
        _place(card_record(NODE, signing_keys=too_long))


def test_fields_are_judged_before_times() -> None:
    record = advisory_about(NODE.root.public_key, author=REVIEWER, at=NOW + DAY, summary="")
    with pytest.raises(FieldInvalidError):
        _place(record)


def test_a_record_of_another_type_is_none() -> None:
    ticket = NODE.ticket(reviewer=REVIEWER, salt=b"s" * 32)
    with pytest.raises(PayloadTypeWrongError):
        records.open_record(reviews.Record(object=ticket.envelope))


def test_a_record_of_more_than_64_kib_is_refused_by_that_limit() -> None:
    huge = NODE.card(skills=[nodes.Skill(id=f"s{index}", description="d" * 1000) for index in range(70)])
    with pytest.raises(LimitExceededError) as caught:
        records.open_record(reviews.Record(object=huge.envelope))
    assert getattr(caught.value.detail, "limit", "") == "record_bytes"


def test_a_card_that_does_not_open_shows_nothing() -> None:
    huge = NODE.card(skills=[nodes.Skill(id=f"s{index}", description="d" * 1000) for index in range(70)])
    forged = replace(NODE.card().envelope, signature=bytes(64))
    for card in (huge.envelope, forged, NODE.ticket(reviewer=REVIEWER, salt=b"s" * 32).envelope):
        opened = records.open_record(reviews.Record(object=REVIEW.object.envelope, card=card))
        with pytest.raises(SigningKeyUnknownError):
            _place(opened)


def test_a_card_that_nothing_rests_on_is_left_out() -> None:
    advisory = advisory_about(NODE.root.public_key, author=REVIEWER)
    beside = reviews.Record(object=advisory.object.envelope, card=NODE.card().envelope)
    assert records.open_record(beside) == advisory


def test_a_time_at_the_end_of_the_calendar_is_no_crash() -> None:
    late = NOW.replace(year=9999)
    with pytest.raises(RefusedError):
        _place(review_of(NODE, reviewer=REVIEWER, at=late))
    ticket = NODE.ticket(reviewer=REVIEWER, salt=b"salt 0".ljust(32, b"."), at=late)
    with pytest.raises(RefusedError):
        _place(review_of(NODE, reviewer=REVIEWER, ticket=ticket, at=late))


def test_the_sequence_of_a_card_is_its_issue_time() -> None:
    place = _place(card_record(NODE))
    assert card_sequence(place.issue_time) == card_sequence(NOW - HOUR)
    assert place.since == place.issue_time
