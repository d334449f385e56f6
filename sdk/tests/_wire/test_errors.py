from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from consilience import errors
from consilience._wire import errors as wire
from consilience.v1 import error_reason_pb2
from sdk.tests._wire.chains import NOW

DETAILS: list[errors.Detail | None] = [
    None,
    errors.ServerTime(server_time=NOW),
    errors.LimitExceeded(limit="max_turns", maximum=32, requested=33),
    errors.Supported(field="skill_id", values=("a", "b")),
    errors.Redirect(uri="https://node.example:7341"),
    errors.FieldViolations(violations=(errors.FieldViolation(field="skill_id", description="must match"),)),
]


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("retry_after", [None, timedelta(seconds=2, microseconds=500)])
def test_a_refusal_comes_back_with_reason_detail_and_delay(
    detail: errors.Detail | None, retry_after: timedelta | None
) -> None:
    for refusal in errors.REFUSALS.values():
        sent = refusal("no", detail=detail, retry_after=retry_after)
        received = wire.refusal_from_status(wire.status_of(sent))
        assert type(received) is refusal
        assert (received.detail, received.retry_after, str(received)) == (detail, retry_after, "no")


def test_the_tree_has_exactly_the_reasons_of_the_catalogue_with_their_codes() -> None:
    catalogue = {}
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values[1:]:
        code = value.GetOptions().Extensions[error_reason_pb2.grpc_code]
        catalogue[value.name.removeprefix("ERROR_REASON_")] = grpc_code_name(code)
    assert catalogue == errors.CODES


def grpc_code_name(number: int) -> str:
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)


def test_a_status_never_exceeds_4_kib_however_long_its_details() -> None:
    long = errors.Supported(field="skill_id", values=tuple(f"skill-{index}-{'x' * 90}" for index in range(64)))
    wide = errors.FieldViolations(
        violations=tuple(errors.FieldViolation(field="f" * 100, description="d" * 200) for _ in range(64))
    )
    huge = errors.Redirect(uri="https://" + "h" * 8000)
    for detail in (long, wide, huge):
        status = wire.status_of(errors.SkillUnknownError("m" * 9000, detail=detail))
        assert status.ByteSize() <= wire.MAX_STATUS_BYTES
        assert isinstance(wire.refusal_from_status(status), errors.SkillUnknownError)
    shortened = wire.refusal_from_status(wire.status_of(errors.SkillUnknownError("no", detail=long)))
    assert shortened is not None
    assert isinstance(shortened.detail, errors.Supported)
    assert 0 < len(shortened.detail.values) < len(long.values)


def test_a_long_message_is_cut_by_the_bytes_that_it_takes_and_not_within_a_character() -> None:
    _, message, _ = wire.trailer_of(errors.SkillUnknownError("x" + "\N{GRINNING FACE}" * 511))
    assert message == "x" + "\N{GRINNING FACE}" * 127


def test_a_reason_of_a_later_version_is_kept_as_received() -> None:
    status = status_pb2.Status(code=9, message="new")
    packed = error_details_pb2.ErrorInfo(reason="MOON_PHASE_WRONG", domain=errors.ERROR_DOMAIN)
    status.details.add().Pack(packed)
    received = wire.refusal_from_status(status)
    assert isinstance(received, errors.UnknownReasonError)
    assert (received.reason, received.code) == ("MOON_PHASE_WRONG", "FAILED_PRECONDITION")


def test_an_error_info_of_another_domain_is_no_refusal_of_ours() -> None:
    status = status_pb2.Status(code=5)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="SKILL_UNKNOWN", domain="example.org"))
    assert wire.refusal_from_status(status) is None


def test_a_detail_that_cannot_be_read_does_not_hide_the_reason() -> None:
    status = wire.status_of(errors.StaleCardError("old"))
    for name in ("consilience.v1.ServerTime", "google.rpc.RetryInfo", "google.rpc.BadRequest", "no.such.Type"):
        status.details.append(any_pb2.Any(type_url=f"type.googleapis.com/{name}", value=b"\xff\xff"))
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/consilience.v1.ServerTime", value=b""))
    assert isinstance(wire.refusal_from_status(status), errors.StaleCardError)


@pytest.mark.parametrize(
    ("seconds", "nanos", "pause"),
    [
        (2**62, 0, timedelta(seconds=wire.MAX_RETRY_SECONDS)),
        (-(2**62), -(2**31), timedelta(0)),
        (1, 500_000_000, timedelta(seconds=1.5)),
    ],
)
def test_a_pause_that_nobody_can_make_is_one_that_somebody_can(seconds: int, nanos: int, pause: timedelta) -> None:
    status = wire.status_of(errors.NodeDrainingError("later"))
    wanted = error_details_pb2.RetryInfo()
    wanted.retry_delay.seconds, wanted.retry_delay.nanos = seconds, nanos
    status.details.add().Pack(wanted)
    received = wire.refusal_from_status(status)
    assert received is not None
    assert received.retry_after == pause


class _Failed(grpc.RpcError):
    """A failed call, as grpc raises it, with what a server may put into it."""

    def __init__(self, code: grpc.StatusCode, trailers: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._code, self._trailers = code, trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "said the transport"

    def trailing_metadata(self) -> Any:
        return self._trailers


def test_a_failed_call_with_our_trailer_is_a_refusal() -> None:
    code, _, trailers = wire.trailer_of(errors.NodeDrainingError("later", retry_after=timedelta(seconds=1)))
    received = wire.error_from_rpc(_Failed(code, trailers))
    assert isinstance(received, errors.NodeDrainingError)
    assert received.retry_after == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.ConnectionLostError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.AnswerTimeoutError),
        (grpc.StatusCode.UNIMPLEMENTED, errors.ProtocolError),
        (grpc.StatusCode.INTERNAL, errors.TransportError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.TransportError),
    ],
)
def test_a_failed_call_without_our_trailer_is_the_transports(
    code: grpc.StatusCode, expected: type[errors.ConsilienceError]
) -> None:
    for trailers in ((), ((wire.STATUS_KEY, b"\xff\xff"),)):
        assert type(wire.error_from_rpc(_Failed(code, trailers))) is expected
