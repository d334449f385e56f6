"""Rules of endings (spec sections 2.3, 2.5 and 2.6): how an answer ended, and that everyone is told the same end."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2
from consilience_conformance.rules.logs import Log, read_log
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding

_OUTCOME, _STOP_REASON = "OUTCOME_", "STOP_REASON_"


def ending_of(answer: ask_pb2.Answer | None) -> str:
    """Returns how an answer ended: `CANCELLED DEADLINE`; `no Final` where there is none."""
    if answer is None:
        return "no Final"
    outcome = ask_pb2.Outcome.DESCRIPTOR.values_by_number.get(answer.outcome)
    stop = ask_pb2.StopReason.DESCRIPTOR.values_by_number.get(answer.stop_reason)
    return " ".join(
        (
            outcome.name.removeprefix(_OUTCOME) if outcome else str(answer.outcome),
            stop.name.removeprefix(_STOP_REASON) if stop else str(answer.stop_reason),
        )
    )


def ended_as(log: Log, *endings: str, requirement: str, name: str) -> Iterator[Finding]:
    """Yields a finding where an answer did not end in one of these ways."""
    got = ending_of(log.answer)
    if got not in endings:
        message = "the answer did not end as it has to"
        yield Finding(requirement=requirement, message=message, expected=" or ".join(endings), got=got, exchange=name)


def snapshot_of(exchange: Exchange) -> ask_pb2.GetAnswerResponse | None:
    """Returns what GetAnswer brought, or None: it was refused, or what came does not parse."""
    try:
        return ask_pb2.GetAnswerResponse.FromString(exchange.responses[0].data)
    except (IndexError, DecodeError):
        return None


def cancelled_of(exchange: Exchange) -> ask_pb2.Final | None:
    """Returns the Final that CancelAnswer brought, or None: it was refused, or what came does not parse."""
    try:
        return ask_pb2.CancelAnswerResponse.FromString(exchange.responses[0].data).final
    except (IndexError, DecodeError):
        return None


def cancel_tells(exchange: Exchange, log: Log, *, requirement: str = "ASK-STOP-001") -> Iterator[Finding]:
    """Yields what is wrong with a CancelAnswer, which returns the Final that stands in the log."""
    final = cancelled_of(exchange)
    if final is None:
        message = "CancelAnswer did not return the Final"
        yield Finding(
            requirement=requirement,
            message=message,
            expected="a Final",
            got=outcome_of(exchange),
            exchange=exchange.name,
        )
    elif final != log.final:
        yield _another_final(final, log, requirement=requirement, what="CancelAnswer", name=exchange.name)


def snapshot_tells(exchange: Exchange, log: Log, *, requirement: str = "STRM-CUR-001") -> Iterator[Finding]:
    """Yields how what GetAnswer returned differs from a log that was read as far as it had come then."""
    snapshot = snapshot_of(exchange)
    if snapshot is None:
        yield Finding(
            requirement=requirement,
            message="GetAnswer did not return the answer",
            expected="accepted",
            got=outcome_of(exchange),
            exchange=exchange.name,
        )
        return
    for what, expected, got in (
        ("text", log.text, snapshot.text),
        ("last_sequence", log.last, snapshot.last_sequence),
        ("keep_until_time while it runs", log.final is not None, snapshot.HasField("keep_until_time")),
    ):
        if expected != got:
            yield Finding(
                requirement=requirement,
                message=f"GetAnswer tells another {what} than the stream",
                expected=str(expected),
                got=str(got),
                exchange=exchange.name,
            )
    final = snapshot.final if snapshot.HasField("final") else None
    if final != log.final:
        yield _another_final(final, log, requirement=requirement, what="GetAnswer", name=exchange.name)


def _another_final(final: ask_pb2.Final | None, log: Log, *, requirement: str, what: str, name: str) -> Finding:
    return Finding(
        requirement=requirement,
        message=f"{what} tells another Final than the stream",
        expected=log.final.SerializeToString(deterministic=True).hex() if log.final else "none",
        got=final.SerializeToString(deterministic=True).hex() if final else "none",
        exchange=name,
    )


def text_is(log: Log, text: str, *, requirement: str, name: str) -> Iterator[Finding]:
    """Yields a finding where a log holds another text than its script."""
    if log.text != text:
        message = "the text is not that of the script"
        yield Finding(requirement=requirement, message=message, expected=repr(text), got=repr(log.text), exchange=name)


def tail_is(exchange: Exchange, log: Log, *, after: int) -> Iterator[Finding]:
    """Yields what is wrong with a stream from behind a sequence, given the whole log as another reader read it."""
    tail = read_log(exchange, after=after)
    yield from tail.findings
    skipped = sum(len(event.text_delta.text) for event in log.events if event.sequence <= after)
    rest = [event for event in log.events if event.sequence > after and event.WhichOneof("event") != "text_delta"]
    got = [event for event in tail.events if event.WhichOneof("event") != "text_delta"]
    for what, expected, found in (
        ("status", "OK", exchange.code or exchange.ended.value),
        ("text", log.text[skipped:] if _is_end_of_event(log, after) else _suffix(log.text, tail.text), tail.text),
        ("events", rest, got),
        ("end", log.last, tail.last),
    ):
        if expected != found:
            yield Finding(
                requirement="STRM-CUR-001",
                message=f"from behind a sequence comes another {what} than the log has there",
                expected=str(expected),
                got=str(found),
                exchange=exchange.name,
            )


def _is_end_of_event(log: Log, after: int) -> bool:
    return after == 0 or any(event.sequence == after for event in log.events)


def _suffix(text: str, tail: str) -> str:
    """Returns the end of a text that is as long as a tail: within a merged delta no reader knows more than that."""
    return text[len(text) - len(tail) :] if tail else ""
