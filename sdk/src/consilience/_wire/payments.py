"""PaymentService on the wire: what its methods give, and what rails pack into `google.protobuf.Any`.

What its methods take is in `_wire.services`: each request has its one envelope as field 1, like those of AskService.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from consilience._wire import convert
from consilience._wire.services import parse
from consilience.envelopes import Envelope
from consilience.errors import EnvelopeMalformedError
from consilience.payments import DepositInstruction, TransferStatus
from consilience.units import EncodedAny
from consilience.v1 import envelope_pb2, payment_pb2

_STATUSES = {int(status): status for status in TransferStatus if status is not TransferStatus.UNKNOWN}


def encode_quote(quote: Envelope) -> bytes:
    """Returns the encoded GetQuoteResponse."""
    return payment_pb2.GetQuoteResponse(quote=convert.envelope_to_message(quote)).SerializeToString()


def decode_quote(encoded: bytes) -> Envelope:
    """Returns the quote, unverified.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it carries no quote.
    """
    response = parse(encoded, payment_pb2.GetQuoteResponse)
    return _carried(response.quote if response.HasField("quote") else None)


def encode_opened(state: Envelope, *, instruction: DepositInstruction | None = None) -> bytes:
    """Returns the encoded OpenSessionResponse."""
    response = payment_pb2.OpenSessionResponse(state=convert.envelope_to_message(state))
    if instruction is not None:
        convert.fill(response.instruction, instruction)
    return response.SerializeToString()


def decode_opened(encoded: bytes) -> tuple[Envelope, DepositInstruction | None]:
    """Returns the state, unverified, and how to make the deposit, where one is to be made.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it carries no state.
        FieldInvalidError: The instruction tells no time until when the deposit can be made.
    """
    response = parse(encoded, payment_pb2.OpenSessionResponse)
    state = _carried(response.state if response.HasField("state") else None)
    if not response.HasField("instruction"):
        return state, None
    return state, convert.from_message(response.instruction, DepositInstruction)


def encode_state(state: Envelope) -> bytes:
    """Returns the encoded response of SubmitVoucher, GetSession, AcknowledgeReceipt or CloseSession: a state alone."""
    return payment_pb2.GetSessionResponse(state=convert.envelope_to_message(state)).SerializeToString()


def decode_state(encoded: bytes) -> Envelope:
    """Returns the state, unverified, of a response that `encode_state` makes.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it carries no state.
    """
    response = parse(encoded, payment_pb2.GetSessionResponse)
    return _carried(response.state if response.HasField("state") else None)


def encode_confirmed(state: Envelope, *, status: TransferStatus) -> bytes:
    """Returns the encoded ConfirmDepositResponse."""
    message = convert.envelope_to_message(state)
    return payment_pb2.ConfirmDepositResponse(state=message, status=_number(status)).SerializeToString()


def decode_confirmed(encoded: bytes) -> tuple[Envelope, TransferStatus]:
    """Returns the state, unverified, and how the deposit stands; UNKNOWN where it says nothing of this version.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it carries no state.
    """
    response = parse(encoded, payment_pb2.ConfirmDepositResponse)
    return _carried(response.state if response.HasField("state") else None), _status(response.status)


def encode_withdrawn(state: Envelope, *, status: TransferStatus, detail: EncodedAny | None = None) -> bytes:
    """Returns the encoded WithdrawResponse."""
    message = convert.envelope_to_message(state)
    response = payment_pb2.WithdrawResponse(state=message, status=_number(status))
    if detail is not None:
        response.detail.ParseFromString(detail)
        response.detail.SetInParent()
    return response.SerializeToString()


def decode_withdrawn(encoded: bytes) -> tuple[Envelope, TransferStatus, EncodedAny | None]:
    """Returns the state, unverified, how the payout stands, and what the rail gave for it.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it carries no state.
    """
    response = parse(encoded, payment_pb2.WithdrawResponse)
    state = _carried(response.state if response.HasField("state") else None)
    detail = EncodedAny(response.detail.SerializeToString()) if response.HasField("detail") else None
    return state, _status(response.status), detail


def encode_receipts(receipts: Iterable[Envelope]) -> bytes:
    """Returns the encoded ListReceiptsResponse."""
    messages = [convert.envelope_to_message(receipt) for receipt in receipts]
    return payment_pb2.ListReceiptsResponse(receipts=messages).SerializeToString()


def decode_receipts(encoded: bytes) -> tuple[Envelope, ...]:
    """Returns the receipts in their order, unverified.

    Raises:
        EnvelopeMalformedError: The bytes are no response.
    """
    response = parse(encoded, payment_pb2.ListReceiptsResponse)
    return tuple(convert.envelope_from_message(receipt) for receipt in response.receipts)


def encode_instruction(instruction: DepositInstruction) -> bytes:
    """Returns the encoded DepositInstruction, for a ledger."""
    encoded: bytes = convert.to_message(instruction).SerializeToString(deterministic=True)
    return encoded


def decode_instruction(encoded: bytes) -> DepositInstruction:
    """Returns how a deposit is made.

    Raises:
        EnvelopeMalformedError: The bytes are no DepositInstruction.
        FieldInvalidError: It tells no time until when the deposit can be made.
    """
    return convert.parse(encoded, DepositInstruction)


def pack_envelope(envelope: Envelope) -> EncodedAny:
    """Returns an envelope as a rail passes it on: a SignedEnvelope in a `google.protobuf.Any`."""
    packed = AnyMessage()
    packed.Pack(convert.envelope_to_message(envelope), deterministic=True)
    return EncodedAny(packed.SerializeToString(deterministic=True))


def unpack_envelope(packed: EncodedAny) -> Envelope:
    """Returns the envelope, unverified, that `pack_envelope` packs.

    Raises:
        EnvelopeMalformedError: Something else is packed, or nothing.
    """
    message = envelope_pb2.SignedEnvelope()
    try:
        found = parse(packed, AnyMessage).Unpack(message)
    except DecodeError as error:
        raise EnvelopeMalformedError("what is packed does not parse") from error
    if not found:
        raise EnvelopeMalformedError("there is no SignedEnvelope packed")
    return convert.envelope_from_message(message)


def _carried(message: envelope_pb2.SignedEnvelope | None) -> Envelope:
    if message is None:
        raise EnvelopeMalformedError("the response lacks its signed object")
    return convert.envelope_from_message(message)


def _number(status: TransferStatus) -> payment_pb2.TransferStatus.ValueType:
    if status is TransferStatus.UNKNOWN:
        raise ValueError("a status that is UNKNOWN cannot be sent")
    return payment_pb2.TransferStatus.ValueType(status)


def _status(number: int) -> TransferStatus:
    return _STATUSES.get(number, TransferStatus.UNKNOWN)
