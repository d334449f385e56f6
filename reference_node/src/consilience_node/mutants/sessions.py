"""Mutants of the noun payment: sessions, deposits and vouchers (spec sections 3.3 to 3.5)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from consilience._wire import envelopes
from consilience.errors import BalanceTooLowError, DepositInvalidError, SessionUnknownError
from consilience.payments import SessionTerms, TransferStatus, Voucher
from consilience.payments.sessions import Account, AccountError
from consilience.rails import hold
from consilience.rails.contract import Standing
from consilience.server.payments import service, sessions, states, transfers
from consilience.server.payments.sessions import Sessions
from consilience.server.store import ledger_steps
from consilience.server.store.memory_ledger import MemoryLedger
from consilience.units import Digest
from consilience_node.mutants.registry import mutant, replace

Check = Callable[..., Any]


@mutant("sessions-are-overdrawn")
def _sessions_are_overdrawn() -> None:
    """More is set aside for asks than a session has authorized."""

    def lenient(_: Check) -> Check:
        def look(self: Any) -> None:
            if not self.authorized <= self.available:
                raise AccountError("the account is outside of its bounds")

        return look

    replace(Account, "__post_init__", lenient)


@mutant("vouchers-fall")
def _vouchers_fall() -> None:
    """A lower voucher takes back what a higher one has authorized."""

    def falling(_: Check) -> Check:
        return lambda self, cumulative: changed(self, authorized=max(cumulative, self.spent + self.reserved))

    replace(Account, "authorized_to", falling)


@mutant("terms-open-anew")
def _terms_open_anew() -> None:
    """The same terms, sent again, lead to a session in which nothing has happened yet."""

    def anew(_: Check) -> Check:
        async def open_session(self: MemoryLedger, session: Any) -> Any:
            return self._keep(session)

        return open_session

    def unseen(open_it: Check) -> Check:
        async def blind(self: Any, call: Any) -> Any:
            session, instruction = await open_it(self, call)
            if instruction is None and not call.deposit_id:
                session = await self.till.ledger.open_session(
                    changed(session, account=Account(credit_limit=session.account.credit_limit))
                )
            return session, instruction

        return blind

    replace(MemoryLedger, "open_session", anew)
    replace(Sessions, "open", unseen)


@mutant("sessions-are-of-all")
def _sessions_are_of_all() -> None:
    """Whoever knows the id of a session may ask how it stands."""

    def open_to_all(_: Check) -> Check:
        async def find(self: Sessions, session_id: Digest, *, caller: Any) -> Any:  # noqa: ARG001 - whoever it is
            session = await self.till.ledger.find_session(session_id)
            if session is None:
                raise states.session_unknown()
            return session

        return find

    replace(Sessions, "find", open_to_all)


@mutant("sessions-of-others-told-apart")
def _sessions_of_others_told_apart() -> None:
    """A stranger is told that there is such a session, and that it is another's."""

    def talkative(find: Check) -> Check:
        async def telling(self: Sessions, session_id: Digest, *, caller: Any) -> Any:
            try:
                return await find(self, session_id, caller=caller)
            except SessionUnknownError:
                if await self.till.ledger.find_session(session_id) is None:
                    raise
                raise SessionUnknownError("the session is another payer's") from None

        return telling

    replace(Sessions, "find", talkative)


@mutant("state-without-reservations")
def _state_without_reservations() -> None:
    """The state of a session tells that nothing is set aside."""
    _told_otherwise(lambda session: changed(session, account=changed(session.account, reserved=0)))


@mutant("state-without-the-voucher")
def _state_without_the_voucher() -> None:
    """The state of a session does not carry the payer's highest voucher."""
    _told_otherwise(lambda session: changed(session, voucher=None))


def _told_otherwise(change: Callable[[Any], Any]) -> None:
    def telling(sign: Check) -> Check:
        return lambda session, **more: sign(change(session), **more)

    replace(service, "signed_state", telling)


@mutant("any-terms-ok")
def _any_terms_ok() -> None:
    """A session is opened on terms that the card does not offer."""
    replace(sessions, "_check_offered", lambda _: lambda *_, **__: None)


@mutant("any-credit-ok")
def _any_credit_ok() -> None:
    """A session is opened with more credit than the card lends."""

    def generous(check: Check) -> Check:
        return lambda terms, **more: check(changed(terms, credit_limit=min(terms.credit_limit, 1)), **more)

    replace(sessions, "_check_offered", generous)


@mutant("any-deposit-ok")
def _any_deposit_ok() -> None:
    """A deposit may be smaller or larger than the card says."""
    replace(Sessions, "_check_amount", lambda _: lambda *_, **__: None)


@mutant("deposits-before-terms")
def _deposits_before_terms() -> None:
    """The amount of a deposit is looked at before the terms."""

    def early(open_it: Check) -> Check:
        async def check_amount_first(self: Any, call: Any) -> Any:
            if call.deposit_id:
                terms = envelopes.open_envelope(call.terms, SessionTerms)
                if terms.value.payer == call.header.caller and terms.value.payee == self.till.node_id:
                    self._check_amount(call.deposit, terms=terms.value, account=None)
            return await open_it(self, call)

        return check_amount_first

    replace(Sessions, "open", early)


@mutant("deposit-changes-its-amount")
def _deposit_changes_its_amount() -> None:
    """A deposit that is asked for again with another amount is taken, as it was."""

    def lenient(earlier: Check) -> Check:
        async def as_it_was(self: Any, call: Any, *, session: Any) -> Any:
            try:
                return await earlier(self, call, session=session)
            except DepositInvalidError:
                return await self.till.ledger.find_deposit(session.session_id, call.deposit_id)

        return as_it_was

    replace(Sessions, "_earlier_deposit", lenient)


@mutant("deposits-credited-again")
def _deposits_credited_again() -> None:
    """A deposit is credited as often as it is confirmed."""

    def again(_: Check) -> Check:
        async def credit(self: MemoryLedger, session_id: Any, deposit_id: bytes, **how: Any) -> Any:
            of = session_id, deposit_id
            credited = changed(self._book.deposits[of], status=TransferStatus.SUCCEEDED, reference=how["reference"])
            self._book.deposits[of] = credited
            return self._keep(ledger_steps.crediting(self._book.sessions[session_id], **how))

        return credit

    def forgetting(look: Check) -> Check:
        async def look_at(self: Any, deposit: Any, proof: Any) -> Any:
            return await look(self, changed(deposit, status=TransferStatus.PENDING), proof)

        return look_at

    replace(MemoryLedger, "credit", again)
    replace(transfers.Transfers, "_look_at", forgetting)


@mutant("one-hold-for-all")
def _one_hold_for_all() -> None:
    """A hold proves any deposit of its payer, as often as it is shown."""

    def lenient(_: Check) -> Check:
        return lambda *_, **__: None

    def nameless(check: Check) -> Check:
        async def check_deposit(self: Any, order: Any, **more: Any) -> Standing:
            standing: Standing = await check(self, order, **more)
            return changed(standing, reference=secrets.token_bytes(32))

        return check_deposit

    replace(hold, "_check", lenient)
    replace(hold.HoldPayee, "check_deposit", nameless)


@mutant("deposits-need-no-proof")
def _deposits_need_no_proof() -> None:
    """A deposit that its payer confirms is credited without anything that proves it."""

    def trusting(confirm: Check) -> Check:
        async def confirming(self: Any, call: Any, *, session: Any) -> Any:
            ledger = self._till.ledger
            deposit = await ledger.find_deposit(call.session_id, call.deposit_id)
            if call.proof is not None or deposit is None:
                return await confirm(self, call, session=session)
            reference = 2 * call.deposit_id
            await ledger.credit(call.session_id, call.deposit_id, amount=deposit.amount, reference=reference)
            return TransferStatus.SUCCEEDED

        return confirming

    replace(transfers.Transfers, "confirm", trusting)


@mutant("holds-of-anybody-ok")
def _holds_of_anybody_ok() -> None:
    """A hold that somebody else signed than the issuer of the session is as good."""

    def trusting(check: Check) -> Check:
        def look(shown: Any, order: Any, **more: Any) -> None:
            check(shown, changed(order, terms=changed(order.terms, issuer=shown.value.issuer)), **more)

        return look

    replace(hold, "_check", trusting)


@mutant("holds-last-for-ever")
def _holds_last_for_ever() -> None:
    """A hold that has expired is as good as before."""

    def timeless(check: Check) -> Check:
        return lambda shown, order, now: check(shown, order, now=min(now, shown.value.expire_time))

    replace(hold, "_check", timeless)


@mutant("vouchers-beyond-the-deposit")
def _vouchers_beyond_the_deposit() -> None:
    """A voucher may promise more than a session has, of which as much counts as there is."""

    def capped(authorize: Check) -> Check:
        def authorizing(session: Any, *, cumulative: int, voucher: Any) -> Any:
            return authorize(session, cumulative=min(cumulative, session.account.available), voucher=voucher)

        return authorizing

    replace(ledger_steps, "authorizing", capped)


@mutant("lower-vouchers-refused")
def _lower_vouchers_refused() -> None:
    """A voucher that is not higher than the last one is refused."""

    def strict(take: Check) -> Check:
        async def take_voucher(self: Any, received: Any, /, **more: Any) -> Any:
            voucher = envelopes.open_envelope(received, Voucher).value
            session = await self.till.ledger.find_session(voucher.session_id)
            if session is not None and voucher.cumulative < session.account.authorized:
                raise BalanceTooLowError("a voucher is higher than the last", detail=states.balance_of(session))
            return await take(self, received, **more)

        return take_voucher

    replace(Sessions, "take_voucher", strict)


@mutant("last-voucher-untold")
def _last_voucher_untold() -> None:
    """A payer that is refused is not told its own highest voucher."""

    def silent(balance: Check) -> Check:
        return lambda session, **more: changed(balance(session, **more), voucher=None)

    replace(states, "balance_of", silent)
