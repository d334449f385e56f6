"""The contract of ledgers: where a node keeps sessions, deposits, receipts and payouts (spec chapter 3, payments).

A ledger owns the counters of every session and their invariant. It knows nothing of the wire: terms, vouchers and
receipts are the bytes that were signed. It is part of an answer store, so that an ask is bound together with what is
reserved for it, and ended together with its receipt, in one step each.

Each step reads the session, takes one step of its `Account` and writes it back, in one transaction: whatever runs at
once, in whatever replicas, no account ever leaves its invariant (PAY-SES-001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from consilience.payments import Account, SessionStatus, TransferStatus
from consilience.server.store.contract import AnswerStore, AskKey, AskReservation, StoredReceipt, StoreError
from consilience.units import Digest, EncodedAny, EncodedEnvelope


class SessionMissingError(StoreError):
    """There is no session of this id."""

    remedy = "Open the session first."


class SessionShutError(StoreError):
    """The session is closing or closed; `session` is as it stands."""

    remedy = "Open another session."

    def __init__(self, message: str, *, session: StoredSession) -> None:
        super().__init__(message)
        self.session = session


class BalanceError(StoreError):
    """The account of the session does not allow the step; `session` is as it stands."""

    remedy = "Send a higher voucher, after a deposit where the session needs one."

    def __init__(self, message: str, *, session: StoredSession) -> None:
        super().__init__(message)
        self.session = session


class QuoteUsedUpError(StoreError):
    """The asks under a quote are as many, or may cost as much, as it allows (PAY-QUO-003)."""

    remedy = "Get another quote."


class TransferConflictError(StoreError):
    """The id stands for a deposit or withdrawal of another amount, or the reference proves another deposit already."""

    remedy = "Take an id of its own for each transfer."


class ChainMovedError(StoreError):
    """Another receipt of the session came first; nothing was written. Read the session and number the receipt anew."""

    remedy = "Make the receipt again, behind the one that came first."


class SettlementError(StoreError):
    """A paid ask would end without its receipt, or with one that is not its own: a defect of the writer."""

    remedy = "Report this: an ask ends with a receipt if, and only if, something is reserved for it."


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as it stands.

    Attributes:
        session_id: The digest of its terms, 32 bytes.
        terms: The signed terms, encoded.
        account: Its counters.
        status: What it is open for.
        receipt_count: Number of the last receipt; 0: there is none.
        last_receipt_digest: Of the last receipt, 32 bytes, or empty.
        voucher: The payer's highest, encoded, or None.
        funding_commitment: To the deposits that were credited, 32 bytes, or empty.
    """

    session_id: Digest
    terms: EncodedEnvelope
    account: Account
    status: SessionStatus = SessionStatus.OPEN
    receipt_count: int = 0
    last_receipt_digest: bytes = b""
    voucher: EncodedEnvelope | None = None
    funding_commitment: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDeposit:
    """A deposit that was started.

    Attributes:
        session_id: Of its session.
        deposit_id: 16 bytes, chosen by the payer.
        amount: That was agreed on, in units of the asset.
        instruction: As it was given, encoded, so that it can be given again.
        rail_ref: What the rail knows it by, 1 to 256 bytes; unique among all deposits.
        status: PENDING until the rail has said more.
        reference: What proved it, hashed, 32 bytes; empty until it was credited.
    """

    session_id: Digest
    deposit_id: bytes
    amount: int
    instruction: bytes
    rail_ref: bytes
    status: TransferStatus = TransferStatus.PENDING
    reference: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWithdrawal:
    """A payout that was begun; `amount` counts as withdrawn unless it FAILED.

    Attributes:
        session_id: Of its session.
        withdrawal_id: 16 bytes, chosen by the payer.
        amount: In units of the asset.
        destination: Where to, in the words of the rail, or None.
        status: PENDING until the rail has said more.
        detail: What the rail gave for it, or None.
    """

    session_id: Digest
    withdrawal_id: bytes
    amount: int
    destination: EncodedAny | None = None
    status: TransferStatus = TransferStatus.PENDING
    detail: EncodedAny | None = None


class Ledger(Protocol):
    """Keeps sessions. Belongs to an open `AnswerStore`, whose durability it shares.

    What moves money, or promises to, is on disk before a method returns: sessions, deposits, payouts, closes. A voucher
    and a raised reservation may be lost in a power cut, by which the payee alone loses, and at most a window; they
    outlive the process (payments: "durable by who is hurt"). Every method raises `StoreUnavailableError` where the
    medium fails.
    """

    async def open_session(self, session: StoredSession) -> StoredSession:
        """Stores a new session, or returns the one that is there under its id, as it stands (PAY-SES-002).

        Raises:
            StoreFullError: It would be new, and the store takes no more of them.
        """

    async def find_session(self, session_id: Digest) -> StoredSession | None:
        """Returns a session as it stands, or None."""

    async def sessions(self, *, after: bytes = b"", limit: int) -> tuple[StoredSession, ...]:
        """Returns sessions in the order of their ids, those with ids above `after`, `limit` at most."""

    async def begin_deposit(self, deposit: StoredDeposit) -> StoredDeposit:
        """Stores a new deposit, or returns the one that is there under its id (PAY-DEP-001).

        Raises:
            SessionMissingError, SessionShutError: There is no open session for a new one.
            TransferConflictError: The id stands for another amount, or the `rail_ref` for another deposit.
            StoreFullError: It would be new, and the store takes no more of them.
        """

    async def find_deposit(self, session_id: Digest, deposit_id: bytes) -> StoredDeposit | None:
        """Returns a deposit, or None."""

    async def pending_deposits(self) -> tuple[StoredDeposit, ...]:
        """Returns the deposits of which the rail has not said how they ended, oldest first."""

    async def next_pending_deposits(self, *, after: int, limit: int) -> tuple[tuple[int, StoredDeposit], ...]:
        """Returns pending deposits page by page, oldest first, each with its place: a later one has a higher place.

        Args:
            after: The place behind which the page begins; zero: at the beginning.
            limit: The most of a page.
        """

    async def credit(self, session_id: Digest, deposit_id: bytes, *, amount: int, reference: bytes) -> StoredSession:
        """Credits a deposit, once: a second call for it changes nothing (PAY-DEP-002).

        Args:
            session_id: Of its session, which may be closing or closed: the money is there.
            deposit_id: Of the deposit.
            amount: What really came, in units of the asset.
            reference: What proves it, hashed, 32 bytes.

        Raises:
            SessionMissingError: There is no such session or deposit.
            TransferConflictError: The reference proves another deposit already, or this one has FAILED.
            BalanceError: It is no amount, or more than a session can hold.
        """

    async def fail_deposit(self, session_id: Digest, deposit_id: bytes) -> None:
        """Notes that a pending deposit has FAILED; one that was credited stays so.

        Raises:
            SessionMissingError: There is no such session or deposit.
        """

    async def authorize(self, session_id: Digest, *, cumulative: int, voucher: EncodedEnvelope) -> StoredSession:
        """Takes a voucher: a higher one is kept, any other changes nothing (PAY-VCH-002).

        Raises:
            SessionMissingError, SessionShutError: There is no open session.
            BalanceError: It is above what is available.
        """

    async def find_reservation(self, key: AskKey) -> AskReservation | None:
        """Returns what a running ask is paid out of; None: it is not paid for, or has ended."""

    async def extend(self, key: AskKey, *, least: int, most: int) -> tuple[AskReservation, StoredSession]:
        """Raises what is reserved for a running ask, and returns that and the session.

        To `most`, or as far towards it as the session allows, provided that this reaches `least`; else nothing changes.
        What is reserved never falls, and never rises above the ceiling of the ask.

        Raises:
            LeaseLostError: The ask has ended.
        """

    async def receipts(self, session_id: Digest, *, after: int, limit: int) -> tuple[StoredReceipt, ...]:
        """Returns the receipts of a session with numbers above `after`, in order, `limit` at most."""

    async def find_receipt(self, session_id: Digest, digest: Digest) -> StoredReceipt | None:
        """Returns a receipt of a session by its digest, or None."""

    async def refund(self, receipt: StoredReceipt) -> StoredSession:
        """Gives part of a charge back, by a receipt with `refund_of`.

        Raises:
            SessionMissingError: There is no such session, or it has no such receipt to refund.
            ChainMovedError: The receipt is not the next of the session.
            BalanceError: All refunds of the receipt together would be above its charge.
        """

    async def acknowledge(self, session_id: Digest, *, number: int, call: EncodedEnvelope) -> None:
        """Keeps the payer's word for the receipt with this number; of several, that for the highest number counts.

        Raises:
            SessionMissingError: There is no such receipt.
        """

    async def acknowledgement(self, session_id: Digest) -> EncodedEnvelope | None:
        """Returns the payer's highest acknowledgement, or None."""

    async def begin_withdrawal(self, withdrawal: StoredWithdrawal) -> StoredWithdrawal:
        """Counts a payout as withdrawn, before any rail is asked; or returns the one that is there under its id.

        Raises:
            SessionMissingError: There is no such session.
            TransferConflictError: The id stands for another amount.
            BalanceError: It is more than can be paid out (PAY-WDR-001).
        """

    async def end_withdrawal(
        self, session_id: Digest, withdrawal_id: bytes, *, status: TransferStatus, detail: EncodedAny | None = None
    ) -> StoredWithdrawal:
        """Notes how a payout ended; one that FAILED is taken back. The first end counts; PENDING changes nothing.

        Raises:
            SessionMissingError: There is no such session or payout.
        """

    async def pending_withdrawals(self) -> tuple[StoredWithdrawal, ...]:
        """Returns the payouts of which the rail has not said how they ended, oldest first."""

    async def close_session(self, session_id: Digest) -> StoredSession:
        """Shuts a session: CLOSED where nothing is reserved, else CLOSING until the last of its asks has ended.

        One that is shut stays as it is.

        Raises:
            SessionMissingError: There is no such session.
        """


@runtime_checkable
class PayingStore(AnswerStore, Protocol):
    """An answer store that keeps a ledger."""

    @property
    def ledger(self) -> Ledger:
        """The sessions, deposits, receipts and payouts; usable while the store is open."""
