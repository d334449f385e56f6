"""The text form of a key: `cn1` and lower-case base32 without padding (spec section 1.1)."""

from __future__ import annotations

import base64
import binascii

_PREFIX = "cn1"


def text_of(key: bytes) -> str:
    """Returns the text form of a key of 32 bytes."""
    return _PREFIX + base64.b32encode(key).decode().rstrip("=").lower()


def key_of(text: str) -> bytes:
    """Returns the key of a text form.

    Raises:
        ValueError: It is not exactly the text form of a key (NODE-ID-001).
    """
    try:
        key = base64.b32decode(text.removeprefix(_PREFIX).upper() + "====")
    except binascii.Error:
        key = b""
    if len(key) != 32 or text_of(key) != text:  # noqa: PLR2004 - a key has 32 bytes
        raise ValueError(f"{text!r} is no node id: cn1 and 52 characters of a-z and 2-7")
    return key
