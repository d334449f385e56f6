"""Signatures that no honest signer makes, on which verifiers disagree.

With T a point of order eight, take a key A = aB + tT and R = rB + uT, and S = r + ka. Then [S]B - R - [k]A is
-(u + kt)T: a verifier that multiplies by eight accepts every such signature, one that does not accepts those where
eight divides u + kt, and since k is a hash of the message, trying messages finds any residue.

Where a and r are zero the points are of small order: then S is known to everybody, and whoever accepts such a key
accepts a signature of nobody.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards
from consilience_conformance.edwards import BASE, COFACTOR, FIELD_PRIME, GROUP_ORDER, encode_raw
from consilience_conformance.envelopes import pre_authentication_encoding
from consilience_conformance.vectors.generator.actors import NODE, fixed_bytes

PAYLOAD_TYPE = "consilience.v1.Ask"

_TORSION = edwards.torsion_generator()
_KEY_SCALAR = edwards.SecretScalar.from_seed(NODE.seed).scalar
_NONCE = int.from_bytes(fixed_bytes("nonce of the forgeries", size=32), "little") % GROUP_ORDER


class Encoding(NamedTuple):
    """One way to write down a multiple of the torsion point."""

    name: str
    encoded: bytes
    torsion: int
    canonical: bool


class Challenge(NamedTuple):
    """What the hash of a message does to the torsion: k modulo eight, reduced by the group order first or not."""

    reduced: int
    unreduced: int


def small_order_encodings() -> list[Encoding]:
    """Returns the eight points of small order, and the six further encodings that a lenient reader takes for them."""
    points = [
        Encoding(f"the point of order {order}, number {index}", _TORSION.times(index).encode(), index, canonical=True)
        for index, order in enumerate((1, 8, 4, 8, 2, 8, 4, 8))
    ]
    index_of = {point.encoded: point.torsion for point in points}
    zero, one, minus_one = 0, 1, FIELD_PRIME - 1
    lenient = [
        ("the identity with the sign of zero set", encode_raw(one, sign=1), encode_raw(one, sign=0)),
        ("the identity with y = p + 1", encode_raw(FIELD_PRIME + 1, sign=0), encode_raw(one, sign=0)),
        (
            "the identity with y = p + 1 and the sign of zero set",
            encode_raw(FIELD_PRIME + 1, sign=1),
            encode_raw(one, sign=0),
        ),
        (
            "the point of order 2 with the sign of zero set",
            encode_raw(minus_one, sign=1),
            encode_raw(minus_one, sign=0),
        ),
        ("a point of order 4 with y = p", encode_raw(FIELD_PRIME, sign=0), encode_raw(zero, sign=0)),
        ("the other point of order 4 with y = p", encode_raw(FIELD_PRIME, sign=1), encode_raw(zero, sign=1)),
    ]
    return points + [Encoding(name, encoded, index_of[plain], canonical=False) for name, encoded, plain in lenient]


def forge(
    *,
    a: int = _KEY_SCALAR,
    t: int = 0,
    r: int = _NONCE,
    u: int = 0,
    encoded_a: bytes | None = None,
    encoded_r: bytes | None = None,
    wanted: Callable[[Challenge], bool],
) -> SignedEnvelope:
    """Returns an envelope whose signature satisfies the equation up to torsion.

    Args:
        a: Scalar of the key in the prime-order group.
        t: Torsion of the key, in multiples of T.
        r: Scalar of R.
        u: Torsion of R.
        encoded_a: How to write the key, where not canonically.
        encoded_r: How to write R, where not canonically.
        wanted: Chooses the payload by its challenge.
    """
    key = encoded_a or BASE.times(a).plus(_TORSION.times(t)).encode()
    point = encoded_r or BASE.times(r).plus(_TORSION.times(u)).encode()
    payload = next(
        candidate
        for candidate in (b"payload %d" % counter for counter in itertools.count())
        if wanted(_challenge(point, key=key, payload=candidate))
    )
    k = edwards.challenge(point, public_key=key, message=pre_authentication_encoding(PAYLOAD_TYPE, payload))
    signature = point + edwards.encode_scalar((r + k * a) % GROUP_ORDER)
    return SignedEnvelope(payload_type=PAYLOAD_TYPE, payload=payload, public_key=key, signature=signature)


def _challenge(point: bytes, *, key: bytes, payload: bytes) -> Challenge:
    k = edwards.challenge(point, public_key=key, message=pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Challenge(k % GROUP_ORDER % COFACTOR, k % COFACTOR)


def with_residue(residue: int, *, t: int, u: int) -> Callable[[Challenge], bool]:
    """Wants u + kt to leave a residue modulo eight, whether k is reduced or not."""
    return lambda k: all((u + value * t) % COFACTOR == residue for value in k)
