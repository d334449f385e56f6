"""The judges of whose answers are, and how long they are kept, are pure, and find each fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from conformance.tests.made_transcripts import (
    CANCELLED,
    RETENTION,
    Found,
    exchange,
    found,
    log,
    refusal,
    silent,
    snapshot,
    stream,
)
from consilience_conformance.transcripts import Exchange
from consilience_conformance.wire_bytes import field_of

EVENTS = log("so far", " and on")
NOTES = {"foreign": "ab" * 16, "unknown": "cd" * 16}
CALLS = ("get", "resume", "cancel")
PRYING = tuple(
    refusal(f"{what}-{call}", "ANSWER_UNKNOWN", message=f"no answer {NOTES[what]}") for what in NOTES for call in CALLS
)
FINISHED = (*PRYING, stream("ask", EVENTS), snapshot("own", EVENTS))
RUNNING = (*PRYING, stream("ask", EVENTS))


@pytest.mark.parametrize(
    ("check", "good"),
    [("a-stranger-learns-nothing-of-an-answer", FINISHED), ("a-stranger-cannot-touch-the-work", RUNNING)],
)
@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (None, ""),
        (exchange("foreign-get", b""), "foreign-get was accepted"),
        (exchange("unknown-cancel", b""), "unknown-cancel was accepted"),
        (refusal("unknown-resume", "SEQUENCE_UNKNOWN"), "unknown-resume was not refused for this reason"),
        (
            refusal("foreign-get", "ANSWER_UNKNOWN", message="it is not yours"),
            "a stranger can tell a foreign answer from one that there is not",
        ),
    ],
)
def test_a_stranger_is_told_the_same_of_all_answers(
    check: str, good: tuple[Exchange, ...], spoilt: Exchange | None, message: str
) -> None:
    messages = found(check, good, *([spoilt] if spoilt else []), **NOTES)
    assert set(messages) >= ({("ASK-OWN-001", message)} if message else set())
    assert bool(messages) == bool(message)


def test_the_id_that_a_stranger_named_tells_nothing_new() -> None:
    """The refusals carry the id, as text and as bytes, each its own."""
    raw = [
        replace(one, details=one.details + field_of(2000, bytes.fromhex(NOTES[one.name.partition("-")[0]])))
        for one in PRYING
    ]
    assert len({one.details for one in raw}) == len(NOTES)
    assert found("a-stranger-learns-nothing-of-an-answer", FINISHED, *raw, **NOTES) == []


def test_an_asker_who_finds_another_answer_than_before_is_heard() -> None:
    other = found("a-stranger-learns-nothing-of-an-answer", FINISHED, refusal("own", "ANSWER_UNKNOWN"), **NOTES)
    assert other == [("ASK-OWN-001", "GetAnswer did not return the answer")]


def test_work_that_a_stranger_stopped_is_found() -> None:
    stopped = stream("ask", log("so far", ending=CANCELLED))
    assert found("a-stranger-cannot-touch-the-work", RUNNING, stopped, **NOTES) == [
        ("ASK-OWN-001", "the answer did not end as it has to"),
        ("ASK-OWN-001", "the text is not that of the script"),
    ]


MINE, THEIRS = log("mine"), log("theirs")
BOTH = (stream("mine", MINE), stream("theirs", THEIRS), snapshot("my-get", MINE), snapshot("their-get", THEIRS))


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (snapshot("my-get", MINE), None),
        (refusal("theirs", "REQUEST_ID_REUSED"), "theirs was not accepted"),
        (snapshot("my-get", THEIRS), "GetAnswer tells another text than the stream"),
        (refusal("their-get", "ANSWER_UNKNOWN"), "GetAnswer did not return the answer"),
    ],
)
def test_callers_with_one_request_id_have_an_answer_each(spoilt: Exchange, expected: str | None) -> None:
    messages = found("callers-share-no-request-ids", BOTH, spoilt)
    assert (("ASK-OWN-001", expected) in messages) if expected else messages == []


KEPT = (stream("ask", EVENTS), snapshot("get", EVENTS), snapshot("later", EVENTS), stream("copy", EVENTS))


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (snapshot("get", EVENTS, keep=RETENTION), []),
        (snapshot("get", EVENTS, keep=2 * RETENTION), []),
        (
            snapshot("get", EVENTS, keep=RETENTION - timedelta(microseconds=1)),
            [("ASK-KEEP-001", "the answer is not kept for as long as the card says")],
        ),
        (refusal("later", "ANSWER_UNKNOWN"), [("ASK-KEEP-001", "GetAnswer did not return the answer")]),
        (silent("copy"), [("ASK-KEEP-001", "the stream did not end with status OK")]),
    ],
)
def test_a_finished_answer_is_kept(spoilt: Exchange, expected: Found) -> None:
    assert found("a-finished-answer-is-kept", KEPT, spoilt) == expected
