"""Envelopes: one signature over exact bytes, checked before they are read (spec sections 0.1 to 0.3)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

from google.protobuf.message import Message

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards, envelopes, signatures
from consilience_conformance.batches import Defect, Spoil, SpoilCall, batch
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.forgeries import cofactored_only, mixed_order_ask, signed_with_other_nonce, small_order
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.signed_calls import ASKING, METHODS, Method, SignedCall, another
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_bytes import VARINT, Field, field_of, fields_of, varint

_UNPARSABLE = b"\x0a\xff\xff\x01"
_NEWER_FIELD = 2000


def _with(change: Callable[[SignedEnvelope], None]) -> SpoilCall:
    """Returns what signs a good call and then changes its envelope."""

    def spoil(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
        envelope = stage.seal(call)
        change(envelope)
        return envelope

    return spoil


def _set(name: str, value: Callable[[SignedEnvelope], object]) -> SpoilCall:
    return _with(lambda envelope: setattr(envelope, name, value(envelope)))


def _signed_as(payload_type: Callable[[Method], str]) -> SpoilCall:
    def spoil(stage: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
        return envelopes.seal_bytes(
            call.SerializeToString(deterministic=True), payload_type=payload_type(method), seed=stage.caller.seed
        )

    return spoil


def _another_type(method: Method) -> str:
    return another(method).payload_type


def _signs_payload_alone(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
    envelope = stage.seal(call)
    envelope.signature = signatures.sign(envelope.payload, seed=stage.caller.seed)
    return envelope


def _signs_other_type(stage: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
    envelope = _signed_as(_another_type)(stage, method, call)
    envelope.payload_type = method.payload_type
    return envelope


def _other_key_shown(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
    envelope = stage.seal(call)
    envelope.public_key = Caller.new().key
    return envelope


def _signed_by_another(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
    return stage.seal(call, caller=Caller.new())


def _malleable(envelope: SignedEnvelope) -> bytes:
    r, s = envelope.signature[:32], int.from_bytes(envelope.signature[32:], "little")
    return r + edwards.encode_scalar(s + edwards.GROUP_ORDER)


def _unparsable(*, signed: bool) -> SpoilCall:
    def spoil(stage: Stage, method: Method, _: SignedCall) -> SignedEnvelope:
        payload = _UNPARSABLE + secrets.token_bytes(8)
        envelope = envelopes.seal_bytes(payload, payload_type=method.payload_type, seed=stage.caller.seed)
        if not signed:
            envelope.signature = _flipped(envelope.signature)
        return envelope

    return spoil


def _raw(data: bytes) -> Spoil:
    return lambda *_: data


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def defects() -> Iterator[Defect]:
    """Yields what can be wrong with an envelope, whichever of the four methods is called."""
    for name, spoil in (
        ("another-type", _signed_as(_another_type)),
        ("type-without-package", _signed_as(lambda method: method.payload_type.rpartition(".")[2])),
        ("type-in-other-case", _signed_as(lambda method: method.payload_type.upper())),
        ("type-as-url", _signed_as(lambda method: f"type.googleapis.com/{method.payload_type}")),
        ("no-type", _signed_as(lambda _: "")),
    ):
        yield Defect(name=name, requirement="SIG-ENV-004", reason="PAYLOAD_TYPE_WRONG", spoil=spoil)
    yield Defect(
        name="no-signature",
        requirement="SIG-ENV-003",
        reason="SIGNATURE_MISSING",
        spoil=_set("signature", lambda _: b""),
    )
    for name, spoil in (
        ("no-key", _set("public_key", lambda _: b"")),
        ("short-key", _set("public_key", lambda envelope: envelope.public_key[:-1])),
        ("long-key", _set("public_key", lambda envelope: envelope.public_key + b"\0")),
        ("short-signature", _set("signature", lambda envelope: envelope.signature[:-1])),
        ("long-signature", _set("signature", lambda envelope: envelope.signature + b"\0")),
        ("two-signatures", _set("signature", lambda envelope: envelope.signature * 2)),
    ):
        yield Defect(name=name, requirement="SIG-ENV-001", reason="ENVELOPE_MALFORMED", spoil=spoil)
    for name, spoil in (
        ("changed-signature", _set("signature", lambda envelope: _flipped(envelope.signature))),
        ("signature-of-zeros", _set("signature", lambda _: bytes(64))),
        ("changed-payload", _set("payload", lambda envelope: _flipped(envelope.payload))),
        ("signed-without-its-type", _signs_payload_alone),
        ("signed-for-another-type", _signs_other_type),
        ("another-key-is-shown", _other_key_shown),
        ("malleable-signature", _set("signature", _malleable)),
        ("key-and-r-of-small-order", small_order),
        ("cofactored-only", cofactored_only),
    ):
        yield Defect(name=name, requirement="SIG-ENV-001", reason="SIGNATURE_INVALID", spoil=spoil)
    yield Defect(
        name="signed-by-another-caller", requirement="SIG-ENV-005", reason="SIGNER_WRONG", spoil=_signed_by_another
    )
    yield Defect(
        name="signed-nonsense",
        requirement="SIG-ENV-002",
        reason="ENVELOPE_MALFORMED",
        spoil=_unparsable(signed=True),
    )
    yield Defect(
        name="unsigned-nonsense",
        requirement="SIG-ENV-002",
        reason="SIGNATURE_INVALID",
        spoil=_unparsable(signed=False),
    )
    for name, data in (("no-message", b"\xff\xff\xff"), ("no-envelope", b"")):
        yield Defect(name=name, requirement="ERR-STAT-001", reason="ENVELOPE_MALFORMED", spoil=_raw(data))


def _reordered(encoded: bytes) -> bytes:
    return b"".join(one.encoded for one in reversed(list(fields_of(encoded))))


def _said_twice(encoded: bytes) -> bytes:
    """Puts another card before that of the ask; of two values of a field, a parser takes the last one."""
    return field_of(_CARD_DIGEST, bytes(32)) + encoded


def _with_long_numbers(encoded: bytes) -> bytes:
    """Spells the enums of an ask, which are varints, with needless bytes."""
    return b"".join(
        varint(one.number << 3) + varint(one.value[0], padding=3)
        if one.wire_type == VARINT and len(one.value) == 1
        else one.encoded
        for one in fields_of(encoded)
    )


_CARD_DIGEST = ask_pb2.Ask.DESCRIPTOR.fields_by_name["card_digest"].number
_UNKNOWN = field_of(_NEWER_FIELD, b"of a newer version") + Field(_NEWER_FIELD + 1, VARINT, b"\x07").encoded

_SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "with-unknown-fields": lambda encoded: encoded + _UNKNOWN,
    "with-unknown-fields-within": lambda encoded: encoded + field_of(1, _UNKNOWN),
    "reordered": _reordered,
    "said-twice": _said_twice,
    "with-long-numbers": _with_long_numbers,
}
"""Payloads that no encoder writes so and every parser reads; `within` merges into the header, which is field 1."""

_REQUIREMENTS_OF_SPELLINGS = {
    name: "VER-FLD-001" if "unknown" in name else "SIG-ENV-002" for name in (*_SPELLINGS, "unknown-around")
}


async def _spell(stage: Stage) -> None:
    for name, spell in _SPELLINGS.items():
        payload = spell(stage.ask().SerializeToString(deterministic=True))
        envelope = envelopes.seal_bytes(payload, payload_type=ASKING.payload_type, seed=stage.caller.seed)
        await stage.send(f"ask-{name}", envelope, until=accepted)
        await stage.let_go()
    around = stage.ask()
    envelope_bytes = stage.seal(around).SerializeToString(deterministic=True)
    await stage.call(
        "ask-unknown-around", ASKING.name, field_of(1, envelope_bytes + _UNKNOWN) + _UNKNOWN, until=accepted
    )
    for method in METHODS[1:]:
        call = method.call(stage, around).SerializeToString(deterministic=True)
        sealed = envelopes.seal_bytes(call + _UNKNOWN, payload_type=method.payload_type, seed=stage.caller.seed)
        await stage.call(f"{method.word}-with-unknown-fields", method.name, method.request(sealed), until=accepted)


def _judge_spellings(seen: Transcript) -> Iterator[Finding]:
    for name, requirement in _REQUIREMENTS_OF_SPELLINGS.items():
        exchange = seen[f"ask-{name}"]
        yield from was_accepted(exchange, requirement=requirement)
        yield from _accepts_by_digest(exchange)
    for method in METHODS[1:]:
        yield from was_accepted(seen[f"{method.word}-with-unknown-fields"], requirement="VER-FLD-001")


def _accepts_by_digest(exchange: Exchange) -> Iterator[Finding]:
    """Yields whether Accepted names another digest than that of the bytes that were signed."""
    named = [event.accepted.ask_digest for event in read_log(exchange).events if event.HasField("accepted")]
    digest = envelopes.envelope_digest(ASKING.envelope_of(exchange.request))
    if named and named[0] != digest:
        yield Finding(
            requirement="SIG-DIG-001",
            message="Accepted names another digest than that of what was signed",
            expected=digest.hex(),
            got=named[0].hex(),
            exchange=exchange.name,
        )


async def _sign_twice(stage: Stage) -> None:
    envelope = stage.seal(stage.ask())
    again = signed_with_other_nonce(envelope, seed=stage.caller.seed)
    await stage.send("first", envelope)
    await stage.send("signed-again", again, until=accepted)


def _judge_signed_twice(seen: Transcript) -> Iterator[Finding]:
    first, again = read_log(seen["first"]), read_log(seen["signed-again"])
    yield from was_accepted(seen["first"], requirement="SIG-DIG-001")
    yield from was_accepted(seen["signed-again"], requirement="SIG-DIG-001")
    if first.events and again.events and first.events[0] != again.events[0]:
        yield Finding(
            requirement="SIG-DIG-001",
            message="an ask that was signed twice became two asks",
            expected=_shown(first.events[0]),
            got=_shown(again.events[0]),
            exchange="signed-again",
        )


def _shown(message: Message) -> str:
    return message.SerializeToString(deterministic=True).hex()


async def _ask_with_mixed_order(stage: Stage) -> None:
    # It is read to its end: this key has no seed with which the work could be stopped.
    await stage.send("mixed-order", mixed_order_ask(stage))


def _judge_mixed_order(seen: Transcript) -> Iterator[Finding]:
    asked = seen["mixed-order"]
    ask = ask_pb2.Ask.FromString(ASKING.envelope_of(asked.request).payload)
    if ask.skill_id == SCRIPT_SKILL:
        # No grant names a key that is made in the run. Whoever refuses by the grant has accepted the signature before.
        yield from refused(asked, "GRANT_INVALID", requirement="SIG-ENV-001")
    elif ask.HasField("payment"):
        # Nor has it a quote of its own: whoever refuses that of another payer has accepted the signature before.
        yield from refused(asked, "QUOTE_INVALID", requirement="SIG-ENV-001")
    else:
        yield from was_accepted(asked, requirement="SIG-ENV-001")


CHECKS = (
    *(
        batch(
            f"{method.word}-in-a-bad-envelope-is-refused",
            title=f"A call of {method.name} is refused when its envelope is not in order, and nothing comes of it.",
            method=method,
            defects=tuple(defects()),
        )
        for method in METHODS
    ),
    Check(
        name="payload-is-taken-as-it-came",
        title="A payload is verified as it came: in any order, any spelling, and with fields of newer versions.",
        requirements=("SIG-ENV-002", "VER-FLD-001", "SIG-DIG-001"),
        drive=_spell,
        judge=_judge_spellings,
    ),
    Check(
        name="object-signed-twice-is-one-object",
        title="An ask that its caller signed a second time, over the same bytes, is the ask that is there.",
        requirements=("SIG-DIG-001",),
        drive=_sign_twice,
        judge=_judge_signed_twice,
    ),
    Check(
        name="key-of-mixed-order-is-accepted",
        title="A key with a part of small order is accepted where the equation holds as it stands.",
        requirements=("SIG-ENV-001",),
        drive=_ask_with_mixed_order,
        judge=_judge_mixed_order,
    ),
)
