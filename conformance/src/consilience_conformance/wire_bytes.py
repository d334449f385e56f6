"""Encoded messages as bytes: fields that no version has, and spellings that encoders do not choose but parsers read.

>>> field_of(2000, b"new").hex()
'827d036e6577'
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED_64, DELIMITED, FIXED_32 = 0, 1, 2, 5
_MORE = 128
"""The bit of a byte that says that the number goes on."""


class Field(NamedTuple):
    """A field as it stands in an encoded message: its number, its wire type, and the bytes of its value."""

    number: int
    wire_type: int
    value: bytes

    @property
    def encoded(self) -> bytes:
        """The field with its key, spelled in the shortest way."""
        length = varint(len(self.value)) if self.wire_type == DELIMITED else b""
        return varint(self.number << 3 | self.wire_type) + length + self.value


def varint(number: int, *, padding: int = 0) -> bytes:
    """Returns a number as base 128, with as many needless bytes behind as are wanted."""
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127)
    groups += [0] * padding
    return bytes([group | _MORE for group in groups[:-1]] + groups[-1:])


def field_of(number: int, value: bytes) -> bytes:
    """Returns a field of bytes, text, or an embedded message, encoded."""
    return Field(number, DELIMITED, value).encoded


def fields_of(encoded: bytes) -> Iterator[Field]:
    """Yields the fields of an encoded message, in their order.

    Raises:
        ValueError: It has a group, which proto3 has not.
    """
    place = 0
    while place < len(encoded):
        key, place = _read_varint(encoded, place)
        wire_type, start = key & 7, place
        if wire_type == VARINT:
            _, place = _read_varint(encoded, place)
        elif wire_type == DELIMITED:
            size, start = _read_varint(encoded, place)
            place = start + size
        elif wire_type in {FIXED_64, FIXED_32}:
            place += 8 if wire_type == FIXED_64 else 4
        else:
            raise ValueError(f"wire type {wire_type} is not one of proto3")
        yield Field(key >> 3, wire_type, encoded[start:place])


def _read_varint(encoded: bytes, place: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        group = encoded[place]
        number |= (group & 127) << shift
        place, shift = place + 1, shift + 7
        if not group & _MORE:
            return number, place
