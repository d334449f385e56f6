"""Bytes of the wire as text that a person reads: fields by name, envelopes opened, times as dates.

Nothing is verified here, and nothing that a node sends makes it fail: what does not parse is shown as what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2

from consilience.v1 import ask_pb2, conformance_pb2, envelope_pb2, node_pb2
from consilience.v1 import error_details_pb2 as details_pb2

_KNOWN = (ask_pb2, conformance_pb2, envelope_pb2, details_pb2, node_pb2, error_details_pb2, status_pb2)
"""Importing these puts their messages into the pool."""

_SCRIPT_MEDIA_TYPE = "application/vnd.consilience.script"
_MAX_HEX = 64
_MAX_TEXT = 400
_MAX_DEPTH = 24


def method_of(name: str) -> MethodDescriptor | None:
    """Returns the method of a full name `consilience.v1.AskService/Ask`, or None."""
    service, _, method = name.rpartition("/")
    try:
        found: MethodDescriptor | None = (
            descriptor_pool.Default().FindServiceByName(service).methods_by_name.get(method)
        )
    except KeyError:
        return None
    return found


def readable(data: bytes, *, type_name: str) -> str:
    """Returns an encoded message as text.

    Args:
        data: As it was sent.
        type_name: Full name of the message.
    """
    if not data:
        return "(empty)"
    message = _parsed(data, type_name=type_name)
    if message is None:
        return f"{len(data)} bytes that do not parse as {type_name or 'any message'}"
    return "\n".join(_message_lines(message, depth=0))


def _parsed(data: bytes, *, type_name: str) -> Message | None:
    try:
        kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(type_name))
        return kind.FromString(data)
    except (KeyError, DecodeError):
        return None


def _message_lines(message: Message, *, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        yield "…"
        return
    for field, value in message.ListFields():
        for one in _each(field, value):
            yield from _field_lines(field, one, owner=message, depth=depth)
    if unknown := _unknown_size(message):
        yield f"({unknown} bytes of unknown fields)"


def _each(field: FieldDescriptor, value: Any) -> list[Any]:  # noqa: ANN401 - whatever a field holds
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        kind = message_factory.GetMessageClass(field.message_type)
        return [kind(key=key, value=value[key]) for key in value]
    return list(value) if field.is_repeated else [value]


def _field_lines(field: FieldDescriptor, value: Any, *, owner: Message, depth: int) -> Iterator[str]:  # noqa: ANN401
    inner = value if isinstance(value, Message) else _opened(field, value, owner=owner)
    if inner is None:
        yield f"{field.name}: {_scalar(field, value)}"
        return
    if isinstance(inner, Timestamp):
        yield f"{field.name}: {_time(inner)}"
        return
    kind = f" {inner.DESCRIPTOR.full_name}" if inner is not value else ""
    lines = list(_message_lines(inner, depth=depth + 1))
    if not lines:
        yield f"{field.name}:{kind} {{}}"
        return
    yield f"{field.name}:{kind} {{"
    yield from (f"  {line}" for line in lines)
    yield "}"


def _opened(field: FieldDescriptor, value: Any, *, owner: Message) -> Message | None:  # noqa: ANN401
    """Returns the message inside of bytes, where the message around them says which it is."""
    match owner.DESCRIPTOR.full_name, field.name:
        case "consilience.v1.SignedEnvelope", "payload":
            return _parsed(value, type_name=owner.payload_type)  # type: ignore[attr-defined]
        case "consilience.v1.Blob", "data" if owner.media_type == _SCRIPT_MEDIA_TYPE:  # type: ignore[attr-defined]
            return _parsed(value, type_name="consilience.v1.ConformanceScript")
        case "google.protobuf.Any", "value":
            return _parsed(value, type_name=owner.type_url.rpartition("/")[2])  # type: ignore[attr-defined]
    return None


def _scalar(field: FieldDescriptor, value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bytes):
        text = value[:_MAX_HEX].hex()
        return text if len(value) <= _MAX_HEX else f"{text}… ({len(value)} bytes)"
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named else str(value)
    if isinstance(value, str):
        short = value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…"
        rest = "" if short == value else f" ({len(value)} characters)"
        return f'"{_escaped(short)}"{rest}'
    return str(value).lower() if isinstance(value, bool) else str(value)


def _escaped(text: str) -> str:
    letters = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(letters.get(one, one if one.isprintable() else f"\\u{ord(one):04x}") for one in text)


def _time(value: Timestamp) -> str:
    try:
        return value.ToJsonString()
    except ValueError:
        return f"{value.seconds} s {value.nanos} ns, which is no time"


def _unknown_size(message: Message) -> int:
    bare = type(message)()
    bare.CopyFrom(message)
    bare.DiscardUnknownFields()
    return message.ByteSize() - bare.ByteSize()
