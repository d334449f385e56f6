"""Settlements: receipts are checked, kept and acknowledged, and those that did not come with an answer are fetched."""

from __future__ import annotations

from collections.abc import Iterable

from consilience.asks import Answer, AnswerSnapshot
from consilience.calls import MAX_CLOCK_SKEW
from consilience.client.caller import Caller
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.states import voucher_in
from consilience.client.payments.wallet_rows import PaymentIntent, WalletSession
from consilience.client.payments.wallets import Wallet
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import AnswerUnknownError, PaidElsewhereError, ProtocolError
from consilience.nodes import NodeCard
from consilience.payments import Receipt, SessionState, SessionStatus, check_receipt, check_refund
from consilience.units import Digest

ENDED = frozenset({SessionStatus.CLOSING, SessionStatus.CLOSED})
"""How a session stands that takes no more asks."""

CLOSED = "the node has closed it, and nobody here had asked for that"
"""Why a session is not used any more that its node has ended by itself."""


class Settlements:
    """The receipts of a client's sessions.

    Args:
        wallet: Where they are kept.
        calls: Speak with nodes.
        caller: Who pays.
    """

    def __init__(self, wallet: Wallet, *, calls: PaymentCalls, caller: Caller) -> None:
        self._wallet = wallet
        self._calls = calls
        self._caller = caller

    async def note_state(self, state: Signed[SessionState]) -> None:
        """Keeps what a node told of a session; one that the node has closed by itself is given up."""
        session_id, wallet = state.value.session_id, self._wallet
        voucher = voucher_in(state, payer=self._calls.signer.public_key)
        await wallet.do(wallet.note_state, state, voucher=voucher)
        if state.value.status in ENDED and not await wallet.do(wallet.closings.was_asked, session_id):
            await wallet.do(wallet.give_up, session_id, trouble=CLOSED, now=self._calls.now)

    async def give_up(self, session_id: Digest, error: ProtocolError) -> None:
        """Notes that a session is not used any more, since its node broke the rules."""
        await self._wallet.do(self._wallet.give_up, session_id, trouble=str(error), now=self._calls.now)

    async def keep(self, receipt: Signed[Receipt]) -> None:
        """Keeps a receipt that was checked against its ask, where it fits the one before it.

        Raises:
            ProtocolError: It does not, or the ask has another one.
        """
        await self._wallet.do(self._wallet.receipts.chain, receipt)

    async def acknowledge(self, session_id: Digest, *, route: Route) -> None:
        """Acknowledges the receipts of a session up to the first hole, where that was not done."""
        receipt = await self._wallet.do(self._wallet.receipts.to_acknowledge, session_id)
        if receipt is not None:
            await self.note_state(await self._calls.acknowledge(receipt, route=route))
            await self._wallet.do(self._wallet.receipts.acknowledged, session_id, number=receipt.value.number)

    async def catch_up(self, session: WalletSession, *, route: Route) -> WalletSession:
        """Asks how a session stands, fetches the receipts that are missing, and lets go of asks that were never bound.

        Raises:
            SessionUnknownError: The node does not have it any more.
            ProtocolError: A receipt does not hold, or is for something that was not asked; the session is not used
                any more.
        """
        session_id = session.session_id
        state = await self._calls.session(session_id, route=route)
        await self.note_state(state)
        try:
            await self._fetch(session, upto=state.value.receipt_count, route=route)
        except ProtocolError as error:
            await self.give_up(session_id, error)
            raise
        for intent in await self._wallet.do(self._wallet.running, session_id):
            await self._release_if_unbound(intent, route=route)
        await self.acknowledge(session_id, route=route)
        return await self._wallet.do(self._wallet.session, session_id) or session

    async def _fetch(self, session: WalletSession, *, upto: int, route: Route) -> None:
        held = await self._wallet.do(self._wallet.receipts.last_without_hole, session.session_id)
        while held < upto:
            page = await self._calls.receipts(session.session_id, after=held, route=route)
            if not page:
                raise ProtocolError(f"the node keeps receipts back: {upto} are counted", requirement="PAY-LST-001")
            for receipt in page:
                if receipt.value.number != held + 1:
                    raise ProtocolError("the receipts come with a hole", requirement="PAY-LST-001")
                await self._check_listed(receipt, session=session, route=route)
                await self.keep(receipt)
                held += 1

    async def _check_listed(self, receipt: Signed[Receipt], *, session: WalletSession, route: Route) -> None:
        """Checks a receipt that did not come with its answer."""
        value = receipt.value
        if value.session_id != session.session_id:
            raise ProtocolError("the receipt is of another session", requirement="PAY-LST-001")
        priced = await self._wallet.do(self._wallet.quotes.get, value.quote_digest)
        check_signer(receipt, cards=(one.value for one in (route.card, *(priced[1:] if priced else ()))))
        await self._wallet.do(self._wallet.quotes.keep_card, route.card)
        if value.refund_of:
            earlier = await self._wallet.do(self._wallet.receipts.of, session.session_id)
            check_refund(receipt, earlier=[one for one in earlier if one.value.number < value.number])
            return
        intent = await self._wallet.do(self._wallet.intent, value.request_id)
        if intent is None or intent.ask is None:
            if await self._wallet.do(self._wallet.receipts.numbered, session.session_id, value.number) is None:
                raise PaidElsewhereError(
                    "a receipt is for an ask that was not paid for out of this wallet, or not out of this copy of it",
                    requirement="PAY-RCP-005",
                )
            return
        answer = await self._answer_of(intent, route=route)
        check_receipt(receipt, quote=intent.quote, ask=intent.ask, answer=answer, terms=session.terms)

    async def _answer_of(self, intent: PaymentIntent, *, route: Route) -> Signed[Answer] | None:
        try:
            snapshot = await self._snapshot(intent, route=route)
        except AnswerUnknownError:
            return None
        return snapshot.final.answer if snapshot.final else None

    async def _snapshot(self, intent: PaymentIntent, *, route: Route) -> AnswerSnapshot:
        """Returns what there is of an answer, by the card that its quote rests on; raises as `Caller.get`."""
        priced = await self._wallet.do(self._wallet.quotes.get, intent.quote.digest)
        return await self._caller.get(intent.request_id, route=route, asked=priced[1].value if priced else None)

    async def _release_if_unbound(self, intent: PaymentIntent, *, route: Route) -> None:
        """Lets go of an ask that the node does not know, once no copy of it can be taken any more."""
        expires = intent.ask.value.header.expire_time if intent.ask else intent.begin_time
        if self._caller.clock() - expires <= 2 * MAX_CLOCK_SKEW:
            return
        if intent.ask is not None:
            try:
                await self._snapshot(intent, route=route)
            except AnswerUnknownError:
                pass
            else:
                return
        await self._wallet.do(self._wallet.release, intent.request_id)


def check_signer(receipt: Signed[Receipt], *, cards: Iterable[NodeCard]) -> None:
    """Checks that a receipt is of a node, and signed by a key of one of its cards (PAY-RCP-005).

    Raises:
        ProtocolError: It is not.
    """
    value = receipt.value
    for card in cards:
        if value.node_id == card.node_id and card.may_sign(value.signing_key, at=value.finish_time):
            return
    raise ProtocolError("the receipt is signed by a key that the card does not list", requirement="PAY-RCP-005")
