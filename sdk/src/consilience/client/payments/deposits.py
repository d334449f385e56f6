"""Deposits: money is brought into a session by a rail, each deposit once (spec section 3.4).

    written down --> OpenSession: how --> written down --> the rail pays --> ConfirmDeposit --> credited

Each step may be the last before a crash; the next attempt goes on with the same deposit, and no money moves twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from consilience._wire.payments import encode_instruction, pack_envelope
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.wallet_rows import WalletSession, WalletTransfer
from consilience.client.payments.wallets import Wallet
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import DepositPendingError, ProtocolError, RefusedError, UsageError
from consilience.payments import Amount, DepositInstruction, Hold, SessionTerms, TransferStatus
from consilience.payments.transfers import TRANSFER_ID_BYTES
from consilience.rails.contract import DepositOrder, Paid, PayerRail

PAUSES_SECONDS = (0.1, 0.3, 1.0, 2.0)
"""Between the looks at a deposit that has not arrived."""


class Deposits:
    """Makes deposits.

    Args:
        rails: Those that the client can pay on.
        wallet: Where deposits are written down.
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

    async def make(self, session: WalletSession, *, amount: int, route: Route) -> WalletSession:
        """Brings money into a session; a deposit that was begun before goes on in its place.

        Args:
            session: The session, which is not on credit.
            amount: In units of its asset.
            route: To its node.

        Raises:
            DepositPendingError: It has not arrived yet.
            DepositInvalidError: The node does not take it.
            UsageError: The rail says that the money has not moved, and will not.
        """
        session_id = session.session_id
        begun = await self._wallet.do(self._wallet.transfers.deposits, session_id)
        pending = next((deposit for deposit in begun if deposit.status is TransferStatus.PENDING), None)
        if pending is None:
            pending = WalletTransfer(
                session_id=session_id,
                transfer_id=os.urandom(TRANSFER_ID_BYTES),
                amount=amount,
                status=TransferStatus.PENDING,
                begin_time=self._calls.now,
            )
            await self._wallet.do(
                self._wallet.transfers.begin_deposit,
                session_id,
                deposit_id=pending.transfer_id,
                amount=amount,
                now=pending.begin_time,
            )
        status = await self._carry_on(session, pending, route=route)
        await self._end(session, pending, status=status)
        return await self._wallet.do(self._wallet.session, session_id) or session

    async def prove(self, session: WalletSession, *, hold: Signed[Hold], route: Route) -> WalletSession:
        """Brings the hold of a deposit that was begun before and that somebody handed over.

        Raises:
            UsageError: The session has no such deposit.
            DepositInvalidError: The hold does not hold.
        """
        deposit_id = hold.value.deposit_id
        begun = await self._wallet.do(self._wallet.transfers.deposits, session.session_id)
        deposit = next((deposit for deposit in begun if deposit.transfer_id == deposit_id), None)
        if deposit is None:
            raise UsageError(f"the session has no deposit {deposit_id.hex()}")
        state, status = await self._calls.confirm(
            session.session_id, deposit_id=deposit_id, proof=pack_envelope(hold.envelope), route=route
        )
        await self._settlements.note_state(state)
        await self._end(session, deposit, status=status)
        return await self._wallet.do(self._wallet.session, session.session_id) or session

    async def revisit(self, session: WalletSession, *, route: Route) -> None:
        """Finds out which deposits have been credited that a crash left open; nothing is paid."""
        for deposit in await self._wallet.do(self._wallet.transfers.deposits, session.session_id):
            if deposit.status is not TransferStatus.PENDING:
                continue
            try:
                instruction = await self._instruction(session, deposit, route=route)
            except RefusedError:
                continue
            if instruction is None:
                await self._end(session, deposit, status=TransferStatus.SUCCEEDED)

    async def _carry_on(self, session: WalletSession, deposit: WalletTransfer, *, route: Route) -> TransferStatus:
        terms, deposit_id = session.terms, deposit.transfer_id
        instruction = await self._instruction(session, deposit, route=route)
        if instruction is None:
            return TransferStatus.SUCCEEDED
        await self._wallet.do(
            self._wallet.transfers.instruct,
            session.session_id,
            deposit_id=deposit_id,
            instruction=encode_instruction(instruction),
        )
        order = DepositOrder(
            session_id=session.session_id, terms=terms.value, deposit_id=deposit_id, amount=deposit.amount
        )
        rail = rail_of(terms.value, rails=self._rails)
        for pause in (*PAUSES_SECONDS, None):
            paid = await rail.pay(order, instruction)
            status = await self._confirm(session, order, paid, instruction=instruction, route=route)
            if status is not TransferStatus.PENDING or pause is None:
                return status
            await asyncio.sleep(pause)
        return TransferStatus.PENDING

    async def _instruction(
        self, session: WalletSession, deposit: WalletTransfer, *, route: Route
    ) -> DepositInstruction | None:
        """Asks for a deposit, and returns how to make it; None: it is credited."""
        try:
            state, instruction = await self._calls.open(
                session.terms, deposit_id=deposit.transfer_id, deposit=deposit.amount, route=route
            )
        except RefusedError:
            if deposit.detail is None:  # nobody was told how to pay, and so nobody did
                await self._wallet.do(
                    self._wallet.transfers.end_deposit,
                    session.session_id,
                    deposit_id=deposit.transfer_id,
                    status=TransferStatus.FAILED,
                )
            raise
        await self._settlements.note_state(state)
        told = (instruction.deposit_id, instruction.amount) if instruction is not None else None
        if told not in (None, (deposit.transfer_id, deposit.amount)):
            raise ProtocolError("the node tells how to make another deposit", requirement="PAY-DEP-001")
        return instruction

    async def _confirm(
        self, session: WalletSession, order: DepositOrder, paid: Paid, *, instruction: DepositInstruction, route: Route
    ) -> TransferStatus:
        """Shows the payee what the rail gave, and returns how the deposit stands; what is not known is PENDING."""
        if paid.status is TransferStatus.FAILED:
            return TransferStatus.FAILED
        if paid.status is not TransferStatus.SUCCEEDED:
            return TransferStatus.PENDING
        state, status = await self._calls.confirm(
            session.session_id, deposit_id=instruction.deposit_id, proof=paid.proof, route=route
        )
        await self._settlements.note_state(state)
        if status is TransferStatus.SUCCEEDED and state.value.deposited < order.amount:
            raise ProtocolError("the deposit succeeded and is not credited", requirement="PAY-DEP-002")
        return status if status is not TransferStatus.UNKNOWN else TransferStatus.PENDING

    async def _end(self, session: WalletSession, deposit: WalletTransfer, *, status: TransferStatus) -> None:
        asset, session_id = session.terms.value.asset, session.session_id
        amount = Amount(deposit.amount, asset)
        if status is TransferStatus.PENDING:
            raise DepositPendingError(
                f"a deposit of {amount} has not arrived: session {session_id.hex()},"
                f" deposit {deposit.transfer_id.hex()}, on the rail {session.terms.value.rail_id}",
                session_id=session_id,
                deposit_id=deposit.transfer_id,
                asset=asset,
                amount=deposit.amount,
            )
        await self._wallet.do(
            self._wallet.transfers.end_deposit, session_id, deposit_id=deposit.transfer_id, status=status
        )
        if status is TransferStatus.FAILED:
            raise UsageError(f"the deposit of {amount} failed: the rail says that no money has moved, and none will")


def rail_of(terms: SessionTerms, *, rails: Sequence[PayerRail]) -> PayerRail:
    """Returns the rail of a session.

    Raises:
        UsageError: The client cannot pay on it.
    """
    for rail in rails:
        if (rail.id, rail.network) == (terms.rail_id, terms.network):
            return rail
    raise UsageError(f"the client has no rail {terms.rail_id} on {terms.network}: give it to Client(rails=…)")
