"""The payer: pays for the asks of one client, within its budget, out of its wallet (spec chapter 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from consilience.client.caller import Caller
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.deposits import Deposits
from consilience.client.payments.intents import Begun, Intents, Purchase, purchase_of
from consilience.client.payments.live_asks import LiveAsks
from consilience.client.payments.paid_asks import PaidAsk
from consilience.client.payments.sessions import Sessions
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.vouchers import VoucherCourier
from consilience.client.payments.wallet_rows import PaymentIntent, PaymentStatus, WalletSession
from consilience.client.payments.wallets import Wallet
from consilience.client.questions import Question
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import (
    AnswerUnknownError,
    BalanceTooLowError,
    BudgetExceededError,
    ConsilienceError,
    ProtocolError,
    QuoteInvalidError,
    RefusedError,
    SessionUnknownError,
    Stake,
)
from consilience.nodes import Skill
from consilience.payments import Budget, Quote
from consilience.rails.contract import PayerRail
from consilience.tariffs import Backing
from consilience.units import Digest, PublicKey, RequestId

CLOSE_SECONDS = 2.0
"""How long closing waits for receipts to be acknowledged."""

PAUSE_SECONDS = 0.2
"""Before an ask is sent again that found its session used by others."""

ACKNOWLEDGE_SECONDS = 0.05
"""Between two acknowledgements of a session: the later one stands for all receipts that came meanwhile."""

_LOGGER = logging.getLogger(__name__)

B = TypeVar("B", bound=Begun | None)


class Payer:
    """Pays.

    Args:
        caller: Who asks.
        wallet: What is remembered.
        budget: What may be spent; None: nothing more, but what was begun goes on.
        rails: On which sessions are opened, the preferred one first.
        owns_wallet: Whether the wallet is closed with the client.
    """

    def __init__(
        self,
        *,
        caller: Caller,
        wallet: Wallet,
        budget: Budget | None,
        rails: Sequence[PayerRail],
        owns_wallet: bool = False,
    ) -> None:
        self._live = LiveAsks()
        self.wallet = wallet
        self._owns_wallet = owns_wallet
        self.budget = budget
        self.rails = tuple(rails)
        self.calls = PaymentCalls(caller)
        self.settlements = Settlements(wallet, calls=self.calls, caller=caller)
        self.deposits = Deposits(self.rails, wallet=wallet, calls=self.calls, settlements=self.settlements)
        self.sessions = Sessions(
            self.rails, wallet=wallet, calls=self.calls, settlements=self.settlements, deposits=self.deposits
        )
        self.intents = Intents(wallet, sessions=self.sessions, live=self._live, clock=caller.clock)
        self._caller = caller
        self._quoting: dict[PublicKey, asyncio.Lock] = {}  # so that many asks at once need one price
        self._couriers: dict[Digest, VoucherCourier] = {}
        self._unacknowledged: dict[Digest, bool] = {}  # whether receipts came since the last call
        self._tasks: set[asyncio.Task[None]] = set()

    async def pay_for(self, question: Question, *, skill: Skill, route: Route) -> PaidAsk | None:
        """Makes ready to pay for a question: agrees on a price, finds a session, writes down what is about to be paid.

        Args:
            question: What is asked.
            skill: What is asked of it; it has tariffs.
            route: To the node.

        Returns:
            None: the node quotes no price, and the ask is free.

        Raises:
            BudgetExceededError: It costs more than may be spent; nothing was sent.
            BudgetAssetError: The card has no price for it in the asset of the budget; nothing was sent.
            UsageError: No rail of the client can pay the node; a deposit is missing.
            RefusedError, ProtocolError, TransportError: As `PaymentCalls`. `CardOutdatedError`: it helps to go on with
                the newest card of the node.
        """
        budget = self.budget
        if budget is None or not budget.most:
            raise BudgetExceededError(f"{skill.id} costs something, and the client has no budget; nothing was sent")
        payer = self.calls.signer.public_key
        purchase = purchase_of(question, skill=skill, route=route, payer=payer, budget=budget)
        try:
            begun = await self._bought(purchase)
        except BudgetExceededError:  # perhaps since nobody knows yet what an ask has cost that broke off
            async with self.sessions.lock(route.card.value.node_id):
                await self.sessions.look_again(payer, read=self._live.names(), asset=budget.asset, route=route)
            begun = await self._bought(purchase)
        if begun is None:
            return None
        intent, session = begun
        paid = self._paid(intent, session, route=route)
        paid.has_opened = self.sessions.take_fresh(session.session_id)
        paid.take_along(intent.voucher)
        return paid

    async def resumed(self, request_id: RequestId, *, route: Route) -> PaidAsk | None:
        """Returns the payment of an ask that was paid for before, to go on with it; None: none was written down."""
        intent = await self.wallet.do(self.wallet.intent, request_id)
        if intent is None or intent.status is PaymentStatus.RELEASED:
            return None
        session = await self.wallet.do(self.wallet.session, intent.session_id)
        if session is None or session.terms.value.payee != route.card.value.node_id:
            return None
        if intent.status is PaymentStatus.RUNNING and intent.ask is None:
            return None
        paid = self._paid(intent, session, route=route)
        priced = await self.wallet.do(self.wallet.quotes.get, intent.quote.digest)
        if priced is not None:
            paid.card = priced[1]
        if intent.status is PaymentStatus.PAID:
            paid.receipt = await self.wallet.do(self.wallet.receipts.of_ask, session.session_id, request_id=request_id)
        else:
            paid.resume()
        return paid

    async def refused(self, paid: PaidAsk, failure: RefusedError, *, route: Route) -> bool:
        """Acts on the refusal of an ask that is about money; nothing is bound by it.

        Returns:
            Whether the same ask can be sent again; else it is signed anew, with another payment.

        Raises:
            RefusedError: The refusal itself, where its session is not used any more and one was opened for this ask
                already: it is given one. Whatever is left in a session that was given up is its `stake`.
        """
        match failure:
            case BalanceTooLowError():
                await self.settlements.note_state(await self.calls.session(paid.intent.session_id, route=route))
                await asyncio.sleep(PAUSE_SECONDS)  # what the others of the session hold may come free
                await paid.authorize()
                return True
            case QuoteInvalidError():
                await self.wallet.do(self.wallet.quotes.discard, paid.intent.quote.digest)
            case SessionUnknownError():
                await self.sessions.lost(paid.intent.session_id)
            case _:  # closed, perhaps by another process
                await self.settlements.note_state(await self.calls.session(paid.intent.session_id, route=route))
        await self.dropped(paid)
        session = await self.wallet.do(self.wallet.session, paid.intent.session_id)
        if session is not None and session.trouble:
            failure.stake = await self._left_in(session)
        if paid.has_opened and session is not None and not session.is_usable:
            raise failure
        return False

    async def dropped(self, paid: PaidAsk) -> None:
        """Lets go of the payment of an ask that the node did not take."""
        self._live.drop(paid.intent.request_id)
        await paid.release()

    async def settle(self, paid: PaidAsk, *, route: Route) -> None:
        """Keeps the receipt that came with an answer, and has it acknowledged.

        Raises:
            ProtocolError: It does not fit the others.
        """
        try:
            await paid.settle()
        finally:  # not before: until it is kept, the ask counts as one that is read here
            self._live.drop(paid.intent.request_id)
        self._acknowledge_soon(paid.intent.session_id, route=route)

    def abandoned(self, paid: PaidAsk, *, stopping: asyncio.Task[None] | None, route: Route) -> None:
        """Finds out what an answer has cost that is not read to its end; it goes on in the background.

        Args:
            paid: The payment.
            stopping: Tells the node to stop; None: the work goes on, and what it costs is found out another time.
            route: To the node.
        """
        self._live.drop(paid.intent.request_id)
        self.sessions.forget(paid.intent.session_id)
        if stopping is not None:
            self._keep(self._find_out(paid, stopping, route=route))

    async def close(self) -> None:
        """Waits a little for what goes on in the background, and ends it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for courier in self._couriers.values():
            await courier.close()
        if self._owns_wallet:
            await asyncio.to_thread(self.wallet.close)

    async def _left_in(self, session: WalletSession) -> Stake:
        left = await self.wallet.do(self.wallet.transfers.unspent, session)
        return Stake(asset=session.terms.value.asset, left=left)

    async def _bought(self, purchase: Purchase) -> Begun | None:
        """Writes down what is about to be paid, out of a session with money for it; None: it is free."""
        payee = purchase.route.card.value.node_id
        begun = await self._at_once(purchase)
        if begun is None:
            async with self._quoting.setdefault(payee, asyncio.Lock()):
                quote = await self._quote(purchase)
            if quote.value.tariff is None:
                return None
            begun = await self._at_once(purchase)
        if begun is None:
            async with self.sessions.lock(payee):
                begun = await self._at_once(purchase) or await self._brought(purchase, quote=quote)
        return begun

    async def _at_once(self, purchase: Purchase) -> Begun | None:
        return await self._begun(self.wallet.do(self.intents.at_once, purchase))

    async def _brought(self, purchase: Purchase, *, quote: Signed[Quote]) -> Begun | None:
        """Brings money for an ask, and writes down what is about to be paid."""
        await self.sessions.look(quote, read=self._live.names(), route=purchase.route)  # one may be lost: it is spent
        most = await self.wallet.do(self.intents.most, purchase, quote=quote)
        for attempt in range(2):
            session = await self.sessions.for_ask(
                quote, ceiling=most, budget=purchase.budget, read=self._live.names(), route=purchase.route
            )
            may_be_filled = not attempt and session.terms.value.backing is not Backing.CREDIT
            begin = self.wallet.do(
                self.intents.begin,
                purchase,
                quote=quote,
                most=most,
                session_id=session.session_id,
                whole=may_be_filled,
            )
            begun = await self._begun(begin)
            if begun is not None:  # else the rail takes small deposits, or an ask that needed no lock has taken of it
                break
        return begun

    async def _begun(self, writing: Coroutine[Any, Any, B]) -> B:
        """Returns what is written down about an ask; where nobody waits for that any more, it is let go of."""
        written = asyncio.create_task(writing)
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            self._keep(self._let_go(written))
            raise

    async def _let_go(self, written: asyncio.Task[B]) -> None:
        if (begun := await written) is not None:
            intent, _ = begun
            self._live.drop(intent.request_id)
            await self.wallet.do(self.wallet.release, intent.request_id)

    async def _quote(self, purchase: Purchase) -> Signed[Quote]:
        kept = await self.wallet.do(self.intents.quote, purchase)
        if kept is not None:
            return kept
        quote = await self.calls.quote(
            skill_id=purchase.skill.id,
            model_id=purchase.question.model,
            asset=purchase.budget.asset,
            route=purchase.route,
        )
        if quote.value.tariff is not None:
            await self.wallet.do(self.wallet.quotes.keep, quote, card=purchase.route.card)
        return quote

    def _paid(self, intent: PaymentIntent, session: WalletSession, *, route: Route) -> PaidAsk:
        session_id = session.session_id
        courier = self._couriers.get(session_id)
        if courier is None:
            courier = self._couriers[session_id] = VoucherCourier(
                session_id, wallet=self.wallet, calls=self.calls, settlements=self.settlements, route=route
            )
        courier.route = route
        self._live.add(intent.request_id, session_id=session_id)
        return PaidAsk(
            intent=intent,
            session=session,
            card=route.card,
            wallet=self.wallet,
            calls=self.calls,
            settlements=self.settlements,
            courier=courier,
        )

    def _acknowledge_soon(self, session_id: Digest, *, route: Route) -> None:
        """Has the receipts of a session acknowledged; those that come meanwhile go together with the next call."""
        fresh = session_id not in self._unacknowledged
        self._unacknowledged[session_id] = True
        if fresh:
            self._keep(self._acknowledge_all(session_id, route=route))

    async def _acknowledge_all(self, session_id: Digest, *, route: Route) -> None:
        try:
            while self._unacknowledged[session_id]:
                self._unacknowledged[session_id] = False
                await self._acknowledge(session_id, route=route)
                if self._unacknowledged[session_id]:
                    await asyncio.sleep(ACKNOWLEDGE_SECONDS)
        finally:
            del self._unacknowledged[session_id]

    async def _acknowledge(self, session_id: Digest, *, route: Route) -> None:
        """Acknowledges what is there; where receipts are missing and nobody reads the answers, they are fetched."""
        await self.settlements.acknowledge(session_id, route=route)
        if self._live.any_of(session_id):
            return
        session = await self.wallet.do(self.wallet.session, session_id)
        held = await self.wallet.do(self.wallet.receipts.last_without_hole, session_id)
        told = session.state.value.receipt_count if session and session.state else 0
        if session is not None and held < told and not self._live.any_of(session_id):
            await self.settlements.catch_up(session, route=route)

    async def _find_out(self, paid: PaidAsk, stopping: asyncio.Task[None], *, route: Route) -> None:
        await asyncio.shield(stopping)
        try:
            snapshot = await self._caller.get(paid.intent.request_id, route=route, asked=paid.card.value)
        except AnswerUnknownError:
            return  # a copy may be on its way still; the next look at the session lets go of it
        if snapshot.final is not None:
            paid.end(snapshot.final)
            await paid.settle()
            await self._acknowledge(paid.intent.session_id, route=route)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_told(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def payer_for(
    caller: Caller, *, budget: Budget | None, wallet: Wallet | Path | str | None, rails: Sequence[PayerRail] | None
) -> Payer:
    """Returns who pays for a client.

    Raises:
        WalletFileError: The wallet cannot be opened.
    """
    if rails is None:
        from consilience.rails.hold import HoldPayer  # noqa: PLC0415 - who brings rails needs no other

        rails = (HoldPayer(clock=caller.clock),)
    if isinstance(wallet, Wallet):
        return Payer(caller=caller, wallet=wallet, budget=budget, rails=rails)
    return Payer(caller=caller, wallet=Wallet.at(wallet), budget=budget, rails=rails, owns_wallet=True)


async def _told(work: Coroutine[Any, Any, None]) -> None:
    """Runs what nobody waits for; the log says what became of it."""
    try:
        await work
    except ProtocolError as error:
        _LOGGER.warning("a node broke the rules of payments: %s", error)
    except ConsilienceError as error:
        _LOGGER.info("a payment is left for later: %s", error)
