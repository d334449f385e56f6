"""One tree, one class per reason, and both tables derived from the classes."""

from datetime import UTC, datetime, timedelta

import pytest
from google.rpc import code_pb2

from consilience import errors
from consilience.errors import (
    CODES,
    REFUSALS,
    AnswerShapeError,
    ConsilienceError,
    LimitExceeded,
    LimitExceededError,
    ProtocolError,
    RefusedError,
    ServerTime,
    TransportError,
    UnknownReasonError,
    UsageError,
)
from consilience.v1 import error_reason_pb2

_CATALOGUE = {
    value.name.removeprefix("ERROR_REASON_"): value
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values
    if value.number
}
_EVERY = [
    value
    for name in errors.__all__
    if isinstance(value := getattr(errors, name), type) and issubclass(value, Exception)
]


def test_there_is_one_class_per_reason_of_the_catalogue() -> None:
    assert REFUSALS.keys() == _CATALOGUE.keys()
    assert list(REFUSALS) == sorted(REFUSALS, key=lambda reason: _CATALOGUE[reason].number)


@pytest.mark.parametrize("reason", _CATALOGUE)
def test_the_code_of_a_class_is_the_one_that_the_proto_states(reason: str) -> None:
    declared = _CATALOGUE[reason].GetOptions().Extensions[error_reason_pb2.grpc_code]
    assert CODES[reason] == REFUSALS[reason].code == code_pb2.Code.Name(declared)


@pytest.mark.parametrize("reason", _CATALOGUE)
def test_a_refusal_says_what_it_means_and_what_to_do(reason: str) -> None:
    refusal = REFUSALS[reason]
    assert refusal.reason == reason
    assert refusal.__doc__
    assert refusal.remedy.endswith(".")
    assert refusal.remedy != RefusedError.remedy


def test_no_two_classes_share_a_reason() -> None:
    reasons = [refusal.reason for refusal in RefusedError.__subclasses__() if refusal.reason]
    assert len(set(reasons)) == len(reasons) == len(REFUSALS)


def test_the_tree_has_four_branches() -> None:
    assert set(ConsilienceError.__subclasses__()) >= {UsageError, ProtocolError, TransportError, RefusedError}
    assert issubclass(UsageError, ValueError)


@pytest.mark.parametrize("error", _EVERY)
def test_every_error_is_in_the_tree_and_has_a_remedy(error: type[ConsilienceError]) -> None:
    assert issubclass(error, ConsilienceError)
    assert isinstance(error.remedy, str)
    assert error.remedy
    assert error.__doc__


def test_every_error_of_the_tree_is_exported() -> None:
    def below(error: type[ConsilienceError]) -> set[type[ConsilienceError]]:
        children = {child for child in error.__subclasses__() if child.__module__.startswith("consilience.errors")}
        return children.union(*map(below, children))

    assert below(ConsilienceError) <= set(_EVERY)


def test_names_are_exported_in_order_and_exist() -> None:
    assert len(set(errors.__all__)) == len(errors.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)


def test_a_refusal_carries_detail_and_time_to_wait() -> None:
    detail = LimitExceeded(limit="max_turns", maximum=32, requested=33)
    refusal = LimitExceededError("33 turns", detail=detail, retry_after=timedelta(seconds=2))
    assert (refusal.detail, refusal.retry_after) == (detail, timedelta(seconds=2))
    assert str(refusal) == "33 turns"
    assert RefusedError("no").detail is None


def test_a_reason_from_the_future_is_a_refusal_with_what_was_received() -> None:
    detail = ServerTime(server_time=datetime(2026, 1, 15, tzinfo=UTC))
    refusal = UnknownReasonError("no", reason="MOON_TOO_FULL", code="UNAVAILABLE", detail=detail)
    assert isinstance(refusal, RefusedError)
    assert (refusal.reason, refusal.code, refusal.detail) == ("MOON_TOO_FULL", "UNAVAILABLE", detail)
    assert UnknownReasonError not in REFUSALS.values()


def test_a_breach_of_the_protocol_names_the_requirement() -> None:
    error = ProtocolError("event 9 comes after Final", requirement="STRM-LOG-003")
    assert error.requirement == "STRM-LOG-003"
    assert str(error) == "event 9 comes after Final (STRM-LOG-003)"


def test_an_answer_of_the_wrong_shape_keeps_its_text() -> None:
    assert AnswerShapeError("no JSON", text="hello").text == "hello"
