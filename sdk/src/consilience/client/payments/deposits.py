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
from consilience.payments import Amount, DepositInstruction, Hold, SessionState, SessionTerms, TransferStatus
from consilience.payments.transfers import TRANSFER_ID_BYTES
from consilience.rails.contract import DepositOrder, Paid, PayerRail
from consilience.units import Digest, PublicKey

PAUSES_SECONDS = (0.1, 0.3, 1.0, 2.0)
"""Between the looks at a deposit that has not arrived."""

Standing = tuple[TransferStatus, Signed[SessionState]]
"""How a deposit stands, and what its node told of the session at last."""

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
        self._moving.pop(session.session_id, None)
        pending = await self._wallet.do(self._pending, session.session_id)
        if pending is not None:
            status, state = await self._carry_on(session, pending, route=route)
            if status is not TransferStatus.FAILED:
                return await self._end(session, pending, status=status, state=state, route=route)
            await self._note(pending, status=status)
        begun = await self._begin(session, amount=amount, route=route)
        status, state = await self._carry_on(session, begun, route=route)
        return await self._end(session, begun, status=status, state=state, route=route)

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
        return await self._end(session, deposit, status=status, state=state, route=route)

    async def revisit(self, session: WalletSession, *, route: Route) -> None:
        """Finds out which deposits have been credited that a crash left open; nothing is paid."""
        for deposit in await self._wallet.do(self._wallet.transfers.deposits, session.session_id):
            if deposit.status is not TransferStatus.PENDING:
                continue
            try:
                state, instruction = await self._instruction(session, deposit, route=route)
            except RefusedError:
                continue
            if instruction is None:
                await self._end(session, deposit, status=TransferStatus.SUCCEEDED, state=state, route=route)

    async def _begin(self, session: WalletSession, *, amount: int, route: Route) -> WalletTransfer:
        """Writes down that a deposit is about to be asked for; where another was begun meanwhile, that one goes on.

        Raises:
            ProtocolError: The node tells of less than was brought before; the session is not used any more.
        """
        came = await self._wallet.do(self._wallet.transfers.came, session.session_id)
        asked_back = await self._wallet.do(self._wallet.transfers.asked_back, session.session_id)
        state = await self._calls.session(session.session_id, route=route)
        await self._settlements.note_state(state)
        wanted = WalletTransfer(
            session_id=session.session_id,
            transfer_id=os.urandom(TRANSFER_ID_BYTES),
            amount=amount,
            status=TransferStatus.PENDING,
            begin_time=self._calls.now,
        )
        try:
            return await self._wallet.do(
                self._write_down, wanted, told=state.value, came=came, asked_back=asked_back, asset=asset_of(session)
            )
        except ProtocolError as error:
            await self._settlements.give_up(session.session_id, error)
            raise

    def _write_down(
        self, wanted: WalletTransfer, *, told: SessionState, came: int, asked_back: int, asset: str
    ) -> WalletTransfer:
        """Begins a deposit, unless one is on its way; a step of the wallet.

        What was brought is not brought once more: the node has to tell of what had come, and had not been asked back,
        before it was asked. What is on its way it may tell of or not.

        Raises:
            ProtocolError: It tells of less.
        """
        transfers = self._wallet.transfers
        pending = self._pending(wanted.session_id)
        if pending is not None:
            return pending
        brought = came - max(asked_back, transfers.asked_back(wanted.session_id))
        if (left := told.deposited - told.withdrawn) < brought:
            told_of, was_brought = Amount(max(left, 0), asset), Amount(brought, asset)
            raise ProtocolError(
                f"the node tells of {told_of} in the session, and {was_brought} were brought", requirement="PAY-SES-004"
            )
        transfers.begin_deposit(
            wanted.session_id, deposit_id=wanted.transfer_id, amount=wanted.amount, now=wanted.begin_time
        )
        return wanted

    def _pending(self, session_id: Digest) -> WalletTransfer | None:
        """Returns a deposit that is on its way, or None; a step of the wallet."""
        begun = self._wallet.transfers.deposits(session_id)
        return next((deposit for deposit in begun if deposit.status is TransferStatus.PENDING), None)

    async def _carry_on(self, session: WalletSession, deposit: WalletTransfer, *, route: Route) -> Standing:
        terms, deposit_id = session.terms, deposit.transfer_id
        state, instruction = await self._instruction(session, deposit, route=route)
        if instruction is None:
            return TransferStatus.SUCCEEDED, state
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
                return TransferStatus.PENDING, state
            status, told = await self._confirm(session, paid, instruction=instruction, route=route)
            if status is not TransferStatus.PENDING or pause is None:
                return status, told or state
            await asyncio.sleep(pause)
        return TransferStatus.PENDING, state

    async def _instruction(
        self, session: WalletSession, deposit: WalletTransfer, *, route: Route
    ) -> tuple[Signed[SessionState], DepositInstruction | None]:
        """Asks for a deposit, and returns how the session stands and how to make it; None: it is credited."""
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
        return state, instruction

    async def _confirm(
        self, session: WalletSession, paid: Paid, *, instruction: DepositInstruction, route: Route
    ) -> tuple[TransferStatus, Signed[SessionState] | None]:
        """Shows the payee what the rail gave, and returns how the deposit stands; what is not known is PENDING.

        With it comes what the payee tells of the session, where it was asked.
        """
        if paid.status is TransferStatus.FAILED:
            return TransferStatus.FAILED, None
        if paid.status is not TransferStatus.SUCCEEDED:
            return TransferStatus.PENDING, None
        state, status = await self._calls.confirm(
            session.session_id, deposit_id=instruction.deposit_id, proof=paid.proof, route=route
        )
        await self._settlements.note_state(state)
        if status is TransferStatus.FAILED:
            self._denied.add(instruction.deposit_id)
        # Money has left by the payer's own rail: that it never came is no word on which to send more.
        return TransferStatus.SUCCEEDED if status is TransferStatus.SUCCEEDED else TransferStatus.PENDING, state

    async def _note(self, deposit: WalletTransfer, *, status: TransferStatus) -> None:
        await self._wallet.do(
            self._wallet.transfers.end_deposit, deposit.session_id, deposit_id=deposit.transfer_id, status=status
        )
        self._moving.pop(deposit.session_id, None)

    async def _end(
        self,
        session: WalletSession,
        deposit: WalletTransfer,
        *,
        status: TransferStatus,
        state: Signed[SessionState],
        route: Route,
    ) -> WalletSession:
        """Notes how a deposit ended, and returns the session; raises as `make` where it did not succeed."""
        asset, session_id = asset_of(session), session.session_id
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
        return await self._come(session, deposit, state=state, route=route)

    async def _come(
        self, session: WalletSession, deposit: WalletTransfer, *, state: Signed[SessionState], route: Route
    ) -> WalletSession:
        """Notes what came of a deposit, which may be less than was sent: what the node tells that was not there before.

        Args:
            session: Into which it came.
            deposit: The deposit; its node says that it has succeeded.
            state: What the node told of the session with that. It may be of a moment before the deposit was credited,
                so a node that tells of nothing is asked once more.
            route: To the node.

        Raises:
            ProtocolError: Nothing came; the session is not used any more.
        """
        session_id = session.session_id
        came = await self._wallet.do(self._note_come, deposit, told=state.value)
        if not came:
            state = await self._calls.session(session_id, route=route)
            await self._settlements.note_state(state)
            came = await self._wallet.do(self._note_come, deposit, told=state.value)
        if not came:
            error = ProtocolError("the deposit succeeded and is not credited", requirement="PAY-DEP-002")
            await self._settlements.give_up(session_id, error)
            raise error
        return await self._wallet.do(self._wallet.session, session_id) or session

    def _note_come(self, deposit: WalletTransfer, *, told: SessionState) -> int:
        """Notes what came of a deposit, and returns it; zero: nothing. A step of the wallet.

        What another call has brought to light of the session counts as well.
        """
        known = self._wallet.session(deposit.session_id)
        deposited = max(told.deposited, known.state.value.deposited if known and known.state else 0)
        return self._wallet.transfers.come(
            deposit.session_id,
            deposit_id=deposit.transfer_id,
            deposited=deposited,
            day=self._calls.now.astimezone(UTC).date(),
        )


def asset_of(session: WalletSession) -> str:
    """Returns what a session is paid in."""
    return session.terms.value.asset


def rail_of(terms: SessionTerms, *, rails: Sequence[PayerRail]) -> PayerRail:
    """Returns the rail of a session.

    Raises:
        UsageError: The client cannot pay on it.
    """
    for rail in rails:
        if (rail.id, rail.network) == (terms.rail_id, terms.network):
            return rail
    raise UsageError(f"the client has no rail {terms.rail_id} on {terms.network}: give it to Client(rails=…)")
