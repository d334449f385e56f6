"""The contract of answer stores: where a node keeps what it bound, what it said, and which cards it issued.

A store keeps the idempotency table and the append-only log of every answer (spec chapter 2, asks). It knows nothing
of the wire: an entry is the bytes that the node produced. One store belongs to one node; the processes of a node
(its replicas) may share a durable one.

    store = MemoryStore()
    await store.open(replica="http://127.0.0.1:7341", lease_until=now + timedelta(seconds=15))
    ask = StoredAsk(key=key, replica=store.replica, ask_digest=digest, …)
    if (earlier := await store.bind(ask, first=accepted)) is None:
        await store.append(key, entries, epoch=ask.epoch)
        await store.finish(key, last, epoch=ask.epoch, finish_time=later, keep_until_time=much_later)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from consilience.errors import ConsilienceError
from consilience.units import CardSequence, Digest, EncodedEnvelope, PublicKey, RequestId, Sequence

MIN_DURABLE_RETENTION = timedelta(hours=24)
"""How long after acceptance a durable store keeps an answer at the least (ASK-DUR-001)."""

FIRST_SEQUENCE = Sequence(1)
"""The place of Accepted in every log."""

FIRST_EPOCH = 1
"""The epoch under which an ask is bound; each takeover by another life or replica raises it by one."""


class StoreError(ConsilienceError):
    """The store did not do what it was told; nothing of that operation is in it."""


class LeaseLostError(StoreError):
    """Another replica, or a later life of this one, has taken the ask over, or it is finished: write no more to it."""

    remedy = "Stop the work on this ask; whoever holds the lease ends its answer."


class LogOrderError(StoreError):
    """The entries do not continue the log, one after the other: a defect of the writer."""

    remedy = "Report this: entries are appended in order, each once."


class AnswerForgottenError(StoreError):
    """There is no such ask, or its answer was kept for its time and dropped."""

    remedy = "Treat the answer as unknown."


class StoreLockedError(StoreError):
    """Another process runs on this store under the same replica id."""

    remedy = "Stop the other process, or start this one with a replica id of its own."


class SchemaTooNewError(StoreError):
    """A later version of this library made the file; it was left as it is."""

    remedy = "Update the library, or name another file."


class StoreUnavailableError(StoreError):
    """The store cannot write or read now: disk full, file read-only, damaged or locked by others, or store closed.

    Nothing of the operation is kept. The next one is tried afresh, so that a disk with room again is enough.
    """

    remedy = "Make room on the disk and check the rights of the file and its folder."


class StoreDamagedError(StoreUnavailableError):
    """The file holds something else than what was written into it."""

    remedy = "Put a copy of the file in its place or, without one, move it away: what it held is then lost."


class StoreFullError(StoreError):
    """The store holds as much as it may, and forgets nothing before its time (ASK-KEEP-001); it binds no new ask.

    `room_time` tells when the first of its answers may be dropped, aware UTC; None: all of them still run.
    """

    remedy = "Wait until answers have had their time, give the store more room, or state a shorter answer_retention."

    def __init__(self, message: str, *, room_time: datetime | None) -> None:
        super().__init__(message)
        self.room_time = room_time


@dataclass(frozen=True, slots=True, kw_only=True)
class AskKey:
    """What an ask is known by: who asks, 32 bytes, and the id that they gave it, 16 bytes."""

    caller: PublicKey
    request_id: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One produced event of an answer; its `first_sequence` on the wire equals `sequence`.

    Attributes:
        sequence: From 1, without holes.
        data: The event, encoded as the node produced it.
        text, output_tokens: Those of a TextDelta; None and 0 for every other event. Whoever merges deltas for a slow
            reader needs them.
    """

    sequence: Sequence
    data: bytes
    text: str | None = None
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAsk:
    """A bound ask, without its question: what it takes to attach to it, to read it, and to end it after a crash.

    Attributes:
        key: Caller and request id.
        ask_digest: Digest of the signed ask, 32 bytes; another one under the same key is another question.
        card_digest: Digest of the node card that the ask relies on, 32 bytes.
        accept_time: When the node accepted, aware UTC.
        expire_time: When the header of the ask expires, aware UTC; a later copy of the ask does not attach.
        replica: The replica that runs it; see `AnswerStore.open`.
        epoch: Fences writers: only the present one may append.
        last_sequence: Of the last entry of the log.
        finish_time: When Final was appended, aware UTC; None while it runs.
        keep_until_time: Until when the answer can be read, aware UTC; None while it runs.
    """

    key: AskKey
    ask_digest: Digest
    card_digest: Digest
    accept_time: datetime
    expire_time: datetime
    replica: str
    epoch: int = FIRST_EPOCH
    last_sequence: Sequence = FIRST_SEQUENCE
    finish_time: datetime | None = None
    keep_until_time: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the log has its Final."""
        return self.finish_time is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """A receipt of a session: its number, digest, what it charges (a refund: gives back), and the signed bytes.

    `refund_of` is the digest of the receipt that it refunds, or empty.
    """

    session_id: Digest
    number: int
    digest: Digest
    charge: int
    envelope: EncodedEnvelope
    refund_of: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskReservation:
    """What an ask is paid out of, and what is set aside for it.

    Attributes:
        session_id: Of the session.
        quote: The signed quote, encoded.
        quote_digest: Its digest.
        max_asks, total_max_charge: The bounds of the quote.
        ceiling: The most that the ask can be charged, in units of the asset.
        reserved: What is set aside now, in units of the asset.
    """

    session_id: Digest
    quote: EncodedEnvelope
    quote_digest: Digest
    max_asks: int
    total_max_charge: int
    ceiling: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The receipt with which a paid ask ends; its charge is at most what is reserved for the ask."""

    receipt: StoredReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCard:
    """A card that was issued: its digest, 32 bytes, its sequence and end, aware UTC, and the signed card, encoded."""

    digest: Digest
    sequence: CardSequence
    expire_time: datetime
    envelope: EncodedEnvelope


@runtime_checkable
class AnswerStore(Protocol):
    """Keeps asks, logs and cards. Every method but `open` needs an open store; all belong to one event loop.

    A write that has returned is kept as long as the store lives: a memory store until it is closed, a durable one
    across `kill -9`. An entry is visible to readers, in every replica, once `append` has returned, and never undone.
    A caller cancelled while it waits for a write does not know whether the write was done.

    Every method raises `StoreUnavailableError` where the medium fails.
    """

    @property
    def durable(self) -> bool:
        """Whether asks outlive the process: the profile *durable*."""

    @property
    def replica(self) -> str:
        """The replica id that `open` was given, and that every ask bound here names; empty while not open."""

    async def open(self, *, replica: str, lease_until: datetime) -> None:
        """Makes the store ready and begins a new life of a replica.

        Args:
            replica: The id of this process among those that share the store, the same after a restart. Where it is
                the URI that the process is reached at, a sibling can send a caller there (WRONG_REPLICA).
            lease_until: When siblings may first take over the running asks of this replica, aware UTC.

        Raises:
            UsageError: It is open already.
            StoreLockedError: Another process is open under this replica id.
            SchemaTooNewError: A later version of this library made the file.
        """

    async def close(self) -> None:
        """Ends the writes that were begun and gives everything back; a second call does nothing.

        Running asks stay as they are: the next life of this replica claims them. Returns in bounded time.
        """

    async def bind(
        self, ask: StoredAsk, *, first: LogEntry, reservation: AskReservation | None = None
    ) -> StoredAsk | None:
        """Binds a key to an ask, with the first entry of its log, unless the key is bound (ASK-IDEM-002).

        Of any number of binds of one key, in whatever replicas, exactly one binds.

        Args:
            ask: As it is to be stored: running, of this replica, with `last_sequence` 1.
            first: `Accepted`, with sequence 1.
            reservation: What the ask is paid out of, and what is set aside for it, in the same step (PAY-ASK-003).

        Returns:
            None: bound now. Otherwise the ask that holds the key, finished or not.

        Raises:
            StoreFullError: The key is free, and the store takes no more.
            StoreError: The key is free, and the session does not allow the reservation. The first that holds, of
                `ledger`: SessionMissingError, SessionShutError, QuoteUsedUpError, BalanceError.
        """

    async def find(self, key: AskKey) -> StoredAsk | None:
        """Returns what is bound to a key, or None where nothing is or it was forgotten."""

    async def append(self, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> None:
        """Appends entries to the log of a running ask, all or none.

        Args:
            key: A bound key.
            entries: They continue the log, without holes; none is a check of the lease.
            epoch: The epoch of the ask as the writer holds it.

        Raises:
            LeaseLostError: The epoch is not the present one, or the ask is finished or gone.
            LogOrderError: The entries do not continue the log.
        """

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
        """Appends the last entries of a log, of which the last is Final, and marks the ask finished, in one step.

        Args:
            key: A bound key.
            entries: They continue the log, without holes.
            epoch: The epoch of the ask as the writer holds it.
            finish_time: As the signed answer states it, aware UTC.
            keep_until_time: When `forget` may drop the answer, aware UTC.
            settlement: The receipt that Final carries, for an ask with a reservation, and only for such a one: in the
                same step the receipt is kept, its charge spent, and the reservation free again.

        Raises:
            LeaseLostError: The epoch is not the present one, or the ask is finished or gone.
            LogOrderError: The entries do not continue the log.
            StoreError: The receipt is not the next of its session (`ledger.ChainMovedError`), or charges too much
                (`ledger.BalanceError`); or there is a settlement without a reservation, or the other way round
                (`ledger.SettlementError`).
        """

    async def read(self, key: AskKey, *, after: Sequence, limit: int) -> tuple[LogEntry, ...]:
        """Returns the next entries of a log: at most `limit`, from sequence `after` + 1 on; none where it ends.

        Args:
            key: A bound key.
            after: The last sequence already read; 0: from the beginning.
            limit: Number of entries, at least 1.

        Raises:
            AnswerForgottenError: Nothing is bound to the key, so a cursor on it never moves again.
        """

    async def renew(self, *, until: datetime) -> None:
        """Prolongs the lease of this replica on all its running asks: the heartbeat.

        Args:
            until: When siblings may take them over, aware UTC; some heartbeats ahead.
        """

    async def claim_abandoned(self, *, now: datetime) -> tuple[StoredAsk, ...]:
        """Takes over every running ask that nobody works on, and returns them, oldest first.

        Those are the asks of an earlier life of this replica, and those of replicas whose lease ended before `now`.
        Each comes back with this replica's id and an epoch raised by one, so that a former holder that still lives
        is fenced; of several replicas that claim at once, one gets an ask. The caller ends them: INTERRUPTED
        (ASK-DUR-002).
        """

    async def forget(self, *, now: datetime) -> int:
        """Drops the finished answers whose `keep_until_time` has passed, and cards that have expired.

        A durable store keeps an answer until `MIN_DURABLE_RETENTION` after its acceptance in any case.

        Returns:
            How many answers were dropped.
        """

    async def reserve_card_sequence(self, *, at_least: CardSequence) -> CardSequence:
        """Returns a sequence for a new card: `at_least`, or one above the last reserved where that is higher.

        So a node whose clock was set back, or that restarts, never issues a card that loses against its last one;
        no two callers get the same (a memory store: within its life).

        Args:
            at_least: Usually `units.card_sequence(now)`, in microseconds.
        """

    async def remember_card(self, card: StoredCard) -> None:
        """Keeps a card that was issued, so that siblings give it out, and asks by it are honoured until it expires."""

    async def newer_card(self, *, than: CardSequence) -> StoredCard | None:
        """Returns the newest card that was issued from this store, where its sequence is higher; else None."""

    async def honours_card(self, digest: Digest, *, now: datetime) -> bool:
        """Tells whether a card was issued from this store and has not expired (ASK-DUR-003).

        A memory store knows the cards of its life, so it refuses the asks of an earlier life's callers.
        """


def check_write(ask: StoredAsk, entries: tuple[LogEntry, ...], *, epoch: int, last_sequence: Sequence) -> None:
    """Checks that entries may be appended to an ask: the one rule of `append` and `finish`, for every store.

    Args:
        ask: What the store holds now.
        entries: What is to be appended.
        epoch: The epoch of the ask as the writer holds it.
        last_sequence: Of the last entry that the store holds now.

    Raises:
        LeaseLostError: The epoch is not the present one, or the ask is finished.
        LogOrderError: The entries do not continue the log.
    """
    if ask.epoch != epoch:
        raise LeaseLostError(f"the ask was taken over by {ask.replica!r}: its epoch is {ask.epoch}, not {epoch}")
    if ask.finish_time is not None:
        raise LeaseLostError("the answer is finished: its log takes no more entries")
    expected: int = last_sequence
    for entry in entries:
        expected += 1
        if entry.sequence != expected:
            raise LogOrderError(f"entry {entry.sequence} stands where the log needs entry {expected}")
