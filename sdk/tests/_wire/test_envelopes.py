import dataclasses

import pytest

from consilience import asks, nodes
from consilience import envelopes as rules
from consilience._wire import envelopes
from consilience.errors import (
    EnvelopeMalformedError,
    PayloadTypeWrongError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
)
from consilience.identity import KeyPair
from consilience.v1 import envelope_pb2
from sdk.tests._wire.chains import Chain


def test_a_sealed_value_opens_to_itself(chain: Chain) -> None:
    received = envelope_pb2.SignedEnvelope.FromString(envelopes.to_bytes(chain.card.envelope))
    assert envelopes.open_envelope(received, nodes.NodeCard) == chain.card


def test_a_value_signed_by_another_than_it_names_is_refused(chain: Chain) -> None:
    forged = envelopes.seal(chain.ask.value, signer=KeyPair.generate())
    with pytest.raises(SignerWrongError, match=r"header\.caller"):
        envelopes.open_envelope(forged.envelope, asks.Ask)


def test_an_envelope_of_another_type_is_refused_before_its_signature_is_looked_at(chain: Chain) -> None:
    unsigned = dataclasses.replace(chain.ask.envelope, signature=b"")
    with pytest.raises(PayloadTypeWrongError):
        envelopes.open_envelope(unsigned, asks.GetAnswerCall)


def test_a_missing_signature_is_refused(chain: Chain) -> None:
    with pytest.raises(SignatureMissingError):
        envelopes.open_envelope(dataclasses.replace(chain.ask.envelope, signature=b""), asks.Ask)


def test_each_bit_of_the_signature_counts(chain: Chain) -> None:
    signature = chain.ask.envelope.signature
    for bit in range(0, 512, 7):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureInvalidError):
            envelopes.open_envelope(dataclasses.replace(chain.ask.envelope, signature=bytes(flipped)), asks.Ask)


def test_a_payload_is_parsed_only_after_it_verified(chain: Chain) -> None:
    """Bytes that do not even parse are refused for their signature when it does not fit them."""
    with pytest.raises(SignatureInvalidError):
        envelopes.open_envelope(dataclasses.replace(chain.ask.envelope, payload=b"\xff"), asks.Ask)


def test_a_signed_payload_that_does_not_parse_is_malformed(chain: Chain) -> None:
    envelope = rules.seal(b"\xff\xff", payload_type="consilience.v1.Ask", signer=chain.asker)
    with pytest.raises(EnvelopeMalformedError):
        envelopes.open_envelope(envelope, asks.Ask)


def test_bytes_that_are_no_envelope_are_malformed() -> None:
    with pytest.raises(EnvelopeMalformedError):
        envelopes.from_bytes(b"\xff\xff\xff")
