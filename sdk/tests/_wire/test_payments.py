"""What the methods of PaymentService give, what requests carry, and what rails pack."""

from dataclasses import replace
from typing import Any

import pytest

from consilience import payments
from consilience._wire import payments as wire
from consilience._wire import services
from consilience.envelopes import Envelope
from consilience.errors import EnvelopeMalformedError, FieldInvalidError
from consilience.payments import TransferStatus
from consilience.units import EncodedAny
from consilience.v1 import envelope_pb2, payment_pb2
from sdk.tests._wire.chains import NOW, Chain
from sdk.tests._wire.payments import DETAIL

SUCCEEDED = TransferStatus.SUCCEEDED
KNOWN = [status for status in TransferStatus if status is not TransferStatus.UNKNOWN]
OF_A_STATE = ["SubmitVoucherResponse", "GetSessionResponse", "AcknowledgeReceiptResponse", "CloseSessionResponse"]
DECODERS: dict[str, Any] = {
    "quote": wire.decode_quote,
    "opened": wire.decode_opened,
    "state": wire.decode_state,
    "confirmed": wire.decode_confirmed,
    "withdrawn": wire.decode_withdrawn,
}

INSTRUCTION = payments.DepositInstruction(deposit_id=b"d" * 16, amount=5, expire_time=NOW, detail=DETAIL)


@pytest.fixture
def envelope(chain: Chain) -> Envelope:
    """Stands for a signed object of any kind."""
    return chain.ask.envelope


def test_responses_come_back_equal(envelope: Envelope) -> None:
    assert wire.decode_quote(wire.encode_quote(envelope)) == envelope
    assert wire.decode_state(wire.encode_state(envelope)) == envelope
    assert wire.decode_opened(wire.encode_opened(envelope)) == (envelope, None)
    assert wire.decode_opened(wire.encode_opened(envelope, instruction=INSTRUCTION)) == (envelope, INSTRUCTION)
    for receipts in ((), (envelope,), (envelope, replace(envelope, payload=b"p"))):
        assert wire.decode_receipts(wire.encode_receipts(receipts)) == receipts


@pytest.mark.parametrize("status", KNOWN)
@pytest.mark.parametrize("detail", [None, DETAIL, EncodedAny(b"")])
def test_a_transfer_comes_back_equal(envelope: Envelope, status: TransferStatus, detail: EncodedAny | None) -> None:
    assert wire.decode_confirmed(wire.encode_confirmed(envelope, status=status)) == (envelope, status)
    withdrawn = wire.encode_withdrawn(envelope, status=status, detail=detail)
    assert wire.decode_withdrawn(withdrawn) == (envelope, status, detail)


@pytest.mark.parametrize("name", OF_A_STATE)
def test_a_state_alone_is_the_response_of_four_methods(envelope: Envelope, name: str) -> None:
    message_type = getattr(payment_pb2, name)
    message = message_type.FromString(wire.encode_state(envelope))
    assert wire.decode_state(message.SerializeToString()) == envelope
    assert [field.name for field, _ in message.ListFields()] == [field.name for field in message.DESCRIPTOR.fields]


@pytest.mark.parametrize("number", [0, 4, 99])
def test_a_status_of_no_version_that_is_known_is_unknown(envelope: Envelope, number: int) -> None:
    encoded = wire.encode_confirmed(envelope, status=SUCCEEDED).replace(b"\x10\x01", bytes([0x10, number]))
    assert wire.decode_confirmed(encoded) == (envelope, TransferStatus.UNKNOWN)
    with pytest.raises(ValueError, match="UNKNOWN"):
        wire.encode_confirmed(envelope, status=TransferStatus.UNKNOWN)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("encoded", [b"", b"\xff"])
def test_a_response_without_its_signed_object_is_malformed(name: str, encoded: bytes) -> None:
    with pytest.raises(EnvelopeMalformedError):
        DECODERS[name](encoded)


def test_an_instruction_without_its_end_is_refused(envelope: Envelope) -> None:
    instruction = payment_pb2.DepositInstruction(deposit_id=b"d" * 16, amount=5)
    with pytest.raises(FieldInvalidError, match="expire_time"):
        wire.decode_instruction(instruction.SerializeToString())
    assert wire.decode_instruction(wire.encode_instruction(INSTRUCTION)) == INSTRUCTION


def test_every_request_of_payments_has_its_envelope_as_field_1(envelope: Envelope) -> None:
    (service,) = payment_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods:
        request = getattr(payment_pb2, method.input_type.name).FromString(services.encode_request(envelope))
        assert [field.name for field, _ in request.ListFields()] == [one.name for one in method.input_type.fields]
        assert services.decode_request(request.SerializeToString()) == envelope


@pytest.mark.parametrize("with_voucher", [False, True])
@pytest.mark.parametrize("with_quote", [False, True])
def test_an_ask_brings_voucher_and_quote_along(chain: Chain, *, with_voucher: bool, with_quote: bool) -> None:
    voucher = chain.card.envelope if with_voucher else None
    quote = chain.answer.envelope if with_quote else None
    received = services.decode_ask(services.encode_ask(chain.ask.envelope, voucher=voucher, quote=quote))
    assert received == services.ReceivedAsk(ask=chain.ask.envelope, voucher=voucher, quote=quote)


@pytest.mark.parametrize("encoded", [b"", b"\xff", b"\x12\x00", b"\x0a\x00\x12\x01\xff"])
def test_an_ask_that_is_none_or_brings_nonsense_is_malformed(encoded: bytes) -> None:
    with pytest.raises(EnvelopeMalformedError):
        services.decode_ask(encoded)


def test_a_packed_envelope_comes_back_equal(envelope: Envelope) -> None:
    assert wire.unpack_envelope(wire.pack_envelope(envelope)) == envelope


def test_what_is_packed_and_no_envelope_is_malformed(envelope: Envelope) -> None:
    url = f"type.googleapis.com/{envelope_pb2.SignedEnvelope.DESCRIPTOR.full_name}".encode()
    broken = b"\x0a" + bytes([len(url)]) + url + b"\x12\x01\xff"
    for packed in (b"", b"\xff", DETAIL, broken):
        with pytest.raises(EnvelopeMalformedError):
            wire.unpack_envelope(EncodedAny(packed))
