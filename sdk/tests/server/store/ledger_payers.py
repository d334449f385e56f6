"""Payers beside the model of ledgers: sessions, deposits, vouchers, payouts and closes, in whatever order.

Amounts lie at a limit, one beyond it, or anywhere; so a limit that is off by one, or is not there, is found soon.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from consilience.payments import Account, TransferStatus
from consilience.server.store.contract import StoreError
from consilience.server.store.ledger import (
    BalanceError,
    PayingStore,
    SessionMissingError,
    SessionShutError,
    StoredDeposit,
    StoredSession,
    StoredWithdrawal,
    TransferConflictError,
)
from consilience.units import EncodedEnvelope
from sdk.tests.server.store.ledger_books import TERMS, Books, Quote, Transfer, Work, number_of, session_id, voucher
from sdk.tests.server.store.specimens import LEASE_END, REPLICA

T = TypeVar("T")
Step = Coroutine[Any, Any, T]
Refusal = type[StoreError] | None

SESSIONS = st.sampled_from([0, 0, 1, 1, 1, 2])
TRANSFERS = st.integers(0, 2)
PROOFS = st.integers(0, 5)
PLACES = st.integers(0, 9)
LIMITS: st.SearchStrategy[int | str] = st.sampled_from([1, 2, 3, 5, 13, 21, 0, "at", "at", "at", "beyond", "beyond"])
"""An amount, or where it lies beside the limit of the moment."""

ENDS = (TransferStatus.SUCCEEDED, TransferStatus.FAILED)


def beside(limit: int, amount: int | str) -> int:
    return {"at": limit, "beyond": limit + 1}[amount] if isinstance(amount, str) else amount


class PayerMachine(RuleBasedStateMachine):
    """Does what payers do to a ledger, and to its books."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.store = self.new_store()
        self.run(self.store.open(replica=REPLICA, lease_until=LEASE_END))
        self.books: dict[int, Books] = {}
        self.deposits: dict[tuple[int, int], Transfer] = {}
        self.payouts: dict[tuple[int, int], Transfer] = {}
        self.proofs: set[bytes] = set()
        self.running: list[Work] = []
        self.ended: list[Work] = []
        self.quotes = [Quote(2, 1000), Quote(1000, 60), Quote(1000, 100_000)]

    def new_store(self) -> PayingStore:
        raise NotImplementedError

    def teardown(self) -> None:
        self.run(self.store.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    def run(self, step: Step[T]) -> T:
        return self.loop.run_until_complete(step)

    def does(self, step: Step[T], *, unless: Refusal) -> bool:
        """Does a step, or is refused for the reason that the books give; tells whether it was done."""
        if unless is None:
            self.run(step)
            return True
        with pytest.raises(unless) as refusal:
            self.run(step)
        if isinstance(refusal.value, SessionShutError | BalanceError):
            session = refusal.value.session
            assert session == self.books[number_of(session.session_id)].session()
        return False

    def shut(self, session: int) -> Refusal:
        """Returns why a session takes nothing new, or None."""
        if session not in self.books:
            return SessionMissingError
        return None if self.books[session].status == "open" else SessionShutError

    @initialize(amount=st.integers(40, 100), promised=st.integers(20, 40))
    def begin(self, amount: int, promised: int) -> None:
        for session, lent in ((0, 0), (1, 25)):
            self.open(session, lent)
            self.top_up(session, transfer=0, amount=amount, proof=session)
            self.authorize(session, promised)

    @rule(session=SESSIONS, transfer=TRANSFERS, amount=st.integers(1, 100), proof=PROOFS)
    def top_up(self, session: int, transfer: int, amount: int, proof: int) -> None:
        self.begin_deposit(session, transfer, amount)
        self.credit(session, transfer, amount, proof)

    @rule(session=SESSIONS, lent=st.sampled_from([0, 25]))
    def open(self, session: int, lent: int) -> None:
        new = StoredSession(session_id=session_id(session), terms=TERMS, account=Account(credit_limit=lent))
        books = self.books.setdefault(session, Books(session, lent))
        assert self.run(self.store.ledger.open_session(new)) == books.session()

    @rule(session=SESSIONS, transfer=TRANSFERS, amount=st.sampled_from([50, 100]))
    def begin_deposit(self, session: int, transfer: int, amount: int) -> None:
        of = session, transfer
        unless: Refusal = SessionMissingError if session not in self.books else None
        if of in self.deposits:
            unless = None if self.deposits[of].amount == amount else TransferConflictError
        elif unless is None:
            unless = self.shut(session)
        deposit = StoredDeposit(
            session_id=session_id(session),
            deposit_id=bytes([transfer]) * 16,
            amount=amount,
            instruction=b"instruction",
            rail_ref=b"%d of %d" % of,
        )
        if self.does(self.store.ledger.begin_deposit(deposit), unless=unless):
            self.deposits.setdefault(of, Transfer(amount))

    @rule(session=SESSIONS, transfer=TRANSFERS, amount=st.integers(-1, 50), proof=PROOFS)
    def credit(self, session: int, transfer: int, amount: int, proof: int) -> None:
        deposit, reference = self.deposits.get((session, transfer)), bytes([proof]) * 32
        unless: Refusal = None
        if deposit is None:
            unless = SessionMissingError
        elif deposit.status == "failed" or (deposit.status == "pending" and reference in self.proofs):
            unless = TransferConflictError
        elif deposit.status == "pending" and amount <= 0:
            unless = BalanceError
        of = session_id(session), bytes([transfer]) * 16
        crediting = self.store.ledger.credit(*of, amount=amount, reference=reference)
        if self.does(crediting, unless=unless) and deposit is not None and deposit.status == "pending":
            deposit.status = "succeeded"
            self.proofs.add(reference)
            self.books[session].proofs.append(reference)
            self.books[session].deposited += amount

    @rule(session=SESSIONS, transfer=TRANSFERS)
    def fail_deposit(self, session: int, transfer: int) -> None:
        deposit = self.deposits.get((session, transfer))
        failing = self.store.ledger.fail_deposit(session_id(session), bytes([transfer]) * 16)
        self.does(failing, unless=SessionMissingError if deposit is None else None)
        if deposit is not None and deposit.status == "pending":
            deposit.status = "failed"

    @rule(session=SESSIONS, amount=LIMITS)
    def authorize(self, session: int, amount: int | str) -> None:
        unless = self.shut(session)
        there = self.books[session].there if session in self.books else 0
        cumulative = beside(there, amount)
        if unless is None and cumulative > max(there, 0):
            unless = BalanceError
        of = session_id(session)
        authorizing = self.store.ledger.authorize(of, cumulative=cumulative, voucher=voucher(cumulative))
        if self.does(authorizing, unless=unless) and cumulative > self.books[session].promised:
            self.books[session].promised = self.books[session].voucher = cumulative

    @rule(session=SESSIONS)
    def close(self, session: int) -> None:
        closing = self.store.ledger.close_session(session_id(session))
        if self.does(closing, unless=None if session in self.books else SessionMissingError):
            books = self.books[session]
            books.status = "closing" if books.status == "open" else books.status
            books.close_when_idle()

    @rule(session=SESSIONS, transfer=TRANSFERS, amount=LIMITS)
    def withdraw(self, session: int, transfer: int, amount: int | str) -> None:
        of, earlier = (session, transfer), self.payouts.get((session, transfer))
        payable = self.books[session].payable if session in self.books else 0
        value = beside(payable if earlier is None else earlier.amount, amount)
        unless: Refusal = None
        if session not in self.books:
            unless = SessionMissingError
        elif earlier is not None:
            unless = None if earlier.amount == value else TransferConflictError
        elif not 0 < value <= payable:
            unless = BalanceError
        payout = StoredWithdrawal(session_id=session_id(session), withdrawal_id=bytes([transfer]) * 16, amount=value)
        if self.does(self.store.ledger.begin_withdrawal(payout), unless=unless) and earlier is None:
            self.payouts[of] = Transfer(value)
            self.books[session].paid_out += value

    @precondition(lambda self: self.payouts)
    @rule(which=PLACES, said=st.lists(st.sampled_from(TransferStatus), min_size=1, max_size=3))
    def end_withdrawal(self, which: int, said: list[TransferStatus]) -> None:
        (session, transfer), payout = list(self.payouts.items())[which % len(self.payouts)]
        for status in said:
            self.run(self.store.ledger.end_withdrawal(session_id(session), bytes([transfer]) * 16, status=status))
            if payout.status == "pending" and status in ENDS:
                payout.status = "failed" if status is TransferStatus.FAILED else "succeeded"
                self.books[session].paid_out -= payout.amount if status is TransferStatus.FAILED else 0

    @rule(session=SESSIONS, number=st.integers(0, 4))
    def acknowledge(self, session: int, number: int) -> None:
        books = self.books.get(session)
        known = books is not None and 1 <= number <= len(books.receipts)
        call = EncodedEnvelope(b"%d is right" % number)
        acknowledging = self.store.ledger.acknowledge(session_id(session), number=number, call=call)
        if self.does(acknowledging, unless=None if known else SessionMissingError):
            self.books[session].acknowledged = max(self.books[session].acknowledged, number)
