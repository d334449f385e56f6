"""One table-driven converter between value types and protobuf messages.

A codec is compiled once per value type from its annotations, so a new field costs one line in the proto and one in the
dataclass. The kinds: scalars, `datetime` (Timestamp), `timedelta` (Duration), `IntEnum` with UNKNOWN, nested
dataclasses, tuples of these, `X | None` (presence), `Mapping[str, bytes]` (map of Any) and `Signed[T]`
(SignedEnvelope). A union that mirrors a oneof stands in `_UNIONS`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message

from consilience import asks, envelopes, reviews
from consilience._wire.signers import named_signer
from consilience._wire.times import fill_duration, fill_timestamp, from_duration, from_timestamp
from consilience._wire.violations import ViolationAtError, within
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    EnvelopeMalformedError,
)
from consilience.units import EncodedAny, EncodedEnvelope, PublicKey
from consilience.v1 import (
    ask_pb2,
    conformance_pb2,
    envelope_pb2,
    error_details_pb2,
    node_pb2,
    payment_pb2,
    registry_pb2,
    review_pb2,
    tariff_pb2,
)

T = TypeVar("T")

_MODULES = (
    *(envelope_pb2, tariff_pb2, node_pb2, ask_pb2, payment_pb2, review_pb2, registry_pb2),
    *(error_details_pb2, conformance_pb2),
)
_OTHER_NAMES: dict[type, str] = {
    asks.AnswerSnapshot: "GetAnswerResponse",
    reviews.NodeQuery: "FindNodesRequest",
    reviews.RecordQuery: "ListRecordsRequest",
}
MAX_ITEMS = 65_536
"""How many values one list may hold. Two bytes on the wire become a hundred times as much here."""


Put = Callable[[Any, Any], None]
Take = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """How one field goes into a message and comes out of it."""

    name: str
    put: Put
    take: Take


@dataclasses.dataclass(frozen=True, slots=True)
class _Codec:
    """How one value type goes into its message and comes out of it."""

    message_type: type[Message]
    fields: tuple[_Field, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Item:
    """How one value goes into a message of its own, or into a repeated scalar, and comes out of it.

    Attributes:
        decode: Returns the value.
        fill: Writes the value into its message where that lies in another one: nothing is copied. None for a scalar.
    """

    decode: Take
    fill: Put | None = None


_ENCODED = (EncodedAny, EncodedEnvelope)
"""Bytes that stand for a message which is not looked into here."""

_CODECS: dict[type, _Codec] = {}
"""The codecs compiled so far."""


def to_message(value: Any) -> Any:
    """Returns the protobuf message of a value type's instance.

    Raises:
        ValueError: A field does not fit the message: an UNKNOWN enum value, a number out of range.
    """
    message = _codec(type(value)).message_type()
    fill(message, value)
    return message


def fill(message: Any, value: Any) -> None:
    """Writes a value into an empty message, as it may lie in another one; raises as `to_message`."""
    message.SetInParent()  # one that is left empty is there all the same
    for field in _codec(type(value)).fields:
        field.put(message, getattr(value, field.name))


def from_message(message: Message, value_type: type[T]) -> T:
    """Returns the value of a message.

    Raises:
        FieldInvalidError: A required message is absent, or a time lies outside what Python can tell.
        RefusedError: A nested signed object does not verify; see `open_envelope`.
    """
    return value_type(**{field.name: field.take(message) for field in _codec(value_type).fields})


def full_name(value_type: type) -> str:
    """Returns the payload type of a value type: `consilience.v1.Ask`."""
    return _codec(value_type).message_type.DESCRIPTOR.full_name


def parse(payload: bytes, value_type: type[T]) -> T:
    """Returns the value of an encoded message.

    Raises:
        EnvelopeMalformedError: The bytes are not such a message.
        FieldInvalidError: As `from_message`.
    """
    message = _codec(value_type).message_type()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise EnvelopeMalformedError(f"the payload is not a {full_name(value_type)}") from error
    return from_message(message, value_type)


def envelope_to_message(envelope: Envelope) -> envelope_pb2.SignedEnvelope:
    """Returns the message of an envelope; payload and signature go through untouched."""
    message = envelope_pb2.SignedEnvelope()
    fill_envelope(message, envelope)
    return message


def fill_envelope(message: envelope_pb2.SignedEnvelope, envelope: Envelope) -> None:
    """Writes an envelope into its message where that lies in another one."""
    message.payload_type = envelope.payload_type
    message.payload = envelope.payload
    message.public_key = envelope.public_key
    message.signature = envelope.signature


def envelope_from_message(message: envelope_pb2.SignedEnvelope) -> Envelope:
    """Returns the envelope of a message, unverified."""
    return Envelope(
        payload_type=message.payload_type,
        payload=message.payload,
        public_key=PublicKey(message.public_key),
        signature=message.signature,
    )


def open_envelope(envelope: Envelope, value_type: type[T]) -> Signed[T]:
    """Verifies the received bytes, then parses them, then checks that the right key signed (spec section 0.3).

    Raises:
        PayloadTypeWrongError, EnvelopeMalformedError, SignatureMissingError, SignatureInvalidError: See
            `consilience.envelopes.verify`.
        FieldInvalidError: A required field is absent.
        SignerWrongError: The signer is not the key that the payload names.
    """
    envelopes.verify(envelope, payload_type=full_name(value_type))
    value = parse(envelope.payload, value_type)
    named, role = named_signer(value)
    envelopes.require_signer(envelope, named=named, role=role)
    return Signed(value=value, envelope=envelope)


def _codec(value_type: type) -> _Codec:
    if value_type not in _CODECS:
        _CODECS[value_type] = _compile(value_type)
    return _CODECS[value_type]


def _compile(value_type: type) -> _Codec:
    name = _OTHER_NAMES.get(value_type, value_type.__name__)
    message_type = next((getattr(module, name) for module in _MODULES if hasattr(module, name)), None)
    if message_type is None:
        raise TypeError(f"{value_type.__name__} has no message")
    hints = typing.get_type_hints(value_type)
    fields = tuple(
        _UNIONS.get((value_type, field.name)) or _compile_field(field, hints[field.name])
        for field in dataclasses.fields(value_type)
    )
    return _Codec(message_type, fields)


def _compile_field(field: dataclasses.Field[Any], hint: Any) -> _Field:
    """Compiles one field from its annotation."""
    hint = _plain(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _repeated(field.name, _TURN_PARTS if arguments[0] == (str | asks.Blob) else _item(arguments[0]))
    if origin in (typing.Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _singular(field, inner, optional=True)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _any_map(field.name)
    return _singular(field, hint, optional=False)


def _singular(field: dataclasses.Field[Any], hint: Any, *, optional: bool) -> _Field:
    name, hint = field.name, _plain(hint)
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        decode = _item(hint).decode
        return _Field(name, _put_enum(name), lambda message: decode(getattr(message, name)))
    if hint in (bytes, str, int, float, bool):
        return _optional_scalar(name) if optional else _scalar(name)
    return _submessage(field, _item(hint), optional=optional)


def _scalar(name: str) -> _Field:
    def put(message: Message, value: Any) -> None:
        if value:
            setattr(message, name, value)

    return _Field(name, put, operator.attrgetter(name))


def _optional_scalar(name: str) -> _Field:
    def put(message: Message, value: Any) -> None:
        if value is not None:
            setattr(message, name, value)

    return _Field(name, put, lambda message: getattr(message, name) if message.HasField(name) else None)


def _put_enum(name: str) -> Put:
    def put(message: Message, value: enum.IntEnum) -> None:
        if value < 0:
            raise ValueError(f"{name} is UNKNOWN, which cannot be sent")
        setattr(message, name, int(value))

    return put


def _submessage(field: dataclasses.Field[Any], item: _Item, *, optional: bool) -> _Field:
    name, fill = field.name, item.fill
    if fill is None:
        raise TypeError(f"{name} has no message")

    def put(message: Message, value: Any) -> None:
        if value is not None:
            fill(getattr(message, name), value)

    def take(message: Message) -> Any:
        if message.HasField(name):
            return within(name, item.decode, getattr(message, name))
        if optional:
            return None
        if field.default is not dataclasses.MISSING:
            return field.default
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        raise ViolationAtError(name, "is required")

    return _Field(name, put, take)


def _repeated(name: str, item: _Item) -> _Field:
    fill = item.fill

    def put(message: Message, values: tuple[Any, ...]) -> None:
        if fill is None:
            getattr(message, name).extend(values)
        else:
            for value in values:
                fill(getattr(message, name).add(), value)

    def take(message: Message) -> tuple[Any, ...]:
        elements = getattr(message, name)
        if len(elements) > MAX_ITEMS:
            raise ViolationAtError(name, f"holds {len(elements)} values, {MAX_ITEMS} at most")
        return tuple(within(f"{name}[{index}]", item.decode, element) for index, element in enumerate(elements))

    return _Field(name, put, take)


def _any_map(name: str) -> _Field:
    def put(message: Message, value: Mapping[str, bytes]) -> None:
        for uri, encoded in value.items():
            getattr(message, name)[uri].CopyFrom(AnyMessage.FromString(encoded))

    def take(message: Message) -> dict[str, bytes]:
        return {uri: extension.SerializeToString() for uri, extension in getattr(message, name).items()}

    return _Field(name, put, take)


@functools.cache
def _item(hint: Any) -> _Item:
    """Returns the codec of what stands alone or in a tuple."""
    if hint in _ENCODED:
        return _Item(
            lambda message: hint(message.SerializeToString()), lambda message, data: message.ParseFromString(data)
        )
    if hint is Envelope:
        return _Item(envelope_from_message, fill_envelope)
    hint = _plain(hint)
    if hint in (bytes, str, int, float, bool):
        return _Item(lambda value: value)
    if hint is datetime:
        return _Item(from_timestamp, fill_timestamp)
    if hint is timedelta:
        return _Item(from_duration, fill_duration)
    if typing.get_origin(hint) is Signed:
        (inner,) = typing.get_args(hint)
        return _Item(
            lambda message: open_envelope(envelope_from_message(message), inner),
            lambda message, signed: fill_envelope(message, signed.envelope),
        )
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        known = {int(member): member for member in hint if member >= 0}
        unknown = hint["UNKNOWN"]
        return _Item(lambda number: known.get(number, unknown))
    return _Item(functools.partial(_decode_nested, hint), fill)


def _decode_nested(value_type: type, message: Message) -> Any:
    return from_message(message, value_type)


def _plain(hint: Any) -> Any:
    """Returns what a NewType stands for, unless it stands for a message."""
    return hint if hint in _ENCODED else getattr(hint, "__supertype__", hint)


def _fill_part(message: ask_pb2.Part, part: str | asks.Blob) -> None:
    if isinstance(part, str):
        message.text = part
    else:
        fill(message.blob, part)


def _decode_part(part: ask_pb2.Part) -> str | asks.Blob:
    match part.WhichOneof("content"):
        case "text":
            return part.text
        case "blob":
            return from_message(part.blob, asks.Blob)
        case _:
            raise ViolationAtError("content", "is required")


_TURN_PARTS = _Item(_decode_part, _fill_part)


def _put_origin(message: Any, origin: asks.DocumentSource | bytes) -> None:
    if isinstance(origin, asks.DocumentSource):
        fill(message.document, origin)
    else:
        message.answer_digest = origin


def _take_origin(message: Any) -> Any:
    match message.WhichOneof("origin"):
        case "document":
            return within("document", functools.partial(_decode_nested, asks.DocumentSource), message.document)
        case "answer_digest":
            return message.answer_digest
        case _:
            raise ViolationAtError("origin", "is required")


_UNIONS: dict[tuple[type, str], _Field] = {(asks.Citation, "origin"): _Field("origin", _put_origin, _take_origin)}
"""The fields whose union mirrors a oneof."""
