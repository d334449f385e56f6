"""The judges of what runs at one time are pure, and find a limit that is not kept, misnamed or kept for too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.tests.judged_nodes import talking_node, write_grant
from conformance.tests.made_transcripts import Found, accepted_event, ask, cut, exchange, found, log, refusal, stream
from consilience.identity import KeyPair
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.planning import Order, prepare
from consilience_conformance.runner import Runner
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Verdict

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


@pytest.mark.parametrize("check", [*ASKS, READERS])
async def test_a_limit_that_the_card_does_not_set_cannot_be_tested(check: str, tmp_path: Path) -> None:
    key = KeyPair.generate()
    with serving_in_thread(talking_node(key=key, conformance=True)) as running:
        tester_key, grant = write_grant(tmp_path, key=key)
        plan = await prepare(Order(address=running.address, tester_key=tester_key, grant=grant, only=(check,)))
        plan.target.card.ClearField("limits")
        assert plan.scripted is not None
        plan.scripted.skill.ClearField("limits")
        results = {result.check: result for result in await Runner(plan).run()}
    assert results[check].verdict is Verdict.UNTESTABLE
    assert results[check].because.startswith("the card does not set max_")


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
