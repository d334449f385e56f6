"""Deposits: money is brought into a session by a rail, each deposit once (spec section 3.4).

    written down --> OpenSession: how --> written down --> the rail pays --> ConfirmDeposit --> credited

Each step may be the last before a crash; the next attempt goes on with the same deposit, and no money moves twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC

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
from consilience.units import Digest, PublicKey

PAUSES_SECONDS = (0.1, 0.3, 1.0, 2.0)
"""Between the looks at a deposit that has not arrived."""

DENIED = (
    "; the node says that it failed, and the rail that the money has left, so it is not made again: ask whoever runs"
    " the node, or let go of it with `consilience sessions close`, and it counts as spent"
)

PAY_SECONDS = 30.0
"""How long a rail may take to pay: what is not known by then is PENDING, and the next attempt asks again."""


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
        self._denied: set[bytes] = set()  # of which the rail says that they were sent, and the node that they failed
        self._moving: dict[Digest, tuple[PublicKey, Amount]] = {}  # by the session that it goes into

    def moving_to(self, payee: PublicKey) -> Amount | None:
        """Returns what a rail was told to bring to a payee and was not seen to arrive, or to fail; None: nothing."""
        return next((amount for to, amount in self._moving.values() if to == payee), None)

    async def make(self, session: WalletSession, *, amount: int, route: Route) -> WalletSession:
        """Brings money into a session; a deposit that was begun before, and has not failed since, goes on in its place.

        Args:
            session: The session, which is not on credit.
            amount: In units of its asset.
            route: To its node.

        Raises:
            DepositPendingError: It has not arrived yet.
            DepositInvalidError: The node does not take it.
            ProtocolError: The node tells of less than was brought before, or of nothing that came now.
            UsageError: The rail says that the money has not moved, and will not.
        """
        session_id = session.session_id
        self._moving.pop(session_id, None)
        begun = await self._wallet.do(self._wallet.transfers.deposits, session_id)
        pending = next((deposit for deposit in begun if deposit.status is TransferStatus.PENDING), None)
        if pending is not None:
            status = await self._carry_on(session, pending, route=route)
            if status is not TransferStatus.FAILED:
                return await self._end(session, pending, status=status)
            await self._note(pending, status=status)
        fresh = await self._begin(session, amount=amount, route=route)
        return await self._end(session, fresh, status=await self._carry_on(session, fresh, route=route))

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
        return await self._end(session, deposit, status=status)

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

    async def _begin(self, session: WalletSession, *, amount: int, route: Route) -> WalletTransfer:
        await self._check_told(session, route=route)
        begun = WalletTransfer(
            session_id=session.session_id,
            transfer_id=os.urandom(TRANSFER_ID_BYTES),
            amount=amount,
            status=TransferStatus.PENDING,
            begin_time=self._calls.now,
        )
        await self._wallet.do(
            self._wallet.transfers.begin_deposit,
            session.session_id,
            deposit_id=begun.transfer_id,
            amount=amount,
            now=begun.begin_time,
        )
        return begun

    async def _check_told(self, session: WalletSession, *, route: Route) -> None:
        """Checks that a node tells of what was brought before: it is not brought once more.

        Raises:
            ProtocolError: It tells of less; the session is not used any more.
        """
        brought = await self._wallet.do(self._wallet.transfers.brought, session.session_id)
        told = session.state.value if session.state is not None else None
        if told is None or told.deposited - told.withdrawn < brought:  # it may have said so before the last came
            state = await self._calls.session(session.session_id, route=route)
            await self._settlements.note_state(state)
            told = state.value
        if (left := told.deposited - told.withdrawn) < brought:
            asset = session.terms.value.asset
            told_of, was_brought = Amount(max(left, 0), asset), Amount(brought, asset)
            error = ProtocolError(
                f"the node tells of {told_of} in the session, and {was_brought} were brought", requirement="PAY-SES-004"
            )
            await self._settlements.give_up(session.session_id, error)
            raise error

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
        self._moving[session.session_id] = terms.value.payee, Amount(deposit.amount, terms.value.asset)
        for pause in (*PAUSES_SECONDS, None):
            try:
                async with asyncio.timeout(PAY_SECONDS):
                    paid = await rail.pay(order, instruction)
            except TimeoutError:
                return TransferStatus.PENDING
            status = await self._confirm(session, paid, instruction=instruction, route=route)
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
                await self._note(deposit, status=TransferStatus.FAILED)
            raise
        await self._settlements.note_state(state)
        told = (instruction.deposit_id, instruction.amount) if instruction is not None else None
        if told not in (None, (deposit.transfer_id, deposit.amount)):
            raise ProtocolError("the node tells how to make another deposit", requirement="PAY-DEP-001")
        return instruction

    async def _confirm(
        self, session: WalletSession, paid: Paid, *, instruction: DepositInstruction, route: Route
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
        if status is TransferStatus.FAILED:
            self._denied.add(instruction.deposit_id)
        # Money has left by the payer's own rail: that it never came is no word on which to send more.
        return TransferStatus.SUCCEEDED if status is TransferStatus.SUCCEEDED else TransferStatus.PENDING

    async def _note(self, deposit: WalletTransfer, *, status: TransferStatus) -> None:
        await self._wallet.do(
            self._wallet.transfers.end_deposit, deposit.session_id, deposit_id=deposit.transfer_id, status=status
        )
        self._moving.pop(deposit.session_id, None)

    async def _end(self, session: WalletSession, deposit: WalletTransfer, *, status: TransferStatus) -> WalletSession:
        """Notes how a deposit ended, and returns the session; raises as `make` where it did not succeed."""
        asset, session_id = session.terms.value.asset, session.session_id
        amount = Amount(deposit.amount, asset)
        if status is TransferStatus.PENDING:
            denied = deposit.transfer_id in self._denied
            raise DepositPendingError(
                f"a deposit of {amount} has not arrived: session {session_id.hex()},"
                f" deposit {deposit.transfer_id.hex()}, on the rail {session.terms.value.rail_id}"
                + (DENIED if denied else ""),
                session_id=session_id,
                deposit_id=deposit.transfer_id,
                asset=asset,
                amount=deposit.amount,
            )
        if status is TransferStatus.FAILED:
            await self._note(deposit, status=status)
            raise UsageError(f"the deposit of {amount} failed: the rail says that no money has moved, and none will")
        self._moving.pop(session_id, None)
        return await self._come(session, deposit)

    async def _come(self, session: WalletSession, deposit: WalletTransfer) -> WalletSession:
        """Notes what came of a deposit, which may be less than was sent: what the node tells that was not there before.

        Raises:
            ProtocolError: Nothing came; the session is not used any more.
        """
        session_id = session.session_id
        told = await self._wallet.do(self._wallet.session, session_id) or session
        begun = await self._wallet.do(self._wallet.transfers.deposits, session_id)
        others = sum(
            one.amount
            for one in begun
            if one.status is TransferStatus.SUCCEEDED and one.transfer_id != deposit.transfer_id
        )
        deposited = told.state.value.deposited if told.state is not None else 0
        credited = min(deposit.amount, deposited - others)
        if credited <= 0:
            error = ProtocolError("the deposit succeeded and is not credited", requirement="PAY-DEP-002")
            await self._settlements.give_up(session_id, error)
            raise error
        await self._wallet.do(
            self._wallet.transfers.come,
            session_id,
            deposit_id=deposit.transfer_id,
            credited=credited,
            day=self._calls.now.astimezone(UTC).date(),
        )
        return told


def rail_of(terms: SessionTerms, *, rails: Sequence[PayerRail]) -> PayerRail:
    """Returns the rail of a session.

    Raises:
        UsageError: The client cannot pay on it.
    """
    for rail in rails:
        if (rail.id, rail.network) == (terms.rail_id, terms.network):
            return rail
    raise UsageError(f"the client has no rail {terms.rail_id} on {terms.network}: give it to Client(rails=…)")
