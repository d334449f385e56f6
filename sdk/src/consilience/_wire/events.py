"""Events on the wire: the hot path of a stream, so written by hand.

AskResponse and ResumeAnswerResponse both hold the event as field 1, so one encoding serves both methods and every
reader of the log.
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
    Progress,
    TextDelta,
    UnknownEvent,
)
from consilience.errors import EnvelopeMalformedError
from consilience.units import Sequence
from consilience.v1 import ask_pb2

_KINDS: dict[str, type] = {"accepted": Accepted, "citation": Citation, "progress": Progress, "gap": Gap}
_FIELDS: dict[type, str] = {kind: field for field, kind in _KINDS.items()}


def encode_event(entry: AnswerEvent) -> bytes:
    """Returns the encoded AskResponse, which is also the encoded ResumeAnswerResponse, of an event."""
    response = ask_pb2.AskResponse()
    message = response.event
    message.sequence = entry.sequence
    match entry.event:
        case TextDelta(first_sequence=first, text=text):
            delta = message.text_delta
            delta.first_sequence = first
            delta.text = text
        case Final(answer=answer):
            message.final.answer.CopyFrom(convert.envelope_to_message(answer.envelope))
        case UnknownEvent():
            raise ValueError("an unknown event cannot be sent")
        case event:
            getattr(message, _FIELDS[type(event)]).CopyFrom(convert.to_message(event))
    return response.SerializeToString()


def decode_event(received: bytes | ask_pb2.AskResponse | ask_pb2.ResumeAnswerResponse) -> AnswerEvent:
    """Returns the event of a response. The answer in a Final is verified on the way.

    Raises:
        EnvelopeMalformedError: The bytes are not a response.
        FieldInvalidError: A required field is absent.
        RefusedError: The signed answer does not verify; see `convert.open_envelope`.
    """
    if isinstance(received, bytes):
        try:
            received = ask_pb2.AskResponse.FromString(received)
        except DecodeError as error:
            raise EnvelopeMalformedError("the bytes are not an AskResponse") from error
    message = received.event
    return AnswerEvent(sequence=Sequence(message.sequence), event=_event(message))


def final_from_message(message: ask_pb2.Final) -> Final:
    """Returns the end of a log, its answer verified; raises as `decode_event`."""
    return Final(answer=convert.open_envelope(convert.envelope_from_message(message.answer), Answer))


def final_to_message(final: Final) -> ask_pb2.Final:
    """Returns the message of the end of a log."""
    return ask_pb2.Final(answer=convert.envelope_to_message(final.answer.envelope))


def snapshot_to_message(snapshot: AnswerSnapshot) -> ask_pb2.GetAnswerResponse:
    """Returns the message of what there is of an answer."""
    message: ask_pb2.GetAnswerResponse = convert.to_message(snapshot)
    return message


def snapshot_from_message(message: ask_pb2.GetAnswerResponse) -> AnswerSnapshot:
    """Returns what there is of an answer; raises as `decode_event`."""
    return convert.from_message(message, AnswerSnapshot)


def _event(message: ask_pb2.AnswerEvent) -> Event:
    match message.WhichOneof("event"):
        case "text_delta":
            delta = message.text_delta
            return TextDelta(first_sequence=Sequence(delta.first_sequence), text=delta.text)
        case "final":
            return final_from_message(message.final)
        case str(kind) if kind in _KINDS:
            return convert.from_message(getattr(message, kind), _KINDS[kind])
        case _:
            return UnknownEvent()
