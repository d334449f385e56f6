"""Edwards25519 and Ed25519 in plain integers: slow, readable, and able to break every rule on purpose.

A judge has to make signatures that no library makes: malleable ones, ones over points of small order, ones on which
the two verification equations differ. So the arithmetic is spelled out here, and `verify` names each rule of spec
section 0.2 as a `Rule` that can be left out, which shows what a verifier without that rule lets through.

Not for secrets: nothing here takes constant time.

>>> seed = bytes(32)
>>> verify(sign(b"text", seed=seed), message=b"text", public_key=public_key(seed))
True
"""

from __future__ import annotations

import enum
import hashlib
from typing import NamedTuple

FIELD_PRIME = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
COFACTOR = 8
POINT_BYTES = 32
SIGNATURE_BYTES = 64

_SIGN_BIT = 1 << 255
_CURVE_D = -121665 * pow(121666, -1, FIELD_PRIME) % FIELD_PRIME
_ROOT_OF_MINUS_ONE = pow(2, (FIELD_PRIME - 1) // 4, FIELD_PRIME)


class Rule(enum.Flag):
    """The rules of strict verification, in the order of spec section 0.2."""

    CANONICAL_S = enum.auto()
    """S is below the group order."""
    CANONICAL_A = enum.auto()
    """The public key is encoded in the one way that encoding gives."""
    CANONICAL_R = enum.auto()
    """R is encoded in the one way that encoding gives."""
    LARGE_ORDER_A = enum.auto()
    """The public key is none of the eight points of small order."""
    LARGE_ORDER_R = enum.auto()
    """R is none of the eight points of small order."""
    REDUCED_K = enum.auto()
    """The hash is reduced by the group order before it multiplies a point."""
    COFACTORLESS = enum.auto()
    """The equation holds as it stands, and not only after multiplication by eight."""


STRICT = ~Rule(0)
"""All rules: what the protocol asks for."""


class Point(NamedTuple):
    """A point of the curve in extended coordinates: affine x = X/Z and y = Y/Z, and T = XY/Z (RFC 8032, 5.1.4)."""

    X: int
    Y: int
    Z: int
    T: int

    @classmethod
    def from_affine(cls, x: int, y: int) -> Point:
        """Returns the point with affine coordinates."""
        return cls(x, y, 1, x * y % FIELD_PRIME)

    def plus(self, other: Point) -> Point:
        """Returns the sum of two points; the formula is complete, so there are no special cases."""
        a = (self.Y - self.X) * (other.Y - other.X)
        b = (self.Y + self.X) * (other.Y + other.X)
        c = 2 * _CURVE_D * self.T * other.T
        d = 2 * self.Z * other.Z
        e, f, g, h = b - a, d - c, d + c, b + a
        return Point(e * f % FIELD_PRIME, g * h % FIELD_PRIME, f * g % FIELD_PRIME, e * h % FIELD_PRIME)

    def times(self, scalar: int) -> Point:
        """Returns the multiple of a point by a non-negative integer, which is not reduced first."""
        total, power = IDENTITY, self
        while scalar:
            if scalar & 1:
                total = total.plus(power)
            power = power.plus(power)
            scalar >>= 1
        return total

    def negative(self) -> Point:
        """Returns the point that adds up to the identity with this one."""
        return Point(-self.X % FIELD_PRIME, self.Y, self.Z, -self.T % FIELD_PRIME)

    @property
    def is_identity(self) -> bool:
        """Whether this is the neutral element."""
        return self.X % FIELD_PRIME == 0 and (self.Y - self.Z) % FIELD_PRIME == 0

    @property
    def has_small_order(self) -> bool:
        """Whether this is one of the eight points whose eightfold is the identity."""
        return self.times(COFACTOR).is_identity

    def encode(self) -> bytes:
        """Returns the canonical encoding, 32 bytes (RFC 8032, 5.1.2)."""
        inverse = pow(self.Z, -1, FIELD_PRIME)
        x, y = self.X * inverse % FIELD_PRIME, self.Y * inverse % FIELD_PRIME
        return encode_raw(y, sign=x & 1)


def encode_raw(y: int, *, sign: int) -> bytes:
    """Returns the 32 bytes that hold a y coordinate below 2^255 and a sign of x, whether or not they are canonical."""
    return (y | (sign << 255)).to_bytes(POINT_BYTES, "little")


def decode(encoding: bytes, *, canonical: bool = True) -> Point | None:
    """Reads a point, or returns None where the bytes encode none.

    Args:
        encoding: 32 bytes.
        canonical: Refuses y of the field prime and above, and the sign bit where x is zero; else y is reduced and the
            sign of zero ignored.
    """
    number = int.from_bytes(encoding, "little")
    y, sign = number & (_SIGN_BIT - 1), number >> 255
    if canonical and y >= FIELD_PRIME:
        return None
    y %= FIELD_PRIME
    x = _root_of_ratio(y * y - 1, _CURVE_D * y * y + 1)
    if x is None or (canonical and x == 0 and sign):
        return None
    return Point.from_affine(-x % FIELD_PRIME if x & 1 != sign else x, y)


def _root_of_ratio(numerator: int, denominator: int) -> int | None:
    """Returns a square root of a ratio in the field, or None where there is none (RFC 8032, 5.1.3)."""
    ratio = numerator * pow(denominator, -1, FIELD_PRIME) % FIELD_PRIME
    root = pow(ratio, (FIELD_PRIME + 3) // 8, FIELD_PRIME)
    for candidate in (root, root * _ROOT_OF_MINUS_ONE % FIELD_PRIME):
        if candidate * candidate % FIELD_PRIME == ratio:
            return candidate
    return None


IDENTITY = Point(0, 1, 1, 0)
BASE = Point.from_affine(
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
"""The generator: y is 4/5, and x is even."""


def torsion_generator() -> Point:
    """Returns a point of order eight; its multiples are the eight points of small order.

    It is what is left of the point with the smallest y after multiplication by the group order.
    """
    candidates = (decode(encode_raw(y, sign=0)) for y in range(2, FIELD_PRIME))
    torsion_parts = (point.times(GROUP_ORDER) for point in candidates if point is not None)
    return next(part for part in torsion_parts if not part.times(COFACTOR // 2).is_identity)


class SecretScalar(NamedTuple):
    """What RFC 8032, 5.1.5 makes of a seed: the scalar of the key, and the prefix of the nonce."""

    scalar: int
    prefix: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> SecretScalar:
        """Expands a seed of 32 bytes."""
        expanded = hashlib.sha512(seed).digest()
        clamped = int.from_bytes(expanded[:32], "little") & ~(7 | 1 << 255) | 1 << 254
        return cls(clamped, expanded[32:])


def public_key(seed: bytes) -> bytes:
    """Returns the public key of a seed."""
    return BASE.times(SecretScalar.from_seed(seed).scalar).encode()


def sign(message: bytes, *, seed: bytes) -> bytes:
    """Returns the signature of a message, 64 bytes (RFC 8032, 5.1.6)."""
    secret = SecretScalar.from_seed(seed)
    nonce = int.from_bytes(hashlib.sha512(secret.prefix + message).digest(), "little") % GROUP_ORDER
    r = BASE.times(nonce).encode()
    k = challenge(r, public_key=BASE.times(secret.scalar).encode(), message=message) % GROUP_ORDER
    return r + encode_scalar((nonce + k * secret.scalar) % GROUP_ORDER)


def challenge(r: bytes, *, public_key: bytes, message: bytes) -> int:
    """Returns the hash that binds R, key and message, as an integer of 512 bits that is not yet reduced."""
    return int.from_bytes(hashlib.sha512(r + public_key + message).digest(), "little")


def encode_scalar(scalar: int) -> bytes:
    """Returns the 32 bytes of an integer below 2^256."""
    return scalar.to_bytes(POINT_BYTES, "little")


def verify(signature: bytes, *, message: bytes, public_key: bytes, rules: Rule = STRICT) -> bool:
    """Tells whether a signature is accepted by a verifier that keeps to the given rules.

    Args:
        signature: R and S, 64 bytes; another length is never accepted.
        message: What was signed.
        public_key: 32 bytes; another length is never accepted.
        rules: `STRICT`, or less.
    """
    if len(signature) != SIGNATURE_BYTES or len(public_key) != POINT_BYTES:
        return False
    encoded_r, s = signature[:POINT_BYTES], int.from_bytes(signature[POINT_BYTES:], "little")
    if Rule.CANONICAL_S in rules and s >= GROUP_ORDER:
        return False
    a = decode(public_key, canonical=Rule.CANONICAL_A in rules)
    r = decode(encoded_r, canonical=Rule.CANONICAL_R in rules)
    if a is None or r is None:
        return False
    if (Rule.LARGE_ORDER_A in rules and a.has_small_order) or (Rule.LARGE_ORDER_R in rules and r.has_small_order):
        return False
    k = challenge(encoded_r, public_key=public_key, message=message)
    if Rule.REDUCED_K in rules:
        k %= GROUP_ORDER
    difference = BASE.times(s).plus(r.plus(a.times(k)).negative())
    if Rule.COFACTORLESS not in rules:
        difference = difference.times(COFACTOR)
    return difference.is_identity
