"""Payers: what the driver of a check pays with. Quotes, sessions and vouchers, all written into the transcript.

Example::

    async def drive(stage: Stage) -> None:
        payer = Payer(stage)
        price, account = await payer.deal()
        await payer.send("ask", payer.ask(price=price, account=account), price=price, up_to=price.first_window)
        await payer.state("state", account)
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from consilience.v1 import ask_pb2, conformance_pb2, payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance.ask_methods import ASK
from consilience_conformance.callers import Caller
from consilience_conformance.needs import NotApplicableError, NotLentError, UntestableError
from consilience_conformance.patience import patiently
from consilience_conformance.payment_methods import (
    ACKNOWLEDGE,
    CLOSE,
    CONFIRM,
    GET_QUOTE,
    GET_SESSION,
    LIST,
    OPEN,
    SUBMIT,
    WITHDRAW,
)
from consilience_conformance.purses import Offer, is_prepaid_in_value, offers
from consilience_conformance.rules.payments import Signed, instruction_in, opened, quote_in
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.stage import Stage
from consilience_conformance.streams import Seen, Stream
from consilience_conformance.transcripts import Exchange

WINDOWS = 8
"""A session is opened for so many windows of its quote, if the check does not say how much it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A quote that was made.

    Attributes:
        offer: Of the card.
        quote: Of the node.
    """

    offer: Offer
    quote: Signed[payment_pb2.Quote]

    @property
    def window(self) -> int:
        """How far authority runs ahead."""
        return int(self.quote.value.window)

    @property
    def max_charge(self) -> int:
        """The most that an ask costs."""
        return int(self.quote.value.max_charge)

    @property
    def first_window(self) -> int:
        """What has to be authorized for an ask to be accepted."""
        return min(self.window, self.max_charge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A session that was opened.

    Attributes:
        terms: As the payer signed them; their digest is the id.
        amount: Up to what vouchers can go at first.
    """

    terms: Signed[payment_pb2.SessionTerms]
    amount: int

    @property
    def session_id(self) -> bytes:
        """The id, 32 bytes."""
        return self.terms.digest


class Payer:
    """A caller that pays.

    Attributes:
        stage: To act with.
        caller: Whose sessions they are.
    """

    def __init__(self, stage: Stage, *, caller: Caller | None = None) -> None:
        """Nothing is paid yet."""
        self.stage = stage
        self.caller = caller or stage.caller

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The ways in which the skill that is asked can be paid, the preferred one first."""
        return offers(self.stage.target.card, self.stage.subject.skill, purse=self.stage.surroundings.purse)

    def offer(self, *, backing: int = 0) -> Offer:
        """Returns the first way to pay.

        Args:
            backing: What has to be able to stand behind a session; 0: whatever.

        Raises:
            NotApplicableError: The card offers none.
            NotLentError: It offers one that no tester can have.
        """
        found = next((one for one in self._offers_with(backing) if not backing or backing in one.backings), None)
        if found is None and backing == tariff_pb2.BACKING_PREPAID and is_prepaid_in_value(self.stage.target.card):
            raise NotLentError("needs a prepaid session, and what is of value no node gives to a tester")
        if found is None:
            name = tariff_pb2.Backing.Name(backing).removeprefix("BACKING_") if backing else "any backing"  # type: ignore[arg-type]
            raise NotApplicableError(f"the card offers no session with {name} on a rail by which a tester can pay")
        return found

    def _offers_with(self, backing: int) -> tuple[Offer, ...]:
        if backing != tariff_pb2.BACKING_ESCROW:
            return self.offers
        stage = self.stage
        purse = stage.surroundings.purse
        return offers(stage.target.card, stage.subject.skill, purse=purse, paid_by=(backing,))

    async def deal(self, *, offer: Offer | None = None, amount: int = 0, backing: int = 0) -> tuple[Price, Account]:
        """Gets a quote and opens a session, as exchanges `quote` and `open`; raises what these two raise."""
        chosen = offer or self.offer(backing=backing)
        price = await self.quote("quote", offer=chosen)
        account = await self.open("open", price=price, amount=amount, backing=backing)
        return price, account

    async def quote(self, name: str, *, offer: Offer | None = None) -> Price:
        """Gets a quote for the skill that is asked.

        Raises:
            UntestableError: None is made.
        """
        chosen = offer or self.offer()
        exchange = await self.ask_price(name, skill_id=self.stage.subject.skill.id, asset=chosen.tariff.asset)
        quote = quote_in(exchange)
        if quote is None or not quote.value.HasField("tariff"):
            raise UntestableError(f"GetQuote did not bring a price: {_how(exchange)}")
        return Price(offer=chosen, quote=quote)

    async def ask_price(self, name: str, *, skill_id: str, model_id: str = "", asset: str = "") -> Exchange:
        """Calls GetQuote."""
        call = payment_pb2.GetQuoteCall(
            header=self.stage.header(GET_QUOTE, caller=self.caller), skill_id=skill_id, model_id=model_id, asset=asset
        )
        request = payment_pb2.GetQuoteRequest(call=self.seal(call))
        return await self.stage.call(name, GET_QUOTE, request)

    def terms(self, offer: Offer, *, backing: int, amount: int, **changes: object) -> payment_pb2.SessionTerms:
        """Returns terms that the card offers, but for the changes."""
        credit = backing == tariff_pb2.BACKING_CREDIT
        fields: dict[str, object] = {
            "payer": self.caller.key,
            "payee": self.stage.target.node_id,
            "asset": offer.tariff.asset,
            "rail_id": offer.rail.id,
            "network": offer.rail.network,
            "backing": backing,
            "issuer": self.caller.key if credit else self.stage.target.node_id,
            "credit_limit": amount if credit else 0,
            "salt": secrets.token_bytes(16),
        }
        return payment_pb2.SessionTerms(**{**fields, **changes})  # type: ignore[arg-type]

    async def open(
        self, name: str, *, price: Price | None = None, offer: Offer | None = None, amount: int = 0, backing: int = 0
    ) -> Account:
        """Opens a session, and funds it where it is prepaid.

        Args:
            name: Of the exchange; that of the deposit has `-deposit` behind it.
            price: What is going to be paid.
            offer: Instead of that of the price.
            amount: What it has to hold; 0: some windows of the price, or what the rail takes, if that is less.
            backing: What stands behind it; 0: whichever is simplest.

        Raises:
            NotApplicableError: No session can hold so much.
            NotLentError: The run may not spend so much.
            UntestableError: The node refuses.
        """
        chosen = offer or (price.offer if price is not None else self.offer(backing=backing))
        behind = backing or chosen.backings[0]
        wanted = amount or (WINDOWS * price.window if price is not None else 0)
        amount = _fitting(chosen, behind, wanted=wanted, needed=amount)
        self.stage.surroundings.purse.take(amount, asset=chosen.tariff.asset, network=chosen.rail.network)
        return await self._opened(name, chosen, behind=behind, amount=amount)

    async def open_on_trust(self, name: str, *, price: Price, amount: int) -> Account:
        """Opens a session for which nothing is taken from the purse yet: that is for whoever signs its vouchers.

        Args:
            name: As of `open`.
            price: What is going to be paid, once at least.
            amount: What it is to hold, or what the rail takes, if that is less.

        Raises:
            NotApplicableError: No session can hold what the price is at its most.
            UntestableError: The node refuses.
        """
        behind = price.offer.backings[0]
        amount = _fitting(price.offer, behind, wanted=amount, needed=price.max_charge)
        return await self._opened(name, price.offer, behind=behind, amount=amount)

    async def _opened(self, name: str, chosen: Offer, *, behind: int, amount: int) -> Account:
        envelope = self.seal(self.terms(chosen, backing=behind, amount=amount))
        terms = opened(envelope, payment_pb2.SessionTerms)
        assert terms is not None  # noqa: S101 - it was encoded a moment ago
        account = Account(terms=terms, amount=amount)
        prepaid = behind == tariff_pb2.BACKING_PREPAID
        deposit_id = secrets.token_bytes(16) if prepaid else b""
        exchange = await self.call_open(name, envelope, deposit_id=deposit_id, deposit=amount if prepaid else 0)
        if not exchange.accepted:
            raise UntestableError(f"no session was opened: {_how(exchange)}")
        if prepaid:
            await self._fund(f"{name}-deposit", account, deposit_id=deposit_id, told=exchange)
        return account

    async def call_open(
        self,
        name: str,
        terms: SignedEnvelope,
        *,
        deposit_id: bytes = b"",
        deposit: int = 0,
        caller: Caller | None = None,
    ) -> Exchange:
        """Calls OpenSession, when the node has time for it."""

        def request() -> payment_pb2.OpenSessionRequest:
            call = payment_pb2.OpenSessionCall(
                header=self.stage.header(OPEN, caller=caller or self.caller),
                terms=terms,
                deposit_id=deposit_id,
                deposit=deposit,
            )
            return payment_pb2.OpenSessionRequest(call=self.seal(call, caller=caller))

        return await patiently(self.stage, name, OPEN, request)

    async def _fund(self, name: str, account: Account, *, deposit_id: bytes, told: Exchange) -> None:
        instruction = instruction_in(told)
        if instruction is None or not instruction.HasField("detail"):
            raise UntestableError("the node gives no hold for a prepaid session on a test network, and lends nothing")
        exchange = await self.confirm(name, account, deposit_id=deposit_id, proof=instruction.detail)
        if not exchange.accepted:
            raise UntestableError(f"the node does not take the hold that it gave: {_how(exchange)}")

    async def confirm(
        self, name: str, account: Account, *, deposit_id: bytes, proof: Any | None, caller: Caller | None = None
    ) -> Exchange:
        """Calls ConfirmDeposit, when the node has time for it."""

        def request() -> payment_pb2.ConfirmDepositRequest:
            call = payment_pb2.ConfirmDepositCall(
                header=self.stage.header(CONFIRM, caller=caller or self.caller),
                session_id=account.session_id,
                deposit_id=deposit_id,
                proof=proof,
            )
            return payment_pb2.ConfirmDepositRequest(call=self.seal(call, caller=caller))

        return await patiently(self.stage, name, CONFIRM, request)

    def voucher(self, account: Account, cumulative: int, **changes: object) -> SignedEnvelope:
        """Signs a voucher, and takes note of what it promises, which is no more than the session holds."""
        terms, most = account.terms.value, max(0, min(cumulative, account.amount))
        self.stage.surroundings.purse.promise(most, session_id=account.session_id, network=terms.network)
        fields: dict[str, object] = {
            "payer": self.caller.key,
            "session_id": account.session_id,
            "cumulative": cumulative,
        }
        return self.seal(payment_pb2.Voucher(**{**fields, **changes}))  # type: ignore[arg-type]

    async def submit(self, name: str, voucher: SignedEnvelope) -> Exchange:
        """Calls SubmitVoucher."""
        return await self.stage.call(name, SUBMIT, payment_pb2.SubmitVoucherRequest(voucher=voucher))

    async def state(self, name: str, account: Account) -> Exchange:
        """Calls GetSession."""
        call = payment_pb2.GetSessionCall(header=self._header(GET_SESSION), session_id=account.session_id)
        return await self.stage.call(name, GET_SESSION, payment_pb2.GetSessionRequest(call=self.seal(call)))

    async def acknowledge(self, name: str, account: Account, *, digest: bytes, spent: int) -> Exchange:
        """Calls AcknowledgeReceipt."""
        call = payment_pb2.AcknowledgeReceiptCall(
            header=self._header(ACKNOWLEDGE),
            session_id=account.session_id,
            receipt_digest=digest,
            session_spent=spent,
        )
        return await self.stage.call(name, ACKNOWLEDGE, payment_pb2.AcknowledgeReceiptRequest(call=self.seal(call)))

    async def receipts(self, name: str, account: Account, *, after: int = 0, page_size: int = 0) -> Exchange:
        """Calls ListReceipts."""
        call = payment_pb2.ListReceiptsCall(
            header=self._header(LIST), session_id=account.session_id, after_number=after, page_size=page_size
        )
        return await self.stage.call(name, LIST, payment_pb2.ListReceiptsRequest(call=self.seal(call)))

    async def withdraw(self, name: str, account: Account, *, amount: int, withdrawal_id: bytes) -> Exchange:
        """Calls Withdraw, when the node has time for it."""

        def request() -> payment_pb2.WithdrawRequest:
            call = payment_pb2.WithdrawCall(
                header=self._header(WITHDRAW), session_id=account.session_id, withdrawal_id=withdrawal_id, amount=amount
            )
            return payment_pb2.WithdrawRequest(call=self.seal(call))

        return await patiently(self.stage, name, WITHDRAW, request)

    async def close(self, name: str, account: Account) -> Exchange:
        """Calls CloseSession."""
        call = payment_pb2.CloseSessionCall(header=self._header(CLOSE), session_id=account.session_id)
        return await self.stage.call(name, CLOSE, payment_pb2.CloseSessionRequest(call=self.seal(call)))

    def ask(
        self,
        *steps: conformance_pb2.ScriptStep,
        price: Price,
        account: Account,
        max_charge: int | None = None,
        **changes: object,
    ) -> ask_pb2.Ask:
        """Returns an ask that names a quote and a session; `max_charge` is a lower ceiling than that of the quote."""
        payment = ask_pb2.AskPayment(quote_digest=price.quote.digest, session_id=account.session_id)
        ask = self.stage.ask(*steps, caller=self.caller, **{"payment": payment, **changes})  # type: ignore[arg-type]
        if max_charge is not None:
            ask.limits.max_charge = max_charge
        return ask

    def request(
        self, ask: ask_pb2.Ask | SignedEnvelope, *, price: Price, voucher: SignedEnvelope | None = None
    ) -> ask_pb2.AskRequest:
        """Returns the request of a paid ask."""
        envelope = ask if isinstance(ask, SignedEnvelope) else self.seal(ask)
        return ask_pb2.AskRequest(ask=envelope, voucher=voucher, quote=price.quote.envelope)

    async def send(
        self,
        name: str,
        ask: ask_pb2.Ask,
        *,
        price: Price,
        voucher: SignedEnvelope | None = None,
        until: Seen | None = None,
    ) -> Exchange:
        """Asks, and reads the answer to its end, or until something was seen."""
        return await self.stage.call(name, ASK, self.request(ask, price=price, voucher=voucher), until=until)

    def open_ask(self, name: str, ask: ask_pb2.Ask, *, price: Price, voucher: SignedEnvelope | None = None) -> Stream:
        """Begins to read the answer to a paid ask."""
        return self.stage.open(name, ASK, self.request(ask, price=price, voucher=voucher))

    def seal(self, message: Message, *, caller: Caller | None = None) -> SignedEnvelope:
        """Signs as the payer, or as another caller."""
        return (caller or self.caller).seal(message)

    def _header(self, method: str) -> CallHeader:
        return self.stage.header(method, caller=self.caller)


def _fitting(offer: Offer, backing: int, *, wanted: int, needed: int) -> int:
    """Returns how much a session is to hold, within what the rail takes.

    Raises:
        NotApplicableError: The rail takes less than is needed.
    """
    credit = backing == tariff_pb2.BACKING_CREDIT
    least = 1 if credit else max(1, offer.rail.min_deposit)
    most = offer.rail.max_credit if credit else (offer.rail.max_deposit or max(wanted, least))
    if needed > most:
        raise NotApplicableError(f"a session on {offer.rail.id} holds at most {most}, and the check needs {needed}")
    return int(min(max(wanted, least), most))


def _how(exchange: Exchange) -> str:
    return outcome_of(exchange) + (f": {exchange.message}" if exchange.message else "")
