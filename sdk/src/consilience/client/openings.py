"""Openings: the ask of a reader, signed once and sent until something comes of it, with its payment where it costs."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from consilience._wire.envelopes import from_bytes, open_envelope
from consilience._wire.services import encode_ask
from consilience.asks import Accepted, Ask
from consilience.client.caller import Caller
from consilience.client.questions import Question, asked_skill, check_data_class
from consilience.client.routes import Route
from consilience.client.tickets import HeldTicket
from consilience.conformance import SCRIPT_SKILL_ID
from consilience.envelopes import Signed
from consilience.errors import (
    BalanceTooLowError,
    BudgetExceededError,
    ConsilienceError,
    PaymentRequired,
    PaymentRequiredError,
    ProtocolError,
    QuoteInvalidError,
    RefusedError,
    SessionClosedError,
    SessionUnknownError,
    Stake,
)
from consilience.identity import format_node_id
from consilience.nodes import NodeCard, Skill
from consilience.payments import CardOutdatedError, Quote
from consilience.payments.prices import tariff_words
from consilience.reviews import new_salt, reviewer_commitment
from consilience.telemetry import SILENT_TRACE, AskTrace, TracedAsk
from consilience.units import RequestId

if TYPE_CHECKING:  # a free ask does without
    from consilience.client.payments.paid_asks import PaidAsk
    from consilience.client.payments.payer import Payer

PAYMENT_ATTEMPTS = 5
"""How often an ask is sent again after it was refused for its payment."""

PAYMENT_REFUSALS = (BalanceTooLowError, QuoteInvalidError, SessionClosedError, SessionUnknownError)
"""The refusals of an ask after which another quote, session or voucher helps."""

_LOGGER = logging.getLogger(__name__)


class Opening:
    """The ask of one reader.

    Args:
        caller: Who asks.
        payer: Who pays; None: nobody.
        request_id: Names the ask.
        question: What is asked; None: an answer is read that was asked for before.

    Attributes:
        ask: As it was signed; None: it was not.
        payment: What it is paid by; None: it is free.
        trace: Follows it.
        left: What lies in sessions that were given up for it; None: there were none.
    """

    def __init__(
        self, caller: Caller, *, payer: Payer | None, request_id: RequestId, question: Question | None
    ) -> None:
        self.ask: Signed[Ask] | None = None
        self.payment: PaidAsk | None = None
        self.trace: AskTrace = SILENT_TRACE
        self.left: Stake | None = None
        self._caller = caller
        self._payer = payer
        self._request_id = request_id
        self._question = question
        self._refusals = 0
        self._has_opened = False  # a session, out of which to pay
        self._salt = b""

    @property
    def is_question(self) -> bool:
        """Whether something is asked here, and not read that was asked before."""
        return self._question is not None

    def costs(self, card: NodeCard) -> bool:
        """Tells whether the question costs something by a card, and no payment is there."""
        skill = self._skill(card)
        return self.payment is None and skill is not None and bool(skill.tariff_ids)

    async def pay(self, route: Route) -> None:
        """Makes ready to pay for the question, where it costs something; raises as `Payer.pay_for`.

        Raises:
            DataClassForbiddenError: The node may not read the question: no money moves for it.
            BudgetExceededError: There is nobody who pays.
        """
        question, card = self._question, route.card.value
        skill = self._skill(card)
        if question is None or skill is None:
            return
        check_data_class(question.data_class, card=card, skill=skill, trusted_nodes=self._caller.trusted_nodes)
        if self._payer is not None:
            self.payment = await self._payer.pay_for(question, skill=skill, route=route)
            if self.payment is not None:
                self._has_opened = self.payment.has_opened = self._has_opened or self.payment.has_opened
        elif skill.id != SCRIPT_SKILL_ID:  # which is free where it names no payment
            raise BudgetExceededError(_price_line(card, skill))

    def sign(self, route: Route, *, authority: str, seconds_left: float | None) -> Signed[Ask]:
        """Signs the question for the node of a card; raises as `Question.sign`."""
        question = self._question
        if question is None:
            raise RuntimeError("nothing is asked here")
        commitment = b""
        if question.reviewable:
            self._salt = new_salt()  # for this ask alone (REV-TKT-002)
            commitment = reviewer_commitment(self._caller.reviewer.public_key, salt=self._salt)
        self.ask = question.sign(
            route.card.value,
            card_digest=route.card_digest,
            signer=self._caller.signer,
            now=self._caller.clock(),
            seconds_left=seconds_left,
            trusted_nodes=self._caller.trusted_nodes,
            payment=self.payment.payment if self.payment else None,
            max_charge=self.payment.max_charge if self.payment else None,
            reviewer_commitment=commitment,
        )
        self.trace = self._caller.tracer.asking(TracedAsk.of(self.ask.value), authority=authority)
        return self.ask

    def ticket_of(self, accepted: Accepted, *, card: Signed[NodeCard]) -> HeldTicket | None:
        """Returns the ticket of the ask, checked; None: none was asked for, or it does not hold, as the log says."""
        if self.ask is None or not self.ask.value.reviewer_commitment:
            return None
        reviewer = self._caller.reviewer.public_key
        try:
            return HeldTicket.of(accepted, ask=self.ask, card=card, salt=self._salt, reviewer=reviewer)
        except ProtocolError as error:
            _LOGGER.info("an answer of %s cannot be reviewed: %s", format_node_id(card.value.node_id), error)
            return None

    def request(self) -> bytes:
        """Returns the encoded request of the signed ask."""
        if self.ask is None:
            raise RuntimeError("nothing is signed yet")
        if self.payment is None:
            return encode_ask(self.ask.envelope)
        voucher, quote = self.payment.envelopes
        return encode_ask(self.ask.envelope, voucher=voucher, quote=quote)

    async def resume(self, route: Route) -> None:
        """Finds the payment of an ask that was sent before."""
        if self._payer is not None and self.payment is None:
            self.payment = await self._payer.resumed(self._request_id, route=route)

    def may_pay_otherwise(self, failure: ConsilienceError) -> bool:
        """Tells whether a refusal is about the payment, and another attempt may help."""
        return self.payment is not None and self.ask is not None and isinstance(failure, PAYMENT_REFUSALS)

    async def pay_otherwise(self, failure: RefusedError, *, route: Route) -> None:
        """Makes ready for another attempt after an ask was refused for its payment.

        Raises:
            RefusedError: The refusal itself, where it has come too often, or another attempt might cost too much.
        """
        payer, payment = self._payer, self.payment
        self._refusals += 1
        if payer is None or payment is None or self._refusals > PAYMENT_ATTEMPTS:
            raise failure
        try:
            sends_again = await payer.refused(payment, failure, route=route)
        finally:
            if (stake := failure.stake) is not None:
                self.left = replace(stake, left=stake.left + (self.left.left if self.left else 0))
        if not sends_again:
            self.payment = None
            self.drop(failure)

    def explained(self, failure: ConsilienceError) -> ConsilienceError:
        """Returns an error as its user is told it: with the price in words, where the node sent one along."""
        if isinstance(failure, CardOutdatedError):
            return failure.breach
        if not isinstance(failure, PaymentRequiredError) or not isinstance(failure.detail, PaymentRequired):
            return failure
        try:
            quote = open_envelope(from_bytes(failure.detail.quote), Quote).value
        except RefusedError:
            return failure
        price = tariff_words(quote.tariff) if quote.tariff is not None else "something"
        text = f"{quote.skill_id} costs {price}, and its card does not say so; nothing was paid"
        told = PaymentRequiredError(text, detail=failure.detail)
        told.__cause__ = failure
        return told

    def drop(self, failure: ConsilienceError) -> None:
        """Lets go of an ask of which nothing is bound; what is signed next is another, with a trace of its own."""
        self.ask = None
        self.trace.failed(failure)

    async def drop_payment(self) -> None:
        """Lets go of the payment with the ask: the next one relies on another card, and so on another quote."""
        payment, self.payment = self.payment, None
        if payment is not None and self._payer is not None:
            await self._payer.dropped(payment)

    def _skill(self, card: NodeCard) -> Skill | None:
        if self._question is None:
            return None
        return asked_skill(card, self._question.skill)


def _price_line(card: NodeCard, skill: Skill) -> str:
    prices = " or ".join(tariff_words(tariff) for tariff in card.tariffs_of(skill))
    return f"{skill.id} costs {prices or 'something'}, and the client has no budget; nothing was sent"
