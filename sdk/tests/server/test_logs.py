import asyncio
import random

import pytest

from consilience._wire.events import decode_events, encode_event
from consilience.asks import AnswerEvent, Progress, TextDelta, Transcript
from consilience.server.logs import MAX_MERGED_CHARACTERS, MAX_PACKED_BYTES, AnswerLog, next_message
from consilience.server.store.contract import LogEntry
from consilience.units import Sequence


def delta(sequence: int, text: str, *, tokens: int = 0) -> LogEntry:
    number = Sequence(sequence)
    event = AnswerEvent(sequence=number, event=TextDelta(first_sequence=number, text=text, output_tokens=tokens))
    return LogEntry(sequence=number, data=encode_event(event), text=text, output_tokens=tokens)


def progress(sequence: int) -> LogEntry:
    number = Sequence(sequence)
    return LogEntry(sequence=number, data=encode_event(AnswerEvent(sequence=number, event=Progress(message="working"))))


def read(entries: list[LogEntry], *, index: int = 0) -> list[bytes]:
    messages = []
    while index < len(entries):
        message, index = next_message(entries, index=index)
        messages.append(message)
    return messages


def test_deltas_that_follow_one_another_become_one_event() -> None:
    (message,) = read([delta(1, "a"), delta(2, "b"), progress(3), delta(4, "c"), delta(5, "d"), delta(6, "e")])
    events = decode_events(message)
    assert [(event.first_sequence, event.sequence) for event in events] == [(1, 2), (3, 3), (4, 6)]
    assert [event.event.text for event in events if isinstance(event.event, TextDelta)] == ["ab", "cde"]


def test_a_merged_delta_tells_the_tokens_of_all_that_are_in_it() -> None:
    (message,) = read([delta(1, "a", tokens=2), delta(2, "b"), delta(3, "c", tokens=1)])
    ((event,)) = decode_events(message)
    assert event.event == TextDelta(first_sequence=Sequence(1), text="abc", output_tokens=3)


def test_an_event_alone_goes_out_as_it_was_produced() -> None:
    entry = delta(1, "alone")
    assert read([entry]) == [entry.data]


def test_no_message_is_much_larger_than_its_bound() -> None:
    entries = [delta(number, "é" * 1000) for number in range(1, 200)]
    messages = read(entries)
    merged = [event for message in messages for event in decode_events(message)]
    assert "".join(event.event.text for event in merged if isinstance(event.event, TextDelta)) == "é" * 199_000
    assert max(map(len, messages)) < MAX_PACKED_BYTES + 4 * MAX_MERGED_CHARACTERS + 100


def test_wherever_a_reader_begins_it_gets_the_same_text() -> None:
    chance = random.Random(7)  # noqa: S311 - a repeatable mixture, no secret
    entries = [
        progress(number) if chance.random() < 0.2 else delta(number, chance.choice(["a", "bc", "def ", "ß", "🦉"]))
        for number in range(1, 300)
    ]
    whole = "".join(entry.text or "" for entry in entries)
    for start in range(len(entries)):
        transcript = Transcript()
        transcript.last_sequence = Sequence(start)
        for message in read(entries, index=start):
            for event in decode_events(message):
                assert event.first_sequence == transcript.last_sequence + 1
                transcript.last_sequence = event.sequence
                if isinstance(event.event, TextDelta):
                    transcript._pieces.append(event.event.text)
        assert transcript.last_sequence == len(entries)
        assert whole.endswith(transcript.text)
        assert len(transcript.text) == sum(len(entry.text or "") for entry in entries[start:])


async def test_readers_that_go_side_by_side_share_one_message() -> None:
    log = AnswerLog()
    log.publish([delta(1, "a"), delta(2, "b")])
    first, _ = log.message_after(Sequence(0))
    log.publish([delta(3, "c")])
    second, position = log.message_after(Sequence(0))
    assert second is first
    assert position == 2
    assert decode_events(log.message_after(position)[0])[0].sequence == 3


async def test_a_reader_that_has_everything_sleeps_until_there_is_more() -> None:
    log = AnswerLog()
    waiting = [asyncio.create_task(log.grown()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    log.publish([delta(1, "a")])
    await asyncio.gather(*waiting)


async def test_a_reader_that_goes_away_while_it_sleeps_leaves_nothing_behind() -> None:
    log = AnswerLog()
    waiting = asyncio.create_task(log.grown())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not log._waiting
    log.publish([delta(1, "a")])


async def test_the_end_wakes_every_reader() -> None:
    log = AnswerLog()
    log.publish([progress(1)])
    waiting = asyncio.create_task(log.grown())
    await asyncio.sleep(0)
    assert log.final is None
    log.end()
    await waiting
    assert log.final == log.entries[0]
