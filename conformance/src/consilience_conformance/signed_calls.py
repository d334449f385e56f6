"""Signed calls: the four methods that want to know their caller, and a good call of each, ready to be spoilt."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.callers import Caller
from consilience_conformance.stage import Stage

ABOUT_AN_ANSWER = ("get", "resume", "cancel")
"""The words of the methods that look an answer up."""

SignedCall = ask_pb2.Ask | ask_pb2.ResumeAnswerCall | ask_pb2.GetAnswerCall | ask_pb2.CancelAnswerCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One of the four methods.

    Attributes:
        word: What names of checks call it: `get`.
        name: Its full name, without leading slash.
        payload_type: The full name of the message that its caller signs.
    """

    word: str
    name: str
    payload_type: str

    def request(self, envelope: SignedEnvelope) -> Message:
        """Returns the request that carries an envelope."""
        if self.name == ASK:
            return ask_pb2.AskRequest(ask=envelope)
        if self.name == RESUME:
            return ask_pb2.ResumeAnswerRequest(call=envelope)
        if self.name == GET:
            return ask_pb2.GetAnswerRequest(call=envelope)
        return ask_pb2.CancelAnswerRequest(call=envelope)

    def envelope_of(self, request: bytes) -> SignedEnvelope:
        """Returns the envelope that an encoded request carries; all four have it in their first field."""
        return ask_pb2.AskRequest.FromString(request).ask

    def call(self, stage: Stage, ask: ask_pb2.Ask, *, caller: Caller | None = None) -> SignedCall:
        """Returns a good call: the ask itself, or one about it with a fresh header."""
        if self.name == ASK:
            copy = ask_pb2.Ask()
            copy.CopyFrom(ask)
            return copy
        header = stage.header(self.name, caller=caller)
        return _about(self.name, header, ask.header.request_id)


def _about(
    method: str, header: CallHeader, request_id: bytes
) -> ask_pb2.ResumeAnswerCall | ask_pb2.GetAnswerCall | ask_pb2.CancelAnswerCall:
    if method == RESUME:
        return ask_pb2.ResumeAnswerCall(header=header, ask_request_id=request_id)
    if method == GET:
        return ask_pb2.GetAnswerCall(header=header, ask_request_id=request_id)
    return ask_pb2.CancelAnswerCall(header=header, ask_request_id=request_id)


ASKING = Method(word="ask", name=ASK, payload_type="consilience.v1.Ask")
RESUMING = Method(word="resume", name=RESUME, payload_type="consilience.v1.ResumeAnswerCall")
GETTING = Method(word="get", name=GET, payload_type="consilience.v1.GetAnswerCall")
CANCELLING = Method(word="cancel", name=CANCEL, payload_type="consilience.v1.CancelAnswerCall")
METHODS = (ASKING, RESUMING, GETTING, CANCELLING)


def another(method: Method) -> Method:
    """Returns another method than this one, for which its calls are not meant."""
    return METHODS[(METHODS.index(method) + 1) % len(METHODS)] if method in METHODS else GETTING
