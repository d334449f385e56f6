"""Waiting for vouchers (spec section 3.6): an answer that stands still, goes on when it is paid, and else ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from consilience.v1 import ask_pb2
from consilience_conformance.cases.payments.pricing import (
    WIDE,
    steps_below,
    steps_within,
    text_of,
    tokens_worth,
    untimed,
    worth,
)
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules.deals import PAID_ANSWER, deal_of, paid_answer_findings
from consilience_conformance.rules.endings import ended_as
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.meters import events_of, metered_before, needs_in
from consilience_conformance.rules.payments import differs, voucher_sent
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.stage import Stage, token, wait
from consilience_conformance.streams import Seen
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time

_PAID = ("a-paid-ask-is-answered",)

LONGEST_HOLD = timedelta(seconds=60)
"""A node that waits longer for a voucher is not waited for."""
TRIES = 5
"""How often a voucher is sent in time at most: a node may wait for less than a busy machine takes."""

_SECOND = 10**9


def hold_open(price: Price) -> float:
    """Returns for how many seconds an answer waits for a voucher.

    Raises:
        NotApplicableError: It is longer than any run waits.
    """
    seconds = nanoseconds_of(price.quote.value.hold_open) / _SECOND
    if seconds > LONGEST_HOLD.total_seconds():
        raise NotApplicableError(
            f"an answer waits for {seconds:g} s, and no more than {LONGEST_HOLD.seconds} are waited"
        )
    return seconds


def _needs_payment(events: list[ask_pb2.AnswerEvent]) -> bool:
    return any(event.HasField("payment_needed") for event in events)


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
    if not await reader.until(bytes_seen(size * count), budget=stage.budget):
        return True
    await payer.state(f"at-the-gate-{number}", account)
    await stage.open_gate(f"gate-{number}", gate)
    if not await reader.until(_needs_payment, budget=stage.budget):
        return True
    wanted = next(event.payment_needed for event in reader.events if event.HasField("payment_needed"))
    required = wanted.required_cumulative
    await payer.submit(f"voucher-{number}", payer.voucher(account, min(required, account.amount)))
    # So much and no more lets it go on; whether with a token or a window of them is the node's affair.
    await reader.until(bytes_seen(size * count + 1), budget=stage.budget)
    await payer.submit(f"rest-{number}", payer.voucher(account, account.amount))
    await reader.until(budget=stage.budget)
    answer = read_log(stage.transcript[f"ask-{number}"]).answer
    late = answer is not None and answer.stop_reason == ask_pb2.STOP_REASON_UNPAID
    return not late


def bytes_seen(size: int) -> Seen:
    """Returns what tells whether a log brought so many bytes of text."""
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
    yield from _needed_at_all(exchange, authorized=_taken_along(exchange))
    for needed in needs_in(exchange)[:1]:
        # The next piece of text costs no more than a window above the last Meter, and that is all it needs.
        most = min(metered_before(exchange, deal, event="payment_needed") + deal.quote.value.window, deal.ceiling)
        if needed.required_cumulative > most:
            yield differs(
                "PAY-STOP-001",
                "PaymentNeeded asks for more than the next text can cost",
                expected=f"at most {most}",
                got=needed.required_cumulative,
                exchange=exchange.name,
            )


def _needed_at_all(exchange: Exchange, *, authorized: int) -> Iterator[Finding]:
    """Yields that the first PaymentNeeded of a log asks for what the session had been authorized before."""
    for needed in needs_in(exchange)[:1]:
        if needed.required_cumulative <= authorized:
            yield differs(
                "PAY-STOP-001",
                "PaymentNeeded asks for what is authorized already",
                expected=f"above {authorized}",
                got=needed.required_cumulative,
                exchange=exchange.name,
            )


def _taken_along(exchange: Exchange) -> int:
    """Returns what an ask, or SubmitVoucher, authorized by the voucher that it took along."""
    voucher = voucher_sent(exchange)
    return int(voucher.cumulative) if voucher is not None else 0


async def _pay_no_more(stage: Stage) -> None:
    """Uses authority up at a gate, and sends no voucher until the answer has ended."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer))
    hold = hold_open(price)
    # What is made behind the gate costs more than is left, which stays with the payer.
    text = steps_below(price, price.first_window, stage=stage)
    size = sum(len(step.token.data) * max(1, step.token.times) for step in text)
    _, more = tokens_worth(price, 2 * price.window, stage=stage)
    gate = stage.gate()
    ask = payer.ask(*text, wait(gate), token(WIDE, times=more), price=price, account=account)
    voucher = payer.voucher(account, price.first_window)
    reader = payer.open_ask("ask", ask, price=price, voucher=voucher)
    await reader.until(bytes_seen(size), budget=stage.budget)
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
    for one in needed if answer is not None else ():
        # It stood still after it was accepted.
        if answer is not None and nanoseconds_of(one.stop_time) < nanoseconds_of(answer.accept_time) + hold:
            yield differs(
                "PAY-STOP-001",
                "PaymentNeeded tells a time to stop that is too early",
                expected=f"{hold / _SECOND:g} s after the answer was accepted, or later",
                got=shown_time(one.stop_time),
                exchange="ask",
            )
    for one in needed[-1:]:
        if answer is not None and nanoseconds_of(answer.finish_time) < nanoseconds_of(one.stop_time):
            yield differs(
                "PAY-STOP-001",
                "the answer was stopped before the time that PaymentNeeded tells",
                expected=shown_time(one.stop_time),
                got=shown_time(answer.finish_time),
                exchange="ask",
            )


async def _vie_for_a_voucher(stage: Stage) -> None:
    """Lets two answers of one session stand still, and sends a voucher for one of them."""
    payer = Payer(stage)
    for number in range(TRIES):
        price = await payer.quote(f"quote-{number}", offer=untimed(payer))
        hold_open(price)
        account = await payer.open(f"open-{number}", price=price)
        if await _vie(payer, price, account, number=number):
            return


async def _vie(payer: Payer, price: Price, account: Account, *, number: int) -> bool:
    """Goes through it once; returns whether one was told again, before it was stopped."""
    stage, gate = payer.stage, payer.stage.gate()
    stage.note("last", number)
    await payer.submit(f"voucher-{number}", payer.voucher(account, 2 * price.first_window))
    size, count = steps_within(price, price.first_window, stage=stage)
    steps = (text_of(size=size, count=count), wait(gate), worth(price, price.window, stage=stage))
    readers = [
        payer.open_ask(f"{name}-{number}", payer.ask(*steps, price=price, account=account), price=price)
        for name in _RIVALS
    ]
    await asyncio.gather(*(one.until(bytes_seen(size * count), budget=stage.budget) for one in readers))
    await stage.open_gate(f"gate-{number}", gate)
    await asyncio.gather(*(one.until(_needs_payment, budget=stage.budget) for one in readers))
    wanted = [event.payment_needed for one in readers for event in one.events if event.HasField("payment_needed")]
    if len(wanted) == len(_RIVALS):
        least = min(one.required_cumulative for one in wanted)
        await payer.submit(f"for-one-{number}", payer.voucher(account, min(least, account.amount)))
        await asyncio.gather(*(one.until(_needs_it_twice, budget=stage.budget) for one in readers))
    await stage.let_go()
    await asyncio.gather(*(one.until(budget=stage.budget) for one in readers))
    return any(_told_again(stage.transcript[f"{name}-{number}"]) for name in _RIVALS)


_RIVALS = ("one", "another")


def _needs_it_twice(events: list[ask_pb2.AnswerEvent]) -> bool:
    return sum(event.HasField("payment_needed") for event in events) > 1


def _told_again(exchange: Exchange) -> tuple[ask_pb2.PaymentNeeded, ask_pb2.PaymentNeeded] | None:
    """Returns the first two PaymentNeeded of a log between which there is no text, or None: there are none."""
    before: ask_pb2.PaymentNeeded | None = None
    for _, event in events_of(exchange):
        if event.HasField("text_delta"):
            before = None
        if event.HasField("payment_needed"):
            if before is not None:
                return before, event.payment_needed
            before = event.payment_needed
    return None


def _judge_rivals(seen: Transcript) -> Iterator[Finding]:
    number = seen.notes["last"]
    rivals = [seen[f"{name}-{number}"] for name in _RIVALS]
    for exchange in rivals:
        yield from was_accepted(exchange, requirement="PAY-STOP-001")
    if not all(exchange.accepted for exchange in rivals):
        return
    authorized = _taken_along(seen[f"voucher-{number}"])
    for exchange in rivals:
        yield from _needed_at_all(exchange, authorized=authorized)
    told = [(exchange, both) for exchange in rivals if (both := _told_again(exchange))]
    if not told:
        yield Finding(
            requirement="PAY-STOP-001",
            message="an answer is not told that another one took what a voucher brought",
            expected="PaymentNeeded again in one of two logs",
            got="; ".join(", ".join(read_log(exchange).kinds()) for exchange in rivals),
            exchange=rivals[0].name,
        )
    for exchange, (first, second) in told:
        if first.stop_time != second.stop_time:
            yield differs(
                "PAY-STOP-001",
                "PaymentNeeded that is told again moves the time to stop",
                expected=shown_time(first.stop_time),
                got=shown_time(second.stop_time),
                exchange=exchange.name,
            )


CHECKS = (
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
        name="rivals-for-a-voucher-are-told",
        title="Of two answers that wait, the one that gets nothing of a voucher says so again, and waits no longer.",
        requirements=("PAY-STOP-001",),
        drive=_vie_for_a_voucher,
        judge=_judge_rivals,
        after=("an-answer-waits-for-a-voucher",),
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
)
