"""What judges of clients have in common: what the user got, and what the nodes got to see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

PAYLOADS = {
    ASK: "consilience.v1.Ask",
    RESUME: "consilience.v1.ResumeAnswerCall",
    GET: "consilience.v1.GetAnswerCall",
    CANCEL: "consilience.v1.CancelAnswerCall",
}
"""What the envelope of each call has to carry."""


def reply_of(seen: Transcript, name: str) -> dict[str, Any]:
    """Returns what the user got for one question."""
    replies: Any = seen.notes["replies"]
    return dict(replies[name])


def given_out(seen: Transcript, name: str, *, requirement: str) -> Iterator[Finding]:
    """Yields a finding unless the user got the right answer of a node that did everything right."""
    texts: Any = seen.notes["texts"]
    got = reply_of(seen, name)
    answered = got.get("answered", {})
    if (answered.get("text"), answered.get("outcome")) != (texts[name], "ANSWERED"):
        yield Finding(
            requirement=requirement,
            message="what is right is not given out",
            expected=f"ANSWERED {texts[name]}",
            got=_shown(got),
            exchange=_ask_in(seen, name),
        )


def not_given_out(seen: Transcript, name: str, *, requirement: str, what: str) -> Iterator[Finding]:
    """Yields a finding if the user got an answer all the same.

    Args:
        seen: The transcript.
        name: Of the question.
        requirement: What is broken then.
        what: What is wrong with the answer: `an answer without a signature`.
    """
    if "answered" in (got := reply_of(seen, name)):
        yield Finding(
            requirement=requirement,
            message=f"{what} is given out",
            expected="rejected",
            got=_shown(got),
            exchange=_ask_in(seen, name),
        )


def nothing_sent(seen: Transcript, name: str, *, requirement: str, why: str) -> Iterator[Finding]:
    """Yields a finding if a node got more than the wish to see its card.

    Args:
        seen: The transcript.
        name: Of the question.
        requirement: What is broken then.
        why: Why nothing was to be sent: `to a node whose card has expired`.
    """
    questions: Any = seen.notes["questions"]
    question = questions[name].encode()
    for exchange in seen.named(f"{name}/"):
        if exchange.method != GET_NODE_CARD or question in exchange.request:
            yield Finding(
                requirement=requirement,
                message=f"a call is sent {why}",
                expected="GetNodeCard at most",
                got=exchange.method,
                exchange=exchange.name,
            )
            return


def calls(seen: Transcript, name: str, method: str) -> list[Exchange]:
    """Returns the calls of a method that came while a question was asked, in their order."""
    return [exchange for exchange in seen.named(f"{name}/") if exchange.method == method]


def envelope_of(exchange: Exchange) -> SignedEnvelope:
    """Returns the envelope of a call; all calls carry theirs under one number."""
    return ask_pb2.AskRequest.FromString(exchange.request).ask


def well_sent(exchange: Exchange) -> Iterator[Finding]:
    """Yields what is wrong with a signed call: its envelope, and the rules of its fields."""
    payload_type = PAYLOADS[exchange.method]
    kind = payload_type.rpartition(".")[2]
    try:
        envelope = envelope_of(exchange)
        # All calls open with their header, so one class reads the caller out of each.
        caller = ask_pb2.GetAnswerCall.FromString(envelope.payload).header.caller
    except DecodeError as error:
        yield Finding(
            requirement="ERR-FLD-001", message="a call does not parse", got=str(error), exchange=exchange.name
        )
        return
    if defect := envelopes.defect_of(envelope, payload_type=payload_type):
        yield Finding(requirement="SIG-ENV-001", message=f"the {kind} is not signed: {defect}", exchange=exchange.name)
    if envelope.public_key != caller:
        yield Finding(
            requirement="SIG-ENV-005",
            message=f"the {kind} is signed by another key than its header names",
            expected=caller.hex(),
            got=envelope.public_key.hex(),
            exchange=exchange.name,
        )
    yield from field_findings(envelope.payload, payload_type, exchange=exchange.name)


def _ask_in(seen: Transcript, name: str) -> str:
    found = calls(seen, name, ASK)
    return found[0].name if found else ""


def _shown(reply: dict[str, Any]) -> str:
    match reply:
        case {"answered": {"text": text, "outcome": outcome}}:
            return f"{outcome} {text}"
        case {"rejected": words}:
            return f"rejected: {words}"
        case {"refused": reason}:
            return f"refused {reason}"
        case _:
            return "done" if "done" in reply else "unsupported"
