"""The judges of streams are pure: readers of one log are compared, and each way to read another one is found."""

from __future__ import annotations

import pytest

from conformance.tests.made_transcripts import (
    COMPLETE,
    Found,
    accepted_event,
    ask,
    delta,
    exchange,
    final,
    found,
    log,
    refusal,
    silent,
    snapshot,
    stream,
)
from consilience.v1 import ask_pb2
from consilience_conformance.cases.streams import WORDS
from consilience_conformance.steps import cites
from consilience_conformance.transcripts import Exchange, JsonValue

EVENTS = log("One. ", "Two. ")
READERS = (
    stream("first", EVENTS),
    stream("copy", EVENTS),
    snapshot("get", EVENTS),
    stream("tail-0", EVENTS),
    stream("tail-3", EVENTS[3:]),
)


def test_readers_of_one_log_are_found_nothing_of() -> None:
    assert found("every-reader-reads-one-log", READERS) == []


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("first", EVENTS[:-1]), ("STRM-LOG-003", "the stream ended without a Final")),
        (stream("copy", log("Two. ", "One. ")), ("STRM-CUR-001", "two readers of one log read another text")),
        (snapshot("get", log("One. ")), ("STRM-CUR-001", "GetAnswer tells another text than the stream")),
        (silent("tail-3"), ("STRM-CUR-001", "from behind a sequence comes another status than the log has there")),
    ],
)
def test_a_reader_of_another_log_is_found(spoilt: Exchange, expected: tuple[str, str]) -> None:
    assert expected in found("every-reader-reads-one-log", READERS, spoilt)


def paced_log() -> list[ask_pb2.AnswerEvent]:
    """Returns the log of the paced answer, as whoever reads it at once gets it."""
    events = [accepted_event(ask())]
    for word in (word for word in WORDS for _ in range(2)):
        events.append(delta(len(events) + 1, word))
    citation = cites("one").citation
    events.append(ask_pb2.AnswerEvent(sequence=len(events) + 1, citation=citation))
    for text in ("Five. ", "Six."):
        events.append(delta(len(events) + 1, text))
    signed = final(ask(), events, ending=COMPLETE, citations=[citation])
    return [*events, signed]


FINE = paced_log()


def merged(first: int, last: int, *, text: str = "") -> list[ask_pb2.AnswerEvent]:
    """Returns the paced log with the events of these sequences merged into one delta."""
    whole = "".join(event.text_delta.text for event in FINE[first - 1 : last])
    return [*FINE[: first - 1], delta(first, text or whole, last=last), *FINE[last:]]


def found_of_slow(events: list[ask_pb2.AnswerEvent]) -> Found:
    readers = (stream("first", FINE), stream("copy", FINE), snapshot("get", FINE), stream("tail-0", FINE))
    return found("readers-at-different-speeds-read-one-log", readers, stream("copy", events))


def test_deltas_that_stood_side_by_side_may_be_merged() -> None:
    assert found_of_slow(FINE) == []
    assert found_of_slow(merged(2, 9)) == []


def test_a_delta_merged_of_other_text_than_its_neighbours_is_found() -> None:
    """The text of the whole is the same, but its borders are not those of the events."""
    moved = merged(2, 3, text="One. One")
    moved[2] = delta(4, ". Two. ")
    assert found_of_slow(moved) == [("STRM-CUR-002", "a merged delta is not made of whole neighbours")] * 2


def test_a_delta_merged_across_an_event_of_another_kind_is_found() -> None:
    assert ("STRM-CUR-002", "a merged delta is not made of whole neighbours") in found_of_slow(merged(9, 11))


def test_another_text_than_that_of_the_script_is_found() -> None:
    other = log("One. ")
    readers = (stream("first", other), stream("copy", other), snapshot("get", other))
    assert found("readers-at-different-speeds-read-one-log", readers) == [
        ("SEC-SCRIPT-001", "the text is not that of the script")
    ]


BEYOND = (
    exchange("before"),
    refusal("one-too-far", "SEQUENCE_UNKNOWN"),
    refusal("far", "SEQUENCE_UNKNOWN"),
    exchange("after"),
)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (None, ""),
        (refusal("before", "SEQUENCE_UNKNOWN"), "before was not accepted"),
        (exchange("one-too-far"), "one-too-far was accepted"),
        (refusal("far", "ANSWER_UNKNOWN"), "far was not refused for this reason"),
        (silent("after"), "after was not accepted"),
    ],
)
def test_what_is_behind_a_log_is_refused(spoilt: Exchange | None, message: str) -> None:
    expected = [("STRM-CUR-003", message)] if message else []
    assert found("resume-from-behind-the-log-is-refused", BEYOND, *([spoilt] if spoilt else [])) == expected


TO_COME = (refusal("beyond", "SEQUENCE_UNKNOWN"), stream("ask", EVENTS), exchange("then"))


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("ask", EVENTS), []),
        (exchange("beyond", b""), [("STRM-CUR-003", "beyond was accepted")]),
        (stream("ask", EVENTS[:-1]), [("STRM-LOG-003", "the stream ended without a Final")]),
        (refusal("then", "SEQUENCE_UNKNOWN"), [("STRM-CUR-003", "then was not accepted")]),
    ],
)
def test_what_is_yet_to_come_is_refused_until_it_is_there(spoilt: Exchange, expected: Found) -> None:
    assert found("resume-from-what-is-yet-to-come-is-refused", TO_COME, spoilt) == expected


AT_ONCE = log("in the middle", ", at the end")
LIVE = (stream("ask", AT_ONCE), snapshot("get", AT_ONCE[:2]))


def test_a_stream_that_brings_all_at_once_is_found_nothing_of() -> None:
    notes: dict[str, JsonValue] = {"accepted": True, "first": ["accepted"], "middle": True, "read": 2}
    assert found("a-stream-brings-what-there-is-at-once", LIVE, **notes) == []


@pytest.mark.parametrize(
    ("accepted", "first", "middle", "expected"),
    [
        (False, [], False, ("STRM-LOG-002", "Accepted did not come before the work began")),
        (True, ["accepted", "text_delta"], True, ("STRM-LOG-002", "Accepted did not come before the work began")),
        (
            True,
            ["accepted"],
            False,
            ("STRM-CUR-001", "the stream did not bring what stood in the log while the work went on"),
        ),
    ],
)
def test_a_stream_that_holds_back_is_found(
    accepted: object, first: list[str], middle: object, expected: tuple[str, str]
) -> None:
    notes: dict[str, JsonValue] = {"accepted": bool(accepted), "first": [*first], "middle": bool(middle), "read": 2}
    assert found("a-stream-brings-what-there-is-at-once", LIVE, **notes) == [expected]


def test_a_snapshot_that_runs_ahead_of_the_stream_is_found() -> None:
    notes: dict[str, JsonValue] = {"accepted": True, "first": ["accepted"], "middle": True, "read": 2}
    ahead = snapshot("get", AT_ONCE[:3])
    assert ("STRM-CUR-001", "GetAnswer tells another text than the stream") in found(
        "a-stream-brings-what-there-is-at-once", LIVE, ahead, **notes
    )


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("slow", EVENTS), []),
        (silent("quick"), [("STRM-CUR-004", "the stream did not end with status OK")]),
        (stream("slow", EVENTS[:-1]), [("STRM-CUR-004", "the stream ended without a Final")]),
    ],
)
def test_readers_beside_a_slow_one_reach_the_end(spoilt: Exchange, expected: Found) -> None:
    readers = (stream("quick", EVENTS), stream("slow", EVENTS))
    assert found("a-slow-reader-holds-nobody-up", readers, spoilt)[: len(expected)] == expected
    assert bool(expected) == bool(found("a-slow-reader-holds-nobody-up", readers, spoilt))
