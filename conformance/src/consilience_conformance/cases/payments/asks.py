"""Paid asks (spec section 3.6): what has to be there before the work begins, each step of the table in its order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check, Needs, NotApplicableError
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules import tariffs
from consilience_conformance.rules.answers import answer_findings, card_of
from consilience_conformance.rules.deals import PAID_ANSWER, paid_answer_findings
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.meters import meters_in, needs_in
from consilience_conformance.rules.payments import differs, lacks, offered_in, receipt_of, receipts_in
from consilience_conformance.rules.quotes import Wish, quote_findings
from consilience_conformance.rules.receipts import chain_findings
from consilience_conformance.rules.refusals import MAX_STATUS_BYTES, refused, status_findings, was_accepted
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import SCRIPT_SKILL, Stage, accepted
from consilience_conformance.streams import Stream
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)

CEILING_WINDOWS = 4
"""An answer whose words nobody chose may cost so many windows, or what the cheapest one costs, if that is more."""
MOST_VOUCHERS = 64


async def _pay_for_an_answer(stage: Stage) -> None:
    """Asks, pays on as the Meters say, and looks at what has come of it."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    ceiling = min(price.max_charge, CEILING_WINDOWS * price.window)
    account = await payer.open("open", price=price, amount=ceiling)
    ask = payer.ask(price=price, account=account, max_charge=ceiling)
    first = payer.voucher(account, min(price.window, ceiling))
    reader = payer.open_ask("ask", ask, price=price, voucher=first)
    await pay_on(payer, reader, account=account)
    await payer.state("state", account)
    await payer.receipts("receipts", account)


async def pay_on(payer: Payer, reader: Stream, *, account: Account) -> None:
    """Reads an answer to its end, and signs what each Meter and each PaymentNeeded asks for, within the session."""
    signed = 0
    for number in range(MOST_VOUCHERS):
        wanted = min(_wanted(reader.events), account.amount)
        if wanted > signed:
            signed = wanted
            await payer.submit(f"voucher-{number}", payer.voucher(account, wanted))
        read = len(reader.events)
        if not await reader.until(lambda events, read=read: len(events) > read, budget=payer.stage.budget):  # type: ignore[misc]
            break
    await reader.until(budget=payer.stage.budget)


def _wanted(events: list[ask_pb2.AnswerEvent]) -> int:
    """Returns the highest total that a log has asked for."""
    highest = 0
    for event in events:
        if event.HasField("payment_needed"):
            highest = max(highest, event.payment_needed.required_cumulative)
        if event.HasField("metered"):
            try:
                meter = payment_pb2.Meter.FromString(event.metered.meter.payload)
            except DecodeError:
                continue
            highest = max(highest, meter.required_cumulative)
    return highest


def _judge_paid_answer(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    if not exchange.accepted:
        yield from was_accepted(exchange, requirement="PAY-ASK-002")
        return
    yield from complete(exchange)
    log = read_log(exchange)
    yield from answer_findings(seen, log, asked=exchange)
    yield from paid_answer_findings(seen, exchange)
    receipt = receipt_of(log.final)
    if receipt is None:
        return
    yield from counters_are(
        seen["state"], {"spent": receipt.value.charge, "reserved": 0, "receipt_count": 1}, requirement="PAY-CHG-003"
    )
    listed = receipts_in(seen["receipts"])
    if [one.digest for one in listed] != [receipt.digest]:
        yield differs(
            "PAY-RCP-004",
            "the list of receipts is not that of the answers",
            expected=receipt.digest,
            got=", ".join(one.digest.hex() for one in listed) or "no receipt",
            exchange="receipts",
        )
    yield from chain_findings([receipt], exchange="ask")


async def _ask_without_payment(stage: Stage) -> None:
    """Asks for nothing, takes the quote out of the refusal, and asks under it."""
    if stage.subject.skill.id == SCRIPT_SKILL:
        raise NotApplicableError("a script is free unless it names a payment, and no other skill costs anything")
    payer = Payer(stage)
    free = payer.stage.ask(caller=payer.caller)
    exchange = await stage.send("without-payment", free, until=accepted)
    await stage.get("answer", free)
    offered = offered_in(exchange)
    if offered is None or not offered.value.HasField("tariff"):
        return
    chosen = next((one for one in payer.offers if one.tariff.asset == offered.value.tariff.asset), None)
    if chosen is None:
        return
    price = Price(offer=chosen, quote=offered)
    account = await payer.open("open", price=price)
    ask = payer.ask(price=price, account=account, header=free.header, max_charge=price.first_window)
    voucher = payer.voucher(account, price.first_window)
    await payer.send("under-the-offer", ask, price=price, voucher=voucher, until=accepted)


def _judge_without_payment(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["without-payment"]
    yield from refused(exchange, "PAYMENT_REQUIRED", requirement="PAY-ASK-001")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    if exchange.accepted:
        return
    yield from (one for one in status_findings(exchange) if one.requirement != "ERR-STAT-002")
    offered = offered_in(exchange)
    if offered is None:
        yield Finding(
            requirement="PAY-ASK-001",
            message="the refusal carries no quote",
            expected="a detail consilience.v1.PaymentRequired",
            got=f"{len(exchange.details)} bytes of details",
            exchange=exchange.name,
        )
        return
    envelope, card = card_of(seen)
    ask = ask_pb2.Ask.FromString(ask_pb2.AskRequest.FromString(exchange.request).ask.payload)
    wish = Wish(payer=ask.header.caller, skill_id=ask.skill_id, model_id=ask.model_id)
    yield from quote_findings(
        offered,
        wish,
        card=card,
        honoured={envelopes.envelope_digest(envelope)},
        exchange=exchange.name,
        requirement="PAY-ASK-001",
    )
    for under in seen.named("under-the-offer"):
        yield from was_accepted(under, requirement="PAY-ASK-001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What defects of a paid ask are made of.

    Attributes:
        payer: Whose ask it is.
        price, account: What it is paid by, and out of.
        request: Of the good ask, with a voucher for all of the session.
    """

    payer: Payer
    price: Price
    account: Account
    request: ask_pb2.AskRequest

    def again(self, **changes: object) -> ask_pb2.AskRequest:
        """Returns the request with changed fields of its ask, signed."""
        ask = ask_pb2.Ask.FromString(self.request.ask.payload)
        for name, value in changes.items():
            getattr(ask, name).CopyFrom(value)
        return self.with_parts(ask=self.payer.seal(ask))

    def paid_by(self, quote: SignedEnvelope, *, session_id: bytes = b"") -> ask_pb2.AskRequest:
        """Returns the request under another quote, and out of another session."""
        payment = ask_pb2.AskPayment(
            quote_digest=envelopes.envelope_digest(quote), session_id=session_id or self.account.session_id
        )
        request = self.again(payment=payment)
        request.quote.CopyFrom(quote)
        return request

    def with_parts(self, **parts: SignedEnvelope | None) -> ask_pb2.AskRequest:
        """Returns the request with other envelopes, or without one."""
        request = ask_pb2.AskRequest()
        request.CopyFrom(self.request)
        for name, envelope in parts.items():
            request.ClearField(name)  # type: ignore[arg-type]
            if envelope is not None:
                getattr(request, name).CopyFrom(envelope)
        return request


Spoil = Callable[[Bench], Awaitable[ask_pb2.AskRequest]]
"""Returns the request of a paid ask with one defect."""


def _quietly(make: Callable[[Bench], ask_pb2.AskRequest]) -> Spoil:
    async def spoil(bench: Bench) -> ask_pb2.AskRequest:
        return make(bench)

    return spoil


def _quote_as(bench: Bench, *, seed: bytes, **changes: object) -> SignedEnvelope:
    """Returns the quote with changes, signed by somebody."""
    quote = payment_pb2.Quote()
    quote.CopyFrom(bench.price.quote.value)
    for name, value in changes.items():
        setattr(quote, name, value)
    return envelopes.seal(quote, seed=seed)


def _cheaper(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under a quote that the payer wrote himself."""
    key = bench.payer.caller
    return bench.paid_by(_quote_as(bench, seed=key.seed, signing_key=key.key, window=1))


def _unsigned(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under the node's quote, raised in a field that no signature covers any more."""
    quote = SignedEnvelope()
    quote.CopyFrom(bench.price.quote.envelope)
    value = payment_pb2.Quote()
    value.CopyFrom(bench.price.quote.value)
    value.max_charge += 1
    quote.payload = value.SerializeToString(deterministic=True)
    return bench.paid_by(quote)


async def _another_payers_quote(bench: Bench) -> ask_pb2.AskRequest:
    stage = bench.payer.stage
    stranger = Payer(stage, caller=stage.stranger())
    quote = (await stranger.quote("quote-of-another", offer=bench.price.offer)).quote
    return bench.paid_by(quote.envelope)


async def _another_skills_quote(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under a quote for another skill: a priced one, or else a free one, which has no tariff."""
    stage = bench.payer.stage
    others = [skill for skill in stage.target.card.skills if skill.id != stage.subject.skill.id]
    if not others:
        return bench.with_parts(quote=None)
    chosen = max(others, key=lambda skill: bool(skill.tariff_ids))
    exchange = await bench.payer.ask_price("quote-of-another-skill", skill_id=chosen.id)
    response = payment_pb2.GetQuoteResponse.FromString(exchange.responses[0].data) if exchange.responses else None
    return bench.paid_by(response.quote) if response is not None else bench.with_parts(quote=None)


async def _another_assets_session(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask out of a session in another asset; where there is none, out of one that there is not."""
    others = [one for one in bench.payer.offers if one.tariff.asset != bench.price.offer.tariff.asset]
    rail = bench.price.offer.rail
    asset = next((one for one in rail.assets if one != bench.price.offer.tariff.asset), "")
    if not others and not asset:
        return bench.with_parts(quote=None)
    tariff = tariff_pb2.Tariff(asset=others[0].tariff.asset if others else asset)
    offer = others[0] if others else type(bench.price.offer)(
        tariff=tariff, rail=rail, backings=bench.price.offer.backings
    )
    account = await bench.payer.open("open-in-another-asset", offer=offer, amount=max(1, rail.min_deposit))
    request = bench.paid_by(bench.price.quote.envelope, session_id=account.session_id)
    request.voucher.CopyFrom(bench.payer.voucher(account, 1))
    return request


async def _closed_session(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask out of a session that is closed, without a voucher, which would be refused before."""
    account = await bench.payer.open("open-and-close", offer=bench.price.offer, price=bench.price)
    await bench.payer.close("close", account)
    request = bench.paid_by(bench.price.quote.envelope, session_id=account.session_id)
    request.ClearField("voucher")
    return request


async def _empty_session(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask out of a session in which too little is authorized by one."""
    account = await bench.payer.open("open-unauthorized", offer=bench.price.offer, price=bench.price)
    request = bench.paid_by(bench.price.quote.envelope, session_id=account.session_id)
    request.voucher.CopyFrom(bench.payer.voucher(account, bench.price.first_window - 1))
    return request


async def _voucher_of_another_session(bench: Bench) -> ask_pb2.AskRequest:
    account = await bench.payer.open("open-another", offer=bench.price.offer, price=bench.price)
    return bench.with_parts(voucher=bench.payer.voucher(account, account.amount))


def _damaged(envelope: SignedEnvelope) -> SignedEnvelope:
    copy = SignedEnvelope()
    copy.CopyFrom(envelope)
    copy.signature = copy.signature[:-1] + bytes([copy.signature[-1] ^ 1])
    return copy


DEFECTS: dict[str, tuple[str, Spoil]] = {
    "no-quote": ("QUOTE_INVALID", _quietly(lambda bench: bench.with_parts(quote=None))),
    "digest-of-another-quote": (
        "QUOTE_INVALID",
        _quietly(
            lambda bench: bench.again(
                payment=ask_pb2.AskPayment(quote_digest=bytes(32), session_id=bench.account.session_id)
            )
        ),
    ),
    "no-quote-in-the-envelope": (
        "QUOTE_INVALID",
        _quietly(lambda bench: bench.paid_by(bench.payer.seal(bench.account.terms.value))),
    ),
    "a-quote-of-the-payer": ("QUOTE_INVALID", _quietly(_cheaper)),
    "a-quote-without-its-signature": ("QUOTE_INVALID", _quietly(_unsigned)),
    "a-quote-for-another-payer": ("QUOTE_INVALID", _another_payers_quote),
    "a-quote-for-another-skill": ("QUOTE_INVALID", _another_skills_quote),
    "no-such-session": (
        "SESSION_UNKNOWN",
        _quietly(lambda bench: bench.paid_by(bench.price.quote.envelope, session_id=bytes(32))),
    ),
    "a-session-in-another-asset": ("QUOTE_INVALID", _another_assets_session),
    "a-voucher-for-another-session": ("SESSION_UNKNOWN", _voucher_of_another_session),
    "a-voucher-without-its-signature": (
        "SIGNATURE_INVALID",
        _quietly(lambda bench: bench.with_parts(voucher=_damaged(bench.request.voucher))),
    ),
    "a-voucher-of-another-payer": (
        "SIGNER_WRONG",
        _quietly(
            lambda bench: bench.with_parts(
                voucher=Caller.new().seal(payment_pb2.Voucher.FromString(bench.request.voucher.payload))
            )
        ),
    ),
    "a-voucher-above-the-session": (
        "BALANCE_TOO_LOW",
        _quietly(
            lambda bench: bench.with_parts(voucher=bench.payer.voucher(bench.account, bench.account.amount + 1))
        ),
    ),
    "a-closed-session": ("SESSION_CLOSED", _closed_session),
    "too-little-authorized": ("BALANCE_TOO_LOW", _empty_session),
}
"""What can be wrong with how an ask is paid, and the reason; all under the request id of the ask that comes last."""


async def _bench(stage: Stage) -> tuple[Bench, ask_pb2.Ask]:
    payer = Payer(stage)
    price, account = await payer.deal()
    ask = payer.ask(price=price, account=account, max_charge=price.first_window)
    request = payer.request(ask, price=price, voucher=payer.voucher(account, account.amount))
    return Bench(payer=payer, price=price, account=account, request=request), ask


async def _spoil_payments(stage: Stage) -> None:
    bench, ask = await _bench(stage)
    payer = bench.payer
    before = payer.ask(price=bench.price, account=bench.account, max_charge=bench.price.first_window)
    voucher = payer.voucher(bench.account, bench.price.first_window)
    await payer.send("control-before", before, price=bench.price, voucher=voucher, until=accepted)
    await stage.let_go()
    await payer.state("before", bench.account)
    for name, (_, spoil) in DEFECTS.items():
        await stage.call(f"defect-{name}", ASK, await spoil(bench), until=accepted)
    await stage.get("answer", ask)
    await payer.state("after", bench.account)
    await stage.call("control-after", ASK, bench.request, until=accepted)


def _judge_spoilt_payments(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="PAY-ASK-002")
    for name, (reason, _) in DEFECTS.items():
        yield from refused(seen[f"defect-{name}"], reason, requirement="PAY-ASK-002")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from was_accepted(seen["control-after"], requirement="PAY-ASK-002")


CHECKS = (
    Check(
        name="a-paid-ask-is-answered",
        title="An ask that is paid as its Meters say is answered, charged by its quote, and has a receipt that fits.",
        requirements=(
            *PAID_ANSWER,
            "PAY-ASK-002",
            "PAY-RCP-002",
            "PAY-RCP-003",
            "PAY-RCP-004",
            "PAY-CHG-003",
            "STRM-TXT-002",
            "ASK-ANS-001",
            "ASK-ANS-002",
            "ASK-ANS-003",
            "ASK-ANS-004",
            "ASK-ANS-005",
        ),
        drive=_pay_for_an_answer,
        judge=_judge_paid_answer,
        after=("a-session-opens",),
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="an-unpaid-ask-is-told-the-price",
        title="An ask without payment for a skill that costs something is refused with a quote under which it can be asked.",
        requirements=(
            "PAY-ASK-001",
            "ASK-IDEM-005",
            "ERR-STAT-001",
            "ERR-STAT-003",
            "ERR-STAT-004",
            "SIG-ENV-001",
            "SIG-ENV-005",
            "ERR-FLD-001",
        ),
        drive=_ask_without_payment,
        judge=_judge_without_payment,
        after=("a-session-opens",),
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="an-ask-that-is-not-paid-is-refused",
        title="An ask whose quote, session or voucher does not hold is refused for its reason, and the session is left alone.",
        requirements=("PAY-ASK-002", "ASK-IDEM-005"),
        drive=_spoil_payments,
        judge=_judge_spoilt_payments,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
)
