"""Rules of logs (spec section 2.4): a stream is read by the algorithm, and what breaks it is a finding."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2
from consilience_conformance.transcripts import Ended, Exchange
from consilience_conformance.verdicts import Finding

MAX_MESSAGE_BYTES = 4 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Log:
    """What a stream brought.

    Attributes:
        events: In the order in which they came.
        text: All deltas, joined.
        citations: In order.
        final: The Final, or None: the stream ended or was cut before.
        last: The sequence up to which the log was read.
        gaps: Whether events were lost for ever.
        findings: What breaks the rules.
    """

    events: list[ask_pb2.AnswerEvent] = field(default_factory=list)
    text: str = ""
    citations: list[ask_pb2.Citation] = field(default_factory=list)
    final: ask_pb2.Final | None = None
    last: int = 0
    gaps: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def transcript_digest(self) -> bytes:
        """SHA-256 of the text, 32 bytes."""
        return hashlib.sha256(self.text.encode()).digest()

    @property
    def answer(self) -> ask_pb2.Answer | None:
        """The answer in the Final, unverified, or None."""
        if self.final is None:
            return None
        try:
            return ask_pb2.Answer.FromString(self.final.answer.payload)
        except DecodeError:
            return None

    def kinds(self) -> list[str]:
        """Returns what the events are, merged deltas as one: `accepted`, `text_delta`, `final`."""
        return [event.WhichOneof("event") or "unknown" for event in self.events]


def read_log(exchange: Exchange, *, after: int = 0) -> Log:
    """Reads the messages of a stream of a log.

    Args:
        exchange: Of Ask or ResumeAnswer.
        after: The sequence from behind which it was to come.
    """
    log = Log(last=after)

    for response in exchange.responses:
        if len(response.data) > MAX_MESSAGE_BYTES:
            _break(log, exchange, "STRM-SIZE-001", "a response is too large", got=f"{len(response.data)} bytes")
        try:
            message = ask_pb2.AskResponse.FromString(response.data)
        except DecodeError as error:
            # A parser refuses broken text in a string field, and so do the eyes of every reader.
            broken_text = _without_text_errors(response.data) != response.data.hex()
            requirement = "STRM-TXT-001" if broken_text else "ERR-FLD-001"
            _break(log, exchange, requirement, "a response does not parse", got=str(error))
            continue
        if not message.events:
            _break(log, exchange, "ERR-FLD-001", "a response carries no event")
        for event in message.events:
            _check_place(log, exchange, event)
            _take(log, event)
    if exchange.ended is Ended.OVERSIZE:
        _break(log, exchange, "STRM-SIZE-001", "a response is too large", got="more than was read")
    return log


def _without_text_errors(data: bytes) -> str:
    return data.decode(errors="ignore").encode().hex()


def _break(log: Log, exchange: Exchange, requirement: str, message: str, *, expected: str = "", got: str = "") -> None:
    log.findings.append(
        Finding(requirement=requirement, message=message, expected=expected, got=got, exchange=exchange.name)
    )


def _check_place(log: Log, exchange: Exchange, event: ask_pb2.AnswerEvent) -> None:
    """Checks where in the log an event stands: steps 1 to 3 of the algorithm."""
    kind, first = event.WhichOneof("event"), first_sequence(event)
    got = f"{kind} {event.sequence}"
    if log.final is not None:
        message = "a second Final" if kind == "final" else "an event comes after the Final"
        _break(log, exchange, "STRM-LOG-003", message, got=got)
    if first != log.last + 1:
        message = "the log has a hole or goes back"
        _break(log, exchange, "STRM-LOG-001", message, expected=f"event {log.last + 1}", got=f"event {first}")
    elif event.sequence < first:
        _break(log, exchange, "STRM-CUR-002", "an event ends before it begins", expected=f"from {first} on", got=got)
    if (kind == "accepted") != (event.sequence == 1):
        message = "Accepted is event 1, and event 1 is Accepted"
        _break(log, exchange, "STRM-LOG-002", message, expected="accepted 1", got=got)


def first_sequence(event: ask_pb2.AnswerEvent) -> int:
    """Returns the sequence of the first event of the log for which this one stands."""
    match event.WhichOneof("event"):
        case "text_delta":
            return event.text_delta.first_sequence
        case "gap":
            return event.gap.first_sequence
        case _:
            return event.sequence


def _take(log: Log, event: ask_pb2.AnswerEvent) -> None:
    """Takes what an event brings: steps 4 and 5."""
    log.events.append(event)
    match event.WhichOneof("event"):
        case "text_delta":
            log.text += event.text_delta.text
        case "citation":
            log.citations.append(event.citation)
        case "gap":
            log.gaps = True
        case "final":
            log.final = event.final
    log.last = event.sequence


def complete(exchange: Exchange, *, requirement: str = "STRM-LOG-003") -> Iterator[Finding]:
    """Yields what is wrong with a stream that has to go to the end of the log: the rules, and one Final."""
    log = read_log(exchange)
    yield from log.findings
    if exchange.ended is not Ended.STATUS or exchange.code != "OK":
        got = exchange.code or exchange.ended.value
        yield Finding(
            requirement=requirement,
            message="the stream did not end with status OK",
            expected="OK",
            got=f"{got} {exchange.message}".rstrip(),
            exchange=exchange.name,
        )
    elif log.final is None:
        yield Finding(
            requirement=requirement, message="the stream ended without a Final", got=_shape(log), exchange=exchange.name
        )


def _shape(log: Log) -> str:
    return ", ".join(log.kinds()) or "no event"


def same_log(logs: Iterable[tuple[str, Log]], *, requirement: str = "STRM-CUR-001") -> Iterator[Finding]:
    """Yields how readers of one log, by their names, got other events than the first of them.

    Deltas may be merged otherwise, so what is compared is the text, and all other events to the byte.
    """
    (_, first), *others = logs
    for name, log in others:
        for what, one, other in (
            ("text", first.text, log.text),
            ("events", _others(first), _others(log)),
            ("last sequence", first.last, log.last),
        ):
            if one != other:
                yield Finding(
                    requirement=requirement,
                    message=f"two readers of one log read another {what}",
                    expected=str(one),
                    got=str(other),
                    exchange=name,
                )


def _others(log: Log) -> list[str]:
    return [
        event.SerializeToString(deterministic=True).hex()
        for event in log.events
        if event.WhichOneof("event") not in {"text_delta", None}
    ]
