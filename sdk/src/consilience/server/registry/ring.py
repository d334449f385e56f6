"""The ring: where the nodes stand that can be found, by the first bits of their ids (spec section 4.5, REG-FIND-002).

A place is a number, so that the index is small and goes round in the order of the ring. Two nodes whose ids begin alike
stand at different ones all the same: the second takes a place that it does not choose.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

PLACE_BYTES = 8
END = 2**63 - 1
"""The last place. Zero stands before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arc:
    """A stretch of the ring: above `after`, up to and with `until`."""

    after: int = 0
    until: int = END


def place_on_ring(node_id: bytes) -> int:
    """Returns where a node stands, unless another one does."""
    return max(int.from_bytes(node_id[:PLACE_BYTES]) >> 1, 1)


def anywhere() -> int:
    """Returns a place that nobody chose."""
    return secrets.randbelow(END) + 1


def round_from(start: int, *, passed: int) -> tuple[Arc, ...]:
    """Returns what is left of the way once round the ring from behind a start, of which some was passed."""
    if passed < start:
        return (Arc(after=passed, until=start),)
    return Arc(after=passed), Arc(until=start)


def to_bytes(*places: int) -> bytes:
    """Returns places, encoded."""
    return b"".join(place.to_bytes(PLACE_BYTES) for place in places)


def from_bytes(encoded: bytes) -> tuple[int, ...]:
    """Returns the places that were encoded."""
    return tuple(int.from_bytes(encoded[start : start + PLACE_BYTES]) for start in range(0, len(encoded), PLACE_BYTES))
