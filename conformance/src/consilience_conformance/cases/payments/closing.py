"""The end of a session (spec section 3.7): what is paid back, and what a session that is closing still does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

from google.protobuf.message import Message

from consilience.v1 import payment_pb2, tariff_pb2
from consilience_conformance.cases.payments.pricing import untimed, worth
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Account, Payer
from consilience_conformance.rules.deals import PAID_ANSWER, paid_answer_findings
from consilience_conformance.rules.endings import ended_as
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.payments import (
    differs,
    receipt_of,
    receipts_in,
    response_of,
    state_in,
)
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.releases import release_findings
from consilience_conformance.rules.sessions import balance_of, counters_are, unchanged
from consilience_conformance.stage import Stage, accepted, token, wait
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)
_PAID_BACK = ("what-is-not-promised-is-paid-back",)

AT_ONCE = 6


async def _withdraw(stage: Stage) -> None:
    """Promises half of a deposit, and takes the rest back in two steps, and once more."""
    payer = Payer(stage)
    _, account = await payer.deal(backing=tariff_pb2.BACKING_PREPAID)
    promised = account.amount // 2
    free = account.amount - promised
    stage.note("free", free)
    await payer.submit("voucher", payer.voucher(account, promised))
    await payer.state("before", account)
    await payer.withdraw("too-much", account, amount=free + 1, withdrawal_id=secrets.token_bytes(16))
    await payer.withdraw("far-too-much", account, amount=2**63 - 1, withdrawal_id=secrets.token_bytes(16))
    await payer.state("after", account)
    first = secrets.token_bytes(16)
    await asyncio.gather(
        payer.withdraw("one", account, amount=1, withdrawal_id=first),
        *(payer.withdraw(f"again-{index}", account, amount=1, withdrawal_id=first) for index in range(AT_ONCE)),
    )
    await payer.withdraw("again-later", account, amount=1, withdrawal_id=first)
    await payer.withdraw("another-amount", account, amount=2, withdrawal_id=first)
    await payer.state("once", account)
    await payer.withdraw("rest", account, amount=free - 1, withdrawal_id=secrets.token_bytes(16))
    await payer.withdraw("one-more", account, amount=1, withdrawal_id=secrets.token_bytes(16))
    await payer.submit("late-voucher", payer.voucher(account, promised + 1))
    await payer.state("last", account)


def _judge_withdrawn(seen: Transcript) -> Iterator[Finding]:
    free = int(str(seen.notes["free"]))
    for name in ("too-much", "far-too-much", "one-more"):
        yield from refused(seen[name], "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-WDR-001")
    for name in ("one", "rest"):
        yield from was_accepted(seen[name], requirement="PAY-WDR-001")
        yield from release_findings(seen, seen[name])
    yield from counters_are(seen["last"], {"withdrawn": free}, requirement="PAY-WDR-001")
    # What was paid out covers no voucher any more.
    yield from refused(seen["late-voucher"], "BALANCE_TOO_LOW", requirement="PAY-VCH-001")


def _judge_once(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["one"], requirement="PAY-WDR-002")
    first = response_of(seen["one"], payment_pb2.WithdrawResponse)
    for exchange in seen.named("again-"):
        yield from was_accepted(exchange, requirement="PAY-WDR-002", called="the same withdrawal")
        response = response_of(exchange, payment_pb2.WithdrawResponse)
        if first is not None and response is not None and response.detail != first.detail:
            yield differs(
                "PAY-WDR-002",
                "one withdrawal has two payouts",
                expected=_hex(first.detail),
                got=_hex(response.detail),
                exchange=exchange.name,
            )
    yield from refused(seen["another-amount"], "WITHDRAWAL_INVALID", requirement="PAY-WDR-002")
    yield from counters_are(seen["once"], {"withdrawn": 1}, requirement="PAY-WDR-002")


def _hex(message: Message) -> str:
    return message.SerializeToString(deterministic=True).hex()


async def _withdraw_credit(stage: Stage) -> None:
    payer = Payer(stage)
    _, account = await payer.deal(backing=tariff_pb2.BACKING_CREDIT)
    await payer.state("before", account)
    await payer.withdraw("credit", account, amount=1, withdrawal_id=secrets.token_bytes(16))
    await payer.close("close", account)
    await payer.withdraw("credit-when-closed", account, amount=1, withdrawal_id=secrets.token_bytes(16))
    await payer.state("after", account)


def _judge_credit(seen: Transcript) -> Iterator[Finding]:
    for name in ("credit", "credit-when-closed"):
        yield from refused(seen[name], "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-WDR-001", but=("status",))


async def _close(stage: Stage) -> None:
    """Closes a session with something spent and something authorized, and takes back what was not spent."""
    payer = Payer(stage)
    price, account = await payer.deal(backing=tariff_pb2.BACKING_PREPAID)
    ask = payer.ask(price=price, account=account, max_charge=price.first_window)
    await payer.send("ask", ask, price=price, voucher=payer.voucher(account, account.amount))
    await payer.state("before", account)
    await payer.close("close", account)
    await payer.close("again", account)
    await payer.state("closed", account)
    spent = receipt_of(read_log(stage.transcript["ask"]).final)
    rest = account.amount - (spent.value.session_spent if spent is not None else 0)
    stage.note("rest", rest)
    await payer.withdraw("too-much", account, amount=rest + 1, withdrawal_id=secrets.token_bytes(16))
    await payer.withdraw("rest", account, amount=rest, withdrawal_id=secrets.token_bytes(16))
    await payer.state("after", account)
    await payer.receipts("receipts", account)


def _judge_closed(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-CLS-002")
    for name in ("close", "again"):
        yield from was_accepted(seen[name], requirement="PAY-CLS-002")
        yield from _has_status(seen[name], payment_pb2.SESSION_STATUS_CLOSED, requirement="PAY-CLS-001")
        yield from unchanged(
            seen["before"], seen[name], requirement="PAY-CLS-002", but=("status", "authorized", "voucher")
        )
    yield from unchanged(seen["close"], seen["again"], requirement="PAY-CLS-002")
    yield from refused(seen["too-much"], "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
    yield from was_accepted(seen["rest"], requirement="PAY-CLS-002")
    yield from counters_are(seen["after"], {"withdrawn": int(str(seen.notes["rest"]))}, requirement="PAY-CLS-002")
    yield from was_accepted(seen["receipts"], requirement="PAY-CLS-001")
    receipt = receipt_of(read_log(seen["ask"]).final)
    listed = receipts_in(seen["receipts"])
    if receipt is not None and [one.digest for one in listed] != [receipt.digest]:
        yield differs(
            "PAY-LST-001",
            "a closed session lists other receipts than before",
            expected=receipt.digest,
            got=", ".join(one.digest.hex() for one in listed) or "none",
            exchange="receipts",
        )


def _has_status(exchange: Exchange, status: int, *, requirement: str) -> Iterator[Finding]:
    found = state_in(exchange)
    if found is not None and found.value.status != status:
        names = payment_pb2.SessionStatus.DESCRIPTOR.values_by_number
        got = names.get(found.value.status)
        yield differs(
            requirement,
            "the session tells another status",
            expected=names[status].name,
            got=got.name if got else found.value.status,
            exchange=exchange.name,
        )


async def _close_while_it_runs(stage: Stage) -> None:
    """Closes a session whose ask stands at a gate, tries what it takes no more, and lets the ask end."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer))
    gate = stage.gate()
    steps = (token("so far"), wait(gate), worth(price, price.first_window // 2, stage=stage))
    ask = payer.ask(*steps, price=price, account=account)
    authorized = min(4 * price.window, account.amount)
    reader = payer.open_ask("ask", ask, price=price, voucher=payer.voucher(account, authorized))
    await reader.until(accepted, budget=stage.budget)
    await payer.close("close", account)
    await _try_everything(payer, account, "closing")
    await payer.send("ask-closing", payer.ask(price=price, account=account), price=price, until=accepted)
    await stage.open_gate("gate", gate)
    await reader.until(budget=stage.budget)
    await payer.state("closed", account)
    await _try_everything(payer, account, "closed")
    await payer.send("ask-closed", payer.ask(price=price, account=account), price=price, until=accepted)


async def _try_everything(payer: Payer, account: Account, when: str) -> None:
    """Sends what a session refuses that takes no more, and what it still does."""
    await payer.submit(f"voucher-{when}", payer.voucher(account, account.amount))
    await payer.submit(f"low-voucher-{when}", payer.voucher(account, 0))
    deposit_id = secrets.token_bytes(16)
    await payer.call_open(f"deposit-{when}", account.terms.envelope, deposit_id=deposit_id, deposit=1000)
    await payer.confirm(f"confirm-{when}", account, deposit_id=deposit_id, proof=None)
    await payer.call_open(f"open-{when}", account.terms.envelope)
    await payer.receipts(f"receipts-{when}", account)


def _judge_closing(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-CLS-001")
    yield from _has_status(seen["close"], payment_pb2.SESSION_STATUS_CLOSING, requirement="PAY-CLS-001")
    for when in ("closing", "closed"):
        for call in ("voucher", "low-voucher", "deposit", "confirm", "ask"):
            yield from refused(seen[f"{call}-{when}"], "SESSION_CLOSED", requirement="PAY-CLS-001")
        for call in ("open", "receipts"):
            yield from was_accepted(seen[f"{call}-{when}"], requirement="PAY-CLS-001")
    exchange = seen["ask"]
    if not exchange.accepted:
        return
    yield from complete(exchange)
    yield from paid_answer_findings(seen, exchange)
    yield from ended_as(read_log(exchange), "ANSWERED COMPLETE", requirement="PAY-CLS-001", name="ask")
    yield from _has_status(seen["closed"], payment_pb2.SESSION_STATUS_CLOSED, requirement="PAY-CLS-001")
    receipt = receipt_of(read_log(exchange).final)
    if receipt is not None:
        yield from counters_are(
            seen["closed"], {"spent": receipt.value.charge, "reserved": 0}, requirement="PAY-CLS-002"
        )


async def _withdraw_while_it_runs(stage: Stage) -> None:
    """Closes a session whose ask stands at a gate, and takes back what is not promised to it, now and when it ends."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer), backing=tariff_pb2.BACKING_PREPAID)
    authorized = min(3 * price.window, price.max_charge, account.amount - 1)
    stage.note("free", account.amount - authorized)
    gate = stage.gate()
    # Behind the gate it needs more than was reserved when it was accepted.
    steps = (wait(gate), worth(price, authorized - price.window // 2, stage=stage))
    ask = payer.ask(*steps, price=price, account=account, max_charge=authorized)
    reader = payer.open_ask("ask", ask, price=price, voucher=payer.voucher(account, authorized))
    await reader.until(accepted, budget=stage.budget)
    await payer.close("close", account)
    free = account.amount - authorized
    await payer.withdraw("too-much", account, amount=free + 1, withdrawal_id=secrets.token_bytes(16))
    await payer.withdraw("free", account, amount=free, withdrawal_id=secrets.token_bytes(16))
    await stage.open_gate("gate", gate)
    await reader.until(budget=stage.budget)
    receipt = receipt_of(read_log(stage.transcript["ask"]).final)
    if receipt is None:
        return
    rest = authorized - receipt.value.charge
    await payer.withdraw("too-much-of-the-rest", account, amount=rest + 1, withdrawal_id=secrets.token_bytes(16))
    if rest:
        await payer.withdraw("rest", account, amount=rest, withdrawal_id=secrets.token_bytes(16))
    await payer.state("closed", account)


def _judge_withdrawn_while_it_ran(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-CLS-001")
    if not seen["ask"].accepted:
        return
    yield from _has_status(seen["close"], payment_pb2.SESSION_STATUS_CLOSING, requirement="PAY-CLS-001")
    yield from refused(seen["too-much"], "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
    yield from was_accepted(seen["free"], requirement="PAY-WDR-001")
    yield from counters_are(seen["free"], {"withdrawn": int(str(seen.notes["free"]))}, requirement="PAY-WDR-001")
    yield from balance_of(seen["free"])
    log = read_log(seen["ask"])
    yield from ended_as(log, "ANSWERED COMPLETE", requirement="PAY-CLS-001", name="ask")
    for exchange in seen.named("too-much-of-the-rest"):
        yield from refused(exchange, "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
    for exchange in (*seen.named("rest"), *seen.named("closed")):
        yield from was_accepted(exchange, requirement="PAY-WDR-001")
        yield from balance_of(exchange)


CHECKS = (
    Check(
        name="what-is-not-promised-is-paid-back",
        title="So much is paid back as was deposited and is not authorized, and not a unit more.",
        requirements=("PAY-WDR-001", "PAY-VCH-001", "SIG-ENV-001", "SIG-ENV-005"),
        drive=_withdraw,
        judge=_judge_withdrawn,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="one-withdrawal-id-is-one-payout",
        title="A withdrawal that is asked for again is the payout that was made; under another amount it is refused.",
        requirements=("PAY-WDR-002",),
        drive=_withdraw,
        judge=_judge_once,
        after=_PAID_BACK,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="credit-is-never-paid-out",
        title="Nothing is paid out of a session on credit, open or closed.",
        requirements=("PAY-WDR-001",),
        drive=_withdraw_credit,
        judge=_judge_credit,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="closing-charges-nothing",
        title="A session that is closed has spent what its receipts say, and all the rest is paid back.",
        requirements=("PAY-CLS-001", "PAY-CLS-002", "PAY-WDR-001", "PAY-LST-001"),
        drive=_close,
        judge=_judge_closed,
        after=_PAID_BACK,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="a-closing-session-keeps-what-runs",
        title="While a session is closing, what is authorized for its running ask is not paid out; the rest is.",
        requirements=("PAY-WDR-001", "PAY-CLS-001", "PAY-SES-001"),
        drive=_withdraw_while_it_runs,
        judge=_judge_withdrawn_while_it_ran,
        after=_PAID_BACK,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="a-closing-session-takes-nothing-more",
        title="A session that is closing refuses asks, deposits and vouchers, lets its ask end, and is closed then.",
        requirements=(*PAID_ANSWER, "PAY-CLS-001", "PAY-CLS-002"),
        drive=_close_while_it_runs,
        judge=_judge_closing,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
