"""Signed objects on the wire: sealing values, opening envelopes."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError

from consilience import envelopes
from consilience._wire import convert
from consilience.envelopes import Envelope, Signed
from consilience.errors import EnvelopeMalformedError
from consilience.identity import Signer
from consilience.v1 import envelope_pb2

T = TypeVar("T")

to_message = convert.envelope_to_message
from_message = convert.envelope_from_message


def seal(value: T, *, signer: Signer) -> Signed[T]:
    """Encodes and signs a value: a card, an ask or another call, an answer, a succession.

    Raises:
        ValueError: A field does not fit the message.
    """
    payload = convert.to_message(value).SerializeToString(deterministic=True)
    envelope = envelopes.seal(payload, payload_type=convert.full_name(type(value)), signer=signer)
    return Signed(value=value, envelope=envelope)


def open_envelope(received: envelope_pb2.SignedEnvelope | Envelope, value_type: type[T]) -> Signed[T]:
    """Verifies, parses and checks the signer of what was received; see `convert.open_envelope` for the refusals."""
    envelope = received if isinstance(received, Envelope) else convert.envelope_from_message(received)
    return convert.open_envelope(envelope, value_type)


def to_bytes(envelope: Envelope) -> bytes:
    """Returns an encoded SignedEnvelope, for a file or a database."""
    return convert.envelope_to_message(envelope).SerializeToString(deterministic=True)


def from_bytes(encoded: bytes) -> Envelope:
    """Reads an encoded SignedEnvelope, unverified.

    Raises:
        EnvelopeMalformedError: The bytes are none.
    """
    try:
        return convert.envelope_from_message(envelope_pb2.SignedEnvelope.FromString(encoded))
    except DecodeError as error:
        raise EnvelopeMalformedError("the bytes are not a SignedEnvelope") from error
