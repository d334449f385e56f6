"""Paid asks: everything about the money of one ask, from the intent to the receipt (spec section 3.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from consilience._wire.envelopes import open_envelope, to_bytes
from consilience.asks import Answer, Ask, AskPayment, Event, Final, Metered, PaymentNeeded, Transcript
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.settlements import Settlements, check_signer
from consilience.client.payments.vouchers import VoucherCourier
from consilience.client.payments.wallet_rows import (
    Demand,
    PaymentIntent,
    PaymentStatus,
    WalletSession,
    opened,
)
from consilience.client.payments.wallets import Wallet
from consilience.client.peers import held_to_protocol
from consilience.envelopes import Envelope, Signed
from consilience.errors import ProtocolError, Stake
from consilience.nodes import NodeCard, Skill, tighter_limits
from consilience.payments import (
    Amount,
    Exposure,
    Meter,
    Receipt,
    Voucher,
    check_meter,
    check_receipt,
    question_cost,
)


def _nobody(_: ProtocolError) -> None:
    """Is told of a breach while nobody reads."""


@dataclass(slots=True, kw_only=True)
class PaidAsk:
    """The payment of one ask. What is read of the answer goes through here, event by event.

    Attributes:
        intent: What was written down before.
        session: Out of what it is paid, as it was then.
        card: That of the node, which the quote rests on.
        has_opened: Whether a session was opened for the ask, this one or one before.
        receipt: What was charged, checked; None: it has not come.
        breach: What the node broke, where it is not paid any more.
        on_breach: Told of a breach that is found while the answer is read.
    """

    intent: PaymentIntent
    session: WalletSession
    card: Signed[NodeCard]
    wallet: Wallet
    calls: PaymentCalls
    settlements: Settlements
    courier: VoucherCourier
    has_opened: bool = False
    receipt: Signed[Receipt] | None = None
    breach: ProtocolError | None = None
    on_breach: Callable[[ProtocolError], None] = _nobody
    _ask: Signed[Ask] | None = None
    _meter: Meter | None = None
    _voucher: Signed[Voucher] | None = None
    _question: int = 0

    def __post_init__(self) -> None:
        self._question = self.intent.question

    @property
    def payment(self) -> AskPayment:
        """What the ask names."""
        return AskPayment(quote_digest=self.intent.quote.digest, session_id=self.intent.session_id)

    @property
    def max_charge(self) -> int:
        """The most that the ask may cost, in units of the asset."""
        return self.intent.ceiling

    @property
    def asset(self) -> str:
        """What it is paid in."""
        return self.session.terms.value.asset

    @property
    def cost(self) -> Amount:
        """What it costs, by its receipt; until that has come, by the last Meter."""
        if self.receipt is not None:
            return Amount(self.receipt.value.charge, self.asset)
        return Amount(self._meter.charge if self._meter else 0, self.asset)

    @property
    def stake(self) -> Stake:
        """What it may have cost, where its receipt has not come."""
        if self.receipt is not None:
            charge = self.receipt.value.charge
            return Stake(asset=self.asset, metered=charge, at_most=charge)
        sent = self._ask is not None
        most = min(self.max_charge, max(0, self.courier.signed - self.session.spent)) if sent else 0
        return Stake(asset=self.asset, metered=self.cost.value, at_most=most)

    @property
    def envelopes(self) -> tuple[Envelope | None, Envelope]:
        """The voucher and the quote that go with the ask."""
        return self._voucher.envelope if self._voucher else None, self.intent.quote.envelope

    @property
    def _exposure(self) -> Exposure:
        metered = self._meter.charge if self._meter else self.intent.metered
        return replace(self.intent.exposure, metered=metered, question=self._question)

    async def bind(self, ask: Signed[Ask]) -> None:
        """Writes the signed ask down, before it is sent; raises as `Wallet.bind`."""
        await self.wallet.do(self.wallet.bind, ask)
        self._ask = ask

    async def authorize(self) -> None:
        """Signs the voucher that goes with the ask anew, where more may be signed now."""
        authority = await self.wallet.do(self.wallet.authorize, self.intent.session_id)
        self.take_along(authority.cumulative)

    def take_along(self, cumulative: int) -> None:
        """Signs the voucher that goes with the ask, so far as the wallet has noted just now."""
        self._voucher = self.calls.voucher(self.intent.session_id, cumulative=cumulative)
        self.courier.carried(cumulative)

    def resume(self) -> None:
        """Goes on with an ask that was written down before."""
        self._ask = self.intent.ask
        self.courier.signed = max(self.courier.signed, self.session.authorized)

    def take(self, event: Event, *, transcript: Transcript) -> None:
        """Takes what the node says about money, before it is appended to the log.

        Args:
            event: The next event of the log.
            transcript: The log before it.

        Raises:
            ProtocolError: A Meter does not fit the quote or the text, or the node required too much; nothing is paid
                any more.
        """
        if self.breach is not None:
            raise self.breach
        if self.intent.status is PaymentStatus.PAID:
            return
        try:
            match event:
                case Metered(meter=meter):
                    self._take_meter(meter, transcript=transcript)
                case PaymentNeeded(required_cumulative=required):
                    self._widen()
                    self._want(required, requirement="PAY-MTR-001")
        except ProtocolError as error:
            self._refuse(error)
            raise

    def end(self, final: Final) -> None:
        """Checks the receipt in the end of the log; its place among the others is checked as it is kept.

        Raises:
            ProtocolError: There is none, or it does not fit.
        """
        if final.receipt is None:
            raise ProtocolError("the answer is paid for and brings no receipt", requirement="PAY-RCP-001")
        if self.intent.status is not PaymentStatus.PAID:
            self.receipt = self.checked(final.receipt, answer=final.answer)
        elif self.receipt is None or self.receipt.digest != final.receipt.digest:
            raise ProtocolError("the answer brings another receipt than before", requirement="PAY-RCP-004")

    def checked(self, envelope: Envelope, *, answer: Signed[Answer]) -> Signed[Receipt]:
        """Opens a receipt and checks it against what it is for.

        Raises:
            ProtocolError: It does not fit (PAY-RCP-005).
        """
        with held_to_protocol():
            receipt = opened(to_bytes(envelope), Receipt)  # so that the next one is checked against what is known
        if self._ask is None:
            raise RuntimeError("nothing was asked yet")
        check_signer(receipt, cards=[self.card.value])
        check_receipt(receipt, quote=self.intent.quote, ask=self._ask, answer=answer, terms=self.session.terms)
        return receipt

    async def settle(self) -> None:
        """Keeps the receipt.

        Raises:
            ProtocolError: It does not follow the one before it, or the ask has another.
        """
        if self.receipt is None or self.intent.status is PaymentStatus.PAID:
            return
        try:
            await self.settlements.keep(self.receipt)
        except ProtocolError as error:
            self._refuse(error)
            raise
        self.on_breach = _nobody

    async def release(self) -> None:
        """Notes that the node did not take the ask, so that nothing is charged for it."""
        await self.wallet.do(self.wallet.release, self.intent.request_id)

    def _take_meter(self, envelope: Envelope, *, transcript: Transcript) -> None:
        with held_to_protocol():
            meter = open_envelope(envelope, Meter)
        value = meter.value
        if not self.card.value.may_sign(value.signing_key, at=value.issue_time):
            raise ProtocolError("the meter is signed by a key that the card does not list", requirement="PAY-MTR-003")
        if self._ask is None:
            raise RuntimeError("nothing was asked yet")
        check_meter(
            meter,
            quote=self.intent.quote,
            ask=self._ask,
            transcript=transcript,
            session_id=self.intent.session_id,
            before=self._meter,
        )
        self._check_input(value)
        self._meter = value
        self._want(value.required_cumulative, requirement="PAY-MTR-003")

    def _widen(self) -> None:
        """Allows for a longer prompt, where the node stands still before its first Meter.

        It may have read more than it was sent; what that costs at most, the card's limit says.
        """
        tariff = self.intent.quote.value.tariff
        limit = _max_input_tokens(self.card.value, self._skill)
        if self._meter is None and tariff is not None and limit:
            longest = question_cost(tariff, size_bytes=limit, max_input_tokens=limit)
            self._question = max(self._question, longest)

    def _check_input(self, meter: Meter) -> None:
        """Checks that a meter counts no more input than the node reads: the rest is the node's own word."""
        limit = _max_input_tokens(self.card.value, self._skill)
        if 0 < limit < meter.usage.input_tokens:
            raise ProtocolError(
                f"the meter counts {meter.usage.input_tokens} tokens of input, and the node reads {limit} at most",
                requirement="PAY-MTR-003",
            )

    def _want(self, required: int, *, requirement: str) -> None:
        def refuse(most: int) -> None:
            self._refuse(
                ProtocolError(
                    f"the node requires {required} for an answer that cannot need more than {most}",
                    requirement=requirement,
                )
            )

        demand = Demand(request_id=self.intent.request_id, upto=required, exposure=self._exposure)
        self.courier.want(demand, refuse=refuse)

    def _refuse(self, error: ProtocolError) -> None:
        """Stops paying: for this ask now, and out of this session for ever."""
        if self.breach is None:
            self.breach = error
            self.courier.stop(error)
            self.on_breach(error)

    @property
    def _skill(self) -> Skill | None:
        return self.card.value.skill(self.intent.quote.value.skill_id)


def _max_input_tokens(card: NodeCard, skill: Skill | None) -> int:
    return tighter_limits(card.limits, skill.limits if skill else None).max_input_tokens
