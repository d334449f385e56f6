"""Services on the wire: what each method takes and gives, as bytes.

Client and server move bytes and values; the request and response messages between them are known here, and for
payments in `_wire.payments`, alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from consilience._wire import convert, events
from consilience.asks import AnswerSnapshot, Final
from consilience.envelopes import Envelope
from consilience.errors import EnvelopeMalformedError
from consilience.v1 import ask_pb2, envelope_pb2, node_pb2, payment_pb2

NODE_SERVICE = node_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name
ASK_SERVICE = ask_pb2.DESCRIPTOR.services_by_name["AskService"].full_name
PAYMENT_SERVICE = payment_pb2.DESCRIPTOR.services_by_name["PaymentService"].full_name
GET_NODE_CARD_METHOD = f"{NODE_SERVICE}/GetNodeCard"

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAsk:
    """What the request of an ask carries: the ask and, where it is paid for, a voucher and the quote; unverified."""

    ask: Envelope
    voucher: Envelope | None = None
    quote: Envelope | None = None


def encode_request(envelope: Envelope) -> bytes:
    """Returns the encoded request of any method of AskService or PaymentService: each has its envelope as field 1."""
    return ask_pb2.ResumeAnswerRequest(call=convert.envelope_to_message(envelope)).SerializeToString()


def decode_request(encoded: bytes) -> Envelope:
    """Returns the envelope, unverified, of a request of any method of AskService or PaymentService.

    Raises:
        EnvelopeMalformedError: The bytes are no request, or it carries no envelope.
    """
    request = parse(encoded, ask_pb2.ResumeAnswerRequest)
    return _carried(request.call if request.HasField("call") else None)


def encode_ask(ask: Envelope, *, voucher: Envelope | None = None, quote: Envelope | None = None) -> bytes:
    """Returns the encoded AskRequest; voucher and quote go with an ask that is paid for."""
    request = ask_pb2.AskRequest(ask=convert.envelope_to_message(ask))
    if voucher is not None:
        convert.fill_envelope(request.voucher, voucher)
    if quote is not None:
        convert.fill_envelope(request.quote, quote)
    return request.SerializeToString()


def decode_ask(encoded: bytes) -> ReceivedAsk:
    """Returns what an AskRequest carries, unverified.

    Raises:
        EnvelopeMalformedError: The bytes are no request, or it carries no ask.
    """
    request = parse(encoded, ask_pb2.AskRequest)
    return ReceivedAsk(
        ask=_carried(request.ask if request.HasField("ask") else None),
        voucher=convert.envelope_from_message(request.voucher) if request.HasField("voucher") else None,
        quote=convert.envelope_from_message(request.quote) if request.HasField("quote") else None,
    )


def encode_card_request() -> bytes:
    """Returns the encoded GetNodeCardRequest."""
    return node_pb2.GetNodeCardRequest().SerializeToString()


def check_card_request(encoded: bytes) -> None:
    """Checks that a request of GetNodeCard is one.

    Raises:
        EnvelopeMalformedError: The bytes do not parse.
    """
    parse(encoded, node_pb2.GetNodeCardRequest)


def encode_card_response(card: Envelope, *, successions: Sequence[Envelope] = ()) -> bytes:
    """Returns the encoded GetNodeCardResponse; successions stand oldest first."""
    return node_pb2.GetNodeCardResponse(
        card=convert.envelope_to_message(card),
        successions=[convert.envelope_to_message(succession) for succession in successions],
    ).SerializeToString()


def decode_card_response(encoded: bytes) -> tuple[Envelope, tuple[Envelope, ...]]:
    """Returns the card and the successions, oldest first, all unverified.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it carries no card.
    """
    response = parse(encoded, node_pb2.GetNodeCardResponse)
    if not response.HasField("card"):
        raise EnvelopeMalformedError("the response carries no card")
    return (
        convert.envelope_from_message(response.card),
        tuple(convert.envelope_from_message(succession) for succession in response.successions),
    )


def encode_snapshot(snapshot: AnswerSnapshot) -> bytes:
    """Returns the encoded GetAnswerResponse."""
    return events.snapshot_to_message(snapshot).SerializeToString()


def decode_snapshot(encoded: bytes) -> AnswerSnapshot:
    """Returns what there is of an answer; raises as `events.decode_event`."""
    return events.snapshot_from_message(parse(encoded, ask_pb2.GetAnswerResponse))


def encode_cancelled(final: Final) -> bytes:
    """Returns the encoded CancelAnswerResponse."""
    return ask_pb2.CancelAnswerResponse(final=events.final_to_message(final)).SerializeToString()


def decode_cancelled(encoded: bytes) -> Final:
    """Returns how a cancelled answer ended; raises as `events.decode_event`."""
    return events.final_from_message(parse(encoded, ask_pb2.CancelAnswerResponse).final)


def parse(encoded: bytes, message_type: type[MessageT]) -> MessageT:
    """Returns the message that bytes encode.

    Raises:
        EnvelopeMalformedError: They encode none.
    """
    try:
        return message_type.FromString(encoded)
    except DecodeError as error:
        raise EnvelopeMalformedError(f"the bytes are not a {message_type.DESCRIPTOR.full_name}") from error


def _carried(message: envelope_pb2.SignedEnvelope | None) -> Envelope:
    if message is None:
        raise EnvelopeMalformedError("the request carries no envelope")
    return convert.envelope_from_message(message)
