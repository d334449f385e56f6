"""Trust edges: who believes the reviews of whom."""

from __future__ import annotations

from dataclasses import dataclass

from consilience.identity import PUBLIC_KEY_BYTES
from consilience.units import PublicKey

LEAST_WEIGHT = 1e-6
"""Of a trust edge: whoever counts less is better left out, and shares of far smaller numbers are none of any float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustEdge:
    """Says that one believes the reviews of another. It does not say that the other serves well.

    Attributes:
        truster: Who says so.
        trusted: Of whom.
        weight: How much, from 0.000001 to 1. Only the proportions between the edges of one truster matter.
    """

    truster: PublicKey
    trusted: PublicKey
    weight: float = 1.0

    def __post_init__(self) -> None:
        if len(self.truster) != PUBLIC_KEY_BYTES or len(self.trusted) != PUBLIC_KEY_BYTES:
            raise ValueError(f"truster and trusted are public keys of {PUBLIC_KEY_BYTES} bytes")
        check_weight(self.weight)


def check_weight(weight: float) -> None:
    """Checks the weight of a trust edge.

    Raises:
        ValueError: It is not from 0.000001 to 1.
    """
    if not LEAST_WEIGHT <= weight <= 1:
        raise ValueError(f"the weight of a trust edge is from {LEAST_WEIGHT:f} to 1, not {weight!r:.12}")
