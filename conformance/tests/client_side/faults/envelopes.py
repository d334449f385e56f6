"""Faults in opening what is signed."""

from typing import Any

from google.protobuf.message import Message

from conformance.tests.client_side.faults.registry import fault, replace
from consilience import envelopes
from consilience._wire import convert
from consilience.envelopes import Envelope
from consilience.errors import EnvelopeMalformedError, SignatureMissingError

_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


@fault("takes-any-signature")
def _takes_any_signature() -> None:
    replace(envelopes, "signature_is_valid", lambda _: lambda *_, **__: True)


@fault("takes-malleable-signatures")
def _takes_malleable_signatures() -> None:
    def make(valid: Any) -> Any:
        def reduced(signature: bytes, **rest: bytes) -> bool:
            scalar = int.from_bytes(signature[32:], "little") % _GROUP_ORDER
            return bool(valid(signature[:32] + scalar.to_bytes(32, "little"), **rest))

        return reduced

    replace(envelopes, "signature_is_valid", make)


@fault("takes-what-is-not-signed")
def _takes_what_is_not_signed() -> None:
    def make(verify: Any) -> Any:
        def lenient(envelope: Envelope, *, payload_type: str) -> None:
            try:
                verify(envelope, payload_type=payload_type)
            except SignatureMissingError:
                return

        return lenient

    replace(envelopes, "verify", make)


@fault("takes-any-payload-type")
def _takes_any_payload_type() -> None:
    replace(
        envelopes,
        "verify",
        lambda verify: lambda envelope, **_: verify(envelope, payload_type=envelope.payload_type),
    )


@fault("takes-any-signer")
def _takes_any_signer() -> None:
    replace(envelopes, "require_signer", lambda _: lambda *_, **__: None)


@fault("verifies-what-it-encodes-anew")
def _verifies_what_it_encodes_anew() -> None:
    def make(verify: Any) -> Any:
        def anew(envelope: Envelope, *, payload_type: str) -> None:
            kind = next(
                getattr(module, payload_type.rpartition(".")[2])
                for module in convert._MODULES
                if hasattr(module, payload_type.rpartition(".")[2])
            )
            payload = kind.FromString(envelope.payload).SerializeToString(deterministic=True)
            again = Envelope(
                payload_type=envelope.payload_type,
                payload=payload,
                public_key=envelope.public_key,
                signature=envelope.signature,
            )
            verify(again, payload_type=payload_type)

        return anew

    replace(envelopes, "verify", make)


@fault("refuses-unknown-fields")
def _refuses_unknown_fields() -> None:
    def make(from_message: Any) -> Any:
        def strict(message: Message, value_type: type) -> Any:
            known = type(message)()
            known.CopyFrom(message)
            known.DiscardUnknownFields()
            if known.ByteSize() != message.ByteSize():
                raise EnvelopeMalformedError("there is a field that is not known")
            return from_message(message, value_type)

        return strict

    replace(convert, "from_message", make)
