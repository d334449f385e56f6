"""Mutants of envelopes: what is verified, over which bytes, and by whose key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from math import inf
from typing import Any

from google.protobuf.message import DecodeError
from nacl import bindings
from nacl.exceptions import RuntimeError as SodiumError

from consilience import envelopes
from consilience._wire import convert
from consilience.envelopes import Envelope
from consilience.errors import EnvelopeMalformedError, RequestIdReusedError
from consilience.server.admission import METHODS
from consilience.server.asks import AskService
from consilience.v1 import ask_pb2
from consilience_node.mutants.registry import mutant, replace

_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_IDENTITY = bytes([1]) + bytes(31)

Verify = Callable[..., bool]


@mutant("any-signature-ok")
def _any_signature_ok() -> None:
    """A signature of the right length is as good as one that verifies."""
    replace(envelopes, "signature_is_valid", lambda _: lambda *_, **__: True)


@mutant("malleable-signature-ok")
def _malleable_signature_ok() -> None:
    """S is reduced by the group order before the signature is verified."""

    def reducing(verify: Verify) -> Verify:
        def valid(signature: bytes, **of: Any) -> bool:
            s = int.from_bytes(signature[32:], "little") % _GROUP_ORDER
            return verify(signature[:32] + s.to_bytes(32, "little"), **of)

        return valid

    replace(envelopes, "signature_is_valid", reducing)


@mutant("small-order-ok")
def _small_order_ok() -> None:
    """The key for which everyone can sign, the neutral element, is a key like any other."""

    def lenient(verify: Verify) -> Verify:
        def valid(signature: bytes, *, message: bytes, public_key: bytes) -> bool:
            if public_key != _IDENTITY:
                return verify(signature, message=message, public_key=public_key)
            r, s = signature[:32], signature[32:]
            return r == (bindings.crypto_scalarmult_ed25519_base_noclamp(s) if any(s) else _IDENTITY)

        return valid

    replace(envelopes, "signature_is_valid", lenient)


@mutant("mixed-order-refused")
def _mixed_order_refused() -> None:
    """A key with a part of small order is refused, though the equation holds as it stands."""

    def strict(verify: Verify) -> Verify:
        def valid(signature: bytes, *, message: bytes, public_key: bytes) -> bool:
            pure = bindings.crypto_core_ed25519_is_valid_point(public_key)
            return pure and verify(signature, message=message, public_key=public_key)

        return valid

    replace(envelopes, "signature_is_valid", strict)


@mutant("cofactored-signature-ok")
def _cofactored_signature_ok() -> None:
    """The equation is multiplied by eight before it is looked at."""

    def cofactored(verify: Verify) -> Verify:
        def valid(signature: bytes, *, message: bytes, public_key: bytes) -> bool:
            if verify(signature, message=message, public_key=public_key):
                return True
            try:
                return _holds_times_eight(signature, message=message, public_key=public_key)
            except SodiumError:
                return False

        return valid

    replace(envelopes, "signature_is_valid", cofactored)


def _holds_times_eight(signature: bytes, *, message: bytes, public_key: bytes) -> bool:
    r, s = signature[:32], signature[32:]
    if int.from_bytes(s, "little") >= _GROUP_ORDER:
        return False
    k = bindings.crypto_core_ed25519_scalar_reduce(bindings.crypto_hash_sha512(r + public_key + message))
    rest = bindings.crypto_core_ed25519_sub(bindings.crypto_scalarmult_ed25519_base_noclamp(s), r)
    rest = bindings.crypto_core_ed25519_sub(rest, bindings.crypto_scalarmult_ed25519_noclamp(k, public_key))
    for _ in range(3):
        rest = bindings.crypto_core_ed25519_add(rest, rest)
    return bool(rest == _IDENTITY)


@mutant("sig-skip-empty")
def _sig_skip_empty() -> None:
    """An envelope without a signature is not verified at all."""

    def skipping(verify: Callable[..., None]) -> Callable[..., None]:
        def check(envelope: Envelope, **expected: Any) -> None:
            if envelope.signature:
                verify(envelope, **expected)

        return check

    replace(envelopes, "verify", skipping)


@mutant("payload-type-ignored")
def _payload_type_ignored() -> None:
    """An envelope is opened as what the method takes, whatever it says that it carries."""

    def ignoring(verify: Callable[..., None]) -> Callable[..., None]:
        return lambda envelope, **_: verify(envelope, payload_type=envelope.payload_type)

    replace(envelopes, "verify", ignoring)


@mutant("any-signer-ok")
def _any_signer_ok() -> None:
    """Whoever signs, signs for the caller that the header names."""
    replace(envelopes, "require_signer", lambda _: lambda *_, **__: None)


@mutant("parsed-before-verified")
def _parsed_before_verified() -> None:
    """A payload is parsed before its signature is looked at."""

    def parsing(opened: Callable[..., Any]) -> Callable[..., Any]:
        def first(envelope: Envelope, value_type: type) -> Any:
            if envelope.payload_type == convert.full_name(value_type):
                convert.parse(envelope.payload, value_type)
            return opened(envelope, value_type)

        return first

    replace(convert, "open_envelope", parsing)


@mutant("payload-encoded-again")
def _payload_encoded_again() -> None:
    """What is verified is the payload of a call as this node would have encoded it."""

    def encoding(opened: Callable[..., Any]) -> Callable[..., Any]:
        def again(envelope: Envelope, value_type: type) -> Any:
            if value_type not in METHODS:
                return opened(envelope, value_type)
            message = getattr(ask_pb2, value_type.__name__)()
            try:
                message.ParseFromString(envelope.payload)
            except DecodeError:
                return opened(envelope, value_type)
            message.DiscardUnknownFields()
            return opened(changed(envelope, payload=message.SerializeToString(deterministic=True)), value_type)

        return again

    replace(convert, "open_envelope", encoding)


@mutant("unknown-fields-refused")
def _unknown_fields_refused() -> None:
    """A payload that has more bytes than this version has fields for does not parse."""

    def strict(parse: Callable[..., Any]) -> Callable[..., Any]:
        def known(payload: bytes, value_type: type) -> Any:
            value = parse(payload, value_type)
            if len(payload) > _size_of(value):
                raise EnvelopeMalformedError("the payload has fields that are not known here")
            return value

        return known

    replace(convert, "parse", strict)


def _size_of(value: Any) -> float:
    try:
        size: int = convert.to_message(value).ByteSize()
    except ValueError:  # it has an enum value that cannot be sent
        return inf
    return size


@mutant("signed-again-is-another")
def _signed_again_is_another() -> None:
    """An ask that its caller signed a second time, over the same bytes, is taken for another ask."""
    signatures: dict[bytes, bytes] = {}

    def comparing(accept: Callable[..., Any]) -> Callable[..., Any]:
        async def compare(self: AskService, opened: Any, **more: Any) -> Any:
            envelope = opened.signed.envelope
            if signatures.setdefault(envelope.digest, envelope.signature) != envelope.signature:
                raise RequestIdReusedError("the request id is bound to another ask of this caller")
            return await accept(self, opened, **more)

        return compare

    replace(AskService, "_accept", comparing)
