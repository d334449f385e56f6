"""Mutants of the noun payment: acknowledgements, lists, payouts and the end of a session (spec section 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from consilience._wire import payments
from consilience.errors import ReceiptUnknownError
from consilience.payments import SessionStatus
from consilience.payments.sessions import Account
from consilience.server.payments.accounts import Accounts
from consilience.server.store import ledger_steps
from consilience.server.store.memory_ledger import MemoryLedger
from consilience.v1 import payment_pb2
from consilience_node.mutants.registry import mutant, replace

Check = Callable[..., Any]


@mutant("any-acknowledgement-ok")
def _any_acknowledgement_ok() -> None:
    """An acknowledgement is taken whatever receipt it names."""

    def lenient(acknowledge: Check) -> Check:
        async def taking(self: Any, signed: Any) -> None:
            try:
                await acknowledge(self, signed)
            except ReceiptUnknownError:
                return

        return taking

    replace(Accounts, "acknowledge", lenient)


@mutant("lists-begin-anew")
def _lists_begin_anew() -> None:
    """A list of receipts begins with the first, from behind which ever it was asked for."""

    def anew(receipts: Check) -> Check:
        async def listed(self: Any, call: Any) -> Any:
            return await receipts(self, changed(call, after_number=0))

        return listed

    replace(Accounts, "receipts", anew)


@mutant("pages-without-end")
def _pages_without_end() -> None:
    """A list of receipts has as many as there are, however few were asked for."""

    def endless(receipts: Check) -> Check:
        async def listed(self: Any, call: Any) -> Any:
            return await receipts(self, changed(call, page_size=0))

        return listed

    replace(Accounts, "receipts", endless)


@mutant("credit-is-paid-out")
def _credit_is_paid_out() -> None:
    """What a session was lent is paid out."""

    def generous(_: Check) -> Check:
        return lambda self, closed: max(0, self.available - (self.spent if closed else self.authorized))

    replace(Account, "withdrawable", generous)


@mutant("promises-are-paid-out")
def _promises_are_paid_out() -> None:
    """What is promised to the node and not spent yet is paid out, and the promise taken back."""

    def generous(_: Check) -> Check:
        def withdrawing(self: Account, amount: int, **_: Any) -> Account:
            withdrawn = self.withdrawn + amount
            left = self.deposited + self.refunded - withdrawn + self.credit_limit
            return changed(self, withdrawn=withdrawn, authorized=min(self.authorized, left))

        return withdrawing

    replace(Account, "withdrawing", generous)


@mutant("one-payout-twice")
def _one_payout_twice() -> None:
    """A payout that is asked for again is paid out again."""

    def again(begin: Check) -> Check:
        async def begin_withdrawal(self: MemoryLedger, withdrawal: Any) -> Any:
            self._book.withdrawals.pop((withdrawal.session_id, withdrawal.withdrawal_id), None)
            return await begin(self, withdrawal)

        return begin_withdrawal

    replace(MemoryLedger, "begin_withdrawal", again)


@mutant("payout-changes-its-amount")
def _payout_changes_its_amount() -> None:
    """A payout that is asked for again with another amount is taken, as it was."""

    def lenient(begin: Check) -> Check:
        async def begin_withdrawal(self: MemoryLedger, withdrawal: Any) -> Any:
            earlier = self._book.withdrawals.get((withdrawal.session_id, withdrawal.withdrawal_id))
            return await begin(self, withdrawal) if earlier is None else earlier

        return begin_withdrawal

    replace(MemoryLedger, "begin_withdrawal", lenient)


@mutant("closed-sessions-take-vouchers")
def _closed_sessions_take_vouchers() -> None:
    """A voucher that comes late authorizes, though its session is closed."""

    def lenient(authorize: Check) -> Check:
        async def authorized(self: MemoryLedger, session_id: Any, *, cumulative: int, voucher: Any) -> Any:
            session = self._book.sessions.get(session_id)
            if session is None or session.status is SessionStatus.OPEN:
                return await authorize(self, session_id, cumulative=cumulative, voucher=voucher)
            return self._keep(ledger_steps.authorizing(session, cumulative=cumulative, voucher=voucher))

        return authorized

    replace(MemoryLedger, "authorize", lenient)


@mutant("closing-drops-what-runs")
def _closing_drops_what_runs() -> None:
    """A session is closed at once, whatever runs on it."""

    def hasty(closing: Check) -> Check:
        def close(session: Any) -> Any:
            shut = closing(session)
            return changed(shut, status=SessionStatus.CLOSED)

        return close

    replace(ledger_steps, "closing", hasty)


@mutant("closing-charges-the-rest")
def _closing_charges_the_rest() -> None:
    """What was authorized and not spent is spent when a session is closed."""

    def greedy(_: Check) -> Check:
        return lambda self: changed(self, spent=self.authorized)

    replace(Account, "closed", greedy)


@mutant("payout-without-status")
def _payout_without_status() -> None:
    """The response to a withdrawal does not say how the payout stands."""

    def silent(encode: Check) -> Check:
        def withdrawn(*what: Any, **more: Any) -> bytes:
            response = payment_pb2.WithdrawResponse.FromString(encode(*what, **more))
            response.ClearField("status")
            return response.SerializeToString()

        return withdrawn

    replace(payments, "encode_withdrawn", silent)
