"""The five bytes before each gRPC message: one for compression, four for the length.

>>> framed(b"abc").hex(" ")
'00 00 00 00 03 61 62 63'
>>> framed(b"abc", declared_bytes=100, compressed=True).hex(" ")
'01 00 00 00 64 61 62 63'
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PREFIX = struct.Struct(">BI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it came: its bytes, and whether its prefix calls them compressed."""

    payload: bytes
    compressed: bool = False


def framed(payload: bytes, *, compressed: bool = False, declared_bytes: int | None = None) -> bytes:
    """Puts the prefix before a message; it may lie.

    Args:
        payload: The bytes of the message.
        compressed: What the prefix says of compression. Nothing is compressed here.
        declared_bytes: The length that the prefix tells, 0 to 2**32 - 1; the true one if absent.
    """
    return _PREFIX.pack(compressed, len(payload) if declared_bytes is None else declared_bytes) + payload


class MessageReader:
    """Cuts a body into messages as its bytes come."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fed_bytes = 0
        self._rest = bytearray()

    @property
    def rest(self) -> bytes:
        """The bytes of a message that has not come whole."""
        return bytes(self._rest)

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the body."""
        self.fed_bytes += len(data)
        self._rest += data
        while len(self._rest) >= _PREFIX.size:
            flag, length = _PREFIX.unpack_from(self._rest)
            end = _PREFIX.size + length
            if len(self._rest) < end:
                return
            self.messages.append(Message(payload=bytes(self._rest[_PREFIX.size : end]), compressed=bool(flag)))
            del self._rest[:end]
