"""Meters (spec section 3.6): text ahead of which there is authority, what it costs so far, and what stops it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from consilience_conformance.cases.payments.pricing import (
    WIDE,
    cost_of_text,
    steps_below,
    steps_within,
    text_of,
    tokens_worth,
    untimed,
    worth,
)
from consilience_conformance.cases.payments.waits import bytes_seen
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Payer, Price
from consilience_conformance.rules.deals import PAID_ANSWER, deal_of, paid_answer_findings
from consilience_conformance.rules.endings import ended_as
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.meters import meters_in
from consilience_conformance.rules.payments import differs, receipt_of
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.stage import Stage, accepted, token, wait
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)

METERED_WINDOWS = 7
TOKEN_WINDOWS = 2
"""Of a token that has to go out in pieces."""
LARGEST_TOKEN = 65536


async def _meter_text(stage: Stage) -> None:
    """Has windows of text written, for each asset in which the script can be paid, in tokens of several sizes."""
    payer = Payer(stage)
    for index, offer in enumerate(payer.offers):
        price = await payer.quote(f"quote-{index}", offer=offer)
        amount = min(METERED_WINDOWS * price.window, price.max_charge)
        account = await payer.open(f"open-{index}", price=price, amount=amount)
        size, count = tokens_worth(price, min(3 * price.window, amount), stage=stage)
        half = text_of(size=size, count=count // 2 or 1)
        large = [text_of(size=one, count=1) for one in _large_token(price, within=amount - 3 * price.window)]
        ask = payer.ask(half, text_of(size=1, count=3), token("äöü🧊"), *large, half, price=price, account=account)
        await payer.send(f"ask-{index}", ask, price=price, voucher=payer.voucher(account, amount))


def _large_token(price: Price, *, within: int) -> Iterator[int]:
    """Yields the bytes of a token that costs more than some windows, if there is one, and it fits."""
    tariff = price.quote.value.tariff
    least = cost_of_text(tariff, size=1, count=1) + TOKEN_WINDOWS * price.window

    def costs_more(size: int) -> bool:
        return cost_of_text(tariff, size=size, count=1) > least

    size = bisect_left(range(LARGEST_TOKEN + 1), True, key=costs_more)  # noqa: FBT003 - what is searched for
    if size <= LARGEST_TOKEN and cost_of_text(tariff, size=size, count=1) <= within:
        yield size


def _judge_metered(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-MTR-001", called="a paid ask")
        yield from complete(exchange)
        yield from paid_answer_findings(seen, exchange)
        if exchange.accepted and not meters_in(exchange):
            yield Finding(
                requirement="PAY-MTR-001",
                message="more than a window of text came without a Meter",
                expected="a Meter in three windows of text",
                got="none",
                exchange=exchange.name,
            )


async def _cut_into_pieces(stage: Stage) -> None:
    """Has the same text written in one token, in several, and byte by byte."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    half = min(price.window, price.max_charge) // 2
    size, count = tokens_worth(price, max(1, half), stage=stage)
    whole = size * count
    account = await payer.open("open", price=price)
    voucher = payer.voucher(account, account.amount)
    for name, one, times in (("whole", whole, 1), ("pieces", size, count), ("bytes", 1, whole)):
        if one > LARGEST_TOKEN:
            continue
        ask = payer.ask(text_of(size=one, count=times), price=price, account=account)
        await payer.send(f"ask-{name}", ask, price=price, voucher=voucher)


def _judge_pieces(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-TRF-001", called="the same text")
        log = read_log(exchange)
        receipt = receipt_of(log.final)
        if receipt is None or log.answer is None:
            continue
        most = deal_of(seen, exchange).charge(log.answer.usage)
        if receipt.value.charge > most:
            yield differs(
                "PAY-TRF-001",
                "text in pieces costs more than the tariff says of all of it",
                expected=f"at most {most}",
                got=receipt.value.charge,
                exchange=exchange.name,
            )


async def _reach_the_ceiling(stage: Stage) -> None:
    """Lets an answer cost less than its text would, by much and by a unit, and once just as much as it costs."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer))
    size, count = steps_within(price, price.first_window, stage=stage)
    exact = cost_of_text(price.quote.value.tariff, size=size, count=count)
    text = text_of(size=size, count=count)
    more = worth(price, price.window, stage=stage)
    voucher = payer.voucher(account, account.amount)
    gate = stage.gate()
    for name, steps in (("above", (text, wait(gate), more, token("never"))), ("exactly", (text,))):
        ask = payer.ask(*steps, price=price, account=account, max_charge=exact)
        reader = payer.open_ask(f"ask-{name}", ask, price=price, voucher=voucher)
        if len(steps) > 1:
            await reader.until(bytes_seen(size * count), budget=stage.budget)
            await stage.open_gate("gate", gate)
        await reader.until(budget=stage.budget)
    below = steps_below(price, price.first_window, stage=stage)
    short = payer.ask(*below, token(WIDE), price=price, account=account, max_charge=price.first_window)
    await payer.send("ask-by-a-unit", short, price=price)


def _judge_ceiling(seen: Transcript) -> Iterator[Finding]:
    above, exactly, by_a_unit = seen["ask-above"], seen["ask-exactly"], seen["ask-by-a-unit"]
    for exchange in (above, exactly, by_a_unit):
        yield from was_accepted(exchange, requirement="PAY-CHG-001")
        yield from complete(exchange)
    yield from paid_answer_findings(seen, above)
    for name, unpaid in (("ask-above", "never"), ("ask-by-a-unit", WIDE.decode())):
        log = read_log(seen[name])
        yield from ended_as(log, "TRUNCATED CHARGE_LIMIT", requirement="PAY-CHG-001", name=name)
        if unpaid in log.text:
            yield Finding(
                requirement="PAY-CHG-001", message="text came that costs more than the ceiling", exchange=name
            )
    yield from ended_as(read_log(exactly), "ANSWERED COMPLETE", requirement="PAY-CHG-001", name="ask-exactly")


async def _share_a_session(stage: Stage) -> None:
    """Lets one ask stand at a gate while another of the same session is metered, in which a third has spent."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    other_price = await payer.quote("other-quote")
    account = await payer.open("open", price=price)
    await payer.submit("voucher", payer.voucher(account, account.amount))
    await payer.send("first", payer.ask(price=other_price, account=account), price=other_price)
    other = payer.ask(wait(stage.gate()), price=other_price, account=account)
    reader = payer.open_ask("other", other, price=other_price)
    await reader.until(accepted, budget=stage.budget)
    await payer.state("state", account)
    ask = payer.ask(worth(price, 2 * price.window, stage=stage), price=price, account=account)
    await payer.send("ask", ask, price=price)
    await stage.let_go()


def _judge_shared(seen: Transcript) -> Iterator[Finding]:
    for name in ("first", "other", "ask"):
        yield from was_accepted(seen[name], requirement="PAY-MTR-002")
    exchange = seen["ask"]
    if not exchange.accepted:
        return
    deal = deal_of(seen, exchange)
    # What the other ask has reserved is the lower of window and ceiling, as long as it stands at its gate.
    reserved = min(deal.quote.value.window, deal.quote.value.max_charge)
    first = receipt_of(read_log(seen["first"]).final)
    spent = first.value.session_spent if first is not None else 0
    yield from paid_answer_findings(seen, exchange, alone=False)
    for meter in meters_in(exchange):
        wanted = spent + reserved + min(meter.value.charge + deal.quote.value.window, deal.ceiling)
        if meter.value.required_cumulative != wanted:
            yield differs(
                "PAY-MTR-002",
                "a Meter leaves out what other asks have spent or reserved",
                expected=wanted,
                got=meter.value.required_cumulative,
                exchange="ask",
            )
            return


CHECKS = (
    Check(
        name="text-is-metered",
        title="At least once in a window a Meter tells the usage and the charge, exactly, in every asset.",
        requirements=PAID_ANSWER,
        drive=_meter_text,
        judge=_judge_metered,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="text-in-pieces-costs-the-same",
        title="In how many tokens a text comes does not change what its bytes cost.",
        requirements=("PAY-TRF-001",),
        drive=_cut_into_pieces,
        judge=_judge_pieces,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="the-ceiling-stops-an-answer",
        title="An answer ends with CHARGE_LIMIT before its text costs more than the ask allows, and not sooner.",
        requirements=PAID_ANSWER,
        drive=_reach_the_ceiling,
        judge=_judge_ceiling,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="a-meter-counts-what-others-reserve",
        title="What a Meter asks for leaves room for what other asks of the session have spent, and have reserved.",
        requirements=PAID_ANSWER,
        drive=_share_a_session,
        judge=_judge_shared,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
