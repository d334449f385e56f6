"""Refusals on the wire: the only translator between `google.rpc.Status` and the error tree (spec chapter 5)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from consilience._wire import convert
from consilience.errors import (
    ERROR_DOMAIN,
    REFUSALS,
    AnswerTimeoutError,
    ConnectionLostError,
    ConsilienceError,
    Detail,
    FieldInvalidError,
    FieldViolation,
    FieldViolations,
    LimitExceeded,
    PaymentRequired,
    ProtocolError,
    Redirect,
    RefusedError,
    ServerTime,
    SessionBalance,
    Supported,
    TransportError,
    UnknownReasonError,
)
from consilience.v1 import error_details_pb2 as details_pb2

if TYPE_CHECKING:
    from grpc.aio import AioRpcError

STATUS_KEY = "grpc-status-details-bin"
MAX_STATUS_BYTES = 4096
MAX_STATUS_MESSAGE_BYTES = 512
"""Of UTF-8. On the wire each byte that is not ASCII becomes three, and a peer takes about 8 KiB of trailers."""

MAX_RETRY_SECONDS = 366 * 86_400
"""A peer that asks for a longer pause asks for this one."""

_TYPE_PREFIX = "type.googleapis.com/"
_DETAILS: dict[type[Message], Any] = {
    details_pb2.ServerTime: ServerTime,
    details_pb2.LimitExceeded: LimitExceeded,
    details_pb2.Supported: Supported,
    details_pb2.Redirect: Redirect,
    details_pb2.PaymentRequired: PaymentRequired,
    details_pb2.SessionBalance: SessionBalance,
}
_DETAIL_BY_NAME = {message.DESCRIPTOR.full_name: message for message in _DETAILS}


def status_of(error: RefusedError) -> status_pb2.Status:
    """Returns the status of a refusal, at most 4 KiB with all its details (ERR-STAT-004).

    Lists in the details are shortened until it fits.
    """
    detail = error.detail
    while True:
        status = _status(error, detail)
        if status.ByteSize() <= MAX_STATUS_BYTES:
            return status
        detail = _shortened(detail)


def trailer_of(error: RefusedError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Returns what grpc needs to end a call with a refusal: code, message and trailing metadata."""
    status = status_of(error)
    code: grpc.StatusCode = grpc.StatusCode[error.code]
    return code, status.message, ((STATUS_KEY, status.SerializeToString()),)


def error_from_rpc(error: grpc.RpcError | AioRpcError) -> ConsilienceError:
    """Returns the error that a failed call stands for.

    A status with our ErrorInfo is a `RefusedError`; everything else is said by the transport, or by a peer that does
    not implement the method.
    """
    status = _received_status(error)
    if status is not None and (refusal := refusal_from_status(status)) is not None:
        return refusal
    code, details = error.code(), error.details() or ""
    match code:
        case grpc.StatusCode.UNIMPLEMENTED:
            return ProtocolError(f"the node does not implement the method: {details}", requirement="NODE-PROF-001")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return AnswerTimeoutError("the node did not answer in the time allowed")
        case grpc.StatusCode.UNAVAILABLE:
            return ConnectionLostError(f"the connection to the node failed: {details}")
        case _:
            return TransportError(f"the call ended with {code.name}: {details}")


def refusal_from_status(status: status_pb2.Status) -> RefusedError | None:
    """Returns the refusal of a status, or None where it carries no ErrorInfo of this protocol (ERR-STAT-001)."""
    info, detail, retry_after = None, None, None
    for packed in status.details:
        match packed.type_url.removeprefix(_TYPE_PREFIX):
            case "google.rpc.ErrorInfo":
                info = _unpacked(packed.value, error_details_pb2.ErrorInfo)
            case "google.rpc.RetryInfo":
                retry = _unpacked(packed.value, error_details_pb2.RetryInfo)
                retry_after = retry and _retry_delay(retry)
            case "google.rpc.BadRequest":
                request = _unpacked(packed.value, error_details_pb2.BadRequest)
                detail = request and _violations(request)
            case name if name in _DETAIL_BY_NAME:
                detail = _detail(packed.value, _DETAIL_BY_NAME[name])
    if info is None or info.domain != ERROR_DOMAIN:
        return None
    if refusal := REFUSALS.get(info.reason):
        return refusal(status.message, detail=detail, retry_after=retry_after)
    try:
        code = code_pb2.Code.Name(cast("code_pb2.Code.ValueType", status.code))
    except ValueError:
        code = "UNKNOWN"
    return UnknownReasonError(status.message, reason=info.reason, code=code, detail=detail, retry_after=retry_after)


def _status(error: RefusedError, detail: Detail | None) -> status_pb2.Status:
    message = str(error).encode(errors="replace")[:MAX_STATUS_MESSAGE_BYTES].decode(errors="ignore")
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code), message=message)
    messages: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN)]
    if isinstance(detail, FieldViolations):
        violations = (
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in detail.violations
        )
        messages.append(error_details_pb2.BadRequest(field_violations=violations))
    elif detail is not None:
        messages.append(convert.to_message(detail))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(error.retry_after)
        messages.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for packed in messages:
        status.details.add().Pack(packed)
    return status


def _shortened(detail: Detail | None) -> Detail | None:
    """Returns a detail of about half the length, or none where it is no list."""
    match detail:
        case Supported(field=field, values=(_, *_) as values):
            return Supported(field=field, values=values[: len(values) // 2])
        case FieldViolations(violations=(_, _, *_) as violations):
            return FieldViolations(violations=violations[: len(violations) // 2])
        case _:
            return None


def _received_status(error: grpc.RpcError | AioRpcError) -> status_pb2.Status | None:
    trailers: Iterable[tuple[str, str | bytes]] = cast("Any", error.trailing_metadata()) or ()
    for key, value in trailers:
        if key == STATUS_KEY and isinstance(value, bytes):
            status: status_pb2.Status | None = _unpacked(value, status_pb2.Status)
            return status
    return None


def _unpacked(encoded: bytes, message_type: type[Any]) -> Any:
    """Returns a decoded message, or None: a peer's detail that cannot be read is no detail."""
    try:
        return message_type.FromString(encoded)
    except DecodeError:
        return None


def _detail(encoded: bytes, message_type: type[Message]) -> Detail | None:
    message = _unpacked(encoded, message_type)
    if message is None:
        return None
    try:
        detail: Detail = convert.from_message(message, _DETAILS[message_type])
    except FieldInvalidError:
        return None
    return detail


def _retry_delay(retry: error_details_pb2.RetryInfo) -> timedelta:
    """Returns how long a peer asks to wait: not less than no time, and no longer than can be told."""
    seconds = min(max(retry.retry_delay.seconds, 0), MAX_RETRY_SECONDS)
    return timedelta(seconds=seconds, microseconds=max(retry.retry_delay.nanos, 0) // 1000)


def _violations(request: error_details_pb2.BadRequest) -> FieldViolations:
    return FieldViolations(
        violations=tuple(
            FieldViolation(field=violation.field, description=violation.description)
            for violation in request.field_violations
        )
    )
