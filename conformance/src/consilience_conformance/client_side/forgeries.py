"""Forgeries: what can be wrong with an envelope, and how the same message is written in other bytes."""

from __future__ import annotations

import hashlib
from typing import TypeVar

from google.protobuf.message import Message

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards, envelopes, signatures

UNKNOWN_FIELD = b"\xc2\x3e\x02hi"
"""Field 1000 with two bytes, which no message of version 1 has."""

STRANGER = hashlib.sha256(b"a stranger to every node").digest()
"""The seed of a key that no card lists."""

_HALF = 32

MessageT = TypeVar("MessageT", bound=Message)


def unsigned(envelope: SignedEnvelope) -> SignedEnvelope:
    """Returns the envelope without its signature."""
    forged = SignedEnvelope()
    forged.CopyFrom(envelope)
    forged.signature = b""
    return forged


def of_other_bytes(envelope: SignedEnvelope) -> SignedEnvelope:
    """Returns the envelope with a signature by the right key over other bytes: one bit of it is flipped."""
    forged = SignedEnvelope()
    forged.CopyFrom(envelope)
    forged.signature = bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:]
    return forged


def malleable(envelope: SignedEnvelope) -> SignedEnvelope:
    """Returns the envelope with a second signature that anyone makes out of the first: S + L."""
    forged = SignedEnvelope()
    forged.CopyFrom(envelope)
    raised = int.from_bytes(envelope.signature[_HALF:], "little") + edwards.GROUP_ORDER
    forged.signature = envelope.signature[:_HALF] + raised.to_bytes(_HALF, "little")
    return forged


def of_another_type(envelope: SignedEnvelope, *, seed: bytes) -> SignedEnvelope:
    """Returns the payload, rightly signed as something that it is not."""
    return envelopes.seal_bytes(envelope.payload, payload_type="consilience.v1.KeyAcceptance", seed=seed)


def by_a_stranger(envelope: SignedEnvelope) -> SignedEnvelope:
    """Returns the payload, rightly signed by a key that it does not name."""
    return envelopes.seal_bytes(envelope.payload, payload_type=envelope.payload_type, seed=STRANGER)


def with_other_bytes(message: MessageT, *, last_first: str, seed: bytes) -> SignedEnvelope:
    """Returns a message in an encoding that no library writes: one field stands before all others.

    Args:
        message: As it is.
        last_first: Name of the field that is to come first.
        seed: The signer's.
    """
    rest, first = type(message)(), type(message)()
    rest.CopyFrom(message)
    first.CopyFrom(message)
    rest.ClearField(last_first)
    for name in message.DESCRIPTOR.fields_by_name:
        if name != last_first:
            first.ClearField(name)
    payload = first.SerializeToString() + rest.SerializeToString()
    return envelopes.seal_bytes(payload, payload_type=message.DESCRIPTOR.full_name, seed=seed)


def stranger_key() -> bytes:
    """Returns the key of the stranger, 32 bytes."""
    return signatures.public_key(STRANGER)
