"""Nodes that are paid and do what a test writes: also what no honest node would ever do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from consilience._wire import payments as wire
from consilience._wire.envelopes import open_envelope, seal
from consilience.asks import Final, Metered, Outcome, PaymentNeeded, StopReason, Usage
from consilience.envelopes import Envelope, Signed
from consilience.identity import KeyPair
from consilience.nodes import NodeCard, Skill
from consilience.payments import (
    ACKNOWLEDGE_METHOD,
    CLOSE_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    VOUCHER_METHOD,
    AcknowledgeReceiptCall,
    CloseSessionCall,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    Meter,
    OpenSessionCall,
    Quote,
    Receipt,
    SessionState,
    SessionStatus,
    SessionTerms,
    Voucher,
    cost,
)
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import Digest, utc_now
from sdk.tests.client.scripted_nodes import AskCall, Call, LogBuilder, ScriptedNode

PER_BYTE = Tariff(id="bytes", asset="TEST/0", prices=(UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1),))
WINDOW = 20
RAIL = Rail(id="hold.v1", network="test", assets=("TEST/0",), backings=(Backing.CREDIT,), max_credit=1_000_000)


@dataclass
class ScriptedShop(ScriptedNode):
    """Sells text by the byte, on credit. It is honest until told otherwise."""

    skills: tuple[Skill, ...] = (Skill(id="sell", tariff_ids=("bytes",)), Skill(id="greet"))
    tariff: Tariff = PER_BYTE
    changed_quote: dict[str, Any] = field(default_factory=dict)
    changed_state: dict[str, Any] = field(default_factory=dict)
    terms: Signed[SessionTerms] | None = None
    vouchers: list[Signed[Voucher]] = field(default_factory=list)
    spent: int = 0
    receipts: list[Signed[Receipt]] = field(default_factory=list)
    paid: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def unary(self) -> dict[str, Callable[[Call], Any]]:
        return {
            QUOTE_METHOD: self._quote,
            OPEN_METHOD: self._open,
            VOUCHER_METHOD: self._voucher,
            GET_SESSION_METHOD: self._state_for(GetSessionCall),
            ACKNOWLEDGE_METHOD: self._state_for(AcknowledgeReceiptCall),
            CLOSE_METHOD: self._state_for(CloseSessionCall),
            LIST_METHOD: self._list,
        }

    @property
    def highest(self) -> int:
        """The highest voucher that came."""
        return max((voucher.value.cumulative for voucher in self.vouchers), default=0)

    def card_value(self) -> NodeCard:
        return replace(super().card_value(), tariffs=(self.tariff,), rails=(RAIL,))

    def asked(self, call: AskCall) -> Purchase:
        """Returns what to answer a paid ask with, and takes the voucher that came with it."""
        if call.received.voucher is not None:
            self.vouchers.append(open_envelope(call.received.voucher, Voucher))
        assert call.received.quote is not None
        return Purchase(self, call.log, open_envelope(call.received.quote, Quote))

    def state(self) -> Envelope:
        assert self.terms is not None
        state = SessionState(
            node_id=self.root.public_key,
            signing_key=self.signing.public_key,
            session_id=self.terms.digest,
            status=SessionStatus.OPEN,
            issue_time=utc_now(),
            authorized=max(self.highest, self.spent),
            spent=self.spent,
            credit_limit=self.terms.value.credit_limit,
            receipt_count=len(self.receipts),
            last_receipt_digest=self.receipts[-1].digest if self.receipts else b"",
            voucher=max(self.vouchers, key=lambda one: one.value.cumulative).envelope if self.vouchers else None,
        )
        return seal(replace(state, **self.changed_state), signer=self.signing).envelope

    async def _quote(self, call: Call) -> bytes:
        assert call.envelope is not None
        wanted = open_envelope(call.envelope, GetQuoteCall).value
        now = utc_now()
        quote = Quote(
            node_id=self.root.public_key,
            signing_key=self.signing.public_key,
            card_digest=self.card().digest,
            payer=wanted.header.caller,
            skill_id=wanted.skill_id,
            tariff=self.tariff,
            window=WINDOW,
            max_charge=1000,
            max_asks=100,
            total_max_charge=100_000,
            rail_ids=("hold.v1",),
            hold_open=timedelta(seconds=5),
            issue_time=now,
            expire_time=now + timedelta(minutes=5),
        )
        return wire.encode_quote(seal(replace(quote, **self.changed_quote), signer=self.signing).envelope)

    async def _open(self, call: Call) -> bytes:
        assert call.envelope is not None
        self.terms = open_envelope(open_envelope(call.envelope, OpenSessionCall).value.terms, SessionTerms)
        return wire.encode_opened(self.state())

    async def _voucher(self, call: Call) -> bytes:
        assert call.envelope is not None
        self.vouchers.append(open_envelope(call.envelope, Voucher))
        self.paid.set()
        return wire.encode_state(self.state())

    def _state_for(self, kind: type[Any]) -> Callable[[Call], Any]:
        async def answer(call: Call) -> bytes:
            assert call.envelope is not None
            open_envelope(call.envelope, kind)
            return wire.encode_state(self.state())

        return answer

    async def _list(self, call: Call) -> bytes:
        assert call.envelope is not None
        after = open_envelope(call.envelope, ListReceiptsCall).value.after_number
        return wire.encode_receipts(receipt.envelope for receipt in self.receipts[after:])


class Purchase:
    """Writes the log of a paid answer as an honest node would; a test bends what it returns."""

    def __init__(self, shop: ScriptedShop, log: LogBuilder, quote: Signed[Quote]) -> None:
        self.shop = shop
        self.log = log
        self.quote = quote

    @property
    def usage(self) -> Usage:
        transcript = self.log.transcript
        return Usage(output_bytes=transcript.size_bytes, output_tokens=transcript.output_tokens)

    @property
    def charge(self) -> int:
        assert self.quote.value.tariff is not None
        return cost(self.quote.value.tariff, self.usage)

    def meter(self, *, signer: KeyPair | None = None, **changes: Any) -> bytes:
        assert self.shop.terms is not None
        meter = Meter(
            node_id=self.shop.root.public_key,
            signing_key=self.shop.signing.public_key,
            ask_digest=self.log.ask.digest,
            quote_digest=self.quote.digest,
            session_id=self.shop.terms.digest,
            usage=self.usage,
            transcript_digest=self.log.transcript.digest,
            issue_time=utc_now(),
            charge=self.charge,
            required_cumulative=self.shop.spent + self.charge + WINDOW,
        )
        signed = seal(replace(meter, **changes), signer=signer or self.shop.signing)
        return self.log.add(Metered(meter=signed.envelope))

    def needed(self, required: int) -> bytes:
        return self.log.add(PaymentNeeded(required_cumulative=required, stop_time=utc_now() + timedelta(seconds=5)))

    def receipt(self, *, signer: KeyPair | None = None, **changes: Any) -> Signed[Receipt]:
        """Charges the answer that was signed last."""
        shop, answer = self.shop, self.log.final_answer
        assert shop.terms is not None
        assert answer is not None
        charge = changes.get("charge", self.charge)
        shop.spent += charge
        receipt = Receipt(
            node_id=shop.root.public_key,
            signing_key=shop.signing.public_key,
            session_id=shop.terms.digest,
            number=len(shop.receipts) + 1,
            previous_digest=shop.receipts[-1].digest if shop.receipts else b"",
            payer=shop.terms.value.payer,
            request_id=self.log.ask.value.header.request_id,
            quote_digest=self.quote.digest,
            ask_digest=self.log.ask.digest,
            answer_digest=answer.digest,
            usage=answer.value.usage,
            asset="TEST/0",
            charge=charge,
            session_spent=shop.spent,
            session_authorized=shop.highest,
            outcome=answer.value.outcome,
            start_time=utc_now(),
            finish_time=utc_now(),
            backing=shop.terms.value.backing,
            issuer=shop.terms.value.issuer,
        )
        signed = seal(replace(receipt, **changes), signer=signer or shop.signing)
        shop.receipts.append(signed)
        return signed

    def final(self, *, receipt: bool = True, answer: dict[str, Any] | None = None, **changes: Any) -> bytes:
        """Ends the log, with a receipt that is changed."""
        signed = self.log.answer(**({"charged": self.charge > 0, "usage": self.usage} | (answer or {})))
        self.log.final_answer = seal(signed, signer=self.shop.signing)
        paid = self.receipt(**changes).envelope if receipt else None
        self.log.ended.set()
        return self.log.add(Final(answer=self.log.final_answer, receipt=paid))


CANCELLED = {"outcome": Outcome.CANCELLED, "stop_reason": StopReason.CANCELLED}


async def sell(call: AskCall) -> AsyncIterator[bytes]:
    """Answers like any honest node that is paid."""
    assert isinstance(call.log.node, ScriptedShop)
    purchase = call.log.node.asked(call)
    yield call.log.accepted()
    for _ in range(3):
        yield call.log.text("ten bytes.")
        yield purchase.meter()
        while call.log.node.highest < purchase.shop.spent + purchase.charge:
            call.log.node.paid.clear()
            await call.log.node.paid.wait()
    yield purchase.final()


def digest_of_nothing() -> Digest:
    return Digest(bytes(32))
