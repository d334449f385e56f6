"""The steps of a ledger: what each does to a session, whatever keeps it. Pure; a step that is refused returns nothing.

A ledger reads the session, takes the step, and writes what it returns, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consilience.payments import Account, SessionStatus, TransferStatus, funding_commitment
from consilience.payments.sessions import AccountError
from consilience.server.store.contract import AskReservation, StoredReceipt
from consilience.server.store.ledger import (
    BalanceError,
    ChainMovedError,
    QuoteUsedUpError,
    SessionMissingError,
    SessionShutError,
    SettlementError,
    StoredDeposit,
    StoredSession,
    StoredWithdrawal,
    TransferConflictError,
)
from consilience.units import EncodedAny, EncodedEnvelope

QUOTE_USE_LIFETIME = timedelta(hours=2)
"""How long the use of a quote is kept after its first ask: longer than any quote lives, which is an hour."""


_ENDS = (TransferStatus.SUCCEEDED, TransferStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteUse:
    """How far a quote is used (PAY-QUO-003).

    Attributes:
        forget_time: From when on it may be forgotten, once no ask runs under it, aware UTC.
        ask_count: Asks that were bound under it.
        most_charge: The charges of those that have ended, and the ceilings of those that run.
    """

    forget_time: datetime
    ask_count: int = 0
    most_charge: int = 0

    def binding(self, reservation: AskReservation) -> QuoteUse:
        """Returns the use with one ask more.

        Raises:
            QuoteUsedUpError: The quote allows no such ask.
        """
        if self.ask_count >= reservation.max_asks:
            raise QuoteUsedUpError(f"the quote allows {reservation.max_asks} asks, and there were as many")
        most_charge = self.most_charge + reservation.ceiling
        if most_charge > reservation.total_max_charge:
            raise QuoteUsedUpError(
                f"the asks under the quote could be charged {most_charge}, above its {reservation.total_max_charge}"
            )
        return replace(self, ask_count=self.ask_count + 1, most_charge=most_charge)

    def settling(self, reservation: AskReservation, *, charge: int) -> QuoteUse:
        """Returns the use after one of its asks has ended: its charge takes the place of its ceiling."""
        return replace(self, most_charge=self.most_charge - reservation.ceiling + charge)


def present(session: StoredSession | None) -> StoredSession:
    """Returns a session that is there; raises SessionMissingError where none is."""
    if session is None:
        raise SessionMissingError("there is no such session")
    return session


def still_open(session: StoredSession | None) -> StoredSession:
    """Returns a session that is there and open.

    Raises:
        SessionMissingError, SessionShutError: It is not.
    """
    found = present(session)
    if found.status is not SessionStatus.OPEN:
        raise SessionShutError(f"the session is {found.status}", session=found)
    return found


def crediting(session: StoredSession, *, amount: int, reference: bytes) -> StoredSession:
    """Returns the session with a deposit more, which its commitment then covers."""
    credited = _stepping(session, lambda account: account.crediting(amount))
    return replace(credited, funding_commitment=funding_commitment((reference,), before=session.funding_commitment))


def authorizing(session: StoredSession, *, cumulative: int, voucher: EncodedEnvelope) -> StoredSession:
    """Returns the session with a voucher taken; the same one where it is not higher."""
    authorized = _stepping(session, lambda account: account.authorized_to(cumulative))
    return session if authorized.account == session.account else replace(authorized, voucher=voucher)


def reserving(session: StoredSession, amount: int) -> StoredSession:
    """Returns the session with more set aside; raises BalanceError beyond what is free."""
    return _stepping(session, lambda account: account.reserving(amount))


def extending(
    session: StoredSession, reservation: AskReservation, *, least: int, most: int
) -> tuple[StoredSession, AskReservation]:
    """Returns both with the reservation raised as far as `Ledger.extend` says, or as they are."""
    reach = min(most, reservation.ceiling, reservation.reserved + session.account.free)
    if reach < least or reach <= reservation.reserved:
        return session, reservation
    return reserving(session, reach - reservation.reserved), replace(reservation, reserved=reach)


def settling(session: StoredSession, reservation: AskReservation, receipt: StoredReceipt) -> StoredSession:
    """Returns the session after an ask of it; the last one to end closes a session that is closing.

    Raises:
        SettlementError: The receipt is of another session, or a refund.
        ChainMovedError: It is not the next of the session.
        BalanceError: It charges more than is reserved for the ask.
    """
    if receipt.session_id != reservation.session_id or receipt.refund_of:
        raise SettlementError("the receipt is not for an ask of the session that the ask is paid out of")
    numbered = _receiving(session, receipt)
    charged = reservation.reserved, receipt.charge
    settled = _stepping(numbered, lambda account: account.settling(reserved=charged[0], charge=charged[1]), of=session)
    return _closing_once_idle(settled)


def refunding(
    session: StoredSession, receipt: StoredReceipt, *, refunded: StoredReceipt | None, before: int
) -> StoredSession:
    """Returns the session after a refund.

    Args:
        session: As it stands.
        receipt: The refund.
        refunded: The receipt that it refunds, where the session has it.
        before: All that was given back of that one so far, in units of the asset.

    Raises:
        SessionMissingError: There is no such receipt, or it is a refund itself.
        ChainMovedError: The refund is not the next receipt of the session.
        BalanceError: More would be given back than was charged.
    """
    if refunded is None or refunded.refund_of:
        raise SessionMissingError("the session has no such receipt to refund")
    numbered = _receiving(session, receipt)
    if before + receipt.charge > refunded.charge:
        raise BalanceError(
            f"{before} and {receipt.charge} are more to give back than the {refunded.charge} charged", session=session
        )
    return _stepping(numbered, lambda account: account.refunding(receipt.charge), of=session)


def withdrawing(session: StoredSession, amount: int) -> StoredSession:
    """Returns the session with a payout begun; raises BalanceError where it is more than can be paid out."""
    closed = session.status is SessionStatus.CLOSED
    return _stepping(session, lambda account: account.withdrawing(amount, closed=closed))


def taking_back(session: StoredSession, amount: int) -> StoredSession:
    """Returns the session after a payout that failed."""
    return _stepping(session, lambda account: account.taking_back(amount))


def closing(session: StoredSession) -> StoredSession:
    """Returns the session shut: closed where nothing is reserved; one that is shut as it is."""
    if session.status is not SessionStatus.OPEN:
        return session
    return _closing_once_idle(replace(session, status=SessionStatus.CLOSING))


def same_transfer(earlier: StoredDeposit | StoredWithdrawal, *, amount: int) -> None:
    """Checks that an id that is taken is asked for again, and not for another amount.

    Raises:
        TransferConflictError: It is for another amount.
    """
    if earlier.amount != amount:
        raise TransferConflictError(f"the id stands for a transfer of {earlier.amount}, not {amount}")


def creditable(deposit: StoredDeposit | None) -> StoredDeposit:
    """Returns a deposit that is there and has not failed.

    Raises:
        SessionMissingError: There is no such deposit.
        TransferConflictError: It has failed.
    """
    if deposit is None:
        raise SessionMissingError("the session has no such deposit")
    if deposit.status is TransferStatus.FAILED:
        raise TransferConflictError("the deposit has failed, and is not credited any more")
    return deposit


def ending(withdrawal: StoredWithdrawal, *, status: TransferStatus, detail: EncodedAny | None) -> StoredWithdrawal:
    """Returns a payout with its end, or the same one: the first end stays, and what is not known is none."""
    if withdrawal.status is not TransferStatus.PENDING or status not in _ENDS:
        return withdrawal
    return replace(withdrawal, status=status, detail=detail)


def check_settled(reservation: AskReservation | None, *, settled: bool) -> None:
    """Checks that an ask ends with a settlement if, and only if, it has a reservation.

    Raises:
        SettlementError: It does not.
    """
    if settled != (reservation is not None):
        raise SettlementError(
            "an ask that nothing is reserved for has no receipt" if settled else "a paid ask ends with a receipt"
        )


def _receiving(session: StoredSession, receipt: StoredReceipt) -> StoredSession:
    if receipt.number != session.receipt_count + 1:
        raise ChainMovedError(f"receipt {receipt.number} does not follow receipt {session.receipt_count}")
    return replace(session, receipt_count=receipt.number, last_receipt_digest=receipt.digest)


def _stepping(
    session: StoredSession, step: Callable[[Account], Account], *, of: StoredSession | None = None
) -> StoredSession:
    """Returns the session after a step of its account; a refusal shows the session as it stands, which is `of`."""
    try:
        return replace(session, account=step(session.account))
    except AccountError as error:
        raise BalanceError(str(error), session=of or session) from error


def _closing_once_idle(session: StoredSession) -> StoredSession:
    if session.status is not SessionStatus.CLOSING or session.account.reserved:
        return session
    return replace(session, status=SessionStatus.CLOSED, account=session.account.closed())
