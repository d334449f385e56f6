"""Leftovers: the asks and the sessions of a check that are not over for its node, as the calls that were made tell."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, payment_pb2
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.payment_methods import CLOSE, OPEN
from consilience_conformance.purses import TEST_NETWORK
from consilience_conformance.streams import Stream
from consilience_conformance.transcripts import Ended

Named = tuple[bytes, bytes]
"""An answer: the key of its caller and the request id of its ask. Or a session: the key of its payer and its id."""


def left_running(streams: Iterable[Stream]) -> list[Named]:
    """Returns the asks that were sent, or read, and not seen to their Final, in the order of the calls.

    What a call was refused is none of them: there is no such answer, or another call tells of it.
    """
    begun: dict[Named, None] = {}
    over: set[Named] = set()
    for stream in streams:
        name = None if _was_refused(stream) else _name_of(stream.method, stream.request)
        if name is None:
            continue
        begun.setdefault(name)
        if _tells_the_end(stream):
            over.add(name)
    return [name for name in begun if name not in over]


def left_open(streams: Iterable[Stream]) -> list[Named]:
    """Returns the sessions that something of value stands behind, and that were opened and not closed.

    Each is the key of its payer and its id, in the order of the calls.
    """
    opened: dict[Named, None] = {}
    closed: set[bytes] = set()
    for stream in streams:
        if stream.method not in {OPEN, CLOSE} or _was_refused(stream):
            continue
        try:
            if stream.method == CLOSE:
                call = payment_pb2.CloseSessionRequest.FromString(stream.request).call
                closed.add(payment_pb2.CloseSessionCall.FromString(call.payload).session_id)
                continue
            request = payment_pb2.OpenSessionRequest.FromString(stream.request)
            envelope = payment_pb2.OpenSessionCall.FromString(request.call.payload).terms
            terms = payment_pb2.SessionTerms.FromString(envelope.payload)
        except DecodeError:
            continue
        if terms.network != TEST_NETWORK:
            opened.setdefault((terms.payer, envelopes.envelope_digest(envelope)))
    return [name for name in opened if name[1] not in closed]


def _was_refused(stream: Stream) -> bool:
    return stream.ended is Ended.STATUS and not stream.responses


def _name_of(method: str, request: bytes) -> Named | None:
    """Returns which answer a request is about, or None where it says nothing of one."""
    try:
        if method == ASK:
            header = ask_pb2.Ask.FromString(ask_pb2.AskRequest.FromString(request).ask.payload).header
            return header.caller, header.request_id
        if method in {RESUME, GET, CANCEL}:
            # What the three carry stands in the same fields.
            call = ask_pb2.GetAnswerCall.FromString(ask_pb2.GetAnswerRequest.FromString(request).call.payload)
            return call.header.caller, call.ask_request_id
    except DecodeError:
        pass
    return None


def _tells_the_end(stream: Stream) -> bool:
    if stream.method == CANCEL:
        return bool(stream.responses)
    if stream.method == GET:
        return any(_has_final(response.data) for response in stream.responses)
    return any(event.HasField("final") for event in stream.events)


def _has_final(data: bytes) -> bool:
    try:
        return ask_pb2.GetAnswerResponse.FromString(data).HasField("final")
    except DecodeError:
        return False
