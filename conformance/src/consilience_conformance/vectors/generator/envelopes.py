"""Makes envelopes.json: what is signed, what a signature is, and every way in which one is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards
from consilience_conformance.edwards import GROUP_ORDER, POINT_BYTES
from consilience_conformance.envelopes import digest, pre_authentication_encoding, seal_bytes
from consilience_conformance.vectors.generator import forgeries, messages
from consilience_conformance.vectors.generator.actors import ASKER, NODE, STRANGER, Actor
from consilience_conformance.vectors.generator.forgeries import forge, with_residue
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Json, Note, Refused, VectorFile

_ASK = "consilience.v1.Ask"
_REQUIREMENT_OF = {
    "PAYLOAD_TYPE_WRONG": "SIG-ENV-004",
    "SIGNATURE_INVALID": "SIG-ENV-001",
    "SIGNATURE_MISSING": "SIG-ENV-003",
}
_NOTES = {
    "Encoding": Note(
        bug_type=BugType.BASIC, description="The pre-authentication encoding counts bytes, in decimal digits."
    ),
    "Signing": Note(
        bug_type=BugType.BASIC, description="Ed25519 is deterministic: a signer makes exactly this signature."
    ),
    "Plain": Note(bug_type=BugType.BASIC, description="A well-signed envelope."),
    "MissingSignature": Note(
        bug_type=BugType.AUTH_BYPASS, description="An absent signature is an invalid one, never an anonymous one."
    ),
    "WrongSize": Note(bug_type=BugType.AUTH_BYPASS, description="A key has 32 bytes and a signature 64, no others."),
    "WrongType": Note(
        bug_type=BugType.AUTH_BYPASS, description="The signature holds for another purpose than the one expected."
    ),
    "Changed": Note(bug_type=BugType.AUTH_BYPASS, description="Something changed after it was signed."),
    "WrongKey": Note(bug_type=BugType.AUTH_BYPASS, description="Another key signed."),
    "OtherPreImage": Note(
        bug_type=BugType.AUTH_BYPASS,
        description="The key signed something near the pre-authentication encoding: the payload alone, its digest.",
    ),
    "ChecksInOrder": Note(
        bug_type=BugType.WRONG_ORDER, description="Two defects at once: the one that is checked first is reported."
    ),
    "InvalidPoint": Note(bug_type=BugType.MISSING_CHECK, description="The key or R encodes no point of the curve."),
    "MalleableS": Note(
        bug_type=BugType.SIGNATURE_MALLEABILITY,
        description="S was raised by a multiple of the group order, which anyone can do to any signature.",
    ),
    "SmallOrderA": Note(
        bug_type=BugType.AUTH_BYPASS,
        description="The key has small order. The equation holds, and nobody signed: S and R are free to choose.",
    ),
    "SmallOrderR": Note(
        bug_type=BugType.DISAGREEMENT, description="R has small order. The equation holds; strict verifiers refuse."
    ),
    "NonCanonicalA": Note(
        bug_type=BugType.DISAGREEMENT,
        description="The key is written in a second way. Nobody can sign for such a key unless it has small order.",
    ),
    "NonCanonicalR": Note(bug_type=BugType.DISAGREEMENT, description="R is written in a second way."),
    "MixedOrder": Note(
        bug_type=BugType.DISAGREEMENT,
        description="Key or R have a part of small order, and the equation holds as it stands: accepted.",
    ),
    "CofactoredOnly": Note(
        bug_type=BugType.DISAGREEMENT,
        description="The equation holds only after multiplication by eight: refused.",
    ),
    "ReducedK": Note(
        bug_type=BugType.DISAGREEMENT,
        description="It matters whether the hash k is reduced by the group order before it multiplies the key: it is.",
    ),
}


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="envelopes",
        subject="Signed envelopes: pre-authentication encoding, digest, signing and strict verification.",
        spec="docs/spec/0-envelopes.md",
        notes=_NOTES,
        groups=[
            Group(type="PreAuthenticationEncoding", comment="What is signed, and its digest", cases=[*_encodings()]),
            Group(type="EnvelopeSign", comment="What a signer makes of a seed and a payload", cases=[*_signings()]),
            Group(type="EnvelopeVerify", comment="Envelopes as they travel", cases=[*_envelopes()]),
            Group(type="EnvelopeVerify", comment="Strict Ed25519: S", cases=[*_scalars()]),
            Group(type="EnvelopeVerify", comment="Strict Ed25519: keys of small order", cases=[*_small_order_keys()]),
            Group(type="EnvelopeVerify", comment="Strict Ed25519: R of small order", cases=[*_small_order_points()]),
            Group(type="EnvelopeVerify", comment="Strict Ed25519: the equation", cases=[*_equations()]),
        ],
    )


def _encodings() -> Iterator[Case]:
    samples = [
        ("the example of DSSE", "http://example.com/HelloWorld", b"hello world"),
        ("an empty payload", _ASK, b""),
        ("a payload of bytes that are no text", _ASK, bytes(range(256))),
        ("a payload that looks like an encoding", _ASK, b"DSSEv1 1 a 1 b"),
        ("a type of several bytes per character", "größe", b"x"),
        ("a payload of more than nine bytes", _ASK, b"0123456789"),
    ]
    for comment, payload_type, payload in samples:
        yield Case(comment=comment, flags=["Encoding"], inputs=_pre_image(payload_type, payload))


def _pre_image(payload_type: str, payload: bytes) -> Json:
    return {
        "payloadType": payload_type,
        "payload": payload.hex(),
        "pae": pre_authentication_encoding(payload_type, payload).hex(),
        "digest": digest(payload_type, payload).hex(),
    }


def _signings() -> Iterator[Case]:
    card, ask = messages.sealed_card(), messages.sealed_ask()
    samples: list[tuple[str, Actor, str, bytes]] = [
        ("a card, by the root key", NODE, card.payload_type, card.payload),
        ("an ask, by the asker", ASKER, ask.payload_type, ask.payload),
        ("one byte", ASKER, _ASK, b"\x00"),
    ]
    for comment, signer, payload_type, payload in samples:
        yield _signing(comment, signer, payload_type, payload)


def _signing(comment: str, signer: Actor, payload_type: str, payload: bytes) -> Case:
    sealed = seal_bytes(payload, payload_type=payload_type, seed=signer.seed)
    inputs = {
        "seed": signer.seed.hex(),
        "publicKey": sealed.public_key.hex(),
        **_pre_image(payload_type, payload),
        "signature": sealed.signature.hex(),
    }
    return Case(comment=comment, flags=["Signing"], inputs=inputs)


def _verification(comment: str, envelope: SignedEnvelope, *flags: str, expected: str = _ASK, reason: str = "") -> Case:
    inputs = {
        "expectedType": expected,
        "payloadType": envelope.payload_type,
        "payload": envelope.payload.hex(),
        "publicKey": envelope.public_key.hex(),
        "signature": envelope.signature.hex(),
        "pae": pre_authentication_encoding(envelope.payload_type, envelope.payload).hex(),
        "digest": digest(envelope.payload_type, envelope.payload).hex(),
    }
    return Case(comment=comment, flags=flags, inputs=inputs, refused=_refused(reason))


def _refused(reason: str) -> Refused | None:
    return Refused(reason=reason, requirement=_REQUIREMENT_OF.get(reason, "")) if reason else None


def _changed(envelope: SignedEnvelope, **changes: object) -> SignedEnvelope:
    copy = SignedEnvelope()
    copy.CopyFrom(envelope)
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def _flipped(data: bytes, *, byte: int) -> bytes:
    position = byte % len(data)
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def _envelopes() -> Iterator[Case]:
    good = messages.sealed_ask()
    yield _verification("an ask", good, "Plain")
    yield _verification("a card", messages.sealed_card(), "Plain", expected="consilience.v1.NodeCard")
    yield from _missing_and_misshapen(good)
    yield from _changed_after_signing(good)
    yield from _signed_otherwise(good)
    yield from _two_defects(good)


def _missing_and_misshapen(good: SignedEnvelope) -> Iterator[Case]:
    yield _verification("no signature", _changed(good, signature=b""), "MissingSignature", reason="SIGNATURE_MISSING")
    for size in (1, 32, 63):
        cut = _changed(good, signature=good.signature[:size])
        yield _verification(f"a signature of {size} bytes", cut, "WrongSize", reason="ENVELOPE_MALFORMED")
    long = _changed(good, signature=good.signature + b"\x00")
    yield _verification("a signature of 65 bytes", long, "WrongSize", reason="ENVELOPE_MALFORMED")
    zeros = _changed(good, signature=bytes(64))
    yield _verification("a signature of 64 zeros", zeros, "Changed", reason="SIGNATURE_INVALID")
    for size in (0, 31, 33):
        key = _changed(good, public_key=(good.public_key + b"\x00")[:size])
        yield _verification(f"a key of {size} bytes", key, "WrongSize", reason="ENVELOPE_MALFORMED")


def _changed_after_signing(good: SignedEnvelope) -> Iterator[Case]:
    invalid = "SIGNATURE_INVALID"
    for name, place in (("first", 0), ("last", -1)):
        changed = _changed(good, payload=_flipped(good.payload, byte=place))
        yield _verification(f"a bit of the payload's {name} byte flipped", changed, "Changed", reason=invalid)
    yield _verification(
        "a byte after the payload", _changed(good, payload=good.payload + b"\x00"), "Changed", reason=invalid
    )
    yield _verification(
        "the payload's last byte cut off", _changed(good, payload=good.payload[:-1]), "Changed", reason=invalid
    )
    for name, place in (("R", 0), ("S", 32)):
        changed = _changed(good, signature=_flipped(good.signature, byte=place))
        yield _verification(f"a bit of {name} flipped", changed, "Changed", reason=invalid)
    halves = good.signature[32:] + good.signature[:32]
    yield _verification("S before R", _changed(good, signature=halves), "Changed", reason=invalid)
    renamed = _changed(good, payload_type="consilience.v1.GetAnswerCall")
    yield _verification(
        "renamed to the type that is expected",
        renamed,
        "Changed",
        "WrongType",
        expected="consilience.v1.GetAnswerCall",
        reason=invalid,
    )


def _signed_otherwise(good: SignedEnvelope) -> Iterator[Case]:
    wrong = "PAYLOAD_TYPE_WRONG"
    yield _verification(
        "an ask where another call is expected",
        good,
        "WrongType",
        expected="consilience.v1.CancelAnswerCall",
        reason=wrong,
    )
    for comment, payload_type in (
        ("the type in other case", "consilience.v1.ask"),
        ("the type with a leading dot", ".consilience.v1.Ask"),
        ("the type as a URL", "type.googleapis.com/consilience.v1.Ask"),
        ("no type", ""),
    ):
        sealed = seal_bytes(good.payload, payload_type=payload_type, seed=ASKER.seed)
        yield _verification(comment, sealed, "WrongType", reason=wrong)
    other_key = _changed(good, public_key=STRANGER.public_key)
    yield _verification("under a stranger's key", other_key, "WrongKey", reason="SIGNATURE_INVALID")
    pae = pre_authentication_encoding(good.payload_type, good.payload)
    for comment, message in (
        ("signed without the encoding", good.payload),
        ("signed over type and payload without lengths", good.payload_type.encode() + good.payload),
        ("signed over SHA-256 of the encoding", hashlib.sha256(pae).digest()),
        ("signed over SHA-512 of the encoding", hashlib.sha512(pae).digest()),
        ("signed over the encoding in hexadecimal", pae.hex().encode()),
    ):
        signature = edwards.sign(message, seed=ASKER.seed)
        yield _verification(comment, _changed(good, signature=signature), "OtherPreImage", reason="SIGNATURE_INVALID")


def _two_defects(good: SignedEnvelope) -> Iterator[Case]:
    other = "consilience.v1.CancelAnswerCall"
    nothing = _changed(good, signature=b"")
    yield _verification(
        "another type, no signature", nothing, "ChecksInOrder", expected=other, reason="PAYLOAD_TYPE_WRONG"
    )
    short_key = _changed(nothing, public_key=good.public_key[:31])
    yield _verification("a short key, no signature", short_key, "ChecksInOrder", reason="ENVELOPE_MALFORMED")
    no_point = _changed(nothing, public_key=_NO_POINT)
    yield _verification("a key that is no point, no signature", no_point, "ChecksInOrder", reason="SIGNATURE_MISSING")


_NO_POINT = edwards.encode_raw(2, sign=0)
"""32 bytes that encode no point: there is no x for y = 2."""


def _scalars() -> Iterator[Case]:
    good = messages.sealed_ask()
    r, s = good.signature[:POINT_BYTES], int.from_bytes(good.signature[POINT_BYTES:], "little")
    most = (2**256 - 1 - s) // GROUP_ORDER
    for factor in sorted({1, 2, 8, most}):
        raised = _changed(good, signature=r + edwards.encode_scalar(s + factor * GROUP_ORDER))
        yield _verification(f"S + {factor} L", raised, "MalleableS", reason="SIGNATURE_INVALID")
    key = _changed(good, public_key=_NO_POINT)
    yield _verification("a key that is no point", key, "InvalidPoint", reason="SIGNATURE_INVALID")
    point = _changed(good, signature=_NO_POINT + good.signature[POINT_BYTES:])
    yield _verification("an R that is no point", point, "InvalidPoint", reason="SIGNATURE_INVALID")


def _small_order_keys() -> Iterator[Case]:
    for encoding in forgeries.small_order_encodings():
        forged = forge(
            a=0, t=encoding.torsion, encoded_a=encoding.encoded, wanted=with_residue(0, t=encoding.torsion, u=0)
        )
        flags = ["SmallOrderA"] if encoding.canonical else ["SmallOrderA", "NonCanonicalA"]
        yield _verification(f"A is {encoding.name}", forged, *flags, reason="SIGNATURE_INVALID")


def _small_order_points() -> Iterator[Case]:
    for encoding in forgeries.small_order_encodings():
        t = 1 if encoding.torsion else 0
        forged = forge(
            t=t, r=0, u=encoding.torsion, encoded_r=encoding.encoded, wanted=with_residue(0, t=t, u=encoding.torsion)
        )
        flags = ["SmallOrderR"] if encoding.canonical else ["SmallOrderR", "NonCanonicalR"]
        yield _verification(f"R is {encoding.name}", forged, *flags, reason="SIGNATURE_INVALID")


def _equations() -> Iterator[Case]:
    invalid = "SIGNATURE_INVALID"
    for t, order in ((1, 8), (2, 4), (4, 2)):
        forged = forge(t=t, wanted=with_residue(0, t=t, u=0))
        yield _verification(f"A has a part of order {order}, which k cancels", forged, "MixedOrder")
    forged = forge(t=1, u=3, wanted=with_residue(0, t=1, u=3))
    yield _verification("A and R have parts of order 8, which cancel", forged, "MixedOrder")
    for residue in range(1, 8):
        forged = forge(t=1, wanted=with_residue(residue, t=1, u=0))
        yield _verification(
            f"A has a part of order 8, and {residue} of it is left", forged, "CofactoredOnly", reason=invalid
        )
    for u in (1, 2, 4):
        forged = forge(u=u, wanted=lambda _: True)
        yield _verification(
            f"R has a part of small order, and {u} of it is left", forged, "CofactoredOnly", reason=invalid
        )
    forged = forge(t=1, wanted=lambda k: k.reduced == 0 and k.unreduced != 0)
    yield _verification("A has a part of order 8, which k cancels once it is reduced", forged, "MixedOrder", "ReducedK")
    forged = forge(t=1, wanted=lambda k: k.reduced != 0 and k.unreduced == 0)
    yield _verification(
        "A has a part of order 8, which k cancels unless it is reduced",
        forged,
        "CofactoredOnly",
        "ReducedK",
        reason=invalid,
    )
