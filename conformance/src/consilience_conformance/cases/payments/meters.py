"""Meters (spec section 3.6): text ahead of which there is authority, what it costs so far, and what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from consilience.v1 import ask_pb2
from consilience_conformance.cases.payments.pricing import cost_of_text, steps_within, text_of, tokens_worth, untimed, worth
from consilience_conformance.checks import Check, Needs, NotApplicableError
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules.deals import PAID_ANSWER, deal_of, paid_answer_findings
from consilience_conformance.rules.endings import ended_as
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.meters import meters_in, needs_in
from consilience_conformance.rules.payments import differs, receipt_of, voucher_sent
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.stage import Stage, accepted, text_seen, token, wait
from consilience_conformance.streams import Seen, Stream
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time

_PAID = ("a-paid-ask-is-answered",)

METERED_WINDOWS = 5
LONGEST_HOLD = timedelta(seconds=60)
"""A node that waits longer for a voucher is not waited for."""
TRIES = 5
"""How often a voucher is sent in time at most: a node may wait for less than a busy machine takes."""

_LARGEST_TOKEN = 65536
_SECOND = 10**9


def hold_open(price: Price) -> float:
    """Returns for how many seconds an answer waits for a voucher.

    Raises:
        NotApplicableError: It is longer than any run waits.
    """
    seconds = nanoseconds_of(price.quote.value.hold_open) / _SECOND
    if seconds > LONGEST_HOLD.total_seconds():
        raise NotApplicableError(f"an answer waits for {seconds:g} s, and no more than {LONGEST_HOLD.seconds} are waited")
    return seconds


def _needs_payment(events: list[ask_pb2.AnswerEvent]) -> bool:
    return any(event.HasField("payment_needed") for event in events)


async def _meter_text(stage: Stage) -> None:
    """Has windows of text written, for each asset in which the script can be paid, in tokens of several sizes."""
    payer = Payer(stage)
    for index, offer in enumerate(payer.offers):
        price = await payer.quote(f"quote-{index}", offer=offer)
        amount = min(METERED_WINDOWS * price.window, price.max_charge)
        account = await payer.open(f"open-{index}", price=price, amount=amount)
        size, count = tokens_worth(price, min(3 * price.window, amount), stage=stage)
        text = (text_of(size=size, count=count // 2 or 1), text_of(size=1, count=3), token("äöü🧊"))
        ask = payer.ask(*text, text_of(size=size, count=count // 2 or 1), price=price, account=account)
        await payer.send(f"ask-{index}", ask, price=price, voucher=payer.voucher(account, amount))


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
        if one > _LARGEST_TOKEN:
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


async def _use_authority_up(stage: Stage) -> None:
    """Authorizes text up to a gate exactly, passes it, and pays on when the answer stands still."""
    payer = Payer(stage)
    for number in range(TRIES):
        price = await payer.quote(f"quote-{number}", offer=untimed(payer))
        hold_open(price)
        account = await payer.open(f"open-{number}", price=price)
        if await _stand_still(payer, price, account, number=number):
            return


async def _stand_still(payer: Payer, price: Price, account: Account, *, number: int) -> bool:
    """Goes through it once; returns whether the voucher came in time, as far as the answer tells."""
    stage = payer.stage
    stage.note("last", number)
    size, count = steps_within(price, price.first_window, stage=stage)
    gate = stage.gate()
    steps = (text_of(size=size, count=count), wait(gate), worth(price, price.window, stage=stage))
    ask = payer.ask(*steps, price=price, account=account)
    reader = payer.open_ask(f"ask-{number}", ask, price=price, voucher=payer.voucher(account, price.first_window))
    if not await reader.until(_bytes_seen(size * count), budget=stage.budget):
        return True
    await payer.state(f"at-the-gate-{number}", account)
    await stage.open_gate(f"gate-{number}", gate)
    if not await reader.until(_needs_payment, budget=stage.budget):
        return True
    wanted = next(event.payment_needed for event in reader.events if event.HasField("payment_needed"))
    required = wanted.required_cumulative
    await payer.submit(f"voucher-{number}", payer.voucher(account, min(required, account.amount)))
    # So much and no more lets it go on; whether with a token or a window of them is the node's affair.
    await reader.until(_bytes_seen(size * count + 1), budget=stage.budget)
    await payer.submit(f"rest-{number}", payer.voucher(account, account.amount))
    await reader.until(budget=stage.budget)
    answer = read_log(stage.transcript[f"ask-{number}"]).answer
    late = answer is not None and answer.stop_reason == ask_pb2.STOP_REASON_UNPAID
    return not late


def _bytes_seen(size: int) -> Seen:
    return lambda events: sum(len(event.text_delta.text.encode()) for event in events) >= size


def _judge_stood_still(seen: Transcript) -> Iterator[Finding]:
    number = seen.notes["last"]
    exchange = seen[f"ask-{number}"]
    yield from was_accepted(exchange, requirement="PAY-STOP-001")
    if not exchange.accepted:
        return
    yield from complete(exchange)
    yield from paid_answer_findings(seen, exchange)
    log = read_log(exchange)
    if not needs_in(exchange):
        yield Finding(
            requirement="PAY-STOP-001",
            message="authority was used up, and the log does not say PaymentNeeded",
            expected="PaymentNeeded",
            got=", ".join(log.kinds()),
            exchange=exchange.name,
        )
    yield from ended_as(log, "ANSWERED COMPLETE", requirement="PAY-STOP-001", name=exchange.name)
    yield from _needed_rightly(seen, exchange)


def _needed_rightly(seen: Transcript, exchange: Exchange) -> Iterator[Finding]:
    """Yields what a PaymentNeeded asks for that is none: what is authorized already, or more than ever is charged."""
    deal = deal_of(seen, exchange)
    authorized = _taken_along(exchange)
    for needed in needs_in(exchange)[:1]:
        if needed.required_cumulative <= authorized:
            yield differs(
                "PAY-STOP-001",
                "PaymentNeeded asks for what is authorized already",
                expected=f"above {authorized}",
                got=needed.required_cumulative,
                exchange=exchange.name,
            )
        if needed.required_cumulative > deal.ceiling:
            yield differs(
                "PAY-STOP-001",
                "PaymentNeeded asks for more than the answer can cost",
                expected=f"at most {deal.ceiling}",
                got=needed.required_cumulative,
                exchange=exchange.name,
            )


def _taken_along(exchange: Exchange) -> int:
    """Returns what was authorized when the ask was made: the voucher that it took along."""
    voucher = voucher_sent(exchange)
    return int(voucher.cumulative) if voucher is not None else 0


async def _pay_no_more(stage: Stage) -> None:
    """Uses authority up at a gate, and sends no voucher until the answer has ended."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer))
    hold = hold_open(price)
    size, count = steps_within(price, price.first_window, stage=stage)
    gate = stage.gate()
    steps = (text_of(size=size, count=count), wait(gate), worth(price, 2 * price.window, stage=stage))
    ask = payer.ask(*steps, price=price, account=account)
    voucher = payer.voucher(account, price.first_window)
    reader = payer.open_ask("ask", ask, price=price, voucher=voucher)
    await reader.until(_bytes_seen(size * count), budget=stage.budget)
    await stage.open_gate("gate", gate)
    await reader.until(budget=stage.budget + hold)
    await payer.state("state", account)
    # The answer has ended: a voucher now is taken, and changes nothing about it.
    await payer.submit("late-voucher", payer.voucher(account, account.amount))
    await stage.resume("again", ask)


def _judge_unpaid(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    yield from was_accepted(exchange, requirement="PAY-STOP-001")
    if not exchange.accepted:
        return
    yield from complete(exchange)
    yield from paid_answer_findings(seen, exchange)
    log = read_log(exchange)
    yield from ended_as(log, "TRUNCATED UNPAID", requirement="PAY-STOP-001", name="ask")
    needed = needs_in(exchange)
    if not needed:
        yield Finding(
            requirement="PAY-STOP-001",
            message="authority was used up, and the log does not say PaymentNeeded",
            expected="PaymentNeeded",
            got=", ".join(log.kinds()),
            exchange="ask",
        )
    yield from _not_too_soon(seen, exchange, needed)
    yield from was_accepted(seen["late-voucher"], requirement="PAY-STOP-001")
    again = read_log(seen["again"])
    if (again.text, again.answer) != (log.text, log.answer):
        yield Finding(
            requirement="PAY-STOP-001",
            message="an answer that was stopped went on",
            expected=f"{len(log.text)} characters",
            got=f"{len(again.text)} characters",
            exchange="again",
        )


def _not_too_soon(seen: Transcript, exchange: Exchange, needed: list[ask_pb2.PaymentNeeded]) -> Iterator[Finding]:
    """Yields that an answer was stopped before its time: by the tester's clock, and by the node's own word."""
    hold = nanoseconds_of(deal_of(seen, exchange).quote.value.hold_open)
    # It cannot have stood still before the gate was asked to open, nor have ended after the tester read so.
    waited = round((exchange.ended_at - seen["gate"].began) * _SECOND)
    if waited < hold:
        yield differs(
            "PAY-STOP-001",
            "the answer was stopped before hold_open had passed",
            expected=f"{hold / _SECOND:g} s after it stood still, or later",
            got=f"{waited / _SECOND:.3f} s after the gate opened",
            exchange="ask",
        )
    answer = read_log(exchange).answer
    for one in needed[-1:]:
        if answer is not None and nanoseconds_of(answer.finish_time) < nanoseconds_of(one.stop_time):
            yield differs(
                "PAY-STOP-001",
                "the answer was stopped before the time that PaymentNeeded tells",
                expected=shown_time(one.stop_time),
                got=shown_time(answer.finish_time),
                exchange="ask",
            )


async def _reach_the_ceiling(stage: Stage) -> None:
    """Lets an answer cost less than its text would, once by the ask's own bound, and once just as much as it costs."""
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
            await reader.until(_bytes_seen(size * count), budget=stage.budget)
            await stage.open_gate("gate", gate)
        await reader.until(budget=stage.budget)
    await payer.state("state", account)


def _judge_ceiling(seen: Transcript) -> Iterator[Finding]:
    above, exactly = seen["ask-above"], seen["ask-exactly"]
    for exchange in (above, exactly):
        yield from was_accepted(exchange, requirement="PAY-CHG-001")
        yield from complete(exchange)
    yield from paid_answer_findings(seen, above)
    log = read_log(above)
    yield from ended_as(log, "TRUNCATED CHARGE_LIMIT", requirement="PAY-CHG-001", name="ask-above")
    if "never" in log.text:
        yield Finding(requirement="PAY-CHG-001", message="text came that costs more than the ceiling", exchange="ask-above")
    yield from ended_as(read_log(exactly), "ANSWERED COMPLETE", requirement="PAY-CHG-001", name="ask-exactly")


async def _share_a_session(stage: Stage) -> None:
    """Lets one ask stand at a gate while another of the same session is metered."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    other_price = await payer.quote("other-quote")
    account = await payer.open("open", price=price)
    await payer.submit("voucher", payer.voucher(account, account.amount))
    other = payer.ask(wait(stage.gate()), price=other_price, account=account)
    reader = payer.open_ask("other", other, price=other_price)
    await reader.until(accepted, budget=stage.budget)
    await payer.state("state", account)
    ask = payer.ask(worth(price, 2 * price.window, stage=stage), price=price, account=account)
    await payer.send("ask", ask, price=price)
    await stage.let_go()


def _judge_shared(seen: Transcript) -> Iterator[Finding]:
    for name in ("other", "ask"):
        yield from was_accepted(seen[name], requirement="PAY-MTR-002")
    exchange = seen["ask"]
    if not exchange.accepted:
        return
    deal = deal_of(seen, exchange)
    # What the other ask has reserved is the lower of window and ceiling, as long as it stands at its gate.
    reserved = min(deal.quote.value.window, deal.quote.value.max_charge)
    yield from paid_answer_findings(seen, exchange, alone=False)
    for meter in meters_in(exchange):
        wanted = reserved + min(meter.value.charge + deal.quote.value.window, deal.ceiling)
        if meter.value.required_cumulative != wanted:
            yield differs(
                "PAY-MTR-002",
                "a Meter leaves out what is reserved for other asks",
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
        name="an-answer-waits-for-a-voucher",
        title="An answer whose authority is used up says PaymentNeeded, and goes on when the voucher comes.",
        requirements=(*PAID_ANSWER, "PAY-STOP-001"),
        drive=_use_authority_up,
        judge=_judge_stood_still,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="an-unpaid-answer-is-stopped-in-time",
        title="An answer for which no voucher comes ends as UNPAID, not sooner than the quote says, without more text.",
        requirements=(*PAID_ANSWER, "PAY-STOP-001"),
        drive=_pay_no_more,
        judge=_judge_unpaid,
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
        title="What a Meter asks for leaves room for what is reserved for other asks of the session.",
        requirements=PAID_ANSWER,
        drive=_share_a_session,
        judge=_judge_shared,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
