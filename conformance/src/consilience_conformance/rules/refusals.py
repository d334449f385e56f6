"""Rules of refusals (spec chapter 5): what a status has to carry, and whether the reason is the right one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from consilience.v1 import error_details_pb2 as details_pb2
from consilience.v1 import error_reason_pb2
from consilience_conformance.image import message_class
from consilience_conformance.transcripts import Ended, Exchange
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, time_of

DOMAIN = "consilience.dev"
MAX_STATUS_BYTES = 4096
_PREFIX = "ERROR_REASON_"
_DETAILS: Mapping[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
        details_pb2.ServerTime,
        details_pb2.LimitExceeded,
        details_pb2.Supported,
        details_pb2.Redirect,
        details_pb2.PaymentRequired,
        details_pb2.SessionBalance,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A reason of the catalogue.

    Attributes:
        code: Name of the gRPC code that goes with it.
        detail: Full name of the detail that goes with it, or empty.
    """

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal as it came.

    Attributes:
        reason: Without prefix; empty: there is no ErrorInfo of ours.
        code: Name of the gRPC code of the call.
        status: The parsed trailer, empty where it is absent or does not parse.
        details: By full name.
    """

    reason: str
    code: str
    status: status_pb2.Status
    details: Mapping[str, Message]


@functools.cache
def catalogue() -> Mapping[str, Entry]:
    """Returns the reasons with what goes with them, as error_reason.proto declares it."""
    entries = {}
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values:
        if value.number:
            options = value.GetOptions()
            entries[value.name.removeprefix(_PREFIX)] = Entry(
                code=code_pb2.Code.Name(options.Extensions[error_reason_pb2.grpc_code]),
                detail=options.Extensions[error_reason_pb2.detail_message],
            )
    return entries


def refusal_of(exchange: Exchange) -> Refusal:
    """Returns what a call was refused with."""
    try:
        status = status_pb2.Status.FromString(exchange.details)
    except DecodeError:
        status = status_pb2.Status()
    details: dict[str, Message] = {}
    for packed in status.details:
        name = packed.TypeName()
        if name in _DETAILS and name not in details:
            message = _DETAILS[name]()
            try:
                message.ParseFromString(packed.value)
            except DecodeError:
                continue  # it says nothing, as if it were not there
            details[name] = message
    info = details.get("google.rpc.ErrorInfo")
    ours = isinstance(info, error_details_pb2.ErrorInfo) and info.domain == DOMAIN
    return Refusal(
        reason=info.reason if ours and isinstance(info, error_details_pb2.ErrorInfo) else "",
        code=exchange.code,
        status=status,
        details=details,
    )


def outcome_of(exchange: Exchange) -> str:
    """Returns in a few words how a call went: `accepted`, `refused STALE_CARD`, `UNIMPLEMENTED without a reason`."""
    if exchange.accepted:
        return "accepted"
    if exchange.ended is Ended.SILENCE:
        return "silence"
    if exchange.ended is Ended.CUT:
        return "nothing yet"
    reason = refusal_of(exchange).reason
    return f"refused {reason}" if reason else f"{exchange.code} without a reason of the catalogue"


def retry_after(exchange: Exchange) -> float | None:
    """Returns after how many seconds a call may be made again that came too often; None: it is refused for good."""
    refusal = refusal_of(exchange)
    detail = refusal.details.get("google.rpc.RetryInfo")
    if exchange.accepted or refusal.reason != "LIMIT_EXCEEDED" or not isinstance(detail, error_details_pb2.RetryInfo):
        return None
    return max(0.0, nanoseconds_of(detail.retry_delay) / 10**9)


def server_time(exchange: Exchange) -> datetime | None:
    """Returns the time of the node that a refusal tells, or None: it tells none, or one beyond all calendars."""
    detail = refusal_of(exchange).details.get("consilience.v1.ServerTime")
    return time_of(detail.server_time) if isinstance(detail, details_pb2.ServerTime) else None


def refused(exchange: Exchange, *reasons: str, requirement: str, called: str = "") -> Iterator[Finding]:
    """Yields what is wrong with a call that has to be refused for one of these reasons, with the code of its reason.

    Args:
        exchange: The call.
        reasons: Each of them will do.
        requirement: The rule that wants the refusal.
        called: What findings call it, where the name of the exchange is not the same in every run.
    """
    got = outcome_of(exchange)
    if got not in {f"refused {reason}" for reason in reasons}:
        expected = "refused " + " or ".join(reasons)
        message = "was accepted" if exchange.accepted else "was not refused for this reason"
        yield Finding(
            requirement=requirement,
            message=f"{called or exchange.name} {message}",
            expected=expected,
            got=got,
            exchange=exchange.name,
        )
    if not exchange.accepted:
        yield from code_findings(exchange)


def names_unsupported(exchange: Exchange, field: str, *, requirement: str) -> Iterator[Finding]:
    """Yields that a refusal of what is not offered names another field than the one that asks for it.

    Args:
        exchange: The call; one that was not refused so is for `refused` to tell.
        field: Its path, as the specification writes it.
        requirement: The rule that wants the refusal.
    """
    detail = refusal_of(exchange).details.get("consilience.v1.Supported")
    got = detail.field if isinstance(detail, details_pb2.Supported) else ""
    if not exchange.accepted and got and got != field:
        yield Finding(
            requirement=requirement,
            message=f"the refusal of {exchange.name} names another field",
            expected=field,
            got=got,
            exchange=exchange.name,
        )


def code_findings(exchange: Exchange) -> Iterator[Finding]:
    """Yields that the reason of a refusal came with a code that is not the catalogue's (ERR-STAT-002)."""
    refusal = refusal_of(exchange)
    entry = catalogue().get(refusal.reason)
    repeated = _code_name(refusal.status.code)
    if entry is not None and (refusal.code != entry.code or repeated != entry.code):
        yield Finding(
            requirement="ERR-STAT-002",
            message=f"{refusal.reason} came with another code",
            expected=f"{entry.code} in the call and in its details",
            got=f"{refusal.code} in the call, {repeated} in its details",
            exchange=exchange.name,
        )


def was_accepted(exchange: Exchange, *, requirement: str, called: str = "") -> Iterator[Finding]:
    """Yields what is wrong with a call that has to be accepted; `called` is as in `refused`.

    An end without an error is not enough: a message has to come that is one, with an event where events are promised.
    """
    if exchange.accepted and not _is_answered(exchange):
        yield Finding(
            requirement=requirement,
            message=f"{called or exchange.name} was accepted without an answer",
            expected="a response that parses, with an event where there are any",
            got=f"{len(exchange.responses)} responses, none of which does",
            exchange=exchange.name,
        )
    elif not exchange.accepted:
        yield Finding(
            requirement=requirement,
            message=f"{called or exchange.name} was not accepted",
            expected="accepted",
            got=outcome_of(exchange) + (f": {exchange.message}" if exchange.message else ""),
            exchange=exchange.name,
        )


def _is_answered(exchange: Exchange) -> bool:
    """Tells whether a message came that is one of its method; a log has an event in each.

    Nothing comes, rightly, from behind the end of a log that is whole.
    """
    package, _, call = exchange.method.rpartition(".")
    if call.endswith("/ResumeAnswer") and not exchange.responses:
        return True
    try:
        kind = message_class(f"{package}.{call.rpartition('/')[2]}Response")
    except KeyError:
        return True
    for response in exchange.responses:
        with suppress(DecodeError):
            message = kind.FromString(response.data)
            if "events" not in kind.DESCRIPTOR.fields_by_name or message.ListFields():
                return True
    return False


def status_findings(exchange: Exchange) -> Iterator[Finding]:
    """Yields what is wrong with the status of a refusal: reason, code, detail, size (ERR-STAT-001 to -004)."""
    refusal = refusal_of(exchange)
    entry = catalogue().get(refusal.reason)

    def finding(requirement: str, message: str, *, expected: str = "", got: str = "") -> Finding:
        return Finding(requirement=requirement, message=message, expected=expected, got=got, exchange=exchange.name)

    if len(exchange.details) > MAX_STATUS_BYTES:
        yield finding(
            "ERR-STAT-004",
            "the status is too large",
            expected=f"at most {MAX_STATUS_BYTES} bytes",
            got=f"{len(exchange.details)} bytes",
        )
    if entry is None:
        got = f"reason {refusal.reason!r}" if refusal.reason else f"{exchange.code} without an ErrorInfo of {DOMAIN}"
        yield finding("ERR-STAT-001", "the refusal names no reason of the catalogue", expected="a reason", got=got)
        return
    yield from code_findings(exchange)
    if entry.detail and entry.detail not in refusal.details and refusal.reason != "WRONG_REPLICA":
        yield finding(
            "ERR-STAT-003",
            f"{refusal.reason} came without its detail",
            expected=entry.detail,
            got=", ".join(refusal.details),
        )


def _code_name(number: int) -> str:
    found = code_pb2.Code.DESCRIPTOR.values_by_number.get(number)
    return found.name if found else str(number)
