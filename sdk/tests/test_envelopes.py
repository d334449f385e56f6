"""One signature over exact bytes: what is signed, its name, and the order of the checks."""

import dataclasses
import hashlib

import pytest

from consilience import envelopes
from consilience.envelopes import Envelope, Signed, pre_authentication_encoding, require_signer, seal, verify
from consilience.errors import (
    EnvelopeMalformedError,
    PayloadTypeWrongError,
    RefusedError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
)
from consilience.identity import KeyPair
from consilience.units import PublicKey

_ASK = "consilience.v1.Ask"
_KEYS = KeyPair(b"k" * 32)


@pytest.fixture
def sealed() -> Envelope:
    """A well-signed envelope."""
    return seal(b"payload", payload_type=_ASK, signer=_KEYS)


def test_the_encoding_counts_bytes() -> None:
    assert pre_authentication_encoding("é", b"\x00\x01") == b"DSSEv1 2 \xc3\xa9 2 \x00\x01"
    assert pre_authentication_encoding("", b"") == b"DSSEv1 0  0 "


def test_no_two_pairs_of_type_and_payload_have_one_encoding() -> None:
    assert pre_authentication_encoding("a", b"b 1 c") != pre_authentication_encoding("a 5 b", b"c")


def test_the_digest_is_of_what_was_signed_and_not_of_the_signature(sealed: Envelope) -> None:
    expected = hashlib.sha256(b"DSSEv1 18 consilience.v1.Ask 7 payload").digest()
    assert sealed.digest == expected == envelopes.digest(_ASK, b"payload")
    assert dataclasses.replace(sealed, signature=b"other").digest == expected
    assert Signed(value="text", envelope=sealed).digest == expected


def test_what_is_sealed_verifies(sealed: Envelope) -> None:
    verify(sealed, payload_type=_ASK)
    require_signer(sealed, named=_KEYS.public_key, role="header.caller")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"payload": b"payload!"}, SignatureInvalidError),
        ({"payload": b""}, SignatureInvalidError),
        ({"public_key": KeyPair(b"x" * 32).public_key}, SignatureInvalidError),
        ({"public_key": b""}, EnvelopeMalformedError),
        ({"public_key": bytes(31)}, EnvelopeMalformedError),
        ({"signature": b""}, SignatureMissingError),
        ({"signature": bytes(63)}, EnvelopeMalformedError),
        ({"signature": bytes(64)}, SignatureInvalidError),
        ({"signature": bytes(65)}, EnvelopeMalformedError),
        ({"payload_type": "consilience.v1.Answer"}, PayloadTypeWrongError),
        ({"payload_type": ""}, PayloadTypeWrongError),
    ],
)
def test_a_changed_envelope_is_refused(sealed: Envelope, changes: dict[str, bytes], error: type[RefusedError]) -> None:
    with pytest.raises(error):
        verify(dataclasses.replace(sealed, **changes), payload_type=_ASK)  # type: ignore[arg-type]


def test_a_signature_for_one_purpose_is_worthless_for_another(sealed: Envelope) -> None:
    with pytest.raises(PayloadTypeWrongError):
        verify(sealed, payload_type="consilience.v1.CancelAnswerCall")
    renamed = dataclasses.replace(sealed, payload_type="consilience.v1.CancelAnswerCall")
    with pytest.raises(SignatureInvalidError):
        verify(renamed, payload_type="consilience.v1.CancelAnswerCall")


def test_of_several_defects_the_first_in_the_order_is_reported(sealed: Envelope) -> None:
    empty = dataclasses.replace(sealed, signature=b"")
    with pytest.raises(PayloadTypeWrongError):
        verify(empty, payload_type="consilience.v1.Answer")
    with pytest.raises(EnvelopeMalformedError):
        verify(dataclasses.replace(empty, public_key=PublicKey(b"")), payload_type=_ASK)


def test_a_signer_that_the_payload_does_not_name_is_refused(sealed: Envelope) -> None:
    with pytest.raises(SignerWrongError, match="signing_key"):
        require_signer(sealed, named=KeyPair(b"x" * 32).public_key, role="signing_key")


def test_an_envelope_cannot_be_changed(sealed: Envelope) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        sealed.payload = b""  # type: ignore[misc]
