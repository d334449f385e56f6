"""Logs: an answer that comes from a log which breaks the rules of spec section 2.4 is not given out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from consilience.v1 import ask_pb2
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.nodes import Draft, Events, Manner, delta, one_by_one
from consilience_conformance.client_side.twins import accepted_answer, rejected_answer

_ENDLESS_SECONDS = 1.0
_PIECE = "and so on, "

_UNKNOWN_KIND = b"\xfa\x07\x02\x08\x01"
"""Field 127 of an event, which version 1 does not have."""


def _moved(events: Events, *, start: int, by: int) -> Events:
    """Numbers the events from an index on otherwise."""
    for event in events[start:]:
        event.sequence += by
        if event.HasField("text_delta"):
            event.text_delta.first_sequence += by
    return events


def _with_a_hole(draft: Draft) -> None:
    _moved(draft.events, start=2, by=1)
    draft.answer.final_sequence += 1


def _with_a_repetition(draft: Draft) -> None:
    _moved(draft.events, start=2, by=-1)
    draft.answer.final_sequence -= 1


def _without_accepted(draft: Draft) -> None:
    del draft.events[0]
    _moved(draft.events, start=0, by=-1)
    draft.answer.final_sequence -= 1


def _accepted_twice(draft: Draft) -> None:
    again = ask_pb2.AnswerEvent()
    again.CopyFrom(draft.events[0])
    draft.events.insert(1, again)
    _moved(draft.events, start=1, by=1)
    draft.answer.final_sequence += 1


def _backwards(draft: Draft) -> None:
    """Lets a delta begin where it has to, and end before."""
    draft.events[2].text_delta.first_sequence = 3
    draft.events[2].sequence = 2


def _of_an_unknown_kind(draft: Draft) -> None:
    draft.events.insert(1, ask_pb2.AnswerEvent.FromString(b"\x08\x01" + _UNKNOWN_KIND))
    _moved(draft.events, start=1, by=1)
    draft.answer.final_sequence += 1


def _final_twice(events: Events) -> Events:
    again = ask_pb2.AnswerEvent()
    again.CopyFrom(events[-1])
    again.sequence += 1
    return [*events, again]


def _text_after_final(events: Events) -> Events:
    return [*events, delta(events[-1].sequence + 1, " Or thirteen?")]


async def _all_at_once(events: Events) -> AsyncIterator[bytes]:
    yield ask_pb2.AskResponse(events=events).SerializeToString()


async def _without_final(events: Events) -> AsyncIterator[bytes]:
    async for data in one_by_one(events[:-1]):
        yield data


async def _nothing_more(_: Events, __: int) -> AsyncIterator[bytes]:
    async for data in one_by_one([]):
        yield data


async def _for_ever(events: Events) -> AsyncIterator[bytes]:
    async for data in one_by_one(events[:1]):
        yield data
    sequence = 1
    while True:
        sequence += 1
        yield ask_pb2.AskResponse(events=[delta(sequence, _PIECE)]).SerializeToString()
        await asyncio.sleep(0)


def _rejected(name: str, *, what: str, manner: Manner) -> ClientCheck:
    title = f"{what[:1].upper()}{what[1:]} is not given out."
    return rejected_answer(name, title=title, requirement="ASK-ANS-007", what=what, manner=manner)


CHECKS = (
    _rejected("log-with-a-hole", what="an answer whose log skips a sequence", manner=Manner(draft=_with_a_hole)),
    _rejected(
        "log-with-a-repetition", what="an answer whose log repeats a sequence", manner=Manner(draft=_with_a_repetition)
    ),
    _rejected(
        "log-that-goes-backwards",
        what="an answer with an event that ends before it begins",
        manner=Manner(draft=_backwards),
    ),
    _rejected(
        "log-without-accepted",
        what="an answer whose log does not begin with Accepted",
        manner=Manner(draft=_without_accepted),
    ),
    _rejected(
        "log-with-two-accepted", what="an answer whose log says Accepted twice", manner=Manner(draft=_accepted_twice)
    ),
    _rejected("log-with-two-finals", what="an answer with two Finals", manner=Manner(log=_final_twice)),
    _rejected(
        "log-with-two-finals-at-once",
        what="an answer with two Finals in one message",
        manner=Manner(log=_final_twice, send=_all_at_once),
    ),
    _rejected(
        "log-with-text-after-final", what="an answer with text after Final", manner=Manner(log=_text_after_final)
    ),
    _rejected(
        "log-without-final",
        what="an answer whose stream ends before Final, as often as it is resumed,",
        manner=Manner(send=_without_final, resume=_nothing_more),
    ),
    rejected_answer(
        "log-without-end",
        title="An answer without end is given up when its user waits no longer, and not given out.",
        requirement="ASK-ANS-007",
        what="an answer that never ended",
        manner=Manner(send=_for_ever),
        seconds=_ENDLESS_SECONDS,
    ),
    accepted_answer(
        "event-of-an-unknown-kind",
        title="An event of an unknown kind is passed over, and its sequence counts.",
        requirement="VER-EVT-001",
        manner=Manner(draft=_of_an_unknown_kind),
    ),
)
