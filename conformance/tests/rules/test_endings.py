"""The rules of endings find each way in which an answer, or what is told of it, ends otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from conformance.tests.made_transcripts import (
    CANCELLED,
    cancellation,
    delta,
    exchange,
    log,
    refusal,
    snapshot,
    stream,
)
from consilience.v1 import ask_pb2
from consilience_conformance.rules import endings
from consilience_conformance.rules.logs import Log, read_log
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding

EVENTS = log("One. ", "Two. ")
OTHER = log("One. ", "Two. ", ending=CANCELLED)


def told(findings: Iterable[Finding]) -> list[str]:
    return [finding.message for finding in findings]


def read(events: Iterable[ask_pb2.AnswerEvent] = EVENTS) -> Log:
    return read_log(stream("ask", events))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (read().answer, "ANSWERED COMPLETE"),
        (read(OTHER).answer, "CANCELLED CANCELLED"),
        (ask_pb2.Answer(outcome=99, stop_reason=98), "99 98"),  # type: ignore[arg-type]
        (None, "no Final"),
    ],
)
def test_an_ending_is_named(answer: ask_pb2.Answer | None, words: str) -> None:
    assert endings.ending_of(answer) == words


def test_an_answer_that_ended_in_one_of_the_ways_is_found_nothing_of() -> None:
    ways = ("FAILED INTERRUPTED", "ANSWERED COMPLETE")
    assert told(endings.ended_as(read(), *ways, requirement="ASK-STOP-001", name="ask")) == []


@pytest.mark.parametrize("events", [OTHER, EVENTS[:-1]])
def test_an_answer_that_ended_otherwise_or_not_at_all_is_found(events: list[ask_pb2.AnswerEvent]) -> None:
    (finding,) = endings.ended_as(read(events), "ANSWERED COMPLETE", requirement="ASK-STOP-001", name="ask")
    assert (finding.requirement, finding.message) == ("ASK-STOP-001", "the answer did not end as it has to")
    assert finding.expected == "ANSWERED COMPLETE"


@pytest.mark.parametrize(
    ("cancel", "expected"),
    [
        (cancellation("cancel", EVENTS), []),
        (cancellation("cancel", OTHER), ["CancelAnswer tells another Final than the stream"]),
        (refusal("cancel", "ANSWER_UNKNOWN"), ["CancelAnswer did not return the Final"]),
        (exchange("cancel", b"\xff"), ["CancelAnswer did not return the Final"]),
    ],
)
def test_a_cancellation_tells_the_final_of_the_log(cancel: Exchange, expected: list[str]) -> None:
    assert told(endings.cancel_tells(cancel, read())) == expected


LATER = "GetAnswer tells another {} than the stream".format


@pytest.mark.parametrize(
    ("get", "expected"),
    [
        (snapshot("get", EVENTS), []),
        (refusal("get", "ANSWER_UNKNOWN"), ["GetAnswer did not return the answer"]),
        (exchange("get", b"\xff"), ["GetAnswer did not return the answer"]),
        (snapshot("get", log("One. ", "2wo. ")), [LATER("text"), LATER("Final")]),
        (snapshot("get", OTHER), [LATER("Final")]),
        (snapshot("get", log("One. Two. ")), [LATER("last_sequence"), LATER("Final")]),
        (
            snapshot("get", EVENTS[:-1]),
            [LATER("last_sequence"), LATER("keep_until_time while it runs"), LATER("Final")],
        ),
    ],
)
def test_a_snapshot_tells_what_stands_in_the_log(get: Exchange, expected: list[str]) -> None:
    assert told(endings.snapshot_tells(get, read())) == expected


def test_a_snapshot_of_work_that_goes_on_tells_what_stands_in_the_log_by_then() -> None:
    assert told(endings.snapshot_tells(snapshot("get", EVENTS[:-1]), read(EVENTS[:-1]))) == []


@pytest.mark.parametrize(("text", "expected"), [("One. Two. ", []), ("One.", ["the text is not that of the script"])])
def test_the_text_is_that_of_the_script(text: str, expected: list[str]) -> None:
    assert told(endings.text_is(read(), text, requirement="SEC-SCRIPT-001", name="ask")) == expected


BEHIND = "from behind a sequence comes another {} than the log has there".format
MERGED = [EVENTS[0], delta(2, "One. Two. ", last=3), EVENTS[-1]]


@pytest.mark.parametrize(
    ("after", "tail", "expected"),
    [
        (0, EVENTS, []),
        (0, MERGED, []),
        (1, MERGED[1:], []),
        (2, EVENTS[2:], []),
        (4, [], []),
        (2, [delta(3, "2wo. "), EVENTS[-1]], [BEHIND("text")]),
        (2, [EVENTS[2], OTHER[-1]], [BEHIND("events")]),
        (2, [EVENTS[2]], [BEHIND("events"), BEHIND("end")]),
        (2, EVENTS[1:], ["the log has a hole or goes back", BEHIND("text")]),
    ],
)
def test_what_comes_from_behind_a_sequence_is_what_the_log_has_there(
    after: int, tail: list[ask_pb2.AnswerEvent], expected: list[str]
) -> None:
    assert told(endings.tail_is(stream("tail", tail), read(), after=after)) == expected


def test_within_a_merged_delta_the_end_of_its_text_is_believed() -> None:
    assert told(endings.tail_is(stream("tail", EVENTS[2:]), read(MERGED), after=2)) == []
    wrong = [delta(3, "TWO. "), EVENTS[-1]]
    assert told(endings.tail_is(stream("tail", wrong), read(MERGED), after=2)) == [BEHIND("text")]


def test_a_tail_that_was_refused_is_found() -> None:
    messages = told(endings.tail_is(refusal("tail", "SEQUENCE_UNKNOWN"), read(), after=2))
    assert messages == [BEHIND("status"), BEHIND("text"), BEHIND("events"), BEHIND("end")]
