"""Asks under a quote (spec section 3.2): charged by the one that they name, counted and bounded by it, in its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience_conformance.cases.payments.pricing import cost_of_text, steps_within, text_of, untimed, worth
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError, UntestableError
from consilience_conformance.payers import Payer, Price
from consilience_conformance.rules.deals import deal_of
from consilience_conformance.rules.endings import ended_as
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.meters import meters_in
from consilience_conformance.rules.payments import differs, quote_in, receipt_of
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import unchanged
from consilience_conformance.stage import Stage, accepted, wait
from consilience_conformance.steps import fails
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of

_PAID = ("a-paid-ask-is-answered",)

MOST_ASKS = 64
"""Asks under one quote that are tried at most."""
MOST_ANSWERS = 8
"""Answers at their highest charge by which a quote is used up at most."""
LONGEST_QUOTE_SECONDS = 10
"""A quote that lives longer is not waited for."""


async def _ask_under_an_earlier_quote(stage: Stage) -> None:
    """Gets a quote, gets others after it, in other assets too, and asks under the first."""
    payer = Payer(stage)
    price, account = await payer.deal(amount=0)
    for index, offer in enumerate(payer.offers):  # the last of which is in another asset, where there is one
        await payer.quote(f"later-{index}", offer=offer)
    text = worth(price, 2 * price.window, stage=stage)
    ask = payer.ask(text, price=price, account=account)
    await payer.send("ask", ask, price=price, voucher=payer.voucher(account, account.amount))


def _judge_earlier_quote(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    yield from was_accepted(exchange, requirement="PAY-QUO-002")
    if not exchange.accepted:
        return
    # All of it is authorized, by the price that was named.
    yield from ended_as(read_log(exchange), "ANSWERED COMPLETE", requirement="PAY-QUO-002", name="ask")
    deal = deal_of(seen, exchange)
    meters = meters_in(exchange)
    if not meters:
        yield Finding(requirement="PAY-MTR-001", message="two windows of text came without a Meter", exchange="ask")
    for meter in meters:
        charge = deal.charge(meter.value.usage)
        if (meter.value.charge, meter.value.quote_digest) != (charge, deal.quote.digest):
            yield differs(
                "PAY-QUO-002",
                "the answer is metered by another quote than the ask names",
                expected=f"{charge} by {deal.quote.digest.hex()}",
                got=f"{meter.value.charge} by {meter.value.quote_digest.hex()}",
                exchange="ask",
            )
            return


async def _use_a_quote_up(stage: Stage) -> None:
    """Asks as often as a quote allows, for answers that fail and cost nothing, and once more."""
    payer = Payer(stage)
    price, account = await payer.deal()
    most = price.quote.value.max_asks
    if most > MOST_ASKS:
        raise NotApplicableError(f"a quote allows {most} asks, and more than {MOST_ASKS} are not tried")
    # What is refused is no ask under the quote.
    unpaid = payer.ask(fails("tried"), price=price, account=account)
    await payer.send("refused", unpaid, price=price, until=accepted)
    await payer.submit("voucher", payer.voucher(account, account.amount))
    for index in range(most):
        await payer.send(f"ask-{index}", payer.ask(fails("tried"), price=price, account=account), price=price)
    late = payer.ask(fails("tried"), price=price, account=account)
    await payer.state("before", account)
    await payer.send("one-more", late, price=price, until=accepted)
    await stage.get("answer", late)
    await payer.state("after", account)
    # The steps before and after that of the quote, in a session without a voucher and in one that is closed.
    poor = await payer.open("open-poor", price=price)
    await payer.send("one-more-unpaid", payer.ask(price=price, account=poor), price=price, until=accepted)
    await payer.close("close", poor)
    await payer.send("one-more-closed", payer.ask(price=price, account=poor), price=price, until=accepted)
    another = await payer.quote("another-quote")
    await payer.send("under-another", payer.ask(price=another, account=account), price=another, until=accepted)


def _judge_used_up(seen: Transcript) -> Iterator[Finding]:
    yield from refused(seen["refused"], "BALANCE_TOO_LOW", requirement="PAY-ASK-002")
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003", called="an ask within max_asks")
    yield from refused(seen["one-more"], "QUOTE_INVALID", requirement="PAY-QUO-003")
    yield from refused(seen["one-more-unpaid"], "QUOTE_INVALID", requirement="PAY-ASK-002")
    yield from refused(seen["one-more-closed"], "SESSION_CLOSED", requirement="PAY-ASK-002")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from was_accepted(seen["under-another"], requirement="PAY-QUO-003")


async def _fill_a_quote(stage: Stage) -> None:
    """Lets as many asks run as `total_max_charge` allows at their ceilings, asks once more, and again for less."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    total, each = price.quote.value.total_max_charge, price.max_charge
    fitting = total // each
    room = stage.limit("max_running_asks_per_caller")
    if fitting >= min(room, price.quote.value.max_asks):
        raise NotApplicableError(f"{fitting} asks at their highest charge fit into a quote, more than may run at once")
    windows = price.first_window * (fitting + 2)
    account = await payer.open("open", price=price, amount=windows)
    await payer.submit("voucher", payer.voucher(account, windows))
    streams = []
    for index in range(fitting):
        ask = payer.ask(wait(stage.gate()), price=price, account=account)
        streams.append(payer.open_ask(f"ask-{index}", ask, price=price))
        if not await streams[-1].until(accepted, budget=stage.budget):
            return
    stage.note("full", fitting)
    rest = total - fitting * each
    over = payer.ask(price=price, account=account, max_charge=rest + 1)
    await payer.state("before", account)
    await payer.send("one-more", over, price=price, until=accepted)
    await payer.state("after", account)
    if rest >= _least_charge(price):
        await payer.send("for-the-rest", payer.ask(price=price, account=account, max_charge=rest), price=price)
    await stage.let_go()
    again = payer.ask(price=price, account=account, max_charge=rest + 1)
    await payer.send("later", again, price=price, until=accepted)


def _least_charge(price: Price) -> int:
    return max(1, int(price.quote.value.tariff.minimum_charge))


def _judge_filled(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003", called="an ask within total_max_charge")
    if "full" not in seen.notes:
        return
    yield from refused(seen["one-more"], "QUOTE_INVALID", requirement="PAY-QUO-003")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    for exchange in seen.named("for-the-rest"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003")
    yield from was_accepted(seen["later"], requirement="PAY-QUO-003")


async def _spend_a_quote(stage: Stage) -> None:
    """Has answers cost so much that less than another one's highest charge is left, and asks for more, and for that."""
    payer = Payer(stage)
    price = await payer.quote("quote", offer=untimed(payer))
    value, tariff = price.quote.value, price.quote.value.tariff
    try:
        # A unit less, so that something is left.
        size, count = steps_within(price, price.max_charge - 1, stage=stage)
    except UntestableError as reason:
        raise NotApplicableError(str(reason)) from reason
    each = cost_of_text(tariff, size=size, count=count)
    answers = -(-(value.total_max_charge - price.max_charge + 1) // each)
    if answers >= min(value.max_asks, MOST_ANSWERS):
        raise NotApplicableError(f"{answers} answers at their highest charge do not use a quote up")
    account = await payer.open("open", price=price, amount=(answers + 1) * price.max_charge)
    await payer.submit("voucher", payer.voucher(account, account.amount))
    for index in range(answers):
        ask = payer.ask(text_of(size=size, count=count), price=price, account=account)
        await payer.send(f"ask-{index}", ask, price=price)
    receipts = [receipt_of(read_log(exchange).final) for exchange in stage.transcript.named("ask-")]
    rest = value.total_max_charge - sum(one.value.charge for one in receipts if one is not None)
    stage.note("rest", rest)
    over = payer.ask(price=price, account=account, max_charge=rest + 1)
    await payer.state("before", account)
    await payer.send("one-more", over, price=price, until=accepted)
    await payer.state("after", account)
    if rest > 0:
        await payer.send("for-the-rest", payer.ask(price=price, account=account, max_charge=rest), price=price)


def _judge_spent(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003", called="an ask within total_max_charge")
        yield from complete(exchange)
    quote = quote_in(seen["quote"])
    if quote is None or int(str(seen.notes["rest"])) >= quote.value.max_charge:
        return  # a node that charges less has room for one more
    yield from refused(seen["one-more"], "QUOTE_INVALID", requirement="PAY-QUO-003")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    for exchange in seen.named("for-the-rest"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003")


async def _outlive_a_quote(stage: Stage) -> None:
    payer = Payer(stage)
    price, account = await payer.deal()
    value = price.quote.value
    life = (nanoseconds_of(value.expire_time) - nanoseconds_of(value.issue_time)) / 10**9
    if life > LONGEST_QUOTE_SECONDS:
        raise NotApplicableError(
            f"a quote lives for {life:g} s, and no more than {LONGEST_QUOTE_SECONDS} are waited for"
        )
    first, late = (payer.ask(price=price, account=account) for _ in range(2))
    await payer.send("in-time", first, price=price, voucher=payer.voucher(account, account.amount))
    await payer.state("before", account)
    # Measured from when the quote had come, so that a wrong clock of the tester does no harm.
    await asyncio.sleep(life + 0.1)
    await payer.send("too-late", late, price=price, until=accepted)
    await payer.state("after", account)
    another = await payer.quote("another-quote")
    await payer.send("under-another", payer.ask(price=another, account=account), price=another, until=accepted)


def _judge_outlived(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["in-time"], requirement="PAY-ASK-002")
    yield from refused(seen["too-late"], "QUOTE_INVALID", requirement="PAY-ASK-002")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from was_accepted(seen["under-another"], requirement="PAY-ASK-002")


CHECKS = (
    Check(
        name="an-ask-is-charged-by-the-quote-that-it-names",
        title="An ask under an earlier quote is metered by that one, whatever was quoted since.",
        requirements=("PAY-QUO-002", "PAY-MTR-001"),
        drive=_ask_under_an_earlier_quote,
        judge=_judge_earlier_quote,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="asks-under-a-quote-are-counted",
        title="One ask more than a quote allows is refused, and taken under another quote.",
        requirements=("PAY-QUO-003", "PAY-ASK-002", "ASK-IDEM-005"),
        drive=_use_a_quote_up,
        judge=_judge_used_up,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="charges-under-a-quote-are-bounded",
        title="An ask that could bring the charges of a quote above its total is refused, until there is room.",
        requirements=("PAY-QUO-003", "PAY-ASK-002"),
        drive=_fill_a_quote,
        judge=_judge_filled,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="charges-under-a-quote-add-up",
        title="What answers have cost counts against the total of their quote: an ask above what is left is refused.",
        requirements=("PAY-QUO-003", "PAY-ASK-002", "STRM-LOG-001", "STRM-LOG-002", "STRM-LOG-003", "STRM-TXT-001"),
        drive=_spend_a_quote,
        judge=_judge_spent,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="an-expired-quote-is-refused",
        title="An ask under a quote that has expired is refused, and taken under another quote.",
        requirements=("PAY-ASK-002",),
        drive=_outlive_a_quote,
        judge=_judge_outlived,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
