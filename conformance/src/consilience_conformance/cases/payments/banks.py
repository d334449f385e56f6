"""Transfers that are late, unknown or told of twice (spec sections 3.4 and 3.7), at a bank that the judge plays.

What the node tells is held against the books of the bank (section 7.3), where money really moves or does not.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from functools import partial

from consilience_conformance.bank_deposits import EARLY, begun, funded, new_deposit
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.peers.bank_conducts import (
    FailingPayouts,
    Honest,
    NewReferences,
    OnePaymentForAll,
    OutOfOrder,
    PendingForEver,
    Silent,
)
from consilience_conformance.peers.banks import Conduct
from consilience_conformance.rules.banks import (
    FAILED,
    PAYOUT,
    PENDING,
    SUCCEEDED,
    in_time,
    moved_is,
    one_name_each,
    status_is,
)
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import counters_are
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_COMES = ("a-deposit-comes-by-the-bank",)

AT_ONCE = 6

TROUBLES: dict[str, Callable[[], Conduct]] = {
    "pending": PendingForEver,
    "silent": Silent,
    "out-of-order": OutOfOrder,
}
"""How a bank keeps a node from knowing of money that has moved."""


async def _come(stage: Stage) -> None:
    """Asks for a deposit, spends it before it has come, and pays less than was asked for."""
    one = await begun(new_deposit(stage), "open")
    payer, account = one.payer, one.account
    stage.note("amount", one.amount)
    await asyncio.gather(*(one.open(f"again-{index}") for index in range(AT_ONCE)))
    await one.confirm("unpaid")
    await payer.submit("voucher-unpaid", payer.voucher(account, 1))
    await payer.state("before", account)
    one.pay(one.amount - 1)
    await one.arrive("confirm")
    await payer.submit("voucher-beyond", payer.voucher(account, one.amount))
    await payer.submit("voucher", payer.voucher(account, one.amount - 1))
    await payer.state("after", account)
    one.note_books("books")


def _judge_come(seen: Transcript) -> Iterator[Finding]:
    came = int(str(seen.notes["amount"])) - 1
    for exchange in (seen["open"], *seen.named("again-")):
        yield from was_accepted(exchange, requirement="PAY-DEP-001")
    yield from one_name_each(seen, "books")
    yield from was_accepted(seen["unpaid"], requirement="PAY-RAIL-001")
    yield from status_is(seen["unpaid"], PENDING, requirement="PAY-RAIL-001")
    yield from refused(seen["voucher-unpaid"], "BALANCE_TOO_LOW", requirement="PAY-VCH-001")
    yield from counters_are(seen["before"], {"deposited": 0}, requirement="PAY-DEP-002")
    for exchange in (*seen.named(EARLY), seen["confirm"]):
        yield from was_accepted(exchange, requirement="PAY-DEP-002")
    yield from status_is(seen["confirm"], SUCCEEDED, requirement="PAY-DEP-002")
    yield from counters_are(seen["after"], {"deposited": came}, requirement="PAY-BANK-002")
    yield from refused(seen["voucher-beyond"], "BALANCE_TOO_LOW", requirement="PAY-VCH-001")
    yield from was_accepted(seen["voucher"], requirement="PAY-DEP-002")


async def _deposit_unknown(stage: Stage) -> None:
    await asyncio.gather(*(_deposit_in_trouble(stage, name) for name in TROUBLES), _start_unknown(stage))


async def _deposit_in_trouble(stage: Stage, trouble: str) -> None:
    """Pays while the bank tells nothing, looks, and looks again when it tells."""
    one = await begun(new_deposit(stage), f"open-{trouble}")
    stage.note("amount", one.amount)
    one.deal(TROUBLES[trouble]())
    one.pay()
    await one.confirm(f"pending-{trouble}")
    await one.payer.state(f"before-{trouble}", one.account)
    one.deal(Honest())
    await asyncio.gather(*(one.confirm(f"{EARLY}{trouble}-{index}", shown=index) for index in range(AT_ONCE)))
    await one.confirm(f"late-{trouble}")
    await one.payer.state(f"after-{trouble}", one.account)


async def _start_unknown(stage: Stage) -> None:
    """Asks for a deposit that the bank does not start, and again when it does."""
    one = new_deposit(stage)
    one.deal(Silent())
    await begun(one, "unstarted")
    one.deal(Honest())
    await one.open("open-late")
    one.pay()
    await one.arrive("late-started")
    await one.payer.state("after-started", one.account)
    one.note_books("books-started")


def _judge_deposit_unknown(seen: Transcript) -> Iterator[Finding]:
    amount = int(str(seen.notes["amount"]))
    for trouble in TROUBLES:
        exchange = seen[f"pending-{trouble}"]
        yield from in_time(exchange)
        yield from was_accepted(exchange, requirement="PAY-RAIL-001")
        yield from status_is(exchange, PENDING, requirement="PAY-RAIL-001")
        yield from counters_are(seen[f"before-{trouble}"], {"deposited": 0}, requirement="PAY-DEP-002")
    yield from in_time(seen["unstarted"])
    for exchange in seen.named(EARLY):
        yield from was_accepted(exchange, requirement="PAY-RAIL-001", called="the late deposit")
        yield from status_is(exchange, PENDING, SUCCEEDED, requirement="PAY-RAIL-001")
    for exchange in seen.named("late-"):
        yield from was_accepted(exchange, requirement="PAY-RAIL-001", called="the late deposit")
        yield from status_is(exchange, SUCCEEDED, requirement="PAY-RAIL-001")
    for exchange in seen.named("after-"):
        yield from counters_are(exchange, {"deposited": amount}, requirement="PAY-DEP-002")
    yield from one_name_each(seen, "books-started")


async def _told_twice(stage: Stage) -> None:
    """Has one deposit proved in many ways, and one payment prove many deposits, at once."""
    one = await begun(new_deposit(stage), "open-many-proofs")
    stage.note("amount", one.amount)
    one.deal(NewReferences())
    one.pay()
    await asyncio.gather(*(one.confirm(f"{EARLY}{index}", shown=index) for index in range(AT_ONCE)))
    await one.confirm("many-proofs")
    await one.payer.state("after-many-proofs", one.account)

    paid, unpaid = await begun(new_deposit(stage), "open-paid"), await begun(new_deposit(stage), "open-unpaid")
    beside = await begun(paid.another(), "open-beside")
    paid.pay()
    await paid.arrive("paid")
    conduct = OnePaymentForAll()
    paid.deal(conduct)
    unpaid.deal(conduct)
    await paid.confirm("paid-again")  # by which the bank is told which payment it is
    await asyncio.gather(beside.confirm("same-payment-beside"), unpaid.confirm("same-payment-elsewhere"))
    await paid.payer.state("after-paid", paid.account)
    await unpaid.payer.state("nothing-elsewhere", unpaid.account)
    # The payment of its own is still credited.
    unpaid.deal(Honest())
    unpaid.pay()
    await unpaid.arrive("own-payment")
    await unpaid.payer.state("after-own-payment", unpaid.account)


def _judge_told_twice(seen: Transcript) -> Iterator[Finding]:
    amount = int(str(seen.notes["amount"]))
    for exchange in seen.named(EARLY):
        yield from was_accepted(exchange, requirement="PAY-DEP-002", called="a deposit that has come")
    for exchange in (seen["many-proofs"], *seen.named("paid"), seen["own-payment"]):
        yield from was_accepted(exchange, requirement="PAY-DEP-002", called="a deposit that has come")
        yield from status_is(exchange, SUCCEEDED, requirement="PAY-DEP-002")
    for exchange in seen.named("after-"):
        yield from counters_are(exchange, {"deposited": amount}, requirement="PAY-DEP-002")
    for exchange in seen.named("same-payment-"):
        if exchange.accepted:
            yield from status_is(exchange, PENDING, FAILED, requirement="PAY-DEP-002")
        else:
            yield from refused(exchange, "DEPOSIT_INVALID", requirement="PAY-DEP-002")
    yield from counters_are(seen["nothing-elsewhere"], {"deposited": 0}, requirement="PAY-DEP-002")


async def _payout_unknown(stage: Stage) -> None:
    await asyncio.gather(*(_payout_in_trouble(stage, name) for name in TROUBLES))


async def _payout_in_trouble(stage: Stage, trouble: str) -> None:
    """Takes all back while the bank pays and tells nothing of it, tries to spend it again, and looks when it tells."""
    one = await funded(stage, trouble)
    payer, account = one.payer, one.account
    stage.note("amount", one.amount)
    one.deal(TROUBLES[trouble]())
    first = secrets.token_bytes(16)
    await one.withdraw(f"pending-{trouble}", withdrawal_id=first)
    await asyncio.gather(*(one.withdraw(f"pending-{trouble}-{index}", withdrawal_id=first) for index in range(AT_ONCE)))
    await payer.state(f"taken-{trouble}", account)
    await one.withdraw(f"more-{trouble}", withdrawal_id=secrets.token_bytes(16), amount=1)
    await payer.submit(f"voucher-{trouble}", payer.voucher(account, 1))
    one.deal(Honest())
    await asyncio.gather(*(one.withdraw(f"{EARLY}{trouble}-{index}", withdrawal_id=first) for index in range(AT_ONCE)))
    await one.withdraw(f"late-{trouble}", withdrawal_id=first)
    await payer.state(f"paid-{trouble}", account)
    one.note_books(f"books-{trouble}")


def _judge_payout_unknown(seen: Transcript) -> Iterator[Finding]:
    amount = int(str(seen.notes["amount"]))
    for exchange in seen.named("pending-"):
        yield from in_time(exchange)
        yield from was_accepted(exchange, requirement="PAY-RAIL-001", called="a payout of which nothing is known")
        yield from status_is(exchange, PENDING, requirement="PAY-RAIL-001")
    for trouble in TROUBLES:
        books = f"books-{trouble}"
        yield from counters_are(seen[f"taken-{trouble}"], {"withdrawn": amount}, requirement="PAY-WDR-003")
        yield from refused(seen[f"more-{trouble}"], "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
        yield from refused(seen[f"voucher-{trouble}"], "BALANCE_TOO_LOW", requirement="PAY-VCH-001")
        yield from counters_are(seen[f"paid-{trouble}"], {"withdrawn": amount}, requirement="PAY-WDR-003")
        yield from one_name_each(seen, books)
        yield from moved_is(seen, books, PAYOUT, expected=amount, requirement="PAY-WDR-002")
    for trouble in TROUBLES:
        for exchange in seen.named(f"{EARLY}{trouble}"):
            yield from was_accepted(exchange, requirement="PAY-RAIL-001", called="the late payout")
            yield from status_is(exchange, PENDING, SUCCEEDED, requirement="PAY-RAIL-001")
    for exchange in seen.named("late-"):
        yield from was_accepted(exchange, requirement="PAY-RAIL-001", called="the late payout")
        yield from status_is(exchange, SUCCEEDED, requirement="PAY-RAIL-001")


async def _payout_fails(stage: Stage) -> None:
    """Takes all back while payouts fail, asks for the same again when they do not, and takes the rest by another id."""
    one = await funded(stage, "failing")
    payer, account = one.payer, one.account
    stage.note("amount", one.amount)
    await payer.state("before", account)
    one.deal(FailingPayouts())
    first = secrets.token_bytes(16)
    await one.withdraw("failing", withdrawal_id=first)
    await payer.state("given-back", account)
    one.deal(Honest())
    await one.withdraw("failing-again", withdrawal_id=first)
    await payer.state("still-given-back", account)
    await payer.submit("voucher", payer.voucher(account, 1))
    await one.withdraw("rest", withdrawal_id=secrets.token_bytes(16), amount=one.amount - 1)
    await payer.state("paid", account)
    one.note_books("books")


def _judge_payout_failed(seen: Transcript) -> Iterator[Finding]:
    amount = int(str(seen.notes["amount"]))
    for name in ("failing", "failing-again"):
        yield from was_accepted(seen[name], requirement="PAY-WDR-002")
        yield from status_is(seen[name], FAILED, requirement="PAY-WDR-002")
    for name in ("given-back", "still-given-back"):
        yield from counters_are(seen[name], {"withdrawn": 0}, requirement="PAY-WDR-003")
    yield from was_accepted(seen["voucher"], requirement="PAY-WDR-003")
    yield from was_accepted(seen["rest"], requirement="PAY-WDR-003")
    yield from status_is(seen["rest"], SUCCEEDED, requirement="PAY-WDR-003")
    yield from counters_are(seen["paid"], {"withdrawn": amount - 1}, requirement="PAY-WDR-003")
    yield from moved_is(seen, "books", PAYOUT, expected=amount - 1, requirement="PAY-WDR-002")


_check = partial(Check, after=_COMES, needs=Needs.BANK, profile="pay", asks=False)
"""A check of a node that is paid at the bank which the judge plays."""

CHECKS = (
    _check(
        name="a-deposit-comes-by-the-bank",
        title="A deposit is credited when the bank says that it has come, and as much as has come.",
        requirements=("PAY-BANK-001", "PAY-BANK-002", "PAY-RAIL-001", "PAY-DEP-001", "PAY-DEP-002", "PAY-VCH-001"),
        drive=_come,
        judge=_judge_come,
        after=(),
    ),
    _check(
        name="a-deposit-of-which-nothing-is-known-stays-pending",
        title="A deposit of which the bank tells nothing is PENDING, and credited once when it tells.",
        requirements=("PAY-RAIL-001", "PAY-DEP-002", "PAY-BANK-001", "PAY-BANK-003"),
        drive=_deposit_unknown,
        judge=_judge_deposit_unknown,
    ),
    _check(
        name="a-payment-that-is-told-of-twice-counts-once",
        title="One payment is credited once, under whichever deposits, and by whatever proofs, the bank tells of it.",
        requirements=("PAY-DEP-002",),
        drive=_told_twice,
        judge=_judge_told_twice,
    ),
    _check(
        name="a-payout-of-which-nothing-is-known-stays-taken",
        title="A payout of which the bank tells nothing is PENDING, counts as withdrawn, and is paid once.",
        requirements=(
            "PAY-RAIL-001",
            "PAY-WDR-001",
            "PAY-WDR-002",
            "PAY-WDR-003",
            "PAY-BANK-001",
            "PAY-BANK-003",
            "PAY-VCH-001",
        ),
        drive=_payout_unknown,
        judge=_judge_payout_unknown,
    ),
    _check(
        name="a-payout-that-fails-is-given-back",
        title="A payout that the bank says has failed is the payer's again, and stays failed under its id.",
        requirements=("PAY-WDR-002", "PAY-WDR-003"),
        drive=_payout_fails,
        judge=_judge_payout_failed,
    ),
)
