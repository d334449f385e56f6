"""Transcripts made by hand: what a good node would have sent, of which tests spoil one thing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience.v1.error_details_pb2 import LimitExceeded
from consilience_conformance import envelopes, signatures
from consilience_conformance.cases import all_checks
from consilience_conformance.rules.refusals import DOMAIN, catalogue
from consilience_conformance.transcripts import Ended, Exchange, JsonValue, Response, Transcript

NODE, CALLER = bytes([7] * 32), bytes([8] * 32)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
RETENTION = timedelta(hours=1)
RUN_TIME = timedelta(seconds=3)

Ending = tuple[ask_pb2.Outcome.ValueType, ask_pb2.StopReason.ValueType]
COMPLETE: Ending = (ask_pb2.OUTCOME_ANSWERED, ask_pb2.STOP_REASON_COMPLETE)
CANCELLED: Ending = (ask_pb2.OUTCOME_CANCELLED, ask_pb2.STOP_REASON_CANCELLED)
DEADLINE: Ending = (ask_pb2.OUTCOME_CANCELLED, ask_pb2.STOP_REASON_DEADLINE)
DISCONNECTED: Ending = (ask_pb2.OUTCOME_CANCELLED, ask_pb2.STOP_REASON_DISCONNECTED)

Found = list[tuple[str, str]]
"""The requirement and the message of each finding."""


def time(after: timedelta = timedelta(0)) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(NOW + after)
    return message


def card() -> SignedEnvelope:
    """Returns the card of the node, with one skill, `say`."""
    key = signatures.public_key(NODE)
    told = node_pb2.NodeCard(node_id=key, sequence=1, skills=[node_pb2.Skill(id="say")])
    told.signing_keys.add(public_key=key).expire_time.CopyFrom(time(timedelta(days=1)))
    told.limits.answer_retention.FromTimedelta(RETENTION)
    told.limits.max_run_time.FromTimedelta(RUN_TIME)
    return envelopes.seal(told, seed=NODE)


def ask(number: int = 1, **changes: object) -> SignedEnvelope:
    """Returns the ask with this number as its request id."""
    header = CallHeader(caller=signatures.public_key(CALLER), request_id=bytes([number] * 16))
    fields: dict[str, object] = {"header": header, "skill_id": "say"}
    return envelopes.seal(ask_pb2.Ask(**{**fields, **changes}), seed=CALLER)  # type: ignore[arg-type]


def accepted_event(asked: SignedEnvelope) -> ask_pb2.AnswerEvent:
    return ask_pb2.AnswerEvent(sequence=1, accepted=ask_pb2.Accepted(ask_digest=envelopes.envelope_digest(asked)))


def delta(first: int, text: str, *, last: int = 0) -> ask_pb2.AnswerEvent:
    """Returns a delta that stands for the events from `first` to `last`, or for one."""
    return ask_pb2.AnswerEvent(sequence=last or first, text_delta=ask_pb2.TextDelta(first_sequence=first, text=text))


def final(
    asked: SignedEnvelope,
    events: Sequence[ask_pb2.AnswerEvent],
    *,
    ending: Ending = COMPLETE,
    after: timedelta = timedelta(0),
    citations: Iterable[ask_pb2.Citation] = (),
) -> ask_pb2.AnswerEvent:
    """Returns the Final of a log with these events before it."""
    text = "".join(event.text_delta.text for event in events).encode()
    sequence, key = events[-1].sequence + 1, signatures.public_key(NODE)
    answer = ask_pb2.Answer(
        node_id=key,
        signing_key=key,
        ask_digest=envelopes.envelope_digest(asked),
        card_digest=envelopes.envelope_digest(card()),
        outcome=ending[0],
        stop_reason=ending[1],
        final_sequence=sequence,
        transcript_digest=hashlib.sha256(text).digest(),
        transcript_bytes=len(text),
        accept_time=time(),
        finish_time=time(after),
        citations=citations,
    )
    answer.usage.output_bytes = len(text)
    return ask_pb2.AnswerEvent(sequence=sequence, final=ask_pb2.Final(answer=envelopes.seal(answer, seed=NODE)))


def log(
    *texts: str, asked: SignedEnvelope | None = None, ending: Ending = COMPLETE, after: timedelta = timedelta(0)
) -> list[ask_pb2.AnswerEvent]:
    """Returns a whole log: Accepted, a delta for each text, Final."""
    asked = asked or ask()
    events = [accepted_event(asked), *(delta(place, text) for place, text in enumerate(texts, start=2))]
    return [*events, final(asked, events, ending=ending, after=after)]


def exchange(name: str, *messages: bytes, request: bytes = b"", began: float = 0.0) -> Exchange:
    """Returns a call that ended well."""
    return Exchange(
        name=name,
        method="any",
        request=request,
        began=began,
        ended_at=began + 0.5,
        ended=Ended.STATUS,
        responses=tuple(Response(at=began + 0.1, data=message) for message in messages),
        code="OK",
    )


def stream(
    name: str, events: Iterable[ask_pb2.AnswerEvent], *, asked: SignedEnvelope | None = None, began: float = 0.0
) -> Exchange:
    """Returns a call of Ask that brought these events, each in a message of its own."""
    request = ask_pb2.AskRequest(ask=asked or ask()).SerializeToString()
    messages = [ask_pb2.AskResponse(events=[event]).SerializeToString() for event in events]
    return exchange(name, *messages, request=request, began=began)


def cut(whole: Exchange) -> Exchange:
    """Returns a call from which the check went away."""
    return replace(whole, ended=Ended.CUT, code="")


def silent(name: str) -> Exchange:
    return replace(exchange(name), ended=Ended.SILENCE, code="")


def snapshot(name: str, events: Sequence[ask_pb2.AnswerEvent], *, keep: timedelta = RETENTION) -> Exchange:
    """Returns a call of GetAnswer at the time when these events stood in the log."""
    response = ask_pb2.GetAnswerResponse(
        last_sequence=events[-1].sequence, text="".join(event.text_delta.text for event in events)
    )
    if events[-1].HasField("final"):
        response.final.CopyFrom(events[-1].final)
        response.keep_until_time.CopyFrom(time(keep))
    return exchange(name, response.SerializeToString())


def cancellation(name: str, events: Sequence[ask_pb2.AnswerEvent]) -> Exchange:
    """Returns a call of CancelAnswer that told the Final of a log."""
    return exchange(name, ask_pb2.CancelAnswerResponse(final=events[-1].final).SerializeToString())


def refusal(name: str, reason: str, *, limit: str = "", message: str = "", began: float = 0.0) -> Exchange:
    """Returns a call that was refused as the catalogue says."""
    code = catalogue()[reason].code
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    if limit:
        status.details.add().Pack(LimitExceeded(limit=limit, maximum=1, requested=2))
    return replace(exchange(name, began=began), code=code, message=message, details=status.SerializeToString())


def found(check: str, exchanges: Iterable[Exchange], *spoilt: Exchange, **notes: JsonValue) -> Found:
    """Returns what the judge of a check finds, where `spoilt` take the places of the exchanges of their names."""
    (judge,) = (one.judge for one in all_checks() if one.name == check)
    by_name = {one.name: one for one in (*exchanges, *spoilt)}
    seen = Transcript(check=check, card=card().SerializeToString(), exchanges=list(by_name.values()), notes=dict(notes))
    return [(finding.requirement, finding.message) for finding in judge(seen)]
