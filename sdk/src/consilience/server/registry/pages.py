"""Pages: what one response holds, and the tokens that lead to the next (spec sections 4.5 and 4.8).

A token is a position and a code over it that nobody else can make (HMAC-SHA256, RFC 2104), under the identity of the
store: all processes of a registry honour each other's, and none honours those of another registry (REG-PAGE-001).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from consilience._wire.registries import encode_query
from consilience.errors import CursorInvalidError
from consilience.reviews import NodeQuery, RecordQuery
from consilience.server.registry.contract import RecordStore

MAX_PAGE_ITEMS = 1000
DEFAULT_PAGE_ITEMS = 100
MAX_PAGE_BYTES = 4 * 1024 * 1024
_BESIDE_BYTES = 1024
"""Of a response, for the token."""
_ITEM_BESIDE_BYTES = 16
"""Of an item, for its tag and length."""
_CODE_BYTES = 16
_SERIAL_BYTES = 8

SYNC = b"sync"
"""The purpose of cursors."""


class Tokens:
    """Makes tokens, and tells its own from others."""

    def __init__(self, store: RecordStore) -> None:
        """Makes tokens of a store, once that is open."""
        self._store = store

    def token(self, position: bytes, *, purpose: bytes) -> bytes:
        """Returns the token of a position."""
        return position + self._code(position, purpose=purpose)

    def position(self, token: bytes, *, purpose: bytes) -> bytes:
        """Returns the position of a token.

        Raises:
            CursorInvalidError: It was not made here, or for something else.
        """
        position, code = token[:-_CODE_BYTES], token[-_CODE_BYTES:]
        if not hmac.compare_digest(code, self._code(position, purpose=purpose)):
            raise CursorInvalidError("the page token or cursor is none of this registry, or of another question")
        return position

    def _code(self, position: bytes, *, purpose: bytes) -> bytes:
        message = len(purpose).to_bytes(2) + purpose + position
        return hmac.new(self._store.identity, message, hashlib.sha256).digest()[:_CODE_BYTES]


def purpose_of(query: NodeQuery | RecordQuery) -> bytes:
    """Returns what the tokens of a query are for: the same question, in pages of whatever size."""
    asked = encode_query(replace(query, page_size=0, page_token=b""))
    return type(query).__name__.encode() + hashlib.sha256(asked).digest()


def of_serial(serial: int) -> bytes:
    """Returns the position at a number."""
    return serial.to_bytes(_SERIAL_BYTES)


def to_serial(position: bytes) -> int:
    """Returns the number of a position."""
    return int.from_bytes(position)


class Room:
    """What a page still has room for."""

    def __init__(self, page_size: int) -> None:
        """Begins an empty page of as many items, or as many as the registry likes for zero."""
        self._items = min(page_size or DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS)
        self._bytes = MAX_PAGE_BYTES - _BESIDE_BYTES

    def take(self, encoded_bytes: int) -> bool:
        """Takes an item in, unless it is one too many."""
        self._items -= 1
        self._bytes -= encoded_bytes + _ITEM_BESIDE_BYTES
        return self._items >= 0 and self._bytes >= 0
