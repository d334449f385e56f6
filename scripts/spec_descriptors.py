"""What the protos say of their own elements: comments and constraints, from the descriptor image."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from buf.validate import validate_pb2
from consilience_conformance import image

PACKAGE = "consilience.v1"
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6  # field numbers within FileDescriptorProto, of which comment paths are made
_MEMBER = 2  # likewise of `field`, `value` and `method` within the three


class Element(NamedTuple):
    """A message, an enum or a service, and where its comments are."""

    descriptor: DescriptorProto | EnumDescriptorProto | ServiceDescriptorProto
    file: FileDescriptorProto
    path: tuple[int, int]

    @property
    def full_name(self) -> str:
        """`consilience.v1.NodeCard`."""
        return f"{self.file.package}.{self.descriptor.name}"

    @property
    def comment(self) -> list[str]:
        """The comment before it, one string per paragraph."""
        return _comment(self.file, self.path)

    def comment_of(self, index: int) -> list[str]:
        """Returns the comment before a field, value or method, by its place within the element."""
        return _comment(self.file, (*self.path, _MEMBER, index))


@cache
def elements() -> dict[str, Element]:
    """Returns the messages, enums and services of the package by their full names."""
    # Parsed here and not taken from `image`, so that the constraints are known as what they are.
    files = FileDescriptorSet.FromString(image.descriptor_set().SerializeToString()).file
    found = (element for file in files if file.package == PACKAGE for element in _elements(file))
    return {element.full_name: element for element in found}


def _elements(file: FileDescriptorProto) -> Iterator[Element]:
    for index, message in enumerate(file.message_type):
        yield Element(message, file, (_MESSAGE, index))
    for index, enum in enumerate(file.enum_type):
        yield Element(enum, file, (_ENUM, index))
    for index, service in enumerate(file.service):
        yield Element(service, file, (_SERVICE, index))


def _comment(file: FileDescriptorProto, path: tuple[int, ...]) -> list[str]:
    places = file.source_code_info.location
    text = next((place.leading_comments for place in places if tuple(place.path) == path), "")
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip())]


def constraints(field: FieldDescriptorProto) -> validate_pb2.FieldRules | None:
    """Returns the rules of a field, or None."""
    return field.options.Extensions[validate_pb2.field] if field.options.HasExtension(validate_pb2.field) else None


def rules_between_fields(message: DescriptorProto) -> list[str]:
    """Returns what holds between the fields of a message, in words."""
    required = [
        index for index, oneof in enumerate(message.oneof_decl) if oneof.options.Extensions[validate_pb2.oneof].required
    ]
    alternatives = [" and ".join(_fields_of_oneof(message, index)) for index in required]
    written = [rule.message for rule in message.options.Extensions[validate_pb2.message].cel]
    return [f"one of {names} is set" for names in alternatives] + written


def _fields_of_oneof(message: DescriptorProto, index: int) -> list[str]:
    inside = (field for field in message.field if field.HasField("oneof_index"))
    return [f"`{field.name}`" for field in inside if field.oneof_index == index]
