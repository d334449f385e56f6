"""Makes errors.json: the catalogue of reasons, and refusals as they travel."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from consilience.v1 import error_details_pb2 as details_pb2
from consilience.v1 import error_reason_pb2
from consilience_conformance.vectors.generator.actors import NOON, timestamp
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Json, Note, Refused, VectorFile

DOMAIN = "consilience.dev"
_PREFIX = "ERROR_REASON_"
_NOTES = {
    "Catalogue": Note(bug_type=BugType.BASIC, description="A reason goes with one gRPC code and one detail."),
    "Refusal": Note(bug_type=BugType.BASIC, description="A refusal with the detail of its reason."),
    "UnknownReason": Note(
        bug_type=BugType.MISSING_CHECK, description="A reason from the future is still a refusal; its code says more."
    ),
    "NotOurs": Note(
        bug_type=BugType.MISSING_CHECK, description="A status of a proxy or a library says nothing of the protocol."
    ),
}


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="errors",
        subject="Refusals: the code and the detail of each reason, and what a client makes of a status.",
        spec="docs/spec/5-errors.md",
        notes=_NOTES,
        groups=[
            Group(type="ReasonCode", comment="The catalogue", cases=[*_catalogue()]),
            Group(
                type="RefusalStatus",
                comment="The content of the trailer grpc-status-details-bin; invalid: it is no refusal",
                cases=[*_statuses()],
            ),
        ],
    )


def _catalogue() -> Iterator[Case]:
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values[1:]:
        code = value.GetOptions().Extensions[error_reason_pb2.grpc_code]
        detail = value.GetOptions().Extensions[error_reason_pb2.detail_message]
        inputs: Json = {
            "errorReason": value.name.removeprefix(_PREFIX),
            "number": value.number,
            "code": code_pb2.Code.Name(code),
            "codeNumber": code,
            "detail": detail,
        }
        yield Case(comment=value.name, flags=["Catalogue"], inputs=inputs)


def status(reason: str, code: str, message: str, *details: Message, domain: str = DOMAIN) -> status_pb2.Status:
    """Returns the status of a refusal.

    Args:
        reason: As in the catalogue, without prefix.
        code: Name of the gRPC code.
        message: For people.
        details: What a program needs.
        domain: Of the ErrorInfo.
    """
    refusal = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=domain), *details):
        refusal.details.add().Pack(detail)
    return refusal


def _statuses() -> Iterator[Case]:
    noon = details_pb2.ServerTime(server_time=timestamp(NOON))
    yield _status("the server's time", "CALL_EXPIRED", "FAILED_PRECONDITION", noon)
    limit = details_pb2.LimitExceeded(limit="max_turns", maximum=32, requested=33)
    yield _status("a limit", "LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", limit)
    supported = details_pb2.Supported(field="skill_id", values=["units.convert"])
    yield _status("what is supported", "SKILL_UNKNOWN", "NOT_FOUND", supported)
    endpoint = details_pb2.Redirect(uri="https://192.0.2.8:7341")
    yield _status("another replica", "WRONG_REPLICA", "UNAVAILABLE", endpoint)
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000))
    yield _status("a time to wait", "NODE_DRAINING", "UNAVAILABLE", retry)
    violation = error_details_pb2.BadRequest.FieldViolation(field="data_class", description="must be set")
    fields = error_details_pb2.BadRequest(field_violations=[violation])
    yield _status("a field", "FIELD_INVALID", "INVALID_ARGUMENT", fields)
    yield _status("no detail", "STALE_CARD", "FAILED_PRECONDITION")
    yield _status("a reason that is not in the catalogue", "MOON_TOO_FULL", "UNAVAILABLE", flag="UnknownReason")
    foreign = status("STALE_CARD", "FAILED_PRECONDITION", "an example", domain="example.com")
    yield _not_ours("an ErrorInfo of another domain", foreign)
    bare = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="no healthy upstream")
    yield _not_ours("no ErrorInfo", bare)


def _status(comment: str, reason: str, code: str, *details: Message, flag: str = "Refusal") -> Case:
    inputs = {
        "status": _hex(status(reason, code, f"an example: {comment}", *details)),
        "errorReason": reason,
        "code": code,
        "details": [detail.DESCRIPTOR.full_name for detail in details],
    }
    return Case(comment=comment, flags=[flag], inputs=inputs)


def _not_ours(comment: str, encoded: status_pb2.Status) -> Case:
    refused = Refused(requirement="ERR-STAT-001")
    return Case(comment=comment, flags=["NotOurs"], inputs={"status": _hex(encoded)}, refused=refused)


def _hex(encoded: status_pb2.Status) -> str:
    return encoded.SerializeToString(deterministic=True).hex()
