"""Envelopes: one signature over exact bytes (spec chapter 0).

Bytes are signed, never messages, because protobuf encoding is not canonical. Whoever verifies does so over the bytes
received and parses afterwards; nothing is encoded again in order to verify.

>>> from consilience.identity import KeyPair
>>> envelope = seal(b"payload", payload_type="consilience.v1.Ask", signer=KeyPair.generate())
>>> verify(envelope, payload_type="consilience.v1.Ask")
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from consilience.errors import (
    EnvelopeMalformedError,
    PayloadTypeWrongError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
)
from consilience.identity import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    Signer,
    signature_is_valid,
)
from consilience.units import Digest, PublicKey

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One signed object as it travels.

    Attributes:
        payload_type: Full name of the message that `payload` encodes.
        payload: The encoded message, as signed.
        public_key: The signer's Ed25519 key, 32 bytes.
        signature: Ed25519 over `pre_authentication_encoding(payload_type, payload)`, 64 bytes.
    """

    payload_type: str
    payload: bytes
    public_key: PublicKey
    signature: bytes
    _digest: Digest | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def digest(self) -> Digest:
        """The name of the signed object everywhere: SHA-256 of what was signed, never of the signature."""
        if self._digest is None:
            object.__setattr__(self, "_digest", digest(self.payload_type, self.payload))
        return cast("Digest", self._digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[T_co]):
    """A value together with the verified envelope that it was read from.

    Only `consilience._wire` makes one, after the envelope was verified, so holding one is the proof.
    """

    value: T_co
    envelope: Envelope

    @property
    def digest(self) -> Digest:
        """The digest of the envelope."""
        return self.envelope.digest


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Returns the bytes that are signed: PAE of DSSE v1 (secure-systems-lab/dsse, protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def digest(payload_type: str, payload: bytes) -> Digest:
    """Returns SHA-256 of the pre-authentication encoding, 32 bytes (SIG-DIG-001)."""
    return Digest(hashlib.sha256(pre_authentication_encoding(payload_type, payload)).digest())


def seal(payload: bytes, *, payload_type: str, signer: Signer) -> Envelope:
    """Signs an encoded message.

    Args:
        payload: The encoded message.
        payload_type: The full name of the message.
        signer: Holds the key of the role in which it is signed.
    """
    signature = signer.sign(pre_authentication_encoding(payload_type, payload))
    return Envelope(payload_type=payload_type, payload=payload, public_key=signer.public_key, signature=signature)


def verify(envelope: Envelope, *, payload_type: str) -> None:
    """Checks type and signature of an envelope, in the order of spec section 0.3.

    Args:
        envelope: What was received.
        payload_type: The only message name that is acceptable here.

    Raises:
        PayloadTypeWrongError: The envelope is for another purpose.
        EnvelopeMalformedError: The key is not 32 bytes, or the signature neither absent nor 64.
        SignatureMissingError: There is no signature.
        SignatureInvalidError: The signature does not verify under the strict rules.
    """
    if envelope.payload_type != payload_type:
        raise PayloadTypeWrongError(f"expected a {payload_type}, got a {envelope.payload_type or 'nameless object'}")
    if len(envelope.public_key) != PUBLIC_KEY_BYTES:
        raise EnvelopeMalformedError(f"public_key has {len(envelope.public_key)} bytes, not {PUBLIC_KEY_BYTES}")
    if not envelope.signature:
        raise SignatureMissingError(f"the {payload_type} is not signed")
    if len(envelope.signature) != SIGNATURE_BYTES:
        raise EnvelopeMalformedError(f"signature has {len(envelope.signature)} bytes, not {SIGNATURE_BYTES}")
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    if not signature_is_valid(envelope.signature, message=message, public_key=envelope.public_key):
        raise SignatureInvalidError(f"the signature of the {payload_type} does not verify")


def require_signer(envelope: Envelope, *, named: PublicKey, role: str) -> None:
    """Checks that the signer is the key that the payload names for a role (SIG-ENV-005).

    Args:
        envelope: A verified envelope.
        named: The key that the payload names.
        role: The field that names it, for the message.

    Raises:
        SignerWrongError: Somebody else signed.
    """
    if envelope.public_key != named:
        raise SignerWrongError(f"signed by another key than {role} names")
