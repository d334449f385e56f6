"""Signed envelopes, made by the judge's own hand: encoding, digest and seal (spec chapter 0).

>>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
"""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import signatures


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Returns the bytes that are signed: PAE of DSSE v1, lengths in bytes and in decimal digits."""
    name = payload_type.encode()
    return b" ".join((b"DSSEv1", str(len(name)).encode(), name, str(len(payload)).encode(), payload))


def digest(payload_type: str, payload: bytes) -> bytes:
    """Returns SHA-256 of what is signed, 32 bytes: the name of a signed object."""
    return hashlib.sha256(pre_authentication_encoding(payload_type, payload)).digest()


def seal_bytes(payload: bytes, *, payload_type: str, seed: bytes) -> SignedEnvelope:
    """Signs bytes under any name.

    Args:
        payload: What is carried.
        payload_type: Its name.
        seed: The signer's seed, 32 bytes.
    """
    return SignedEnvelope(
        payload_type=payload_type,
        payload=payload,
        public_key=signatures.public_key(seed),
        signature=signatures.sign(pre_authentication_encoding(payload_type, payload), seed=seed),
    )


def seal(message: Message, *, seed: bytes) -> SignedEnvelope:
    """Encodes and signs a message under its full name."""
    payload = message.SerializeToString(deterministic=True)
    return seal_bytes(payload, payload_type=message.DESCRIPTOR.full_name, seed=seed)


def envelope_digest(envelope: SignedEnvelope) -> bytes:
    """Returns the digest of an envelope, 32 bytes."""
    return digest(envelope.payload_type, envelope.payload)


def defect_of(envelope: SignedEnvelope, *, payload_type: str, signer: bytes | None = None) -> str:
    """Returns what is wrong with an envelope by spec section 0.3, steps 1 to 5 and 8; empty where nothing is.

    Args:
        envelope: As it was received.
        payload_type: What it has to carry.
        signer: The key that the payload names, or None: not compared.
    """
    if envelope.payload_type != payload_type:
        return f"the payload type is {envelope.payload_type!r}, not {payload_type!r}"
    if not envelope.signature:
        return "there is no signature"
    signed = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    if not signatures.verifies(signed, signature=envelope.signature, key=envelope.public_key):
        return "the signature does not verify"
    if signer is not None and envelope.public_key != signer:
        return f"signed by {envelope.public_key.hex()}, where the payload names {signer.hex()}"
    return ""
