"""Sales: what a payee counts of its sessions and of the answers that it sells."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from consilience.v1 import ask_pb2, payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.client_side.nodes import Draft
from consilience_conformance.rules import tariffs
from consilience_conformance.wire_values import timestamp


@dataclass(slots=True, kw_only=True)
class Account:
    """A session, as its payee counts it.

    Attributes:
        terms: As they were signed.
        session_id: Their digest.
        deposits: What was asked for, by the ids.
        credited: The deposits that have come.
        voucher: The highest.
        withdrawals: What was paid out, or is on its way, by the ids.
        spent: By the receipts.
        refunded: By the receipts.
        receipts: In their order.
        changed: Set when a voucher has come, or an answer was ended from outside.
    """

    terms: payment_pb2.SessionTerms
    session_id: bytes
    deposits: dict[bytes, int] = field(default_factory=dict)
    credited: set[bytes] = field(default_factory=set)
    withdrawals: dict[bytes, int] = field(default_factory=dict)
    voucher: SignedEnvelope | None = None
    spent: int = 0
    refunded: int = 0
    receipts: list[SignedEnvelope] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def authorized(self) -> int:
        """The total of the highest voucher."""
        return _total(self.voucher) if self.voucher is not None else 0

    @property
    def deposited(self) -> int:
        """What has come by the rail."""
        return sum(self.deposits[one] for one in self.credited)

    @property
    def left(self) -> int:
        """What can be paid out (PAY-WDR-001)."""
        return self.deposited + self.refunded - sum(self.withdrawals.values()) - self.authorized

    def take(self, voucher: SignedEnvelope) -> None:
        """Takes a voucher, if it is the highest."""
        if self.voucher is None or _total(voucher) > self.authorized:
            self.voucher = voucher
        self.changed.set()

    def refund(self, amount: int, *, now: datetime) -> payment_pb2.Receipt:
        """Returns the receipt by which part of the first charge is given back, with the node and the key of that."""
        charged = self.receipts[0]
        refund = payment_pb2.Receipt.FromString(charged.payload)
        refund.number = len(self.receipts) + 1
        refund.previous_digest = envelopes.envelope_digest(self.receipts[-1])
        refund.charge, refund.refund_of = amount, envelopes.envelope_digest(charged)
        refund.session_spent, refund.session_refunded = self.spent, self.refunded + amount
        refund.session_authorized = max(self.authorized, self.spent)
        refund.finish_time.CopyFrom(timestamp(now))
        return refund

    def state(self, *, now: datetime) -> payment_pb2.SessionState:
        """Returns how the session stands, without its node. Counters that a cheat has put out of balance are hidden."""
        digest = envelopes.envelope_digest(self.receipts[-1]) if self.receipts else b""
        return payment_pb2.SessionState(
            session_id=self.session_id,
            status=payment_pb2.SESSION_STATUS_OPEN,
            deposited=self.deposited,
            authorized=self.authorized,
            spent=min(self.spent, self.authorized),
            refunded=self.refunded,
            withdrawn=sum(self.withdrawals.values()),
            credit_limit=self.terms.credit_limit,
            receipt_count=len(self.receipts),
            last_receipt_digest=digest,
            voucher=self.voucher,
            issue_time=timestamp(now),
        )


@dataclass(slots=True, kw_only=True)
class Sale:
    """An answer that is sold, while its log is written.

    Attributes:
        ask: As it came.
        quote: As it came.
        account: Out of which it is paid.
        draft: The answer, before it is known how it ends.
        events: The log.
        text: That was delivered.
        required: What the last Meter required.
        final: The end of the log, once it is there.
    """

    ask: SignedEnvelope
    quote: SignedEnvelope
    account: Account
    draft: Draft
    events: list[ask_pb2.AnswerEvent] = field(default_factory=list)
    text: str = ""
    required: int = 0
    final: ask_pb2.AnswerEvent | None = None

    @property
    def next(self) -> int:
        """The sequence of the next event."""
        return len(self.events) + 1

    @property
    def ceiling(self) -> int:
        """The most that the answer is charged."""
        return tariffs.ceiling_of(self._price.max_charge, ask_pb2.Ask.FromString(self.ask.payload))

    @property
    def _price(self) -> payment_pb2.Quote:
        return payment_pb2.Quote.FromString(self.quote.payload)

    @property
    def _tariff(self) -> tariff_pb2.Tariff:
        return self._price.tariff

    def add(self, event: ask_pb2.AnswerEvent) -> ask_pb2.AnswerEvent:
        """Writes an event into the log."""
        self.text += event.text_delta.text
        self.events.append(event)
        return event

    def usage(self, *, more: str = "") -> ask_pb2.Usage:
        """Returns what was used, with a piece of text that is to come."""
        return ask_pb2.Usage(output_bytes=len((self.text + more).encode()))

    def charge(self, *, more: str = "") -> int:
        """Returns what that is charged."""
        return tariffs.charge(self._tariff, self.usage(more=more), ceiling=self.ceiling)

    def covers(self, piece: str) -> bool:
        """Tells whether a piece of text is authorized."""
        return self.account.authorized - self.account.spent >= self.charge(more=piece)

    async def wait(self, enough: Callable[[], bool], *, seconds: float) -> None:
        """Waits until there is enough, or the answer has ended, and not longer than it may."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not enough() and self.final is None:
                    self.account.changed.clear()
                    await self.account.changed.wait()

    def answer(self, *, whole: bool, cancelled: bool) -> ask_pb2.Answer:
        """Returns the answer as it stands: whole, cancelled by the asker, or not paid any further."""
        answer, now = self.draft.answer, timestamp(datetime.now(UTC))
        if cancelled:
            answer.outcome, answer.stop_reason = ask_pb2.OUTCOME_CANCELLED, ask_pb2.STOP_REASON_CANCELLED
        elif not whole:
            answer.outcome, answer.stop_reason = ask_pb2.OUTCOME_TRUNCATED, ask_pb2.STOP_REASON_UNPAID
        del answer.citations[:]
        answer.usage.CopyFrom(self.usage())
        answer.transcript_digest, answer.transcript_bytes = (
            hashlib.sha256(self.text.encode()).digest(),
            len(self.text.encode()),
        )
        answer.final_sequence, answer.charged = self.next, self.charge() > 0
        answer.finish_time.CopyFrom(now)
        return answer

    def receipt(self, answer: ask_pb2.Answer, *, answer_digest: bytes) -> payment_pb2.Receipt:
        """Returns what is charged for an answer, without the node and its key."""
        account, terms = self.account, self.account.terms
        charge = tariffs.charge(self._tariff, answer.usage, ceiling=self.ceiling)
        return payment_pb2.Receipt(
            session_id=account.session_id,
            number=len(account.receipts) + 1,
            previous_digest=envelopes.envelope_digest(account.receipts[-1]) if account.receipts else b"",
            payer=terms.payer,
            request_id=ask_pb2.Ask.FromString(self.ask.payload).header.request_id,
            quote_digest=envelopes.envelope_digest(self.quote),
            ask_digest=envelopes.envelope_digest(self.ask),
            answer_digest=answer_digest,
            usage=answer.usage,
            asset=terms.asset,
            charge=charge,
            session_spent=account.spent + charge,
            session_authorized=max(account.authorized, account.spent + charge),
            session_refunded=account.refunded,
            outcome=answer.outcome,
            start_time=answer.accept_time,
            finish_time=answer.finish_time,
            backing=terms.backing,
            issuer=terms.issuer,
        )


def _total(voucher: SignedEnvelope) -> int:
    return int(payment_pb2.Voucher.FromString(voucher.payload).cumulative)
