"""Payers that pay by hand: each voucher is signed where a test says so, and nothing of the client stands between."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from consilience._wire import payments as wire
from consilience._wire import services
from consilience._wire.envelopes import open_envelope, seal
from consilience.asks import AnswerEvent, Ask, AskLimits, AskPayment, Metered, PaymentNeeded
from consilience.envelopes import Envelope, Signed
from consilience.identity import KeyPair
from consilience.payments import (
    CLOSE_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    VOUCHER_METHOD,
    CloseSessionCall,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    Meter,
    OpenSessionCall,
    Quote,
    Receipt,
    SessionState,
    SessionTerms,
    Voucher,
    check_meter,
    check_receipt,
)
from consilience.tariffs import Backing
from consilience.units import utc_now
from sdk.tests.server.callers import AnswerCall, Caller, Port, Reading, calling

ASSET = "TEST/0"
CREDIT = 10_000


@dataclass(frozen=True, kw_only=True)
class PaidQuestion:
    """An ask that is paid for, and what it was agreed on."""

    ask: Signed[Ask]
    quote: Signed[Quote]
    voucher: Envelope | None

    @property
    def request(self) -> bytes:
        return services.encode_ask(self.ask.envelope, voucher=self.voucher, quote=self.quote.envelope)


@dataclass(kw_only=True)
class Payer:
    """Has one session on credit at one node."""

    caller: Caller
    terms: Signed[SessionTerms]

    async def quote(self, skill: str = "words", **wanted: Any) -> Signed[Quote]:
        call = GetQuoteCall(header=self.caller.header(QUOTE_METHOD), skill_id=skill, **wanted)
        return open_envelope(wire.decode_quote(await self._call(QUOTE_METHOD, call)), Quote)

    def voucher(self, cumulative: int, *, terms: Signed[SessionTerms] | None = None) -> Envelope:
        of = terms or self.terms
        voucher = Voucher(payer=self.caller.key.public_key, session_id=of.digest, cumulative=cumulative)
        return seal(voucher, signer=self.caller.key).envelope

    async def pay(self, cumulative: int) -> SessionState:
        """Sends a voucher."""
        request = services.encode_request(self.voucher(cumulative))
        return _state(await self.caller.unary(VOUCHER_METHOD, request))

    async def state(self) -> SessionState:
        call = GetSessionCall(header=self.caller.header(GET_SESSION_METHOD), session_id=self.terms.digest)
        return _state(await self._call(GET_SESSION_METHOD, call))

    async def close(self) -> SessionState:
        call = CloseSessionCall(header=self.caller.header(CLOSE_METHOD), session_id=self.terms.digest)
        return _state(await self._call(CLOSE_METHOD, call))

    async def receipts(self) -> list[Signed[Receipt]]:
        call = ListReceiptsCall(header=self.caller.header(LIST_METHOD), session_id=self.terms.digest)
        listed = wire.decode_receipts(await self._call(LIST_METHOD, call))
        return [open_envelope(envelope, Receipt) for envelope in listed]

    async def question(
        self,
        text: str = "one two three",
        *,
        skill: str = "words",
        quote: Signed[Quote] | None = None,
        pays: int | None = None,
        max_charge: int | None = None,
        **changes: Any,
    ) -> PaidQuestion:
        """Returns an ask with a voucher for a total of `pays`; None: it brings none along."""
        agreed = quote or await self.quote(skill)
        payment = AskPayment(quote_digest=agreed.digest, session_id=self.terms.digest)
        ask = replace(
            self.caller.question(text, skill_id=skill),
            card_digest=agreed.value.card_digest,
            payment=payment,
            limits=AskLimits(max_charge=max_charge),
            **changes,
        )
        voucher = None if pays is None else self.voucher(pays)
        return PaidQuestion(ask=self.caller.sign(ask), quote=agreed, voucher=voucher)

    def send(self, question: PaidQuestion) -> AnswerCall:
        return self.caller.send_bytes(question.request)

    async def ask(self, text: str = "one two three", **how: Any) -> tuple[PaidQuestion, Reading]:
        """Asks, and reads to the end without paying anything more."""
        question = await self.question(text, **how)
        return question, await self.send(question).rest()

    async def follow(self, question: PaidQuestion) -> Reading:
        """Asks, and signs what each Meter and each PaymentNeeded asks for, as soon as it is read."""
        call, events = self.send(question), []
        while (event := await call.next()) is not None:
            events.append(event)
            match event.event:
                case Metered(meter=envelope):
                    await self.pay(open_envelope(envelope, Meter).value.required_cumulative)
                case PaymentNeeded(required_cumulative=required):
                    await self.pay(required)
        return await call.rest(known=tuple(events))

    def check(
        self, question: PaidQuestion, reading: Reading, *, before: Signed[Receipt] | None = None
    ) -> Signed[Receipt]:
        """Checks the answer, all Meters and the receipt, and returns that."""
        self.caller.check(question.ask, reading)
        self._check_meters(question, reading)
        envelope = reading.final.receipt
        assert envelope is not None
        receipt = open_envelope(envelope, Receipt)
        answer = reading.final.answer
        check_receipt(receipt, quote=question.quote, ask=question.ask, answer=answer, terms=self.terms, before=before)
        return receipt

    def _check_meters(self, question: PaidQuestion, reading: Reading) -> None:
        before: Meter | None = None
        transcript = type(reading.transcript)()
        for event in reading.events:
            if isinstance(event.event, Metered):
                meter = open_envelope(event.event.meter, Meter)
                check_meter(
                    meter,
                    quote=question.quote,
                    ask=question.ask,
                    transcript=transcript,
                    session_id=self.terms.digest,
                    before=before,
                )
                before = meter.value
            transcript.append(event)

    async def _call(self, method: str, call: Any) -> bytes:
        envelope = seal(call, signer=self.caller.key).envelope
        return await self.caller.unary(method, services.encode_request(envelope))


def meters_of(reading: Reading) -> list[Meter]:
    return [
        open_envelope(event.event.meter, Meter).value for event in reading.events if isinstance(event.event, Metered)
    ]


def needs_of(events: Iterable[AnswerEvent]) -> list[PaymentNeeded]:
    return [event.event for event in events if isinstance(event.event, PaymentNeeded)]


def credit_terms(caller: Caller, *, credit: int = CREDIT, asset: str = ASSET) -> Signed[SessionTerms]:
    """Returns terms of a new session on credit."""
    terms = SessionTerms(
        payer=caller.key.public_key,
        payee=caller.node_id,
        asset=asset,
        rail_id="hold.v1",
        network="test",
        backing=Backing.CREDIT,
        issuer=caller.key.public_key,
        salt=os.urandom(16),
        credit_limit=credit,
    )
    return seal(terms, signer=caller.key)


async def opened(caller: Caller, *, credit: int = CREDIT) -> Payer:
    """Opens a session on credit."""
    payer = Payer(caller=caller, terms=credit_terms(caller, credit=credit))
    call = OpenSessionCall(header=caller.header(OPEN_METHOD), terms=payer.terms.envelope)
    await payer._call(OPEN_METHOD, call)
    return payer


@asynccontextmanager
async def paying(
    running: Port,
    *,
    credit: int = CREDIT,
    key: KeyPair | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[Payer]:
    """Connects to a plain node on this machine, and opens a session on credit there."""
    async with calling(running, key=key, clock=clock) as caller:
        yield await opened(caller, credit=credit)


def _state(response: bytes) -> SessionState:
    return open_envelope(wire.decode_state(response), SessionState).value
