"""Events on the wire: the hot path of a stream, so written by hand.

AskResponse and ResumeAnswerResponse both hold their events as field 1, so one encoding of an event serves both methods
and every reader of the log, and several encodings one behind the other are one response with all of them.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from consilience._wire import convert
from consilience.asks import (
    Accepted,
    Answer,
    AnswerEvent,
    AnswerSnapshot,
    Citation,
    Event,
    Final,
    Gap,
    Metered,
    PaymentNeeded,
    Progress,
    TextDelta,
    UnknownEvent,
)
from consilience.errors import EnvelopeMalformedError
from consilience.units import Sequence
from consilience.v1 import ask_pb2

_KINDS: dict[str, type] = {
    "accepted": Accepted,
    "citation": Citation,
    "progress": Progress,
    "gap": Gap,
    "metered": Metered,
    "payment_needed": PaymentNeeded,
}
_FIELDS: dict[type, str] = {kind: field for field, kind in _KINDS.items()}


def encode_event(entry: AnswerEvent) -> bytes:
    """Returns the encoded response that holds one event; responses are joined by joining their bytes."""
    response = ask_pb2.AskResponse()
    message = response.events.add()
    message.sequence = entry.sequence
    match entry.event:
        case TextDelta(first_sequence=first, text=text, output_tokens=tokens):
            delta = message.text_delta
            delta.first_sequence = first
            delta.text = text
            delta.output_tokens = tokens
        case Final() as final:
            _fill_final(message.final, final)
        case UnknownEvent():
            raise ValueError("an unknown event cannot be sent")
        case event:
            convert.fill(getattr(message, _FIELDS[type(event)]), event)
    return response.SerializeToString()


def decode_events(received: bytes) -> tuple[AnswerEvent, ...]:
    """Returns the events of a response, one at least. The answer in a Final is verified on the way.

    Raises:
        EnvelopeMalformedError: The bytes are not a response, or it holds no event.
        FieldInvalidError: A required field is absent.
        RefusedError: The signed answer does not verify; see `convert.open_envelope`.
    """
    try:
        response = ask_pb2.AskResponse.FromString(received)
    except DecodeError as error:
        raise EnvelopeMalformedError("the bytes are not an AskResponse") from error
    if not response.events:
        raise EnvelopeMalformedError("the response holds no event")
    return tuple(AnswerEvent(sequence=Sequence(message.sequence), event=_event(message)) for message in response.events)


def decode_event(received: bytes) -> AnswerEvent:
    """Returns the one event that `encode_event` encoded; raises as `decode_events`."""
    (entry,) = decode_events(received)
    return entry


def final_from_message(message: ask_pb2.Final) -> Final:
    """Returns the end of a log, its answer verified; raises as `decode_event`."""
    return Final(
        answer=convert.open_envelope(convert.envelope_from_message(message.answer), Answer),
        receipt=convert.envelope_from_message(message.receipt) if message.HasField("receipt") else None,
        attestation=convert.envelope_from_message(message.attestation) if message.HasField("attestation") else None,
    )


def final_to_message(final: Final) -> ask_pb2.Final:
    """Returns the message of the end of a log."""
    message = ask_pb2.Final()
    _fill_final(message, final)
    return message


def snapshot_to_message(snapshot: AnswerSnapshot) -> ask_pb2.GetAnswerResponse:
    """Returns the message of what there is of an answer."""
    message: ask_pb2.GetAnswerResponse = convert.to_message(snapshot)
    return message


def snapshot_from_message(message: ask_pb2.GetAnswerResponse) -> AnswerSnapshot:
    """Returns what there is of an answer; raises as `decode_event`."""
    return convert.from_message(message, AnswerSnapshot)


def _fill_final(message: ask_pb2.Final, final: Final) -> None:
    convert.fill_envelope(message.answer, final.answer.envelope)
    if final.receipt is not None:
        convert.fill_envelope(message.receipt, final.receipt)
    if final.attestation is not None:
        convert.fill_envelope(message.attestation, final.attestation)


def _event(message: ask_pb2.AnswerEvent) -> Event:
    match message.WhichOneof("event"):
        case "text_delta":
            delta = message.text_delta
            return TextDelta(
                first_sequence=Sequence(delta.first_sequence), text=delta.text, output_tokens=delta.output_tokens
            )
        case "final":
            return final_from_message(message.final)
        case str(kind) if kind in _KINDS:
            return convert.from_message(getattr(message, kind), _KINDS[kind])
        case _:
            return UnknownEvent()
