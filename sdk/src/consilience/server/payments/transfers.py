"""Transfers: deposits and payouts, between the rails that move the money and the ledger that counts it (section 3.4).

What is to move is written down first, then a rail is asked, and what it says is written down. Whatever breaks between
two of these, the transfer is PENDING, and is asked for again: by the payer, or by the node itself (`polls`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from consilience._wire.payments import encode_instruction
from consilience.errors import DepositInvalidError, NodeFaultError
from consilience.payments import (
    ConfirmDepositCall,
    DepositInstruction,
    SessionStatus,
    SessionTerms,
    TransferStatus,
    WithdrawCall,
)
from consilience.rails.contract import DepositOrder, PayeeRail, PayoutOrder, RailSilentError
from consilience.server.payments.inquiries import (
    asked,
    check_ref,
    credited_amount,
    has_ended,
)
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.states import refusing, session_closed
from consilience.server.payments.tills import Till
from consilience.server.store.ledger import SessionMissingError, StoredDeposit, StoredSession, StoredWithdrawal
from consilience.tariffs import Rail
from consilience.units import Digest, EncodedAny

RAIL_PATIENCE = timedelta(seconds=10)
"""How long a rail gets to answer; a payer waits that long for PENDING, at most."""

RAIL_WAIT = timedelta(seconds=5)
"""How long a payer is asked to wait whose deposit the rail did not start in its time."""

T = TypeVar("T")
_Key = tuple[object, ...]


class Transfers:
    """Moves money of sessions. Each transfer is asked about by one task at a time, whoever waits for it."""

    def __init__(self, *, till: Till, rails: Iterable[PayeeRail], patience: timedelta = RAIL_PATIENCE) -> None:
        """Takes the rails of a node.

        Args:
            till: Keeps the ledger.
            rails: Those that the card lists.
            patience: How long a rail gets to answer.
        """
        self._till = till
        self._rails = {rail.offer.id: rail for rail in rails}
        self._seconds = patience.total_seconds()
        self._running: dict[_Key, asyncio.Task[Any]] = {}

    @property
    def offers(self) -> tuple[Rail, ...]:
        """The rails as the card lists them."""
        return tuple(rail.offer for rail in self._rails.values())

    def offer(self, rail_id: str) -> Rail | None:
        """Returns a rail as the card lists it, or None."""
        rail = self._rails.get(rail_id)
        return None if rail is None else rail.offer

    async def start(self, order: DepositOrder) -> StoredDeposit:
        """Has a rail make ready for a deposit. Nothing is stored yet: the rail does the same for the same order.

        Raises:
            DepositInvalidError: The rail takes no such deposit, or is not there any more.
            NodeFaultError: It does not answer; the same deposit may be asked for again.
        """
        rail = self._rails.get(order.terms.rail_id)
        if rail is None:
            raise DepositInvalidError(f"nothing is deposited by {order.terms.rail_id} here any more")
        try:
            started = await self._ask(rail, rail.start_deposit(order, now=self._till.clock()))
            check_ref(started, rail_id=rail.offer.id)
        except RailSilentError as error:
            raise NodeFaultError("the rail does not answer", retry_after=RAIL_WAIT) from error
        instruction = DepositInstruction(
            deposit_id=order.deposit_id,
            amount=order.amount,
            expire_time=started.expire_time,
            detail=started.detail,
        )
        return StoredDeposit(
            session_id=order.session_id,
            deposit_id=order.deposit_id,
            amount=order.amount,
            instruction=encode_instruction(instruction),
            rail_ref=started.rail_ref,
        )

    async def confirm(self, call: ConfirmDepositCall, *, session: StoredSession) -> TransferStatus:
        """Credits a deposit that has come, once, and tells how it stands (PAY-DEP-002).

        Args:
            call: Of the payer of the session.
            session: As it stands.

        Raises:
            SessionClosedError: The session takes no deposits any more.
            DepositInvalidError: It has no such deposit, or the proof does not hold (PAY-DEP-003).
        """
        if session.status is not SessionStatus.OPEN:
            raise session_closed(session)
        deposit = await self._till.ledger.find_deposit(call.session_id, call.deposit_id)
        if deposit is None:
            raise DepositInvalidError("the session has no such deposit")
        try:
            with refusing(deposit=True):
                return await self.look_at(deposit, proof=call.proof)
        except RailSilentError:
            return deposit.status

    async def look_at(self, deposit: StoredDeposit, *, proof: EncodedAny | None = None) -> TransferStatus:
        """Asks the rail how a deposit stands, and writes that down.

        Args:
            deposit: As it stands; one that is credited stays so.
            proof: What the payer shows, or None: the node looks by itself.

        Raises:
            DepositInvalidError: The proof does not hold, or there is none and the rail needs one.
            RailSilentError: The rail does not answer.
            TransferConflictError: What proves it proved another deposit, or this one has failed.
            BalanceError: The session cannot hold so much.
        """
        key = "deposit", deposit.session_id, deposit.deposit_id, deposit.status, proof
        return await self._once(key, lambda: self._look_at(deposit, proof))

    async def withdraw(self, call: WithdrawCall, *, session: StoredSession) -> StoredWithdrawal:
        """Pays out, once for each id, and tells how that stands (PAY-WDR-002).

        Args:
            call: Of the payer of the session.
            session: As it stands.

        Raises:
            WithdrawalInvalidError: It is more than can be paid out, or the id stands for another amount.
        """
        wanted = StoredWithdrawal(
            session_id=call.session_id,
            withdrawal_id=call.withdrawal_id,
            amount=call.amount,
            destination=call.destination,
        )
        with refusing(required=call.amount, withdrawal_of=session):
            withdrawal = await self._till.ledger.begin_withdrawal(wanted)
        try:
            return await self.pay(withdrawal, begun=withdrawal is wanted)
        except RailSilentError:
            return withdrawal

    async def pay(self, withdrawal: StoredWithdrawal, *, begun: bool = False) -> StoredWithdrawal:
        """Has the rail pay what is written down, once, however often it is asked, and writes down how that went.

        Args:
            withdrawal: As it stands.
            begun: It was written down just now, so no rail can know of it.

        Raises:
            RailSilentError: The rail does not answer.
        """
        if withdrawal.status is not TransferStatus.PENDING:
            return withdrawal
        key = "payout", withdrawal.session_id, withdrawal.withdrawal_id
        return await self._once(key, lambda: self._pay(withdrawal, begun=begun))

    async def close(self) -> None:
        """Ends all that is still asked; what comes of it is asked for in the next life."""
        tasks = tuple(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_at(self, deposit: StoredDeposit, proof: EncodedAny | None) -> TransferStatus:
        terms, ledger = await self._terms(deposit.session_id), self._till.ledger
        rail = self._rail(terms)
        order = DepositOrder(
            session_id=deposit.session_id, terms=terms, deposit_id=deposit.deposit_id, amount=deposit.amount
        )
        credited = deposit.status is TransferStatus.SUCCEEDED
        checking = rail.check_deposit(
            order, rail_ref=deposit.rail_ref, proof=proof, credited=credited, now=self._till.clock()
        )
        standing = await self._ask(rail, checking)
        if credited or not has_ended(standing):
            return deposit.status
        if standing.status is TransferStatus.FAILED:
            await ledger.fail_deposit(deposit.session_id, deposit.deposit_id)
        else:
            amount = credited_amount(standing, rail_id=rail.offer.id)
            await ledger.credit(deposit.session_id, deposit.deposit_id, amount=amount, reference=standing.reference)
        return standing.status

    async def _pay(self, withdrawal: StoredWithdrawal, *, begun: bool) -> StoredWithdrawal:
        terms = await self._terms(withdrawal.session_id)
        rail = self._rail(terms)
        order = PayoutOrder(
            session_id=withdrawal.session_id,
            terms=terms,
            withdrawal_id=withdrawal.withdrawal_id,
            amount=withdrawal.amount,
            destination=withdrawal.destination,
        )
        # Whether an earlier attempt came through nobody knows: the rail looks, and pays what it knows nothing of.
        paying = rail.start_payout if begun else rail.check_payout
        standing = await self._ask(rail, paying(order, now=self._till.clock()))
        if not has_ended(standing):
            return withdrawal
        return await self._till.ledger.end_withdrawal(
            withdrawal.session_id, withdrawal.withdrawal_id, status=standing.status, detail=standing.detail
        )

    async def _ask(self, rail: PayeeRail, call: Coroutine[Any, Any, T]) -> T:
        return await asked(call, rail_id=rail.offer.id, seconds=self._seconds)

    async def _terms(self, session_id: Digest) -> SessionTerms:
        session = await self._till.ledger.find_session(session_id)
        if session is None:
            raise SessionMissingError("the session of a transfer is not in the ledger")
        return terms_of(session.terms)

    def _rail(self, terms: SessionTerms) -> PayeeRail:
        rail = self._rails.get(terms.rail_id)
        if rail is None:
            raise RailSilentError(f"the node has no rail {terms.rail_id} any more")
        return rail

    async def _once(self, key: _Key, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Returns what comes of some work, of which one is under way at a time; a caller that goes away stops none."""
        task: asyncio.Task[T] | None = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: _Key, task: asyncio.Task[Any]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more
