"""Calls of PaymentService: what a payer signs, and what a node says of a session, held to the protocol (chapter 3)."""

from __future__ import annotations

from datetime import datetime

from consilience._wire import payments as wire
from consilience._wire.envelopes import open_envelope, seal
from consilience._wire.services import encode_request
from consilience.client.caller import Caller
from consilience.client.payments.states import check_state
from consilience.client.peers import held_to_protocol
from consilience.client.routes import Route
from consilience.envelopes import Envelope, Signed
from consilience.errors import PaymentsOffError, ProtocolError
from consilience.identity import Signer
from consilience.nodes import NodeCard, Profile
from consilience.payments import (
    ACKNOWLEDGE_METHOD,
    CLOSE_METHOD,
    CONFIRM_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    VOUCHER_METHOD,
    WITHDRAW_METHOD,
    AcknowledgeReceiptCall,
    CloseSessionCall,
    ConfirmDepositCall,
    DepositInstruction,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    OpenSessionCall,
    PaymentCall,
    Quote,
    Receipt,
    SessionState,
    SessionTerms,
    TransferStatus,
    Voucher,
    WithdrawCall,
    check_quote,
)
from consilience.units import Digest, EncodedAny

UNSERVED = "NODE-PROF-001"
"""The requirement that a node breaks which does not serve a method that its card declares."""


class PaymentCalls:
    """The nine methods, each with a signed call and a checked response.

    All of them may be repeated: a call that was not answered is made again with the same ids, and moves money once.
    Of a node that takes no payments any more they raise a `PaymentsOffError`.

    Args:
        caller: Who pays.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def signer(self) -> Signer:
        """The key that pays."""
        return self._caller.signer

    @property
    def now(self) -> datetime:
        """The payer's clock, aware UTC."""
        return self._caller.clock()

    async def quote(self, *, skill_id: str, model_id: str, asset: str, route: Route) -> Signed[Quote]:
        """Returns the price of a skill for this caller.

        Raises:
            SkillUnknownError, ModelUnknownError: There is none such.
            TermsRefusedError: It is not priced in this asset; the detail lists those that it is priced in.
            ProtocolError: The quote is not the one that was asked for (PAY-QUO-004). `CardOutdatedError`: it rests on
                another card than the route.
        """
        header = self._caller.header(QUOTE_METHOD, route.card.value)
        call = GetQuoteCall(header=header, skill_id=skill_id, model_id=model_id, asset=asset)
        response = await self._call(QUOTE_METHOD, call, route)
        with held_to_protocol():
            quote = open_envelope(wire.decode_quote(response), Quote)
        check_quote(
            quote,
            card=route.card,
            payer=self.signer.public_key,
            skill_id=skill_id,
            model_id=model_id,
            asset=asset,
            now=self.now,
        )
        return quote

    async def open(
        self, terms: Signed[SessionTerms], *, deposit_id: bytes = b"", deposit: int = 0, route: Route
    ) -> tuple[Signed[SessionState], DepositInstruction | None]:
        """Opens a session or finds it, and starts a deposit where an id of one is given.

        Raises:
            TermsRefusedError: The node does not offer the terms.
            DepositInvalidError: It takes no such deposit.
        """
        header = self._caller.header(OPEN_METHOD, route.card.value)
        call = OpenSessionCall(header=header, terms=terms.envelope, deposit_id=deposit_id, deposit=deposit)
        response = await self._call(OPEN_METHOD, call, route)
        with held_to_protocol():
            state, instruction = wire.decode_opened(response)
        return self._state(state, terms.digest, route.card.value), instruction

    async def confirm(
        self, session_id: Digest, *, deposit_id: bytes, proof: EncodedAny | None, route: Route
    ) -> tuple[Signed[SessionState], TransferStatus]:
        """Says that a deposit was made, and returns how it stands.

        Raises:
            DepositInvalidError: The proof does not hold.
        """
        header = self._caller.header(CONFIRM_METHOD, route.card.value)
        call = ConfirmDepositCall(header=header, session_id=session_id, deposit_id=deposit_id, proof=proof)
        response = await self._call(CONFIRM_METHOD, call, route)
        with held_to_protocol():
            state, status = wire.decode_confirmed(response)
        return self._state(state, session_id, route.card.value), status

    def voucher(self, session_id: Digest, *, cumulative: int) -> Signed[Voucher]:
        """Signs a voucher, whose amount the wallet has written down."""
        voucher = Voucher(payer=self.signer.public_key, session_id=session_id, cumulative=cumulative)
        return seal(voucher, signer=self.signer)

    async def submit(self, voucher: Signed[Voucher], *, route: Route) -> Signed[SessionState]:
        """Brings a voucher.

        Raises:
            SessionClosedError, BalanceTooLowError: With the payer's own highest voucher.
        """
        response = await self._sent(VOUCHER_METHOD, voucher.envelope, route)
        return self._state_of(response, voucher.value.session_id, route)

    async def session(self, session_id: Digest, *, route: Route) -> Signed[SessionState]:
        """Returns how a session stands."""
        call = GetSessionCall(header=self._caller.header(GET_SESSION_METHOD, route.card.value), session_id=session_id)
        return self._state_of(await self._call(GET_SESSION_METHOD, call, route), session_id, route)

    async def acknowledge(self, receipt: Signed[Receipt], *, route: Route) -> Signed[SessionState]:
        """Says that a receipt is right, and all before it."""
        call = AcknowledgeReceiptCall(
            header=self._caller.header(ACKNOWLEDGE_METHOD, route.card.value),
            session_id=receipt.value.session_id,
            receipt_digest=receipt.digest,
            session_spent=receipt.value.session_spent,
        )
        return self._state_of(await self._call(ACKNOWLEDGE_METHOD, call, route), receipt.value.session_id, route)

    async def receipts(self, session_id: Digest, *, after: int, route: Route) -> tuple[Signed[Receipt], ...]:
        """Returns receipts of a session from behind a number, opened and nothing more; none behind the last."""
        header = self._caller.header(LIST_METHOD, route.card.value)
        call = ListReceiptsCall(header=header, session_id=session_id, after_number=after)
        response = await self._call(LIST_METHOD, call, route)
        with held_to_protocol():
            return tuple(open_envelope(receipt, Receipt) for receipt in wire.decode_receipts(response))

    async def withdraw(
        self, session_id: Digest, *, withdrawal_id: bytes, amount: int, destination: EncodedAny | None, route: Route
    ) -> tuple[Signed[SessionState], TransferStatus, EncodedAny | None]:
        """Asks for money back, and returns how that stands and what the rail gave for it.

        Raises:
            WithdrawalInvalidError: It is more than can be paid out.
        """
        call = WithdrawCall(
            header=self._caller.header(WITHDRAW_METHOD, route.card.value),
            session_id=session_id,
            withdrawal_id=withdrawal_id,
            amount=amount,
            destination=destination,
        )
        response = await self._call(WITHDRAW_METHOD, call, route)
        with held_to_protocol():
            state, status, detail = wire.decode_withdrawn(response)
        return self._state(state, session_id, route.card.value), status, detail

    async def close(self, session_id: Digest, *, route: Route) -> Signed[SessionState]:
        """Ends a session."""
        call = CloseSessionCall(header=self._caller.header(CLOSE_METHOD, route.card.value), session_id=session_id)
        return self._state_of(await self._call(CLOSE_METHOD, call, route), session_id, route)

    async def _call(self, method: str, call: PaymentCall, route: Route) -> bytes:
        return await self._sent(method, seal(call, signer=self.signer).envelope, route)

    async def _sent(self, method: str, envelope: Envelope, route: Route) -> bytes:
        """Makes a call; a node breaks no rule that does not serve what its card does not declare."""
        try:
            return await self._caller.unary(method, encode_request(envelope), route)
        except ProtocolError as error:
            if error.requirement == UNSERVED and Profile.PAY not in route.card.value.profiles:
                raise PaymentsOffError("the node takes no payments any more") from error
            raise

    def _state_of(self, response: bytes, session_id: Digest, route: Route) -> Signed[SessionState]:
        with held_to_protocol():
            state = wire.decode_state(response)
        return self._state(state, session_id, route.card.value)

    def _state(self, envelope: Envelope, session_id: Digest, card: NodeCard) -> Signed[SessionState]:
        with held_to_protocol():
            state = open_envelope(envelope, SessionState)
        check_state(state, session_id=session_id, card=card, payer=self.signer.public_key)
        return state
