"""The judges of what stops the work are pure: each finds work that stops, or goes on, when it must not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conformance.tests.made_transcripts import (
    CANCELLED,
    COMPLETE,
    DEADLINE,
    DISCONNECTED,
    RUN_TIME,
    Ending,
    Found,
    ask,
    cancellation,
    cut,
    found,
    log,
    refusal,
    snapshot,
    stream,
    time,
)
from consilience.v1 import ask_pb2
from consilience_conformance.transcripts import Exchange

WHOLE = log("so far", " and on")
HALF = log("so far", ending=CANCELLED)
ANOTHER_END = "the answer did not end as it has to"
ANOTHER_TEXT = "the text is not that of the script"

LIVE = (stream("ask", WHOLE), cancellation("cancel", WHOLE), snapshot("get", WHOLE))


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("ask", WHOLE), []),
        (cancellation("cancel", HALF), [("ASK-STOP-001", "CancelAnswer tells another Final than the stream")]),
        (refusal("cancel", "ANSWER_UNKNOWN"), [("ASK-STOP-001", "CancelAnswer did not return the Final")]),
        (refusal("get", "ANSWER_UNKNOWN"), [("STRM-CUR-001", "GetAnswer did not return the answer")]),
    ],
)
def test_a_cancellation_tells_the_final_that_stands_in_the_log(spoilt: Exchange, expected: Found) -> None:
    assert found("cancel-returns-the-final", LIVE, spoilt) == expected


def test_a_stream_without_an_end_is_found_after_a_cancellation() -> None:
    assert ("STRM-LOG-003", "the stream ended without a Final") in found(
        "cancel-returns-the-final", LIVE, stream("ask", WHOLE[:-1])
    )


def stopped(name: str, events: list[ask_pb2.AnswerEvent]) -> tuple[Exchange, ...]:
    return (
        stream(f"{name}-ask", events),
        cancellation(f"{name}-cancel", events),
        cancellation(f"{name}-again", events),
        snapshot(f"{name}-get", events),
    )


EARLY = log(ending=CANCELLED)


@pytest.mark.parametrize(
    ("early", "midway", "expected"),
    [
        (EARLY, HALF, []),
        (EARLY, log("so far"), [("ASK-STOP-001", ANOTHER_END)]),
        (EARLY, log("so far", " and on", ending=CANCELLED), [("ASK-STOP-001", ANOTHER_TEXT)]),
        (log("so far", ending=CANCELLED), HALF, [("ASK-STOP-001", ANOTHER_TEXT)]),
    ],
)
def test_a_cancellation_stops_the_work_and_keeps_what_was_said(
    early: list[ask_pb2.AnswerEvent], midway: list[ask_pb2.AnswerEvent], expected: Found
) -> None:
    assert found("cancel-stops-the-work", (*stopped("early", early), *stopped("midway", midway))) == expected


def test_a_second_cancellation_that_changes_the_final_is_found() -> None:
    good = (*stopped("early", EARLY), *stopped("midway", HALF))
    assert found("cancel-stops-the-work", good, cancellation("midway-again", WHOLE)) == [
        ("ASK-STOP-001", "CancelAnswer tells another Final than the stream")
    ]


SECOND = timedelta(seconds=1)
LIMITED = ask(limits=ask_pb2.AskLimits(deadline=time(SECOND)))


def at_deadline(*texts: str, ending: Ending = DEADLINE, after: timedelta = SECOND) -> tuple[Exchange, ...]:
    events = log(*texts, asked=LIMITED, ending=ending, after=after)
    return stream("ask", events, asked=LIMITED), snapshot("get", events)


@pytest.mark.parametrize(
    ("exchanges", "expected"),
    [
        (at_deadline("so far"), []),
        (at_deadline("so far", after=2 * SECOND), []),
        (at_deadline("so far", after=SECOND / 2), [("ASK-STOP-002", "the work was stopped before its deadline")]),
        (at_deadline("so far", ending=CANCELLED), [("ASK-STOP-002", ANOTHER_END)]),
        (at_deadline("so far", " and on"), [("ASK-STOP-002", ANOTHER_TEXT)]),
        ((refusal("ask", "DEADLINE_PASSED"),), [("ASK-STOP-002", "ask was not accepted")]),
    ],
)
def test_the_deadline_stops_the_work_and_not_before(exchanges: tuple[Exchange, ...], expected: Found) -> None:
    assert found("the-deadline-stops-the-work", exchanges) == expected


def at_run_time(*texts: str, ending: Ending = DEADLINE, after: timedelta = RUN_TIME) -> tuple[Exchange, ...]:
    events = log(*texts, ending=ending, after=after)
    return stream("ask", events), snapshot("get", events)


@pytest.mark.parametrize(
    ("exchanges", "expected"),
    [
        (at_run_time("so far"), []),
        (at_run_time("so far", after=2 * RUN_TIME), []),
        (
            at_run_time("so far", after=RUN_TIME / 2),
            [("ASK-STOP-002", "the work was stopped before its time was over")],
        ),
        (at_run_time("so far", ending=CANCELLED), [("ASK-STOP-002", ANOTHER_END)]),
        (at_run_time("so far", " and on"), [("ASK-STOP-002", ANOTHER_TEXT)]),
        ((refusal("ask", "DEADLINE_PASSED"),), [("ASK-STOP-002", "ask was not accepted")]),
    ],
)
def test_the_time_of_the_card_stops_the_work_and_not_before(exchanges: tuple[Exchange, ...], expected: Found) -> None:
    assert found("the-longest-run-time-stops-the-work", exchanges) == expected


def back(*texts: str, ending: Ending = COMPLETE) -> tuple[Exchange, ...]:
    events = log(*texts, ending=ending)
    return cut(stream("ask", events[:2])), stream("back", events)


@pytest.mark.parametrize(
    ("exchanges", "expected"),
    [
        (back("so far", " and on"), []),
        (
            back("so far", ending=DISCONNECTED),
            [("ASK-STOP-003", ANOTHER_END), ("ASK-STOP-003", ANOTHER_TEXT)],
        ),
        (
            (*back("so far"), stream("back", WHOLE[:-1])),
            [("ASK-STOP-003", "the stream ended without a Final"), ("ASK-STOP-003", ANOTHER_END)],
        ),
    ],
)
def test_the_work_goes_on_without_readers(exchanges: tuple[Exchange, ...], expected: Found) -> None:
    assert found("the-loss-of-readers-does-not-stop-the-work", (), *exchanges) == expected


@pytest.mark.parametrize(
    ("exchanges", "went_on", "over", "expected"),
    [
        (back("so far", " and on", ending=DISCONNECTED), "yes", "yes", []),
        ((), "", "yes", [("ASK-STOP-003", "the work stopped though a reader was left")]),
        (
            (),
            "yes",
            "",
            [
                (
                    "ASK-STOP-003",
                    "the work went on though the last reader had gone and the ask says ON_DISCONNECT_CANCEL",
                )
            ],
        ),
        (back("so far", " and on", ending=CANCELLED), "yes", "yes", [("ASK-STOP-003", ANOTHER_END)]),
        (back("so far", ending=DISCONNECTED), "yes", "yes", [("ASK-STOP-003", ANOTHER_TEXT)]),
    ],
)
def test_the_last_reader_stops_the_work_where_the_ask_says_so(
    exchanges: tuple[Exchange, ...], went_on: str, over: str, expected: Found
) -> None:
    notes = {"went-on": bool(went_on), "over": bool(over)}
    assert found("the-last-reader-stops-the-work-where-the-ask-says-so", exchanges, **notes) == expected
