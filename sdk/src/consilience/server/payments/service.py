"""PaymentService: the nine methods of the noun payment (spec chapter 3), thin over what moves and counts the money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, TypeVar

from consilience._wire import payments as wire
from consilience._wire import services
from consilience.calls import check_freshness
from consilience.envelopes import Envelope, Signed
from consilience.payments import (
    AcknowledgeReceiptCall,
    CloseSessionCall,
    ConfirmDepositCall,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    OpenSessionCall,
    PaymentCall,
    WithdrawCall,
)
from consilience.rails.contract import PayeeRail
from consilience.server.admission import House, check_size, open_call
from consilience.server.cards import CardIssuer
from consilience.server.load import count_call
from consilience.server.payments.accounts import Accounts
from consilience.server.payments.polls import Polls
from consilience.server.payments.quotes import Quotes
from consilience.server.payments.sessions import Sessions
from consilience.server.payments.states import signed_state
from consilience.server.payments.tills import Till
from consilience.server.payments.transfers import RAIL_PATIENCE, Transfers
from consilience.server.rates import AddressedUnary, CallRate, Unary, counted
from consilience.server.store.ledger import StoredSession

TRANSFERS_LIMIT = "max_transfers_per_minute"

CallT = TypeVar("CallT", bound=PaymentCall)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentService:
    """Prices answers, and keeps the sessions out of which they are paid.

    Attributes:
        house: The rules of the node.
        cards: Tells the card on which quotes rest.
        till: Keeps the ledger.
        quotes: Say the price.
        sessions: Are opened, authorized and closed.
        transfers: Bring money in and out.
        polls: Ask rails again.
        accounts: Hold the receipts.
        transfer_rate: Counts how often each address opens sessions, confirms deposits and withdraws.
    """

    house: House
    cards: CardIssuer
    till: Till
    quotes: Quotes
    sessions: Sessions
    transfers: Transfers
    polls: Polls
    accounts: Accounts
    transfer_rate: CallRate

    @classmethod
    def of(
        cls,
        *,
        house: House,
        cards: CardIssuer,
        till: Till,
        quotes: Quotes,
        rails: Iterable[PayeeRail],
        session_rate: CallRate,
        transfer_rate: CallRate,
        patience: timedelta = RAIL_PATIENCE,
    ) -> Self:
        """Makes the service of a node.

        Args:
            house: The rules of the node.
            cards: Tells the card on which quotes rest.
            till: Keeps the ledger.
            quotes: Say the price.
            rails: On which it is paid; those that the card lists.
            session_rate: Counts how often each caller opens sessions and starts deposits.
            transfer_rate: Counts how often each address does so, confirms deposits and withdraws.
            patience: How long a rail gets to answer.
        """
        transfers = Transfers(till=till, rails=rails, patience=patience)
        return cls(
            house=house,
            cards=cards,
            till=till,
            quotes=quotes,
            sessions=Sessions(till=till, transfers=transfers, rate=session_rate),
            transfers=transfers,
            polls=Polls(transfers, till=till),
            accounts=Accounts(till=till),
            transfer_rate=transfer_rate,
        )

    def moving_money(self, method: Unary) -> AddressedUnary:
        """Returns a method that is refused to an address that has called such methods too often.

        Whatever it brings is kept for ever, or asked of a rail; and whoever has used up one key makes up another.
        """
        return counted(
            method,
            count=lambda address: count_call(self.transfer_rate, address, limit=TRANSFERS_LIMIT, now=self.till.clock()),
        )

    async def poll(self, *, now: datetime) -> None:
        """Asks the rails about what is pending, and waits a moment for them: at the start, and at each heartbeat."""
        await self.polls.poll(now=now)

    async def close(self) -> None:
        """Ends what still waits for a rail; call it before the store is closed."""
        await self.polls.close()
        await self.transfers.close()

    async def get_quote(self, request: bytes) -> bytes:
        """Returns a price, signed and frozen."""
        call = self._open(request, GetQuoteCall).value
        await self.cards.renew()
        quote = self.quotes.answer(call, card=self.cards.current.digest, now=self.till.clock())
        return wire.encode_quote(quote.envelope)

    async def open_session(self, request: bytes) -> bytes:
        """Opens a session, or finds it, and starts a deposit where one is wanted."""
        session, instruction = await self.sessions.open(self._open(request, OpenSessionCall).value)
        return wire.encode_opened(self._state(session), instruction=instruction)

    async def confirm_deposit(self, request: bytes) -> bytes:
        """Credits a deposit that has arrived, once."""
        call = self._open(request, ConfirmDepositCall).value
        session = await self.sessions.find(call.session_id, caller=call.header.caller)
        status = await self.transfers.confirm(call, session=session)
        return wire.encode_confirmed(await self._present_state(call), status=status)

    async def submit_voucher(self, request: bytes) -> bytes:
        """Raises what the node may spend of a session. A voucher speaks for itself: there is no header."""
        check_size(request, limits=self.house.limits)
        session = await self.sessions.take_voucher(services.decode_request(request))
        return wire.encode_state(self._state(session))

    async def get_session(self, request: bytes) -> bytes:
        """Returns how a session stands."""
        return wire.encode_state(await self._present_state(self._open(request, GetSessionCall).value))

    async def acknowledge_receipt(self, request: bytes) -> bytes:
        """Takes the payer's word that a receipt is right."""
        signed = self._open(request, AcknowledgeReceiptCall)
        await self.sessions.find(signed.value.session_id, caller=signed.value.header.caller)
        await self.accounts.acknowledge(signed)
        return wire.encode_state(await self._present_state(signed.value))

    async def list_receipts(self, request: bytes) -> bytes:
        """Returns receipts of a session in their order."""
        call = self._open(request, ListReceiptsCall).value
        await self.sessions.find(call.session_id, caller=call.header.caller)
        return wire.encode_receipts(await self.accounts.receipts(call))

    async def withdraw(self, request: bytes) -> bytes:
        """Pays back what is not promised to the node."""
        call = self._open(request, WithdrawCall).value
        session = await self.sessions.find(call.session_id, caller=call.header.caller)
        withdrawal = await self.transfers.withdraw(call, session=session)
        state = await self._present_state(call)
        return wire.encode_withdrawn(state, status=withdrawal.status, detail=withdrawal.detail)

    async def close_session(self, request: bytes) -> bytes:
        """Takes nothing new on a session, and ends it once its running asks have ended."""
        call = self._open(request, CloseSessionCall).value
        return wire.encode_state(self._state(await self.sessions.close(call.session_id, caller=call.header.caller)))

    def _open(self, request: bytes, call_type: type[CallT]) -> Signed[CallT]:
        signed = open_call(request, call_type, house=self.house)
        check_freshness(signed.value.header, now=self.till.clock())
        return signed

    async def _present_state(
        self, call: ConfirmDepositCall | GetSessionCall | AcknowledgeReceiptCall | WithdrawCall
    ) -> Envelope:
        return self._state(await self.sessions.find(call.session_id, caller=call.header.caller))

    def _state(self, session: StoredSession) -> Envelope:
        now = self.till.clock()
        signer = self.till.keys.signer(now=now)
        return signed_state(session, node_id=self.till.node_id, signer=signer, now=now).envelope
