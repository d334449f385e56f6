"""The log of a running answer, and what a reader gets of it (spec section 2.4).

A log is append-only and shared: first reader, duplicate and resumed reader each hold nothing but a position in it. Each
event was encoded once, when it was produced. A message carries whatever is ready for its reader; one that has fallen
behind gets what it missed as one merged delta, which is built when that reader asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence as Entries

from consilience._wire.events import encode_event
from consilience.asks import AnswerEvent, TextDelta
from consilience.server.store.contract import LogEntry
from consilience.units import Sequence

MAX_MERGED_CHARACTERS = 16_384
"""Text that one merged delta holds at most, so that no message comes near the limits of a reader."""

MAX_PACKED_BYTES = 16_384
"""A message that has reached this size takes no further event."""


def next_message(entries: Entries[LogEntry], *, index: int) -> tuple[bytes, int]:
    """Returns the message that comes next for a reader, and the index behind the entries that it stands for.

    Deltas that follow one another become one event; everything else is as it was produced. Encoded events one behind
    the other are one encoded message.

    Args:
        entries: Consecutive entries of one log.
        index: The place in `entries` that the reader has reached, below their number.
    """
    message, index = _next_event(entries, index)
    while index < len(entries) and len(message) < MAX_PACKED_BYTES:
        event, index = _next_event(entries, index)
        message += event
    return message, index


def _next_event(entries: Entries[LogEntry], index: int) -> tuple[bytes, int]:
    first = entries[index]
    end = index + 1
    if first.text is None:
        return first.data, end
    size = len(first.text)
    while end < len(entries) and (text := entries[end].text) is not None:
        size += len(text)
        if size > MAX_MERGED_CHARACTERS:
            break
        end += 1
    if end == index + 1:
        return first.data, end
    text = "".join(entry.text or "" for entry in entries[index:end])
    tokens = sum(entry.output_tokens for entry in entries[index:end])
    delta = TextDelta(first_sequence=first.sequence, text=text, output_tokens=tokens)
    return encode_event(AnswerEvent(sequence=entries[end - 1].sequence, event=delta)), end


class AnswerLog:
    """The events of one answer that this process works on: entry n has index n - 1.

    Attributes:
        entries: What is published so far.
        ended: Nothing will be added here any more.
        lost: It ended without Final, because another replica has taken the answer over; the store tells how it goes on.
    """

    __slots__ = ("_packed", "_waiting", "ended", "entries", "lost")

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.ended = False
        self.lost = False
        self._waiting: list[asyncio.Future[None]] = []
        self._packed: tuple[int, int, bytes] = (-1, -1, b"")

    @property
    def last_sequence(self) -> Sequence:
        """The sequence of the last published event."""
        return Sequence(len(self.entries))

    @property
    def final(self) -> LogEntry | None:
        """The entry of Final, or None while there is none."""
        return self.entries[-1] if self.ended and not self.lost else None

    def publish(self, entries: Entries[LogEntry]) -> None:
        """Shows the next entries to all readers; they are in the store already."""
        self.entries.extend(entries)
        if self._waiting:
            self._wake()

    def end(self, *, lost: bool = False) -> None:
        """Says that nothing comes after what is published."""
        self.ended = True
        self.lost = lost
        self._wake()

    async def grown(self) -> None:
        """Returns when something was published, or the log ended, after this call."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            raise

    def message_after(self, sequence: Sequence) -> tuple[bytes, Sequence]:
        """Returns the message that comes next for a reader that has everything up to a sequence below the last one.

        Readers that go side by side miss the same entries, so the last message of several is kept for the next of them.

        Returns:
            The message, and the sequence that the reader has with it.
        """
        start, end, packed = self._packed
        if start == sequence:
            # Valid though the log may have grown since: a message may always hold less than it could.
            return packed, Sequence(end)
        message, end = next_message(self.entries, index=sequence)
        if end > sequence + 1:
            self._packed = (sequence, end, message)
        return message, Sequence(end)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
