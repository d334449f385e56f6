"""The store of the core profile: dictionaries that live as long as the store is open.

An append is on the way of every token, so it is a list that grows: no lock, no thread, no copy. Every method runs to
its end without giving way to another task, which is what makes it atomic.

Answers stay for their time, whoever asked and however much. So the bytes are counted, and new asks are refused above a
bound: a stranger with ever new keys fills that much memory and no more.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import datetime

from consilience.errors import UsageError
from consilience.server.store.contract import (
    AnswerForgottenError,
    AskKey,
    AskReservation,
    LeaseLostError,
    LogEntry,
    Settlement,
    StoredAsk,
    StoredCard,
    StoreFullError,
    StoreUnavailableError,
    check_write,
)
from consilience.server.store.memory_ledger import DEFAULT_MAX_LEDGER_BYTES, MemoryLedger
from consilience.units import CardSequence, Digest, Sequence

DEFAULT_MAX_BYTES = 512 * 1024 * 1024
"""Of memory, above which a store binds no new ask; the answers that run then still get their end."""

ANSWER_BYTES = 1024
"""About what an answer takes without its log."""

ENTRY_BYTES = 128
"""About what an entry takes without its data and its text."""


@dataclass(slots=True, kw_only=True)
class _Answer:
    """An ask as it was bound or finished, and its log: `entries[n]` has sequence n + 1."""

    ask: StoredAsk
    entries: list[LogEntry]
    size_bytes: int

    @property
    def last_sequence(self) -> Sequence:
        return Sequence(len(self.entries))

    @property
    def present(self) -> StoredAsk:
        return replace(self.ask, last_sequence=self.last_sequence)


class MemoryStore:
    """Keeps answers from `open` to `close`; see `AnswerStore` for each method.

    It has one replica and one life, so nothing in it is ever abandoned.
    """

    durable = False

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_BYTES, max_ledger_bytes: int = DEFAULT_MAX_LEDGER_BYTES) -> None:
        """Makes an empty store.

        Args:
            max_bytes: Of memory for asks and answers, about, above which it binds no new ask.
            max_ledger_bytes: Of memory for sessions, about, above which it takes no new session and no new deposit.
        """
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._replica: str | None = None
        self._answers: dict[AskKey, _Answer] = {}
        self._cards: dict[Digest, StoredCard] = {}
        self._last_card_sequence = CardSequence(0)
        self._ledger = MemoryLedger(max_bytes=max_ledger_bytes)

    @property
    def ledger(self) -> MemoryLedger:
        """The sessions, deposits, receipts and payouts; usable while the store is open."""
        return self._ledger

    @property
    def replica(self) -> str:
        """The replica id that `open` was given; empty while not open."""
        return self._replica or ""

    async def open(self, *, replica: str, lease_until: datetime) -> None:  # noqa: ARG002 - nobody else could take over
        """Makes the store ready; see `AnswerStore.open`."""
        if self._replica is not None:
            raise UsageError("the store is open already")
        self._replica = replica
        self._ledger.open()

    async def close(self) -> None:
        """Drops everything but the last card sequence."""
        self._replica = None
        self._answers.clear()
        self._size_bytes = 0
        self._cards.clear()
        self._ledger.close()

    async def bind(
        self, ask: StoredAsk, *, first: LogEntry, reservation: AskReservation | None = None
    ) -> StoredAsk | None:
        """Binds a key that is free; see `AnswerStore.bind`."""
        answers = self._open_answers()
        if (earlier := answers.get(ask.key)) is not None:
            return earlier.present
        if self._size_bytes >= self._max_bytes:
            ends = (answer.ask.keep_until_time for answer in answers.values() if answer.ask.finished)
            # In the order of acceptance, so the first that has ended is about the first to go.
            raise StoreFullError(f"the store holds {self._size_bytes} bytes of answers", room_time=next(ends, None))
        if reservation is not None:
            self._ledger.reserve(ask.key, reservation, now=ask.accept_time)
        answer = answers[ask.key] = _Answer(ask=ask, entries=[first], size_bytes=0)
        self._count(answer, ANSWER_BYTES + _size_of(first))
        return None

    async def find(self, key: AskKey) -> StoredAsk | None:
        """Returns what is bound to a key, or None."""
        answer = self._open_answers().get(key)
        return answer.present if answer is not None else None

    async def append(self, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> None:
        """Appends to the log of a running ask; see `AnswerStore.append`."""
        self._append(self._writable(key, entries, epoch=epoch), entries)

    async def finish(
        self,
        key: AskKey,
        entries: tuple[LogEntry, ...],
        *,
        epoch: int,
        finish_time: datetime,
        keep_until_time: datetime,
        settlement: Settlement | None = None,
    ) -> None:
        """Appends the end of a log; see `AnswerStore.finish`."""
        answer = self._writable(key, entries, epoch=epoch)
        self._ledger.settle(key, settlement)
        self._append(answer, entries)
        answer.ask = replace(answer.ask, finish_time=finish_time, keep_until_time=keep_until_time)

    async def read(self, key: AskKey, *, after: Sequence, limit: int) -> tuple[LogEntry, ...]:
        """Returns the next entries of a log; see `AnswerStore.read`."""
        answer = self._open_answers().get(key)
        if answer is None:
            raise AnswerForgottenError("the store holds no answer under this key")
        return tuple(answer.entries[after : after + limit])

    async def renew(self, *, until: datetime) -> None:  # noqa: ARG002 - nobody else could take over
        """Does nothing: a lease matters to siblings, and there are none."""
        self._open_answers()

    async def claim_abandoned(self, *, now: datetime) -> tuple[StoredAsk, ...]:  # noqa: ARG002 - as above
        """Returns nothing: no life of this store has ended."""
        self._open_answers()
        return ()

    async def forget(self, *, now: datetime) -> int:
        """Drops answers and cards whose time has passed; see `AnswerStore.forget`."""
        answers = self._open_answers()
        passed = [key for key, answer in answers.items() if _has_passed(answer.ask.keep_until_time, now=now)]
        for key in passed:
            self._size_bytes -= answers.pop(key).size_bytes
        self._cards = {digest: card for digest, card in self._cards.items() if card.expire_time > now}
        self._ledger.forget_quotes(now=now)
        return len(passed)

    async def reserve_card_sequence(self, *, at_least: CardSequence) -> CardSequence:
        """Returns a sequence above all former ones; see `AnswerStore.reserve_card_sequence`."""
        self._open_answers()
        self._last_card_sequence = CardSequence(max(at_least, self._last_card_sequence + 1))
        return self._last_card_sequence

    async def remember_card(self, card: StoredCard) -> None:
        """Keeps a card that was issued."""
        self._open_answers()
        self._cards[card.digest] = card

    async def newer_card(self, *, than: CardSequence) -> StoredCard | None:
        """Returns the newest card of this life, where its sequence is higher; see `AnswerStore.newer_card`."""
        self._open_answers()
        newest = max(self._cards.values(), key=lambda card: card.sequence, default=None)
        return newest if newest is not None and newest.sequence > than else None

    async def honours_card(self, digest: Digest, *, now: datetime) -> bool:
        """Tells whether a card of this life has not expired."""
        self._open_answers()
        card = self._cards.get(digest)
        return card is not None and now < card.expire_time

    def _open_answers(self) -> dict[AskKey, _Answer]:
        if self._replica is None:
            raise StoreUnavailableError("the store is not open")
        return self._answers

    def _writable(self, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> _Answer:
        answer = self._open_answers().get(key)
        if answer is None:
            raise LeaseLostError("the ask is not in the store any more")
        check_write(answer.ask, entries, epoch=epoch, last_sequence=answer.last_sequence)
        return answer

    def _append(self, answer: _Answer, entries: tuple[LogEntry, ...]) -> None:
        answer.entries.extend(entries)
        self._count(answer, sum(map(_size_of, entries)))

    def _count(self, answer: _Answer, size_bytes: int) -> None:
        answer.size_bytes += size_bytes
        self._size_bytes += size_bytes


def _size_of(entry: LogEntry) -> int:
    text = sys.getsizeof(entry.text) if entry.text is not None else 0
    return ENTRY_BYTES + sys.getsizeof(entry.data) + text


def _has_passed(time: datetime | None, *, now: datetime) -> bool:
    return time is not None and time <= now
