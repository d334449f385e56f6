"""Makes headers.json: the header of a call, the node that gets it, and its clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from consilience.v1.envelope_pb2 import CallHeader
from consilience_conformance.vectors.generator import messages
from consilience_conformance.vectors.generator.actors import NODE, NOON, OTHER_NODE, rfc3339, timestamp
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, Refused, VectorFile

_KNOWN = "https://consilience.dev/extensions/example"
_OTHER = "https://consilience.dev/extensions/other"
_OTHER_METHOD = "consilience.v1.AskService/GetAnswer"
_END = NOON + timedelta(minutes=2)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)

_ID = Refused(reason="FIELD_INVALID")
_LIFETIME = Refused(reason="FIELD_INVALID", requirement="SIG-HDR-003")
_METHOD = Refused(reason="METHOD_WRONG", requirement="SIG-HDR-001")
_AUDIENCE = Refused(reason="AUDIENCE_WRONG", requirement="SIG-HDR-002")
_EXTENSION = Refused(reason="EXTENSION_UNSUPPORTED", requirement="VER-EXT-001")
_EXPIRED = Refused(reason="CALL_EXPIRED", requirement="SIG-HDR-004")
_EARLY = Refused(reason="CALL_NOT_YET_VALID", requirement="SIG-HDR-004")

_NOTES = {
    "Plain": Note(bug_type=BugType.BASIC, description="A header that is in order."),
    "Field": Note(bug_type=BugType.MISSING_CHECK, description="A size or the lifetime breaks its constraint."),
    "Method": Note(bug_type=BugType.AUTH_BYPASS, description="A call that was signed for another method."),
    "Audience": Note(bug_type=BugType.AUTH_BYPASS, description="A call that was signed for another node."),
    "Extension": Note(bug_type=BugType.MISSING_CHECK, description="Extensions without which it is not carried out."),
    "Time": Note(bug_type=BugType.BOUNDARY, description="The clock may be off by 30 seconds, in both directions."),
    "ChecksInOrder": Note(
        bug_type=BugType.WRONG_ORDER, description="Two defects at once: the one that is checked first is reported."
    ),
}


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="headers",
        subject="The header of a call, checked by the node that gets it.",
        spec="docs/spec/0-envelopes.md",
        notes=_NOTES,
        groups=[
            _group("What a header says", [*_contents()]),
            _group("When it says it", [*_times()]),
            _group("Two defects at once", [*_two_defects()]),
        ],
    )


def _group(comment: str, cases: Sequence[Case]) -> Group:
    shared = {"method": messages.ASK_METHOD, "node": NODE.public_key.hex(), "knownExtensions": [_KNOWN]}
    return Group(type="CallHeaderCheck", comment=comment, shared=shared, cases=cases)


def _case(
    comment: str,
    flag: str,
    *,
    now: datetime = NOON + _SECOND,
    refused: Refused | None = None,
    **changes: bytes | str | list[str] | datetime,
) -> Case:
    header = messages.header()
    for name, value in changes.items():
        if isinstance(value, datetime):
            getattr(header, name).CopyFrom(timestamp(value))
        elif isinstance(value, list):
            getattr(header, name).extend(value)
        else:
            setattr(header, name, value)
    inputs = {"now": rfc3339(now), "header": _readable(header), "encodedHeader": _encoded(header)}
    return Case(comment=comment, flags=[flag], inputs=inputs, refused=refused)


def _encoded(header: CallHeader) -> str:
    return header.SerializeToString(deterministic=True).hex()


def _readable(header: CallHeader) -> dict[str, object]:
    return {
        "method": header.method,
        "audience": header.audience.hex(),
        "caller": header.caller.hex(),
        "requestId": header.request_id.hex(),
        "issueTime": header.issue_time.ToJsonString(),
        "expireTime": header.expire_time.ToJsonString(),
        "requiredExtensions": list(header.required_extensions),
    }


def _contents() -> Iterator[Case]:
    yield _case("a call made now", "Plain")
    for size in (0, 15, 17):
        yield _case(f"a request id of {size} bytes", "Field", request_id=bytes(size), refused=_ID)
    longest = NOON + timedelta(minutes=10)
    yield _case("a lifetime of ten minutes", "Field", expire_time=longest)
    yield _case("ten minutes and a microsecond", "Field", expire_time=longest + _MICROSECOND, refused=_LIFETIME)
    yield _case("no lifetime", "Field", expire_time=NOON, refused=_LIFETIME)
    yield _case("an end before the beginning", "Field", expire_time=NOON - _SECOND, refused=_LIFETIME)
    for name in (_OTHER_METHOD, "/" + messages.ASK_METHOD, messages.ASK_METHOD.lower()):
        yield _case(f"made for {name}", "Method", method=name, refused=_METHOD)
    yield _case("made for another node", "Audience", audience=OTHER_NODE.public_key, refused=_AUDIENCE)
    for known, listed in (
        ("a known", [_KNOWN]),
        ("an unknown", [_OTHER]),
        ("a known and an unknown", [_KNOWN, _OTHER]),
    ):
        refused = _EXTENSION if _OTHER in listed else None
        yield _case(f"requires {known} extension", "Extension", required_extensions=listed, refused=refused)


def _times() -> Iterator[Case]:
    skew, day = timedelta(seconds=30), timedelta(days=1)
    yield _case("at its issue", "Time", now=NOON)
    yield _case("at its end", "Time", now=_END)
    yield _case("30 s after its end", "Time", now=_END + skew)
    yield _case("30 s and a microsecond after its end", "Time", now=_END + skew + _MICROSECOND, refused=_EXPIRED)
    yield _case("a day after its end", "Time", now=_END + day, refused=_EXPIRED)
    yield _case("30 s before its issue", "Time", now=NOON - skew)
    yield _case("30 s and a microsecond before its issue", "Time", now=NOON - skew - _MICROSECOND, refused=_EARLY)
    yield _case("a day before its issue", "Time", now=NOON - day, refused=_EARLY)


def _two_defects() -> Iterator[Case]:
    stranger, other, late = OTHER_NODE.public_key, [_OTHER], NOON + timedelta(days=1)
    flag = "ChecksInOrder"
    yield _case("a short request id, another method", flag, request_id=bytes(8), method=_OTHER_METHOD, refused=_ID)
    yield _case("another method, another node", flag, method=_OTHER_METHOD, audience=stranger, refused=_METHOD)
    yield _case("another node, an extension", flag, audience=stranger, required_extensions=other, refused=_AUDIENCE)
    yield _case("an extension, expired", flag, required_extensions=other, now=late, refused=_EXTENSION)
