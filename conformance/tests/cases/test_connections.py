"""The judges of connections are pure: how others fared while one connection misbehaved decides, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from consilience.v1 import ask_pb2
from consilience_conformance.cases import connections
from consilience_conformance.checks import Check
from consilience_conformance.transcripts import Ended, Exchange, Response, Transcript

CHECKS = {check.name: check for check in connections.CHECKS}
LYING = CHECKS["streams-left-lying-hold-up-nobody"]
NONSENSE = CHECKS["what-is-no-grpc-holds-up-nobody"]
CLOSED = CHECKS["closed-window-holds-up-nobody"]
VANISHED = CHECKS["vanished-connection-does-not-stop-the-work"]
OTHERS = {
    LYING.name: ("while-streams-are-half-open", "after-resets"),
    NONSENSE.name: ("while-nonsense-is-sent", "while-nonsense-stands", "after-bytes-that-are-no-frames"),
    CLOSED.name: ("while-a-reader-is-slow",),
}


def exchange(name: str, *messages: bytes, ended: Ended = Ended.STATUS, code: str = "OK") -> Exchange:
    responses = tuple(Response(at=0.1, data=message) for message in messages)
    return Exchange(name=name, method="", request=b"", began=0, ended_at=1, ended=ended, code=code, responses=responses)


def silent(name: str) -> Exchange:
    return exchange(name, ended=Ended.SILENCE, code="")


def log(*, outcome: ask_pb2.Outcome.ValueType = ask_pb2.OUTCOME_ANSWERED) -> bytes:
    final = ask_pb2.Final()
    final.answer.payload = ask_pb2.Answer(outcome=outcome, final_sequence=2).SerializeToString()
    events = [
        ask_pb2.AnswerEvent(sequence=1, accepted=ask_pb2.Accepted()),
        ask_pb2.AnswerEvent(sequence=2, final=final),
    ]
    return ask_pb2.AskResponse(events=events).SerializeToString()


def of_others(check: Check) -> list[Exchange]:
    return [exchange(f"{what}-{when}", b"x") for when in OTHERS[check.name] for what in ("card", "ask")]


def found(check: Check, exchanges: Iterable[Exchange], **notes: str) -> list[tuple[str, str]]:
    seen = Transcript(check=check.name, exchanges=list(exchanges), notes=dict(notes))
    return [(finding.requirement, finding.message) for finding in check.judge(seen)]


@pytest.mark.parametrize("check", [LYING, NONSENSE])
def test_a_node_that_serves_others_meanwhile_is_found_nothing_of(check: Check) -> None:
    assert found(check, of_others(check)) == []


@pytest.mark.parametrize("check", [LYING, NONSENSE])
@pytest.mark.parametrize("index", range(4))
def test_each_call_of_another_that_is_not_served_is_found(check: Check, index: int) -> None:
    exchanges = of_others(check)
    exchanges[index] = silent(exchanges[index].name)
    assert found(check, exchanges) == [("SEC-CONN-001", f"others are not served: {exchanges[index].name}")]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_a_node_that_takes_no_connection_is_found(check: Check) -> None:
    assert found(check, [], unreachable="refused") == [("SEC-CONN-001", "the node takes no connection")]


def test_a_reader_who_gets_the_whole_log_beside_a_slow_one_is_found_nothing_of() -> None:
    assert found(CLOSED, [*of_others(CLOSED), exchange("other-reader", log())]) == []


def test_a_card_that_allows_one_reader_alone_is_judged_by_the_others() -> None:
    assert found(CLOSED, of_others(CLOSED)) == []


def test_a_reader_who_waits_for_a_slow_one_is_found() -> None:
    held_up = found(CLOSED, [*of_others(CLOSED), silent("other-reader")])
    assert held_up == [("STRM-CUR-004", "a slow reader holds up another one of the same answer")]


def test_an_answer_that_goes_on_without_its_reader_is_found_nothing_of() -> None:
    assert found(VANISHED, [exchange("resumed", log()), exchange("end", b"x")]) == []


def test_work_that_stops_with_its_reader_is_found() -> None:
    stopped = exchange("resumed", log(outcome=ask_pb2.OUTCOME_CANCELLED))
    assert found(VANISHED, [stopped, exchange("end", b"x")]) == [
        ("ASK-STOP-003", "the work did not go on without its reader")
    ]


def test_an_answer_that_is_gone_with_its_reader_is_found() -> None:
    gone = [exchange("resumed", log()), exchange("end", code="NOT_FOUND")]
    assert found(VANISHED, gone) == [("ASK-STOP-003", "the answer is not kept after the loss of its reader")]
