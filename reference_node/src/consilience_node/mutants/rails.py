"""Mutants of the noun payment: what a rail tells late, twice or not at all (spec sections 3.4, 3.7 and 7.3)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

from consilience.payments import TransferStatus
from consilience.rails import bank
from consilience.rails.bank import BankPayee
from consilience.rails.contract import FAILED, PENDING, DepositOrder, Standing
from consilience.server.payments import transfers
from consilience.server.payments.transfers import Transfers
from consilience.server.store import ledger_steps
from consilience.server.store.memory_ledger import MemoryLedger
from consilience_node.mutants.registry import mutant, replace

Check = Callable[..., Any]


def _taking(standing: Check) -> Callable[[Check], Check]:
    """Returns what makes a side of a rail say something else, made of the order and of what it says."""

    def make(says: Check) -> Check:
        async def said(self: Any, order: Any, **more: Any) -> Any:
            return standing(order, await says(self, order, **more))

        return said

    return make


def _failed_if_silent(_: Any, said: Standing) -> Standing:
    # What the bank itself calls PENDING is made anew each time.
    return FAILED if said is PENDING else said


@mutant("silence-fails-deposits")
def _silence_fails_deposits() -> None:
    """A deposit about which the bank does not answer has failed."""
    replace(BankPayee, "check_deposit", _taking(_failed_if_silent))


@mutant("silence-fails-payouts")
def _silence_fails_payouts() -> None:
    """A payout about which the bank does not answer has failed, and is the payer's again."""
    replace(BankPayee, "start_payout", _taking(_failed_if_silent))


@mutant("pending-deposits-are-credited")
def _pending_deposits_are_credited() -> None:
    """A deposit is credited that the bank only says is pending."""

    def trusting(order: DepositOrder, said: Standing) -> Standing:
        if said.status is not TransferStatus.PENDING:
            return said
        return Standing(status=TransferStatus.SUCCEEDED, amount=order.amount, reference=bank.name_of(order))

    replace(BankPayee, "check_deposit", _taking(trusting))


@mutant("wanted-amounts-are-credited")
def _wanted_amounts_are_credited() -> None:
    """What was asked for is credited, and not what has come."""

    def rounded(order: DepositOrder, said: Standing) -> Standing:
        return changed(said, amount=order.amount) if said.amount else said

    replace(BankPayee, "check_deposit", _taking(rounded))


@mutant("pending-deposits-are-given-up")
def _pending_deposits_are_given_up() -> None:
    """A deposit that has not come when it is first looked at has failed."""

    def hasty(look: Check) -> Check:
        async def look_at(self: Transfers, deposit: Any, proof: Any) -> Any:
            status = await look(self, deposit, proof)
            if status is TransferStatus.PENDING:
                await self._till.ledger.fail_deposit(deposit.session_id, deposit.deposit_id)
            return status

        return look_at

    replace(Transfers, "_look_at", hasty)


@mutant("each-reference-is-a-deposit")
def _each_reference_is_a_deposit() -> None:
    """A deposit that was looked at many times at once is credited for each thing that proves it."""

    def again(credit: Check) -> Check:
        async def credited(self: MemoryLedger, session_id: Any, deposit_id: bytes, **how: Any) -> Any:
            of = session_id, deposit_id
            if (earlier := self._book.deposits.get(of)) is not None and earlier.reference != how["reference"]:
                self._book.deposits[of] = changed(earlier, status=TransferStatus.PENDING)
            return await credit(self, session_id, deposit_id, **how)

        return credited

    replace(MemoryLedger, "credit", again)


@mutant("references-count-again")
def _references_count_again() -> None:
    """What has proved one deposit proves others, of any session."""

    def again(credit: Check) -> Check:
        async def credited(self: MemoryLedger, session_id: Any, deposit_id: bytes, **how: Any) -> Any:
            self._book.references.discard(how["reference"])
            return await credit(self, session_id, deposit_id, **how)

        return credited

    replace(MemoryLedger, "credit", again)


@mutant("deposits-under-new-names")
def _deposits_under_new_names() -> None:
    """A deposit that is asked for has another name at the bank each time, until it is looked at."""
    names: dict[Any, bytes] = {}

    def renewed(start: Check) -> Check:
        async def start_deposit(self: Any, order: DepositOrder, **more: Any) -> Any:
            names[order.session_id, order.deposit_id] = secrets.token_bytes(32)
            return await start(self, order, **more)

        return start_deposit

    def named(name_of: Check) -> Check:
        return lambda order: names.get((order.session_id, bank._own_id(order))) or name_of(order)

    replace(BankPayee, "start_deposit", renewed)
    replace(bank, "name_of", named)


@mutant("payouts-under-new-names")
def _payouts_under_new_names() -> None:
    """A payout has another name at the bank each time that it is asked for, and is paid each time."""

    def renewed(name_of: Check) -> Check:
        return lambda order: name_of(order) if isinstance(order, DepositOrder) else secrets.token_bytes(32)

    replace(bank, "name_of", renewed)


@mutant("pending-payouts-are-given-back")
def _pending_payouts_are_given_back() -> None:
    """A payout that the rail leaves pending has failed, and is the payer's again."""

    def hasty(pay: Check) -> Check:
        async def paid(self: Transfers, withdrawal: Any, *, begun: bool) -> Any:
            ended = await pay(self, withdrawal, begun=begun)
            if ended.status is TransferStatus.PENDING:
                await self._till.ledger.end_withdrawal(
                    ended.session_id, ended.withdrawal_id, status=TransferStatus.FAILED
                )
            return ended

        return paid

    replace(Transfers, "_pay", hasty)


@mutant("payouts-count-once-paid")
def _payouts_count_once_paid() -> None:
    """A payout counts as withdrawn when it has succeeded, and not before."""

    def late(begin: Check) -> Check:
        async def begin_withdrawal(self: MemoryLedger, withdrawal: Any) -> Any:
            before = self._book.sessions[withdrawal.session_id]
            begun = await begin(self, withdrawal)
            if begun is withdrawal:
                self._keep(before)
            return begun

        return begin_withdrawal

    def counting(end: Check) -> Check:
        async def end_withdrawal(self: MemoryLedger, session_id: Any, withdrawal_id: bytes, **how: Any) -> Any:
            pending = self._book.withdrawals[session_id, withdrawal_id]
            if pending.status is TransferStatus.PENDING:
                session = self._book.sessions[session_id]
                account = changed(session.account, withdrawn=session.account.withdrawn + pending.amount)
                self._keep(changed(session, account=account))
            return await end(self, session_id, withdrawal_id, **how)

        return end_withdrawal

    replace(MemoryLedger, "begin_withdrawal", late)
    replace(MemoryLedger, "end_withdrawal", counting)


@mutant("failed-payouts-are-kept")
def _failed_payouts_are_kept() -> None:
    """A payout that has failed stays withdrawn."""
    replace(ledger_steps, "taking_back", lambda _: lambda session, _amount: session)


@mutant("failed-payouts-begin-anew")
def _failed_payouts_begin_anew() -> None:
    """A payout that has failed is paid after all when it is asked for again."""

    def forgetting(begin: Check) -> Check:
        async def begin_withdrawal(self: MemoryLedger, withdrawal: Any) -> Any:
            of = withdrawal.session_id, withdrawal.withdrawal_id
            if (earlier := self._book.withdrawals.get(of)) and earlier.status is TransferStatus.FAILED:
                del self._book.withdrawals[of]
            return await begin(self, withdrawal)

        return begin_withdrawal

    replace(MemoryLedger, "begin_withdrawal", forgetting)


@mutant("waits-for-the-bank")
def _waits_for_the_bank() -> None:
    """A call waits for the bank until it answers."""

    def patient(_: Check) -> Check:
        async def asked(call: Any, **_: Any) -> Any:
            return await call

        return asked

    replace(bank, "PATIENCE", lambda _: timedelta(days=1))
    replace(transfers, "asked", patient)
