"""Admission of paid asks: step 21 of the way of an ask (spec sections 2.2 and 3.6).

What is looked at here comes before the ask is bound. How far the quote is used, and whether the session covers the
first window, is decided in the step that binds it, which sets that window aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from consilience._wire import envelopes
from consilience.conformance import SCRIPT_SKILL_ID
from consilience.errors import (
    QuoteInvalidError,
    RefusedError,
)
from consilience.nodes import Skill
from consilience.server.admission import OpenedAsk
from consilience.server.payments.metering import PaidAsk
from consilience.server.payments.quotes import Quotes, priced
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.service import PaymentService
from consilience.server.payments.sessions import Sessions
from consilience.server.payments.states import refusal
from consilience.server.payments.tills import Till
from consilience.server.store.contract import AskReservation, StoreError
from consilience.server.store.ledger import (
    BalanceError,
    SessionShutError,
)
from consilience.units import EncodedEnvelope


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidAdmission:
    """Decides whether an ask is paid for.

    Attributes:
        quotes: Say what asks cost.
        sessions: Those out of which asks are paid.
        till: Takes the money.
    """

    quotes: Quotes
    sessions: Sessions
    till: Till

    @classmethod
    def at(cls, service: PaymentService) -> Self:
        """Returns the admission of a node with these payments."""
        return cls(quotes=service.quotes, sessions=service.sessions, till=service.till)

    async def admit(self, opened: OpenedAsk, *, skill: Skill, now: datetime) -> PaidAsk | None:
        """Returns how an ask is to be paid for, or None: it is free.

        Raises:
            PaymentRequiredError: The skill costs something, and the ask names no payment; with a quote (PAY-ASK-001).
            RefusedError: For the first reason of section 3.6 that holds; a voucher that was taken stays so.
        """
        ask = opened.signed.value
        if self.quotes.book.is_free(skill.id) or (ask.payment is None and skill.id == SCRIPT_SKILL_ID):
            return None
        if ask.payment is None:
            raise self.quotes.required(ask, skill=skill, now=now)
        quote = self.quotes.brought(opened.quote, ask=ask, skill=skill, now=now)
        tariff = priced(quote.value)
        session = await self.sessions.find(ask.payment.session_id, caller=ask.header.caller)
        terms = terms_of(session.terms)
        if terms.asset != tariff.asset or terms.rail_id not in quote.value.rail_ids:
            raise QuoteInvalidError("the quote is in another asset than the session, or for another rail")
        if opened.voucher is not None:
            await self.sessions.take_voucher(opened.voucher, session_id=session.session_id)
        ceiling = quote.value.ceiling(ask)
        reservation = AskReservation(
            session_id=session.session_id,
            quote=EncodedEnvelope(envelopes.to_bytes(quote.envelope)),
            quote_digest=quote.digest,
            max_asks=quote.value.max_asks,
            total_max_charge=quote.value.total_max_charge,
            ceiling=ceiling,
            reserved=min(quote.value.window, ceiling),
        )
        return PaidAsk(reservation=reservation, quote=quote.value, tariff=tariff, till=self.till)


def uncovered(error: StoreError, *, paid: PaidAsk | None) -> RefusedError | None:
    """Returns the refusal of an ask that was not bound because its session or its quote does not allow it.

    Args:
        error: What the store raised.
        paid: How the ask was to be paid for.

    Returns:
        None: it is a fault of the store.
    """
    if paid is None:
        return None
    needed = paid.reservation.reserved
    match error:
        case SessionShutError(session=session) | BalanceError(session=session):
            needed += session.account.spent + session.account.reserved
    return refusal(error, required=needed)
