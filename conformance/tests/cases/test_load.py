"""The judges of what runs at one time are pure, and find a limit that is not kept, misnamed or kept for too long."""

from __future__ import annotations

import pytest

from conformance.tests.made_transcripts import Found, accepted_event, ask, cut, exchange, found, log, refusal, stream
from consilience_conformance.transcripts import Exchange

WHOLE = log("over")
BEGUN = cut(stream("copy", [accepted_event(ask())]))
ASKS = {
    "a-caller-has-no-more-asks-than-the-card-says": "max_running_asks_per_caller",
    "a-node-has-no-more-asks-than-the-card-says": "max_running_asks",
}
READERS = "an-answer-has-no-more-readers-than-the-card-says"
NOTES = {"full": 2, "tries": 1}


def full(limit: str) -> tuple[Exchange, ...]:
    """Returns what a good node says that is filled with two asks."""
    return (
        stream("fill-0", WHOLE),
        stream("fill-1", WHOLE, began=0.1),
        refusal("one-more", "LIMIT_EXCEEDED", limit=limit),
        refusal("state", "ANSWER_UNKNOWN"),
        BEGUN,
        refusal("try-0", "LIMIT_EXCEEDED", limit=limit),
        stream("try-1", WHOLE),
    )


@pytest.mark.parametrize(("check", "limit"), ASKS.items())
@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("try-1", WHOLE), []),
        (exchange("one-more", b""), [("ASK-LIM-001", "one-more was accepted")]),
        (
            refusal("one-more", "LIMIT_EXCEEDED", limit="max_turns"),
            [("ASK-LIM-001", "the refusal names another limit")],
        ),
        (refusal("one-more", "STALE_CARD"), [("ASK-LIM-001", "one-more was not refused for this reason")]),
        (exchange("state", b""), [("ASK-IDEM-005", "state was accepted")]),
        (refusal("copy", "LIMIT_EXCEEDED"), [("ASK-IDEM-003", "copy was not accepted")]),
        (
            refusal("try-1", "LIMIT_EXCEEDED"),
            [("ASK-LIM-001", "an ask in the place of one that is over was not accepted")],
        ),
        (stream("fill-1", WHOLE[:-1]), [("STRM-LOG-003", "the stream ended without a Final")]),
    ],
)
def test_the_limits_on_asks_are_kept(check: str, limit: str, spoilt: Exchange, expected: Found) -> None:
    assert found(check, full(limit), spoilt, **NOTES) == expected


@pytest.mark.parametrize("check", [*ASKS, READERS])
def test_a_node_that_takes_less_than_its_limit_is_found(check: str) -> None:
    exchanges = (stream("fill-0", WHOLE), refusal("fill-1", "LIMIT_EXCEEDED", began=0.1))
    what = "a reader" if check == READERS else "an ask"
    assert found(check, exchanges) == [("ASK-LIM-001", f"{what} within the limit was not accepted")]


READING = (
    stream("fill-0", WHOLE),
    cut(stream("fill-1", WHOLE[:1], began=0.1)),
    refusal("one-more", "LIMIT_EXCEEDED", limit="max_readers_per_answer"),
    exchange("get", b""),
    refusal("try-0", "LIMIT_EXCEEDED", limit="max_readers_per_answer"),
    stream("try-1", WHOLE[:1]),
)


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("try-1", WHOLE[:1]), []),
        (stream("one-more", WHOLE), [("ASK-LIM-001", "one-more was accepted")]),
        (
            refusal("one-more", "LIMIT_EXCEEDED", limit="max_running_asks"),
            [("ASK-LIM-001", "the refusal names another limit")],
        ),
        (refusal("get", "LIMIT_EXCEEDED"), [("ASK-LIM-001", "get was not accepted")]),
        (
            refusal("try-1", "LIMIT_EXCEEDED"),
            [("ASK-LIM-001", "a reader in the place of one that is gone was not accepted")],
        ),
        (stream("fill-0", WHOLE[:-1]), [("STRM-LOG-003", "the stream ended without a Final")]),
    ],
)
def test_the_limit_on_readers_is_kept(spoilt: Exchange, expected: Found) -> None:
    assert found(READERS, READING, spoilt, **NOTES) == expected
