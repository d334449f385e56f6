"""Breakages: every constraint that the protos declare of a message, broken alone.

They are drawn from the descriptors, so a rule that is added to a proto is broken by the next run. What cannot be drawn,
because it is an expression between fields, stands in `broken_expressions`; one that is missing there stops the drawing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from consilience_conformance.broken_expressions import EXPRESSIONS, Change, Draft
from consilience_conformance.image import pool

_OWN_PACKAGE = "consilience.v1."
_FILLER = "x"
_EMPTY = "empty"

_SAMPLES: dict[str, dict[str, Any]] = {
    "consilience.v1.AskPayment": {"quote_digest": bytes([1]) * 32, "session_id": bytes([1]) * 32},
    "consilience.v1.Blob": {"media_type": "text/plain", "data": b"text"},
}
"""What stands in a message that the good one does not have."""


class UndrawableRuleError(Exception):
    """A proto declares a rule that nothing here knows how to break; its text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """One rule, broken.

    Attributes:
        path: Of what breaks it, in the payload: `turns[0].role`; where the rule is one of a whole message, its path.
        rule: As protovalidate names it: `enum.not_in`.
        variant: Which of several ways it is; empty: the only one.
        whole: Whether the rule is of a message or a oneof, so that any field within may be blamed.
        change: Breaks it.
    """

    path: str
    rule: str
    variant: str
    whole: bool
    change: Change

    @property
    def name(self) -> str:
        """What an exchange calls it: `turns[0].role enum.not_in`."""
        return f"{self.path} {self.rule} {self.variant}".rstrip()

    def is_named_by(self, blamed: str) -> bool:
        """Tells whether a path that a node blames is that of this breakage, or of an element or part of it."""
        if blamed == self.path or blamed == re.sub(r"\[\d+\]$", "", self.path):
            return True
        return self.whole and (not self.path or blamed.startswith((f"{self.path}.", f"{self.path}[")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in a message the drawing is.

    Attributes:
        path: With a dot behind, or empty.
        reach: Returns the message there, and puts one there where there is none.
    """

    path: str
    reach: Callable[[Draft], Draft]


def breakages(full_name: str) -> tuple[Breakage, ...]:
    """Returns a breakage, or several, of every rule of a message and of all that it holds.

    Args:
        full_name: Of the message in the descriptor image, which knows the rules.

    Raises:
        UndrawableRuleError: There is a rule of a kind that is new.
    """
    return tuple(_of_message(pool().FindMessageTypeByName(full_name), _Place(path="", reach=lambda message: message)))


def _of_message(descriptor: Descriptor, place: _Place) -> Iterator[Breakage]:
    for expression in descriptor.GetOptions().Extensions[validate_pb2.message].cel:
        if expression.id not in EXPRESSIONS:
            raise UndrawableRuleError(f"{descriptor.full_name}: nothing here breaks {expression.id}")
        for variant, change in EXPRESSIONS[expression.id].items():
            yield _at(place, "", expression.id, change, variant=variant, whole=True)
    for oneof in descriptor.oneofs:
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required:
            yield _at(place, oneof.name, "required", _clearing(oneof.name), whole=True)
    for field in descriptor.fields:
        yield from _of_field(field, place)
        if (
            field.message_type is not None
            and field.message_type.full_name.startswith(_OWN_PACKAGE)
            and not _sealed(field)
        ):
            yield from _of_message(field.message_type, _within(field, place))


def _at(place: _Place, name: str, rule: str, change: Change, *, variant: str = "", whole: bool = False) -> Breakage:
    path = place.path.rstrip(".") if whole else f"{place.path}{name}"
    return Breakage(
        path=path, rule=rule, variant=variant, whole=whole, change=lambda message: change(place.reach(message))
    )


def _sealed(field: FieldDescriptor) -> bool:
    """Tells whether a field holds an envelope, whose own fields the steps of opening it judge (section 0.3)."""
    return _type_of(field).full_name == "consilience.v1.SignedEnvelope"


def _type_of(field: FieldDescriptor) -> Descriptor:
    if field.message_type is None:
        raise TypeError(f"{field.full_name} holds no message")
    return field.message_type


def _within(field: FieldDescriptor, place: _Place) -> _Place:
    name, sample = field.name, _SAMPLES.get(_type_of(field).full_name, {})

    def reach_single(message: Draft) -> Draft:
        parent = place.reach(message)
        if not parent.HasField(name):
            _fill(getattr(parent, name), sample)
        return getattr(parent, name)

    def reach_first(message: Draft) -> Draft:
        return getattr(place.reach(message), name)[0]

    if field.is_repeated:
        return _Place(path=f"{place.path}{name}[0].", reach=reach_first)
    return _Place(path=f"{place.path}{name}.", reach=reach_single)


def _fill(message: Draft, values: dict[str, Any]) -> None:
    message.SetInParent()
    for name, value in values.items():
        setattr(message, name, value)


def _of_field(field: FieldDescriptor, place: _Place) -> Iterator[Breakage]:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    for kind, value in rules.ListFields():
        if kind.name == "required":
            yield _at(place, field.name, "required", _clearing(field.name))
            continue
        if kind.name == "ignore" and value == validate_pb2.IGNORE_IF_ZERO_VALUE:
            continue
        if not isinstance(value, Message):
            raise UndrawableRuleError(f"{field.full_name}: nothing here breaks {kind.name}")
        broken = _of_kind(field, place, kind.name, value)
        # What is empty keeps the rules of a field that may be so.
        may_be_empty = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE
        yield from (one for one in broken if not (may_be_empty and one.variant == _EMPTY))


def _of_kind(field: FieldDescriptor, place: _Place, kind: str, rules: Message) -> Iterator[Breakage]:
    for rule, value in rules.ListFields():
        name = f"{kind}.{rule.name}"
        if name == "repeated.items":
            yield from _of_items(field, place, value)
            continue
        if name not in _BREAKERS:
            raise UndrawableRuleError(f"{field.full_name}: nothing here breaks {name}")
        for variant, change in _BREAKERS[name](field, value):
            yield _at(place, field.name, name, change, variant=variant)


def _of_items(field: FieldDescriptor, place: _Place, items: Draft) -> Iterator[Breakage]:
    for kind, rules in items.ListFields():
        for rule, value in rules.ListFields():
            name = f"{kind.name}.{rule.name}"
            if name not in _ITEMS:
                raise UndrawableRuleError(f"{field.full_name}: nothing here breaks items.{name}")

            def change(message: Draft, *, item: object = _ITEMS[name](field, value)) -> None:
                getattr(message, field.name).insert(0, item)

            yield _at(place, f"{field.name}[0]", name, change)


_ITEMS: dict[str, Callable[[FieldDescriptor, Any], object]] = {
    "string.min_len": lambda _, least: _FILLER * (least - 1),
    "string.max_len": lambda _, most: _FILLER * (most + 1),
    "string.pattern": lambda _, pattern: next(text for text in (" a", "") if not re.search(pattern, text)),
    "bytes.len": lambda _, size: bytes(size - 1),
    "enum.defined_only": lambda field, _: _highest(field) + 1,
    "enum.not_in": lambda _, values: values[0],
}

Variants = Iterable[tuple[str, Change]]


def _clearing(name: str) -> Change:
    return lambda message: message.ClearField(message.WhichOneof(name) if name in _oneofs(message) else name)


def _oneofs(message: Message) -> set[str]:
    return {oneof.name for oneof in message.DESCRIPTOR.oneofs}


def _setting(field: FieldDescriptor, value: object) -> Change:
    return lambda message: setattr(message, field.name, value)


def _too_short(field: FieldDescriptor, least: int) -> Variants:
    yield "", _setting(field, _FILLER * (least - 1))


def _too_long(field: FieldDescriptor, most: int) -> Variants:
    """Repeats the last character of what is there, which leaves a pattern whole."""

    def change(message: Draft) -> None:
        good = getattr(message, field.name) or _FILLER
        setattr(message, field.name, good + good[-1] * (most + 1 - len(good)))

    yield "", change


def _unmatched(field: FieldDescriptor, pattern: str) -> Variants:
    for variant, text in (
        (_EMPTY, ""),
        ("with a space", " a"),
        ("not ASCII", "\N{LATIN SMALL LETTER U WITH DIAERESIS}"),
    ):
        if not re.search(pattern, text):
            yield variant, _setting(field, text)


def _of_other_size(field: FieldDescriptor, size: int) -> Variants:
    for variant, wrong in ((_EMPTY, 0), ("a byte less", size - 1), ("a byte more", size + 1)):
        yield variant, _setting(field, bytes([1]) * wrong)


def _too_few(field: FieldDescriptor, least: int) -> Variants:
    def change(message: Draft) -> None:
        del getattr(message, field.name)[least - 1 :]

    yield "", change


def _too_many(field: FieldDescriptor, most: int) -> Variants:
    """Repeats the first of what is there, under ids of their own where they have ids."""

    def change(message: Draft) -> None:
        items = getattr(message, field.name)
        if field.message_type is not None and not items:
            items.add()
        for index in range(most + 1):
            if field.message_type is None:
                items.append(f"{_FILLER}{index}" if not items or _is_unique(field) else items[0])
                continue
            copy = type(items[0]).FromString(items[0].SerializeToString())
            if "id" in field.message_type.fields_by_name:
                copy.id = f"{copy.id}{index}"
            items.append(copy)

    yield "", change


def _is_unique(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[validate_pb2.field].repeated.unique)


def _alike(field: FieldDescriptor, _: object) -> Variants:
    def change(message: Draft) -> None:
        items = getattr(message, field.name)
        items.extend([items[0]] if items else [_FILLER, _FILLER])

    yield "", change


def _too_many_pairs(field: FieldDescriptor, most: int) -> Variants:
    def change(message: Draft) -> None:
        for index in range(most + 1):
            getattr(message, field.name)[f"{_FILLER}{index}"].type_url = "type.googleapis.com/google.protobuf.Empty"

    yield "", change


def _undefined(field: FieldDescriptor, _: object) -> Variants:
    yield "the next one", _setting(field, _highest(field) + 1)
    yield "far off", _setting(field, 2**31 - 1)


def _highest(field: FieldDescriptor) -> int:
    return max(value.number for value in field.enum_type.values) if field.enum_type is not None else 0


def _unwanted(field: FieldDescriptor, values: Iterable[int]) -> Variants:
    for value in values:
        yield "", _setting(field, value)


def _below(field: FieldDescriptor, least: int) -> Variants:
    yield "", _setting(field, least - 1)


def _above(field: FieldDescriptor, most: int) -> Variants:
    yield "", _setting(field, most + 1)


def _negative(field: FieldDescriptor, _: object) -> Variants:
    yield "", lambda message: getattr(message, field.name).FromNanoseconds(-1)


def _not_above(field: FieldDescriptor, bound: int) -> Variants:
    yield "", _setting(field, bound)


_BREAKERS: dict[str, Callable[[FieldDescriptor, Any], Variants]] = {
    "string.min_len": _too_short,
    "string.max_len": _too_long,
    "string.pattern": _unmatched,
    "bytes.len": _of_other_size,
    "repeated.min_items": _too_few,
    "repeated.max_items": _too_many,
    "repeated.unique": _alike,
    "map.max_pairs": _too_many_pairs,
    "enum.defined_only": _undefined,
    "enum.not_in": _unwanted,
    "int32.gte": _below,
    "int32.lte": _above,
    "int64.gte": _below,
    "int64.lte": _above,
    "int64.gt": _not_above,
    "duration.gte": _negative,
}
