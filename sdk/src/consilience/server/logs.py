"""The log of a running answer, and how its deltas are merged (spec section 2.4).

A log is append-only and shared: first reader, duplicate and resumed reader each hold nothing but a position in it. Each
event was encoded once, when it was produced; a reader that has fallen behind gets what it missed as one merged delta,
which is built when that reader asks for it.
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


def next_message(entries: Entries[LogEntry], *, index: int) -> tuple[bytes, int]:
    """Returns the message that comes next for a reader, and the index behind the entries that it stands for.

    Deltas that follow one another become one message; everything else goes out as it was produced.

    Args:
        entries: Consecutive entries of one log.
        index: The place in `entries` that the reader has reached, below their number.
    """
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
    delta = TextDelta(first_sequence=first.sequence, text=text)
    return encode_event(AnswerEvent(sequence=entries[end - 1].sequence, event=delta)), end


class AnswerLog:
    """The events of one answer that this process works on: entry n has index n - 1.

    Attributes:
        entries: What is published so far.
        ended: Nothing will be added here any more.
        lost: It ended without Final, because another replica has taken the answer over; the store tells how it goes on.
    """

    __slots__ = ("_merged", "_waiting", "ended", "entries", "lost")

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.ended = False
        self.lost = False
        self._waiting: list[asyncio.Future[None]] = []
        self._merged: tuple[int, int, bytes] = (-1, -1, b"")

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

        Readers that go side by side miss the same entries, so the last merged message is kept for the next of them.

        Returns:
            The message, and the sequence that the reader has with it.
        """
        start, end, merged = self._merged
        if start == sequence:
            # Valid though the log may have grown since: a merged delta may always be shorter than it could be.
            return merged, Sequence(end)
        message, end = next_message(self.entries, index=sequence)
        if end > sequence + 1:
            self._merged = (sequence, end, message)
        return message, Sequence(end)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
