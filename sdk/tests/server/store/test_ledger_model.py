"""Ledgers against a model: whatever is done to them in whatever order, they do, refuse and keep what the books say."""

from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import invariant, precondition, rule

from consilience.server.store import MemoryStore
from consilience.server.store.contract import AskReservation, LeaseLostError, Settlement
from consilience.server.store.ledger import (
    BalanceError,
    ChainMovedError,
    PayingStore,
    QuoteUsedUpError,
    SessionMissingError,
    SettlementError,
)
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest, EncodedEnvelope
from sdk.tests.server.store.ledger_books import Books, Transfer, Work, number_of, session_id
from sdk.tests.server.store.ledger_payers import LIMITS, PLACES, SESSIONS, PayerMachine, Refusal, Step, beside
from sdk.tests.server.store.ledger_specimens import receipt, receipt_digest
from sdk.tests.server.store.specimens import (
    ACCEPTED,
    FINISH,
    KEEP_END,
    LATER_THAN_ALL,
    LEASE_END,
    REPLICA,
    entry,
    running_ask,
)

QUOTES = st.integers(0, 2)
PERCENTS = st.lists(st.sampled_from([100, 60, 60, 0]), min_size=1, max_size=3)
FIRST_PLACES = st.sampled_from([0, 1, 1, 1, 2, 2, 3, 9])
MOSTLY = st.sampled_from([True, True, True, False])
WRONG = st.sampled_from([None] * 4 + [BalanceError, ChainMovedError, LeaseLostError, SettlementError])
"""What is wrong with the end of an ask, by what it is refused with."""


class LedgerMachine(PayerMachine):
    """Does what payers, asks and the node do."""

    @rule(session=SESSIONS, quote=QUOTES, amount=LIMITS, more=st.integers(0, 20))
    def bind(self, session: int, quote: int, amount: int | str, more: int) -> None:
        agreed = self.quotes[quote]
        reserved = beside(self.books[session].free if session in self.books else 0, amount)
        ceilings = [work.ceiling for work in self.running if work.quote == quote]
        unless = self.shut(session)
        if unless is None and (
            len(agreed.charges) + len(ceilings) == agreed.most_asks
            or sum(agreed.charges) + sum(ceilings) + reserved + more > agreed.most_charge
        ):
            unless = QuoteUsedUpError
        if unless is None and reserved > self.books[session].free:
            unless = BalanceError
        reservation = AskReservation(
            session_id=session_id(session),
            quote=EncodedEnvelope(b"quote"),
            quote_digest=Digest(bytes([quote]) * 32),
            max_asks=agreed.most_asks,
            total_max_charge=agreed.most_charge,
            ceiling=reserved + more,
            reserved=reserved,
        )
        ask = running_ask()
        bound = self.does(self.store.bind(ask, first=ACCEPTED, reservation=reservation), unless=unless)
        assert (self.run(self.store.find(ask.key)) is not None) == bound
        if bound:
            self.running.append(Work(ask, self.books[session], quote, reserved + more, reserved))
            self.books[session].set_aside += reserved

    @rule(session=SESSIONS, quote=QUOTES, reserved=st.integers(1, 9), percents=PERCENTS)
    def answer(self, session: int, quote: int, reserved: int, percents: list[int]) -> None:
        for percent in percents:
            before = len(self.running)
            self.bind(session, quote, reserved, more=9)
            if len(self.running) > before:
                self.finish(-1, percent, wrong=None)

    @precondition(lambda self: self.running)
    @rule(which=PLACES, amount=LIMITS, more=st.integers(0, 30))
    def extend(self, which: int, amount: int | str, more: int) -> None:
        work = self.running[which % len(self.running)]
        least = beside(min(work.ceiling, work.reserved + work.books.free), amount)
        reach = min(least + more, work.ceiling, work.reserved + work.books.free)
        if least <= reach and work.reserved < reach:
            work.books.set_aside += reach - work.reserved
            work.reserved = reach
        reservation, session = self.run(self.store.ledger.extend(work.ask.key, least=least, most=least + more))
        assert reservation.reserved == work.reserved
        assert session == work.books.session()

    @precondition(lambda self: self.running)
    @rule(which=PLACES, percent=st.integers(0, 100), wrong=WRONG)
    def finish(self, which: int, percent: int, wrong: Refusal) -> None:
        work = self.running[which % len(self.running)]
        charge = work.reserved + 1 if wrong is BalanceError else work.reserved * percent // 100
        number = len(work.books.receipts) + (percent % 2 * 2 if wrong is ChainMovedError else 1)
        settlement = Settlement(receipt=receipt(session_id(work.books.number), number, charge=charge))
        epoch = work.epoch + (wrong is LeaseLostError)
        ending = self.end(work, None if wrong is SettlementError else settlement, epoch=epoch)
        done = self.does(ending, unless=wrong)
        found = self.run(self.store.find(work.ask.key))
        assert found is not None
        assert found.finished == done
        if done:
            work.books.set_aside -= work.reserved
            work.books.spent += charge
            work.books.receipts.append((charge, 0))
            work.books.close_when_idle()
            self.quotes[work.quote].charges.append(charge)
            self.running.remove(work)
            self.ended.append(work)

    @precondition(lambda self: self.ended)
    @rule(which=PLACES)
    def go_on_after_the_end(self, which: int) -> None:
        work = self.ended[which % len(self.ended)]
        of, number = session_id(work.books.number), len(work.books.receipts) + 1
        again = self.end(work, Settlement(receipt=receipt(of, number, charge=0)), epoch=work.epoch)
        self.does(again, unless=LeaseLostError)
        self.does(self.store.ledger.extend(work.ask.key, least=0, most=9), unless=LeaseLostError)

    def end(self, work: Work, settlement: Settlement | None, *, epoch: int) -> Step[None]:
        return self.store.finish(
            work.ask.key,
            (entry(2),),
            epoch=epoch,
            finish_time=FINISH,
            keep_until_time=KEEP_END,
            settlement=settlement,
        )

    @precondition(lambda self: any(books.receipts for books in self.books.values()))
    @rule(which=PLACES, place=FIRST_PLACES, amounts=st.lists(LIMITS, min_size=1, max_size=3), follows=MOSTLY)
    def refund(self, which: int, place: int, amounts: list[int | str], *, follows: bool) -> None:
        charged = [books for books in self.books.values() if books.receipts]
        for amount in amounts:
            self.refund_once(charged[which % len(charged)], place, amount, follows=follows)

    def refund_once(self, books: Books, place: int, amount: int | str, *, follows: bool) -> None:
        number = place % (len(books.receipts) + 2)  # 0, and one behind the last, are none
        refundable = books.refundable(number)
        value = beside(refundable or 0, amount)
        unless: Refusal = None
        if refundable is None:
            unless = SessionMissingError
        elif not follows:
            unless = ChainMovedError
        elif not 0 < value <= refundable:
            unless = BalanceError
        of = session_id(books.number)
        next_number = len(books.receipts) + (1 if follows else 2)
        refund = receipt(of, next_number, charge=value, refund_of=receipt_digest(of, number))
        if self.does(self.store.ledger.refund(refund), unless=unless):
            books.given_back += value
            books.receipts.append((value, number))

    @rule()
    def forget(self) -> None:
        self.run(self.store.forget(now=LATER_THAN_ALL))
        self.ended.clear()  # their answers are forgotten; their receipts are not
        for number, quote in enumerate(self.quotes):
            if all(work.quote != number for work in self.running):
                quote.charges.clear()

    # What must be so at every time.

    @invariant()
    def the_ledger_is_as_the_books_say(self) -> None:
        self.run(self.compare())

    async def compare(self) -> None:
        ledger = self.store.ledger
        for number, books in self.books.items():
            of = session_id(number)
            assert await ledger.find_session(of) == books.session()
            assert books.spent + books.set_aside <= books.promised <= books.there  # PAY-SES-001
            assert books.set_aside == sum(work.reserved for work in self.running if work.books is books)
            said = b"%d is right" % books.acknowledged if books.acknowledged else None
            assert await ledger.acknowledgement(of) == said
            kept = await ledger.receipts(of, after=0, limit=1000)
            assert [each.number for each in kept] == list(range(1, len(books.receipts) + 1))
            assert [each.charge for each in kept] == [amount for amount, _ in books.receipts]
            assert sum(each.charge for each in kept if not each.refund_of) == books.spent
            assert sum(each.charge for each in kept if each.refund_of) == books.given_back
        for work in self.running:
            reservation = await ledger.find_reservation(work.ask.key)
            assert reservation is not None
            assert (reservation.session_id, reservation.reserved) == (session_id(work.books.number), work.reserved)
        for work in self.ended:
            assert await ledger.find_reservation(work.ask.key) is None
        deposits = [(number_of(each.session_id), each.deposit_id[0]) for each in await ledger.pending_deposits()]
        assert deposits == _pending(self.deposits)
        payouts = [(number_of(each.session_id), each.withdrawal_id[0]) for each in await ledger.pending_withdrawals()]
        assert payouts == _pending(self.payouts)


def _pending(transfers: dict[tuple[int, int], Transfer]) -> list[tuple[int, int]]:
    return [of for of, transfer in transfers.items() if transfer.status == "pending"]


class MemoryLedgerMachine(LedgerMachine):
    """A ledger in memory."""

    def new_store(self) -> PayingStore:
        return MemoryStore()


class SqliteLedgerMachine(LedgerMachine):
    """A ledger in a file, which now and then is closed, and opened by another life."""

    def new_store(self) -> PayingStore:
        return SqliteStore(Path(self.folder.name, "answers.db"))

    @rule(claims=st.booleans())
    def reopen(self, *, claims: bool) -> None:
        self.run(self.store.close())
        self.run(self.store.open(replica=REPLICA, lease_until=LEASE_END))
        if claims:
            claimed = {ask.key: ask.epoch for ask in self.run(self.store.claim_abandoned(now=LEASE_END))}
            for work in self.running:
                work.epoch = claimed.pop(work.ask.key, work.epoch)
            assert not claimed


TestMemoryLedger = MemoryLedgerMachine.TestCase
TestMemoryLedger.settings = settings(deadline=None, stateful_step_count=40, max_examples=250)
TestSqliteLedger = SqliteLedgerMachine.TestCase
TestSqliteLedger.settings = settings(deadline=None, stateful_step_count=40, max_examples=20)
