"""Withdrawals: money comes back from a session, each time once (spec section 3.7)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace

from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.deposits import PAUSES_SECONDS, rail_of
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.wallet_rows import WalletSession, WalletTransfer
from consilience.client.payments.wallets import Wallet
from consilience.client.routes import Route
from consilience.errors import UsageError, WithdrawalInvalidError
from consilience.payments import Amount, SessionState, SessionStatus, TransferStatus
from consilience.payments.transfers import TRANSFER_ID_BYTES
from consilience.rails.contract import PayerRail


class Withdrawals:
    """Gets money back.

    Args:
        rails: Those that the client can be paid on.
        wallet: Where withdrawals are written down.
        calls: Speak with nodes.
        settlements: Keep what nodes tell of sessions.
    """

    def __init__(
        self, rails: Sequence[PayerRail], *, wallet: Wallet, calls: PaymentCalls, settlements: Settlements
    ) -> None:
        self._rails = rails
        self._wallet = wallet
        self._calls = calls
        self._settlements = settlements

    async def make(self, session: WalletSession, *, amount: int | None, route: Route) -> WalletTransfer:
        """Asks for money back; what was begun before is brought to its end first.

        Args:
            session: The session.
            amount: In units of its asset; None: all that can be paid out.
            route: To its node.

        Returns:
            How it stands; one that is PENDING goes on with the next call.

        Raises:
            UsageError: There is nothing that can be paid out, or the amount is not above zero.
            WithdrawalInvalidError: It is more than can be paid out.
        """
        if amount is not None and amount <= 0:
            raise UsageError(f"{Amount(amount, session.terms.value.asset)} is no amount to pay out")
        session_id = session.session_id
        begun = await self._wallet.do(self._wallet.transfers.withdrawals, session_id)
        for earlier in begun:
            if earlier.status is TransferStatus.PENDING:
                try:
                    ended = await self._carry_on(session, earlier, route=route)
                except WithdrawalInvalidError:
                    continue  # it never came to be
                if ended.status is TransferStatus.PENDING or amount in (None, earlier.amount):
                    return ended
        state = await self._calls.session(session_id, route=route)
        await self._settlements.note_state(state)
        wanted = withdrawable(state.value) if amount is None else amount
        if wanted <= 0:
            raise UsageError(f"there is nothing to pay out{_held_back(state.value, asset=session.terms.value.asset)}")
        withdrawal = WalletTransfer(
            session_id=session_id,
            transfer_id=os.urandom(TRANSFER_ID_BYTES),
            amount=wanted,
            status=TransferStatus.PENDING,
            begin_time=self._calls.now,
        )
        await self._wallet.do(
            self._wallet.transfers.begin_withdrawal,
            session_id,
            withdrawal_id=withdrawal.transfer_id,
            amount=wanted,
            now=withdrawal.begin_time,
        )
        return await self._carry_on(session, withdrawal, route=route)

    async def _carry_on(self, session: WalletSession, withdrawal: WalletTransfer, *, route: Route) -> WalletTransfer:
        rail = rail_of(session.terms.value, rails=self._rails)
        for pause in (*PAUSES_SECONDS, None):
            try:
                state, told, detail = await self._calls.withdraw(
                    session.session_id,
                    withdrawal_id=withdrawal.transfer_id,
                    amount=withdrawal.amount,
                    destination=rail.destination(session.terms.value),
                    route=route,
                )
            except WithdrawalInvalidError as error:
                await self._note(replace(withdrawal, status=TransferStatus.FAILED))
                raise await self._in_words(error, withdrawal, asset=session.terms.value.asset) from error
            await self._settlements.note_state(state)
            status = told if told is not TransferStatus.UNKNOWN else TransferStatus.PENDING
            withdrawal = await self._note(replace(withdrawal, status=status, detail=detail))
            if status is not TransferStatus.PENDING or pause is None:
                break
            await asyncio.sleep(pause)
        return withdrawal

    async def _in_words(
        self, error: WithdrawalInvalidError, withdrawal: WalletTransfer, *, asset: str
    ) -> WithdrawalInvalidError:
        """Returns the refusal of a withdrawal with its amounts, of which a node knows the units alone."""
        known = await self._wallet.do(self._wallet.session, withdrawal.session_id)
        wanted, most = Amount(withdrawal.amount, asset), withdrawable(known.state.value) if known and known.state else 0
        if wanted.value <= most:
            return WithdrawalInvalidError(f"the node does not pay {wanted} out: {error}", detail=error.detail)
        return WithdrawalInvalidError(
            f"{wanted} is more than the {Amount(most, asset)} that can be paid out of the session", detail=error.detail
        )

    async def _note(self, withdrawal: WalletTransfer) -> WalletTransfer:
        await self._wallet.do(
            self._wallet.transfers.end_withdrawal,
            withdrawal.session_id,
            withdrawal_id=withdrawal.transfer_id,
            status=withdrawal.status,
            detail=withdrawal.detail,
        )
        return withdrawal


def _held_back(state: SessionState, *, asset: str) -> str:
    """Returns what a session that goes on keeps from being paid out; one that is closed keeps nothing."""
    if state.status is SessionStatus.CLOSED:
        return ""
    return f": {Amount(state.authorized, asset)} are promised to the node; close the session first"


def withdrawable(state: SessionState) -> int:
    """Returns what can be paid out of a session as its node tells it (PAY-WDR-001)."""
    promised = state.spent if state.status is SessionStatus.CLOSED else state.authorized
    return max(0, state.deposited + state.refunded - state.withdrawn - promised)
