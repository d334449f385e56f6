"""Small changes to a copy of a model file, to get models that nobody publishes."""

from __future__ import annotations

import struct
from pathlib import Path

_USER_DEFINED = 4


def declare_user_defined(source: Path, target: Path, *, token: int) -> Path:
    """Copies a model in which one control token is declared "user defined", as careless conversions do."""
    data = bytearray(source.read_bytes())
    values = _array_values(data, "tokenizer.ggml.token_type")
    struct.pack_into("<i", data, values + 4 * token, _USER_DEFINED)
    target.write_bytes(data)
    return target


def drop_key(source: Path, target: Path, *, key: str) -> Path:
    """Copies a model without one entry of its metadata, by giving the entry another name."""
    data = source.read_bytes()
    place = data.index(key.encode())
    target.write_bytes(data[:place] + b"x" * len(key) + data[place + len(key) :])
    return target


def _array_values(data: bytearray, key: str) -> int:
    """Returns where the values of an array begin: after key, type, element type and count."""
    return data.index(key.encode()) + len(key) + 4 + 4 + 8
