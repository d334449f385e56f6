"""Forgeries of records: what can be wrong with the envelope of a record, or with one that is signed within it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards, envelopes, signatures
from consilience_conformance.callers import Caller
from consilience_conformance.forgeries import SMALL_KEY, signed_by_nobody, signed_with_torsion

_ANOTHER_TYPE = "consilience.v1.Answer"
"""What no registry keeps, and nothing in a record is."""
_UNPARSABLE = b"\x0a\xff\xff\x01"
_HALF = 32

Forge = Callable[[Message, Caller, str], SignedEnvelope]
"""Returns an envelope; it gets what is to be signed, by whom, and the field that names the signer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One way to spoil an envelope.

    Attributes:
        name: Of it.
        requirement: The rule that it breaks.
        reason: For which it is refused.
        forge: Makes it.
    """

    name: str
    requirement: str
    reason: str
    forge: Forge


def _with(name: str, value: Callable[[SignedEnvelope], object]) -> Forge:
    """Returns what signs a message, and then changes a field of its envelope."""

    def forge(message: Message, signer: Caller, _: str) -> SignedEnvelope:
        envelope = signer.seal(message)
        setattr(envelope, name, value(envelope))
        return envelope

    return forge


def _as(payload_type: Callable[[str], str]) -> Forge:
    def forge(message: Message, signer: Caller, _: str) -> SignedEnvelope:
        name = payload_type(message.DESCRIPTOR.full_name)
        return envelopes.seal_bytes(_encoded(message), payload_type=name, seed=signer.seed)

    return forge


def _for_another_type(message: Message, signer: Caller, _: str) -> SignedEnvelope:
    envelope = envelopes.seal_bytes(_encoded(message), payload_type=_ANOTHER_TYPE, seed=signer.seed)
    envelope.payload_type = message.DESCRIPTOR.full_name
    return envelope


def _payload_alone(message: Message, signer: Caller, _: str) -> SignedEnvelope:
    envelope = signer.seal(message)
    envelope.signature = signatures.sign(envelope.payload, seed=signer.seed)
    return envelope


def _by_another(message: Message, _: Caller, __: str) -> SignedEnvelope:
    return Caller.new().seal(message)


def _malleable(envelope: SignedEnvelope) -> bytes:
    raised = int.from_bytes(envelope.signature[_HALF:], "little") + edwards.GROUP_ORDER
    return envelope.signature[:_HALF] + edwards.encode_scalar(raised)


def _by_nobody(message: Message, _: Caller, named: str) -> SignedEnvelope:
    setattr(message, named, SMALL_KEY)
    return signed_by_nobody(_encoded(message), payload_type=message.DESCRIPTOR.full_name)


def _with_torsion(message: Message, signer: Caller, _: str) -> SignedEnvelope:
    return signed_with_torsion(_encoded(message), payload_type=message.DESCRIPTOR.full_name, seed=signer.seed)


def _nonsense(*, signed: bool) -> Forge:
    def forge(message: Message, signer: Caller, _: str) -> SignedEnvelope:
        payload = _UNPARSABLE + secrets.token_bytes(8)
        envelope = envelopes.seal_bytes(payload, payload_type=message.DESCRIPTOR.full_name, seed=signer.seed)
        if not signed:
            envelope.signature = _flipped(envelope.signature)
        return envelope

    return forge


def _encoded(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


FORGERIES = tuple(
    Forgery(name=name, requirement=requirement, reason=reason, forge=forge)
    for requirement, reason, some in (
        (
            "SIG-ENV-004",
            "PAYLOAD_TYPE_WRONG",
            {
                "of another type": _as(lambda _: _ANOTHER_TYPE),
                "of a type without package": _as(lambda name: name.rpartition(".")[2]),
                "of a type in other case": _as(str.upper),
                "of a type as URL": _as(lambda name: f"type.googleapis.com/{name}"),
                "of no type": _as(lambda _: ""),
            },
        ),
        (
            "SIG-ENV-001",
            "ENVELOPE_MALFORMED",
            {
                "without a key": _with("public_key", lambda _: b""),
                "with a short key": _with("public_key", lambda envelope: envelope.public_key[:-1]),
                "with a long key": _with("public_key", lambda envelope: envelope.public_key + b"\0"),
                "with a short signature": _with("signature", lambda envelope: envelope.signature[:-1]),
                "with two signatures": _with("signature", lambda envelope: envelope.signature * 2),
            },
        ),
        ("SIG-ENV-003", "SIGNATURE_MISSING", {"without a signature": _with("signature", lambda _: b"")}),
        (
            "SIG-ENV-001",
            "SIGNATURE_INVALID",
            {
                "with a changed signature": _with("signature", lambda envelope: _flipped(envelope.signature)),
                "with a signature of zeros": _with("signature", lambda _: bytes(64)),
                "with a changed payload": _with("payload", lambda envelope: _flipped(envelope.payload)),
                "signed without its type": _payload_alone,
                "signed for another type": _for_another_type,
                "under another key": _with("public_key", lambda _: Caller.new().key),
                "with a malleable signature": _with("signature", _malleable),
                "signed by nobody": _by_nobody,
                "signed with a part of small order": _with_torsion,
            },
        ),
        (
            "SIG-ENV-002",
            "ENVELOPE_MALFORMED",
            {"signed nonsense": _nonsense(signed=True)},
        ),
        ("SIG-ENV-002", "SIGNATURE_INVALID", {"unsigned nonsense": _nonsense(signed=False)}),
        ("SIG-ENV-005", "SIGNER_WRONG", {"signed by another": _by_another}),
    )
    for name, forge in some.items()
)
"""In the order of the steps by which an envelope is opened (spec section 0.3)."""
