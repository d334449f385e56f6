"""Rules of fields (the tables of the specification): what a node sends keeps the constraints of the protos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldOptions
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from protovalidate import Violation

from buf.validate import validate_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.image import message_class
from consilience_conformance.verdicts import Finding

MOST_ITEMS = 256
"""No list that has a limit may have more, and of one that has none no more are looked at."""
MOST_VIOLATIONS = 64
"""More of one message are not told."""


_TIMES = frozenset({Timestamp.DESCRIPTOR.full_name, Duration.DESCRIPTOR.full_name})


def field_findings(data: bytes, kind: str, *, exchange: str) -> Iterator[Finding]:
    """Yields which rules of its table an encoded message breaks (ERR-FLD-001), but not what is signed within it.

    Args:
        data: As it came. Fields that this version does not know are passed over.
        kind: Its full name: `consilience.v1.NodeCard`.
        exchange: In which it was seen.
    """
    name = kind.rpartition(".")[2]
    try:
        message_class(kind).FromString(data)
    except DecodeError as error:
        yield Finding(
            requirement="ERR-FLD-001", message=f"the {name} does not parse", got=str(error), exchange=exchange
        )
        return
    for rule, path, words in _violations(kind, data):
        yield Finding(
            requirement="ERR-FLD-001",
            message=f"the {name} breaks the rule {rule}",
            expected=f"{path} {words}".strip(),
            got=f"{path} that does not",
            exchange=exchange,
        )


SIGNED_BY_NODES = frozenset(
    f"consilience.v1.{name}"
    for name in (
        "NodeCard",
        "Answer",
        "Quote",
        "SessionState",
        "Meter",
        "Receipt",
        "Hold",
        "HoldRelease",
        "ReviewTicket",
        "PaymentAttestation",
    )
)
"""What is signed within the responses of a node, by it or by those who deal with it."""


def deep_field_findings(data: bytes, kind: str, *, exchange: str) -> Iterator[Finding]:
    """Yields which rules an encoded message breaks, and what a node signed within it."""
    yield from field_findings(data, kind, exchange=exchange)
    try:
        message = message_class(kind).FromString(data)
    except DecodeError:
        return
    for envelope in _envelopes_in(message):
        if envelope.payload_type in SIGNED_BY_NODES:
            yield from deep_field_findings(envelope.payload, envelope.payload_type, exchange=exchange)


def _envelopes_in(message: Message) -> Iterator[SignedEnvelope]:
    if message.DESCRIPTOR.full_name == SignedEnvelope.DESCRIPTOR.full_name:
        yield SignedEnvelope.FromString(message.SerializeToString())
        return
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in value if field.is_repeated else (value,):
            yield from _envelopes_in(one)


def _violations(kind: str, data: bytes) -> tuple[tuple[str, str, str], ...]:
    """Returns rule, path and words of each violation."""
    message = message_class(kind).FromString(data)
    if long := tuple(_long_lists(message)):
        return tuple(("repeated.max_items", path, f"with {MOST_ITEMS} items at most") for path in long)
    if not all(map(_is_of_a_calendar, _times(message))):
        return (("of times", "", "times and durations that a calendar holds"),)
    violations = protovalidate.collect_violations(message)[:MOST_VIOLATIONS]
    return tuple((violation.proto.rule_id, _path(violation), violation.proto.message) for violation in violations)


def _long_lists(message: Message) -> Iterator[str]:
    """Yields the lists that are longer than any may be, and leaves the beginning alone of those that have no limit."""
    for field, value in message.ListFields():
        if field.is_repeated and len(value) > MOST_ITEMS:
            if _is_limited(field):
                yield field.name
                continue
            del value[MOST_ITEMS:]
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from (f"{field.name}.{path}" for path in _long_lists(inner))


def _times(message: Message) -> Iterator[Timestamp | Duration]:
    """Yields the times and durations of a message, and of those within it."""
    if message.DESCRIPTOR.full_name in _TIMES:
        yield cast("Timestamp | Duration", message)
        return
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from _times(inner)


def _is_of_a_calendar(time: Timestamp | Duration) -> bool:
    try:
        time.ToJsonString()
    except ValueError:
        return False
    return True


def _is_limited(field: FieldDescriptor) -> bool:
    options = FieldOptions.FromString(field.GetOptions().SerializeToString())
    return options.Extensions[validate_pb2.field].repeated.HasField("max_items")


def _path(violation: Violation) -> str:
    path = violation.proto.field
    return ".".join(
        f"{element.field_name}[{element.subscript.value}]" if element.subscript is not None else element.field_name
        for element in (path.elements if path is not None else ())
    )
