"""Ed25519 as the specification wants it (chapter 0.2): signing, and verification that refuses what libraries differ on.

libsodium does the arithmetic; what it leaves open in some releases is compared byte for byte before it is asked.
"""

from __future__ import annotations

import functools

from nacl.bindings import crypto_sign_SEEDBYTES
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from consilience_conformance import edwards

KEY_BYTES = 32
SIGNATURE_BYTES = 64


def public_key(seed: bytes) -> bytes:
    """Returns the key of a seed, both 32 bytes."""
    return bytes(_signing_key(seed).verify_key)


def sign(message: bytes, *, seed: bytes) -> bytes:
    """Returns the signature of a message, 64 bytes."""
    return _signing_key(seed).sign(message).signature


def verifies(message: bytes, *, signature: bytes, key: bytes) -> bool:
    """Tells whether a signature holds under the strict rules; lengths of any size are allowed to come in."""
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    if int.from_bytes(signature[KEY_BYTES:], "little") >= edwards.GROUP_ORDER:
        return False
    if not (_is_strict(key) and _is_strict(signature[:KEY_BYTES])):
        return False
    try:
        VerifyKey(key).verify(message, signature)
    except BadSignatureError:
        return False
    return True


@functools.lru_cache(maxsize=256)
def _signing_key(seed: bytes) -> SigningKey:
    if len(seed) != crypto_sign_SEEDBYTES:
        raise ValueError(f"a seed has {crypto_sign_SEEDBYTES} bytes")
    return SigningKey(seed)


def _is_strict(point: bytes) -> bool:
    """Tells whether an encoding is the canonical one of a point that is not of small order."""
    y = int.from_bytes(point, "little") & ((1 << 255) - 1)
    return y < edwards.FIELD_PRIME and y not in _small_order()


@functools.cache
def _small_order() -> frozenset[int]:
    torsion = edwards.torsion_generator()
    encodings = (torsion.times(index).encode() for index in range(edwards.COFACTOR))
    return frozenset(int.from_bytes(encoding, "little") & ((1 << 255) - 1) for encoding in encodings)
