import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from consilience import asks, nodes, payments, reviews, tariffs
from consilience._wire import convert, envelopes
from consilience.envelopes import Signed
from consilience.errors import EnvelopeMalformedError, FieldInvalidError, FieldViolations, SignatureInvalidError
from consilience.identity import KeyPair
from consilience.units import EPOCH
from consilience.v1 import ask_pb2, node_pb2, payment_pb2, registry_pb2, review_pb2, tariff_pb2
from sdk.tests._wire.chains import NOW, Chain
from sdk.tests._wire.payments import full_payments
from sdk.tests._wire.reviews import full_reviews, unbounded

FULL_PAYMENTS = full_payments()
WITHOUT_MESSAGE = {
    payments.Account,
    payments.Amount,
    payments.Budget,
    payments.Exposure,
    payments.ListPrices,
}
"""Values of payments that never travel."""
FULL_REVIEWS = full_reviews()


@pytest.mark.parametrize("name", ["card", "ask", "answer"])
def test_a_value_with_every_field_set_comes_back_equal(chain: Chain, name: str) -> None:
    signed = getattr(chain, name)
    assert convert.from_message(convert.to_message(signed.value), type(signed.value)) == signed.value


@pytest.mark.parametrize("name", ["card", "ask", "answer"])
def test_the_full_example_leaves_no_field_of_the_message_unset(chain: Chain, name: str) -> None:
    """So that the round trip above cannot pass over a field that the converter forgets."""
    message = convert.to_message(getattr(chain, name).value)
    assert {field.name for field, _ in message.ListFields()} == {field.name for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize("name", FULL_PAYMENTS | FULL_REVIEWS)
def test_what_has_every_field_set_comes_back_equal(name: str) -> None:
    value = unbounded((FULL_PAYMENTS | FULL_REVIEWS)[name])
    message = convert.to_message(value)
    assert convert.from_message(message, type(value)) == value
    assert {field.name for field, _ in message.ListFields()} == {field.name for field in message.DESCRIPTOR.fields}


def test_every_object_and_call_of_payments_is_among_the_full_examples() -> None:
    of_payments = {value for value in vars(payments).values() if isinstance(value, type)}
    assert {value for value in _value_types() if value in of_payments} == {*map(type, FULL_PAYMENTS.values())}


def test_every_object_and_query_of_reviews_is_among_the_full_examples() -> None:
    of_reviews = {value for value in vars(reviews).values() if isinstance(value, type)}
    assert {value for value in _value_types() if value in of_reviews} == {*map(type, FULL_REVIEWS.values())}


def _value_types() -> list[type]:
    modules = (nodes, asks, payments, reviews, tariffs)
    types = [value for module in modules for value in vars(module).values() if dataclasses.is_dataclass(value)]
    without_message = {Signed, nodes.NodeAddress, asks.UnknownEvent, asks.AnswerEvent}
    without_message |= WITHOUT_MESSAGE
    without_message |= {reviews.OpenRecord, reviews.Place, reviews.Placed, reviews.Merged}
    return sorted({t for t in types if isinstance(t, type)} - without_message, key=lambda t: t.__name__)


@pytest.mark.parametrize("value_type", _value_types())
def test_value_type_and_message_have_the_same_fields(value_type: type) -> None:
    oneofs = {"origin": {"document", "answer_digest"}}
    of_value: set[str] = set()
    for field in dataclasses.fields(value_type):
        of_value |= oneofs.get(field.name, {field.name})
    codec = convert._codec(value_type)
    assert of_value == {field.name for field in codec.message_type.DESCRIPTOR.fields}


def test_enums_have_the_numbers_and_names_of_the_wire() -> None:
    pairs: list[tuple[Any, Any, str]] = [
        (nodes.Profile, node_pb2.Profile, "PROFILE_"),
        (nodes.TlsMode, node_pb2.TlsMode, "TLS_MODE_"),
        (nodes.DataClass, node_pb2.DataClass, "DATA_CLASS_"),
        (asks.Role, ask_pb2.Role, "ROLE_"),
        (asks.OnDisconnect, ask_pb2.OnDisconnect, "ON_DISCONNECT_"),
        (asks.Outcome, ask_pb2.Outcome, "OUTCOME_"),
        (asks.StopReason, ask_pb2.StopReason, "STOP_REASON_"),
        (asks.DroppedSide, ask_pb2.DroppedSide, "DROPPED_SIDE_"),
        (tariffs.PricedUnit, tariff_pb2.PricedUnit, "PRICED_UNIT_"),
        (tariffs.Backing, tariff_pb2.Backing, "BACKING_"),
        (payments.SessionStatus, payment_pb2.SessionStatus, "SESSION_STATUS_"),
        (payments.TransferStatus, payment_pb2.TransferStatus, "TRANSFER_STATUS_"),
        (reviews.Verdict, review_pb2.Verdict, "VERDICT_"),
        (reviews.VerificationMethod, review_pb2.VerificationMethod, "VERIFICATION_METHOD_"),
        (reviews.AdvisoryCategory, review_pb2.AdvisoryCategory, "ADVISORY_CATEGORY_"),
        (reviews.Severity, review_pb2.Severity, "SEVERITY_"),
        (reviews.RecordType, review_pb2.RecordType, "RECORD_TYPE_"),
        (reviews.PublishOutcome, registry_pb2.PublishOutcome, "PUBLISH_OUTCOME_"),
    ]
    for ours, wire, prefix in pairs:
        numbers = {f"{prefix}{member.name}": int(member) for member in ours if member >= 0}
        of_wire = dict(wire.items())
        assert {f"{prefix}UNSPECIFIED": 0} | numbers == of_wire


def test_an_enum_number_of_a_later_version_becomes_unknown() -> None:
    message = node_pb2.DataPolicy(max_data_class=99)  # type: ignore[arg-type]
    assert convert.from_message(message, nodes.DataPolicy).max_data_class is nodes.DataClass.UNKNOWN


def test_unknown_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="max_data_class is UNKNOWN"):
        convert.to_message(nodes.DataPolicy(max_data_class=nodes.DataClass.UNKNOWN))


def test_an_absent_required_message_is_named_by_its_whole_path(chain: Chain) -> None:
    message = convert.to_message(chain.answer.value)
    message.intake.chunks[0].document.ClearField("retrieval_time")
    with pytest.raises(FieldInvalidError) as caught:
        convert.from_message(message, asks.Answer)
    assert isinstance(caught.value.detail, FieldViolations)
    assert caught.value.detail.violations[0].field == "intake.chunks[0].document.retrieval_time"


def test_a_turn_part_without_content_is_a_violation() -> None:
    message = ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[ask_pb2.Part()])
    with pytest.raises(FieldInvalidError, match=r"parts\[0\]\.content is required"):
        convert.from_message(message, asks.Turn)


@pytest.mark.parametrize("seconds", [-(2**63), -62135596801, 253402300800, 2**63 - 1])
def test_a_time_beyond_the_calendar_is_a_violation_and_no_crash(chain: Chain, seconds: int) -> None:
    message = convert.to_message(chain.ask.value)
    message.header.issue_time.seconds = seconds
    with pytest.raises(FieldInvalidError, match=r"header\.issue_time"):
        convert.from_message(message, asks.Ask)


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1, microseconds=1), timedelta(days=9, seconds=1)])
def test_a_duration_comes_back_to_the_microsecond(span: timedelta) -> None:
    usage = asks.Usage(duration=span)
    assert convert.from_message(convert.to_message(usage), asks.Usage) == usage


def test_times_before_the_epoch_come_back_to_the_microsecond() -> None:
    moment = EPOCH - timedelta(days=1, microseconds=1)
    signing_key = nodes.SigningKey(public_key=KeyPair(b"k" * 32).public_key, expire_time=moment)
    assert convert.from_message(convert.to_message(signing_key), nodes.SigningKey) == signing_key


def test_absent_and_zero_differ_where_presence_counts() -> None:
    absent, zero = asks.Confidence(method="m"), asks.Confidence(method="m", p_correct=0.0)
    for value in (absent, zero):
        assert convert.from_message(convert.to_message(value), asks.Confidence) == value


def test_bytes_that_are_no_message_are_malformed() -> None:
    with pytest.raises(EnvelopeMalformedError, match=r"not a consilience\.v1\.Ask"):
        convert.parse(b"\xff\xff\xff", asks.Ask)


def test_a_nested_envelope_is_verified_on_the_way_in() -> None:
    old, new = KeyPair(b"o" * 32), KeyPair(b"w" * 32)
    acceptance = envelopes.seal(
        nodes.KeyAcceptance(old_node_id=old.public_key, new_node_id=new.public_key, issue_time=NOW), signer=new
    )
    succession = nodes.KeySuccession(old_node_id=old.public_key, acceptance=acceptance)
    message = convert.to_message(succession)
    assert convert.from_message(message, nodes.KeySuccession) == succession
    message.acceptance.signature = bytes(64)
    with pytest.raises(SignatureInvalidError):
        convert.from_message(message, nodes.KeySuccession)


def test_a_list_that_takes_two_bytes_a_value_is_not_made_into_millions_of_values() -> None:
    encoded = ask_pb2.Turn(role=ask_pb2.ROLE_ASKER).SerializeToString()
    part = ask_pb2.Turn(parts=[ask_pb2.Part(text="")]).SerializeToString()
    most = convert.parse(encoded + part * convert.MAX_ITEMS, asks.Turn)
    assert len(most.parts) == convert.MAX_ITEMS
    with pytest.raises(FieldInvalidError) as caught:
        convert.parse(encoded + part * (convert.MAX_ITEMS + 1), asks.Turn)
    assert isinstance(caught.value.detail, FieldViolations)
    assert [violation.field for violation in caught.value.detail.violations] == ["parts"]
