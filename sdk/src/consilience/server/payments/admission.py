"""Admission of paid asks: step 21 of the way of an ask (spec sections 2.2 and 3.6).

What is looked at here comes before the ask is bound. How far the quote is used, and whether the session covers the
first window, is decided in the step that binds it, which sets that window aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consilience._wire import envelopes
from consilience.asks import Ask
from consilience.conformance import SCRIPT_SKILL_ID
from consilience.envelopes import Envelope
from consilience.errors import (
    BalanceTooLowError,
    QuoteInvalidError,
    RefusedError,
    SessionBalance,
    SessionClosedError,
    SessionUnknownError,
)
from consilience.nodes import Skill
from consilience.server.admission import OpenedAsk
from consilience.server.payments.metering import PaidAsk
from consilience.server.payments.quotes import Quotes, priced
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.tills import Till
from consilience.server.store.contract import AskReservation, StoreError
from consilience.server.store.ledger import (
    BalanceError,
    QuoteUsedUpError,
    SessionMissingError,
    SessionShutError,
    StoredSession,
)
from consilience.units import Digest, EncodedEnvelope

UNCOVERED = (SessionMissingError, SessionShutError, QuoteUsedUpError, BalanceError)
"""Why an ask is not bound whose first window cannot be set aside."""


class TakeVoucher(Protocol):
    """Takes a voucher that has to name a session (spec section 3.5)."""

    async def __call__(self, received: Envelope, /, *, session_id: Digest) -> StoredSession:
        """Returns the session as it stands then.

        Raises:
            RefusedError: For the first reason that holds; the session is as it was.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidAdmission:
    """Decides whether an ask is paid for.

    Attributes:
        quotes: Say what asks cost.
        till: Takes the money.
        take_voucher: Takes the voucher that an ask brings along.
    """

    quotes: Quotes
    till: Till
    take_voucher: TakeVoucher

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
        session = await self._session(ask, session_id=ask.payment.session_id)
        terms = terms_of(session.terms)
        if terms.asset != tariff.asset or terms.rail_id not in quote.value.rail_ids:
            raise QuoteInvalidError("the quote is in another asset than the session, or for another rail")
        if opened.voucher is not None:
            await self.take_voucher(opened.voucher, session_id=session.session_id)
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

    async def _session(self, ask: Ask, *, session_id: Digest) -> StoredSession:
        session = await self.till.ledger.find_session(session_id)
        if session is None or terms_of(session.terms).payer != ask.header.caller:
            raise SessionUnknownError("there is no such session of this caller")
        return session


def uncovered(error: StoreError, *, needed: int) -> RefusedError:
    """Returns the refusal of an ask that was not bound, because its session or quote does not allow it.

    Args:
        error: One of `UNCOVERED`.
        needed: What was to be set aside, in units of the asset.
    """
    match error:
        case SessionShutError(session=session):
            return SessionClosedError("the session is closed", detail=_balance(session, needed))
        case BalanceError(session=session):
            return BalanceTooLowError("the first window is not authorized", detail=_balance(session, needed))
        case QuoteUsedUpError():
            return QuoteInvalidError(str(error))
        case _:
            return SessionUnknownError("there is no such session of this caller")


def _balance(session: StoredSession, needed: int) -> SessionBalance:
    account = session.account
    return SessionBalance(
        available=account.available,
        required_cumulative=account.spent + account.reserved + needed,
        voucher=session.voucher,
    )
