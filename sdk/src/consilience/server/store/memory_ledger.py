"""The ledger of the core profile: dictionaries that live as long as the store is open.

It is for networks where nothing is lost with it (PAY-CARD-002). Every method runs to its end without giving way to
another task, which is what makes it atomic: it takes the step first, and then keeps what came of it.

Sessions are never dropped, whoever opened them. So their bytes are counted, and new ones are refused above a bound.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from consilience.payments import TransferStatus
from consilience.server.store import ledger_steps as steps
from consilience.server.store.contract import (
    AskKey,
    AskReservation,
    LeaseLostError,
    Settlement,
    StoredReceipt,
    StoreFullError,
    StoreUnavailableError,
)
from consilience.server.store.ledger import (
    SessionMissingError,
    StoredDeposit,
    StoredSession,
    StoredWithdrawal,
    TransferConflictError,
)
from consilience.units import Digest, EncodedAny, EncodedEnvelope

DEFAULT_MAX_LEDGER_BYTES = 128 * 1024 * 1024
"""Of memory, above which a ledger takes no new session and no new deposit."""

ROW_BYTES = 1024
"""About what a session, a deposit, a payout or a receipt takes without the bytes that it keeps."""

_Transfer = tuple[Digest, bytes]


@dataclass(slots=True, kw_only=True)
class _Book:
    """All that a ledger keeps; what is in a dictionary stands in the order in which it came."""

    sessions: dict[Digest, StoredSession] = field(default_factory=dict)
    deposits: dict[_Transfer, StoredDeposit] = field(default_factory=dict)
    rail_refs: set[bytes] = field(default_factory=set)
    references: set[bytes] = field(default_factory=set)
    withdrawals: dict[_Transfer, StoredWithdrawal] = field(default_factory=dict)
    receipts: dict[Digest, list[StoredReceipt]] = field(default_factory=dict)
    receipts_by_digest: dict[tuple[Digest, bytes], StoredReceipt] = field(default_factory=dict)
    given_back: dict[tuple[Digest, bytes], int] = field(default_factory=dict)
    acknowledged: dict[Digest, tuple[int, EncodedEnvelope]] = field(default_factory=dict)
    reservations: dict[AskKey, AskReservation] = field(default_factory=dict)
    quote_uses: dict[Digest, steps.QuoteUse] = field(default_factory=dict)
    size_bytes: int = 0


class MemoryLedger:
    """Keeps sessions from `open` to `close`; see `Ledger` for each method. It belongs to a `MemoryStore`."""

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_LEDGER_BYTES) -> None:
        """Makes an empty ledger.

        Args:
            max_bytes: Of memory, about, above which it takes no new session and no new deposit.
        """
        self._max_bytes = max_bytes
        self._opened: _Book | None = None

    def open(self) -> None:
        """Makes the ledger ready, with nothing in it."""
        self._opened = _Book()

    def close(self) -> None:
        """Drops everything."""
        self._opened = None

    async def open_session(self, session: StoredSession) -> StoredSession:
        """Keeps a session, or returns the one that is there; see `Ledger.open_session`."""
        if (earlier := self._book.sessions.get(session.session_id)) is not None:
            return earlier
        self._check_room()
        self._count(session.terms)
        return self._keep(session)

    async def find_session(self, session_id: Digest) -> StoredSession | None:
        """Returns a session, or None."""
        return self._book.sessions.get(session_id)

    async def sessions(self, *, after: bytes = b"", limit: int) -> tuple[StoredSession, ...]:
        """Returns sessions in the order of their ids; see `Ledger.sessions`."""
        ids = sorted(session_id for session_id in self._book.sessions if session_id > after)
        return tuple(self._book.sessions[session_id] for session_id in ids[:limit])

    async def begin_deposit(self, deposit: StoredDeposit) -> StoredDeposit:
        """Keeps a deposit, or returns the one that is there; see `Ledger.begin_deposit`."""
        session = steps.present(self._book.sessions.get(deposit.session_id))
        of = deposit.session_id, deposit.deposit_id
        if (earlier := self._book.deposits.get(of)) is not None:
            steps.same_transfer(earlier, amount=deposit.amount)
            return earlier
        steps.still_open(session)
        if deposit.rail_ref in self._book.rail_refs:
            raise TransferConflictError("the rail knows another deposit by this name")
        self._check_room()
        self._count(deposit.instruction)
        self._book.rail_refs.add(deposit.rail_ref)
        self._book.deposits[of] = deposit
        return deposit

    async def find_deposit(self, session_id: Digest, deposit_id: bytes) -> StoredDeposit | None:
        """Returns a deposit, or None."""
        return self._book.deposits.get((session_id, deposit_id))

    async def pending_deposits(self) -> tuple[StoredDeposit, ...]:
        """Returns the deposits that are pending, oldest first."""
        return tuple(each for each in self._book.deposits.values() if each.status is TransferStatus.PENDING)

    async def next_pending_deposits(self, *, after: int, limit: int) -> tuple[tuple[int, StoredDeposit], ...]:
        """Returns a page of the deposits that are pending; see `Ledger.next_pending_deposits`."""
        placed = islice(enumerate(self._book.deposits.values(), start=1), after, None)
        return tuple(islice((each for each in placed if each[1].status is TransferStatus.PENDING), limit))

    async def credit(self, session_id: Digest, deposit_id: bytes, *, amount: int, reference: bytes) -> StoredSession:
        """Credits a deposit, once; see `Ledger.credit`."""
        session = steps.present(self._book.sessions.get(session_id))
        deposit = steps.creditable(self._book.deposits.get((session_id, deposit_id)))
        if deposit.status is TransferStatus.SUCCEEDED:
            return session
        if reference in self._book.references:
            raise TransferConflictError("what proves the deposit has proved another one")
        credited = steps.crediting(session, amount=amount, reference=reference)
        self._book.references.add(reference)
        succeeded = replace(deposit, status=TransferStatus.SUCCEEDED, reference=reference)
        self._book.deposits[session_id, deposit_id] = succeeded
        return self._keep(credited)

    async def fail_deposit(self, session_id: Digest, deposit_id: bytes) -> None:
        """Notes that a pending deposit has failed; see `Ledger.fail_deposit`."""
        deposit = self._book.deposits.get((session_id, deposit_id))
        if deposit is None:
            raise SessionMissingError("the session has no such deposit")
        if deposit.status is TransferStatus.PENDING:
            self._book.deposits[session_id, deposit_id] = replace(deposit, status=TransferStatus.FAILED)

    async def authorize(self, session_id: Digest, *, cumulative: int, voucher: EncodedEnvelope) -> StoredSession:
        """Takes a voucher; see `Ledger.authorize`."""
        session = steps.still_open(self._book.sessions.get(session_id))
        return self._keep(steps.authorizing(session, cumulative=cumulative, voucher=voucher))

    async def find_reservation(self, key: AskKey) -> AskReservation | None:
        """Returns what a running ask is paid out of, or None."""
        return self._book.reservations.get(key)

    async def extend(self, key: AskKey, *, least: int, most: int) -> tuple[AskReservation, StoredSession]:
        """Raises what is reserved for a running ask; see `Ledger.extend`."""
        reservation = self._book.reservations.get(key)
        if reservation is None:
            raise LeaseLostError("nothing is reserved for the ask any more")
        session = self._book.sessions[reservation.session_id]
        session, reservation = steps.extending(session, reservation, least=least, most=most)
        self._book.reservations[key] = reservation
        return reservation, self._keep(session)

    async def receipts(self, session_id: Digest, *, after: int, limit: int) -> tuple[StoredReceipt, ...]:
        """Returns receipts of a session in order; see `Ledger.receipts`."""
        return tuple(self._book.receipts.get(session_id, ())[after : after + limit])

    async def find_receipt(self, session_id: Digest, digest: Digest) -> StoredReceipt | None:
        """Returns a receipt, or None."""
        return self._book.receipts_by_digest.get((session_id, digest))

    async def refund(self, receipt: StoredReceipt) -> StoredSession:
        """Gives part of a charge back; see `Ledger.refund`."""
        session = steps.present(self._book.sessions.get(receipt.session_id))
        of = receipt.session_id, receipt.refund_of
        refunded, before = self._book.receipts_by_digest.get(of), self._book.given_back.get(of, 0)
        after = steps.refunding(session, receipt, refunded=refunded, before=before)
        self._book.given_back[of] = before + receipt.charge
        self._keep_receipt(receipt)
        return self._keep(after)

    async def acknowledge(self, session_id: Digest, *, number: int, call: EncodedEnvelope) -> None:
        """Keeps the payer's word for a receipt; see `Ledger.acknowledge`."""
        if not 1 <= number <= len(self._book.receipts.get(session_id, ())):
            raise SessionMissingError(f"the session has no receipt {number}")
        if number > self._book.acknowledged.get(session_id, (0, None))[0]:
            self._book.acknowledged[session_id] = number, call

    async def acknowledgement(self, session_id: Digest) -> EncodedEnvelope | None:
        """Returns the payer's highest acknowledgement, or None."""
        _, call = self._book.acknowledged.get(session_id, (0, None))
        return call

    async def begin_withdrawal(self, withdrawal: StoredWithdrawal) -> StoredWithdrawal:
        """Counts a payout as withdrawn; see `Ledger.begin_withdrawal`."""
        session = steps.present(self._book.sessions.get(withdrawal.session_id))
        of = withdrawal.session_id, withdrawal.withdrawal_id
        if (earlier := self._book.withdrawals.get(of)) is not None:
            steps.same_transfer(earlier, amount=withdrawal.amount)
            return earlier
        self._keep(steps.withdrawing(session, withdrawal.amount))
        self._count(withdrawal.destination or b"")
        self._book.withdrawals[of] = withdrawal
        return withdrawal

    async def end_withdrawal(
        self, session_id: Digest, withdrawal_id: bytes, *, status: TransferStatus, detail: EncodedAny | None = None
    ) -> StoredWithdrawal:
        """Notes how a payout ended; see `Ledger.end_withdrawal`."""
        withdrawal = self._book.withdrawals.get((session_id, withdrawal_id))
        if withdrawal is None:
            raise SessionMissingError("the session has no such payout")
        ended = steps.ending(withdrawal, status=status, detail=detail)
        if ended is not withdrawal and status is TransferStatus.FAILED:
            self._keep(steps.taking_back(self._book.sessions[session_id], withdrawal.amount))
        self._book.withdrawals[session_id, withdrawal_id] = ended
        return ended

    async def pending_withdrawals(self) -> tuple[StoredWithdrawal, ...]:
        """Returns the payouts that are pending, oldest first."""
        return tuple(each for each in self._book.withdrawals.values() if each.status is TransferStatus.PENDING)

    async def close_session(self, session_id: Digest) -> StoredSession:
        """Shuts a session; see `Ledger.close_session`."""
        return self._keep(steps.closing(steps.present(self._book.sessions.get(session_id))))

    def reserve(self, key: AskKey, reservation: AskReservation, *, now: datetime) -> None:
        """Sets aside what an ask is bound with, or raises what `AnswerStore.bind` says and sets nothing aside."""
        session = steps.still_open(self._book.sessions.get(reservation.session_id))
        unused = steps.QuoteUse(forget_time=now + steps.QUOTE_USE_LIFETIME)
        use = self._book.quote_uses.get(reservation.quote_digest, unused).binding(reservation)
        self._keep(steps.reserving(session, reservation.reserved))
        self._book.quote_uses[reservation.quote_digest] = use
        self._book.reservations[key] = reservation

    def settle(self, key: AskKey, settlement: Settlement | None) -> None:
        """Ends what is reserved for an ask, or raises what `AnswerStore.finish` says and changes nothing."""
        reservation = self._book.reservations.get(key)
        steps.check_settled(reservation, settled=settlement is not None)
        if reservation is None or settlement is None:
            return
        receipt, use = settlement.receipt, self._book.quote_uses[reservation.quote_digest]
        self._keep(steps.settling(self._book.sessions[reservation.session_id], reservation, receipt))
        self._keep_receipt(receipt)
        self._book.quote_uses[reservation.quote_digest] = use.settling(reservation, charge=receipt.charge)
        del self._book.reservations[key]

    def forget_quotes(self, *, now: datetime) -> None:
        """Drops the uses of quotes that have long ended and under which no ask runs."""
        running = {each.quote_digest for each in self._book.reservations.values()}
        kept = {of: use for of, use in self._book.quote_uses.items() if use.forget_time > now or of in running}
        self._book.quote_uses = kept

    @property
    def _book(self) -> _Book:
        if self._opened is None:
            raise StoreUnavailableError("the store is not open")
        return self._opened

    def _keep(self, session: StoredSession) -> StoredSession:
        self._book.sessions[session.session_id] = session
        return session

    def _keep_receipt(self, receipt: StoredReceipt) -> None:
        self._count(receipt.envelope)
        self._book.receipts.setdefault(receipt.session_id, []).append(receipt)
        self._book.receipts_by_digest[receipt.session_id, receipt.digest] = receipt

    def _check_room(self) -> None:
        if self._book.size_bytes >= self._max_bytes:
            raise StoreFullError(f"the store holds {self._book.size_bytes} bytes of sessions", room_time=None)

    def _count(self, kept: bytes) -> None:
        self._book.size_bytes += ROW_BYTES + sys.getsizeof(kept)
