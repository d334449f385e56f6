"""Deliveries: how what a handler yields becomes events in the log of its answer (spec sections 2.3 and 2.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from consilience._wire.events import encode_event
from consilience.asks import AnswerEvent, Citation, Event, Progress, StopReason, TextDelta, Usage
from consilience.server.conclusions import check_event
from consilience.server.finals import Tally
from consilience.server.log_writers import LogWriter
from consilience.server.skills import Delta, Item
from consilience.server.store.contract import LogEntry
from consilience.units import Sequence

MAX_DELTA_CHARACTERS = 65_536
"""Longer text from a handler becomes several deltas, so that no event comes near the message size of a reader."""


Write = Callable[[Event], Awaitable[None]]
"""Writes an event into the log of the answer."""


class DeliveryStoppedError(Exception):
    """Nothing more goes out of the answer; `reason` says why."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class Charge(Protocol):
    """Is asked before text of a paid answer goes out, and told after."""

    async def authorize(self, text: str, *, output_tokens: int, write: Write) -> tuple[str, int]:
        """Returns how much of a text may go out, from its beginning, and how many of its tokens that is.

        Raises:
            DeliveryStoppedError: None of it may.
        """

    async def delivered(self, *, write: Write) -> None:
        """Says that this much has gone out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The way of one answer from its handler into its log.

    Attributes:
        writer: Takes the entries.
        tally: Counts them.
        on_first_text: Is called before the first delta.
        charge: Holds the text of a paid answer back until it is covered; None: the answer is free.
    """

    writer: LogWriter
    tally: Tally
    on_first_text: Callable[[], None]
    charge: Charge | None = None

    async def deliver(self, item: Item) -> None:
        """Writes what a handler has yielded; of a long text, as much as the answer has room for.

        Raises:
            DeliveryStoppedError: The answer has no room for all of it.
            StoreError: As `LogWriter.write`.
            TypeError, UsageError: A handler must not yield that.
        """
        match item:
            case str():
                await self._deliver_text(item)
            case Delta(text=text, output_tokens=tokens):
                await self._deliver_text(text, output_tokens=tokens)
            case Usage():
                self.tally.told = item
            case Citation() | Progress():
                check_event(item)
                await self.write(item)
            case _:
                raise TypeError(
                    f"a handler yields str, Delta, Usage, Citation, Progress or Conclusion, not {type(item).__name__}"
                )

    async def write(self, event: Event) -> None:
        """Writes an event other than a delta."""
        sequence = Sequence(self.tally.last_sequence + 1)
        data = encode_event(AnswerEvent(sequence=sequence, event=event))
        if isinstance(event, Citation):
            self.tally.add_citation(event, size_bytes=len(data))
        self.tally.last_sequence = sequence
        await self.writer.write(LogEntry(sequence=sequence, data=data))

    async def _deliver_text(self, text: str, *, output_tokens: int = 0) -> None:
        fitting = self.tally.fitting(text)
        for start in range(0, len(fitting), MAX_DELTA_CHARACTERS):
            piece = fitting[start : start + MAX_DELTA_CHARACTERS]
            if self.charge is None:
                await self._write_delta(piece, output_tokens=output_tokens)
            else:
                await self._charge_for(piece, output_tokens=output_tokens, charge=self.charge)
            output_tokens = 0  # all of them began in the first piece
        if len(fitting) < len(text):
            raise DeliveryStoppedError(StopReason.OUTPUT_LIMIT)

    async def _charge_for(self, text: str, *, output_tokens: int, charge: Charge) -> None:
        while text:
            piece, tokens = await charge.authorize(text, output_tokens=output_tokens, write=self.write)
            await self._write_delta(piece, output_tokens=tokens)
            await charge.delivered(write=self.write)
            text, output_tokens = text[len(piece) :], output_tokens - tokens

    async def _write_delta(self, text: str, *, output_tokens: int) -> None:
        if not self.tally.size_bytes:
            self.on_first_text()
        self.tally.add_text(text, output_tokens=output_tokens)
        sequence = self.tally.last_sequence = Sequence(self.tally.last_sequence + 1)
        delta = TextDelta(first_sequence=sequence, text=text, output_tokens=output_tokens)
        data = encode_event(AnswerEvent(sequence=sequence, event=delta))
        await self.writer.write(LogEntry(sequence=sequence, data=data, text=text, output_tokens=output_tokens))
