"""Readers: streams of one answer, each a position in its log (spec section 2.4).

An answer that this process works on is read from its log in memory. A finished one, and one that another replica works
on, is read from the store: any replica serves any reader, and looks there every `POLL_SECONDS` for what is new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from consilience.errors import AnswerUnknownError
from consilience.server.logs import AnswerLog, next_message
from consilience.server.store.contract import AnswerForgottenError, AnswerStore, AskKey, LogEntry
from consilience.units import Sequence

POLL_SECONDS = 0.05
WINDOW = 256
"""Entries that are read from the store at one time."""

Write = Callable[[bytes], Awaitable[None]]
"""Sends encoded events to a reader, and returns when the next ones may come: the back-pressure of its connection."""


async def send_log(log: AnswerLog, *, after: Sequence, write: Write) -> tuple[bytes, Sequence]:
    """Sends what stands in a log behind a sequence, and what comes, but for the message that ends it.

    Returns:
        The message with the Final, for the caller to send, and the last sequence sent with it. Where `log.lost` is
        set, no message, and the answer goes on in the store behind the sequence.
    """
    # The handler begins to work in this very turn of the loop; an answer that is there at once goes out in one message.
    await asyncio.sleep(0)
    while True:
        if after < log.last_sequence:
            message, after = log.message_after(after)
            if log.final is not None and after == log.last_sequence:
                return message, after
            await write(message)
        elif log.ended:
            return b"", after
        else:
            await log.grown()


async def send_stored(store: AnswerStore, key: AskKey, *, after: Sequence, write: Write) -> bytes:
    """Sends what the store has of an answer behind a sequence, and what it gets, but for the message that ends it.

    Returns:
        The message with the Final, for the caller to send; none where the reader had it already.

    Raises:
        AnswerUnknownError: The answer was dropped meanwhile.
    """
    while (ask := await store.find(key)) is not None:
        while after < ask.last_sequence:
            # What has come since the ask was looked up may end with the Final, and is left for the next look.
            entries = (await _read(store, key, after=after))[: ask.last_sequence - after]
            index = 0
            while index < len(entries):
                message, index = next_message(entries, index=index)
                if ask.finished and after + index == ask.last_sequence:
                    return message
                await write(message)
            after = Sequence(after + len(entries))
        if ask.finished:
            return b""
        await asyncio.sleep(POLL_SECONDS)
    raise AnswerUnknownError("the answer is not kept any more")


async def read_all(store: AnswerStore, key: AskKey) -> list[LogEntry]:
    """Returns the whole log of an answer as it stands in the store.

    Raises:
        AnswerUnknownError: There is none.
    """
    entries: list[LogEntry] = []
    while window := await _read(store, key, after=Sequence(len(entries))):
        entries.extend(window)
    return entries


async def _read(store: AnswerStore, key: AskKey, *, after: Sequence) -> tuple[LogEntry, ...]:
    try:
        return await store.read(key, after=after, limit=WINDOW)
    except AnswerForgottenError as error:
        raise AnswerUnknownError("the answer is not kept any more") from error
