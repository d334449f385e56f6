"""Paid asks (spec section 3.6): what has to be there before the work begins, each step of the table in its order."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, payment_pb2
from consilience_conformance import envelopes
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules.answers import answer_findings, card_of
from consilience_conformance.rules.deals import PAID_ANSWER, paid_answer_findings
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.payments import differs, offered_in, receipt_of, receipts_in
from consilience_conformance.rules.quotes import Wish, quote_findings
from consilience_conformance.rules.receipts import chain_findings
from consilience_conformance.rules.refusals import refused, status_findings, was_accepted
from consilience_conformance.rules.sessions import counters_are
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.streams import Stream
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.transcripts import Transcript
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
        title="An ask without payment for a skill that costs is refused with a quote under which it can be asked.",
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
)
