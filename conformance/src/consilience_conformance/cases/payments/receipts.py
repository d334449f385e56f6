"""Receipts (spec section 3.6): one for each paid answer, in a chain without holes, for no more than was delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience.v1 import ask_pb2
from consilience_conformance.cases.payments.pricing import steps_within, text_of, untimed, worth
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotLentError
from consilience_conformance.payers import Payer
from consilience_conformance.rules.deals import PAID_ANSWER, deal_of, paid_answer_findings
from consilience_conformance.rules.endings import (
    cancelled_of,
    ended_as,
    snapshot_of,
)
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.payments import differs, receipt_of, receipts_in
from consilience_conformance.rules.receipts import chain_findings, final_findings, no_receipt
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import LOOK_SECONDS, Stage, accepted, text_seen, token, wait
from consilience_conformance.steps import fails
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)

ANSWERS = 5
PAGE = 2


async def _ask_for_free(stage: Stage) -> None:
    if stage.subject.costs:
        raise NotLentError("needs what is free: a free skill of the card, or a script with --grant FILE")
    await stage.send("free", stage.ask())


def _judge_free(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["free"], requirement="PAY-RCP-001")
    log = read_log(seen["free"])
    yield from no_receipt(log, exchange="free")
    if log.answer is not None and log.answer.charged:
        yield differs("PAY-CHG-002", "a free answer says that it is charged", expected=False, got=True, exchange="free")


async def _read_again(stage: Stage) -> None:
    """Reads a paid answer by every call that brings it, and looks whether it cost anything."""
    payer = Payer(stage)
    price, account = await payer.deal()
    ask = payer.ask(price=price, account=account, max_charge=2 * price.first_window)
    voucher = payer.voucher(account, min(2 * price.first_window, account.amount))
    await payer.send("ask", ask, price=price, voucher=voucher)
    await payer.state("before", account)
    envelope = payer.seal(ask)
    await stage.send("copy", envelope)
    await payer.send("paid-copy", ask, price=price, voucher=voucher)
    await stage.resume("resume", ask)
    await stage.get("get", ask)
    await stage.cancel("cancel", ask)
    await payer.receipts("receipts", account)
    await payer.state("after", account)


def _judge_read_again(seen: Transcript) -> Iterator[Finding]:
    log = read_log(seen["ask"])
    yield from complete(seen["ask"], requirement="PAY-RCP-004")
    first = log.final.receipt if log.final is not None else None
    finals = {
        "copy": read_log(seen["copy"]).final,
        "paid-copy": read_log(seen["paid-copy"]).final,
        "resume": read_log(seen["resume"]).final,
        "get": _snapshot_final(seen["get"]),
        "cancel": cancelled_of(seen["cancel"]),
    }
    for name, final in finals.items():
        if final is None or final.receipt != first:
            yield differs(
                "PAY-RCP-004",
                "a call brings another receipt of an answer",
                expected=_shown(first),
                got=_shown(final.receipt if final is not None else None),
                exchange=name,
            )
    digests = [one.digest for one in receipts_in(seen["receipts"])]
    receipt = receipt_of(log.final)
    if receipt is not None and digests != [receipt.digest]:
        yield differs(
            "PAY-RCP-004",
            "an answer has more than one receipt, or another one in the list",
            expected=receipt.digest,
            got=", ".join(one.hex() for one in digests) or "none",
            exchange="receipts",
        )
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-RCP-004")


def _snapshot_final(exchange: Exchange) -> ask_pb2.Final | None:
    snapshot = snapshot_of(exchange)
    return snapshot.final if snapshot is not None and snapshot.HasField("final") else None


def _shown(envelope: object) -> str:
    return envelope.SerializeToString(deterministic=True).hex() if hasattr(envelope, "SerializeToString") else "none"


async def _fail_before_text(stage: Stage) -> None:
    payer = Payer(stage)
    price, account = await payer.deal()
    voucher = payer.voucher(account, price.first_window)
    ask = payer.ask(fails("before there was text"), price=price, account=account)
    await payer.send("ask", ask, price=price, voucher=voucher)
    await payer.state("state", account)
    await payer.send("in-its-place", payer.ask(price=price, account=account), price=price, until=accepted)
    await stage.let_go()


def _judge_failed(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-CHG-001")
    yield from paid_answer_findings(seen, seen["ask"])
    yield from ended_as(read_log(seen["ask"]), "FAILED ENGINE_FAILURE", requirement="PAY-CHG-001", name="ask")
    yield from counters_are(seen["state"], {"spent": 0}, requirement="PAY-CHG-001")
    yield from counters_are(seen["state"], {"reserved": 0}, requirement="PAY-CHG-003")
    yield from was_accepted(seen["in-its-place"], requirement="PAY-CHG-003")


async def _cancel(stage: Stage) -> None:
    """Cancels an answer that stands at a gate, with more to come behind it, and asks out of what became free."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer))
    half = max(1, price.first_window // 2)
    size, count = steps_within(price, max(half, 1), stage=stage)
    gate = stage.gate()
    steps = (text_of(size=size, count=count), wait(gate), worth(price, 2 * price.window, stage=stage))
    ask = payer.ask(*steps, price=price, account=account)
    reader = payer.open_ask("ask", ask, price=price, voucher=payer.voucher(account, account.amount))
    await reader.until(lambda events: _size(events) >= size * count, budget=stage.budget)
    await payer.state("running", account)
    await stage.cancel("cancel", ask)
    await payer.state("cancelled", account)
    await stage.open_gate("gate", gate)
    await reader.until(budget=stage.budget)
    await payer.state("later", account)


def _size(events: list[ask_pb2.AnswerEvent]) -> int:
    return sum(len(event.text_delta.text.encode()) for event in events)


def _judge_cancelled(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    yield from was_accepted(exchange, requirement="PAY-CHG-001")
    if not exchange.accepted:
        return
    log = read_log(exchange)
    yield from complete(exchange)
    yield from paid_answer_findings(seen, exchange)
    yield from ended_as(log, "CANCELLED CANCELLED", requirement="PAY-CHG-001", name="ask")
    receipt = receipt_of(log.final)
    spent = {"spent": receipt.value.charge} if receipt is not None else {}
    yield from counters_are(seen["cancelled"], {**spent, "reserved": 0}, requirement="PAY-CHG-003")
    yield from unchanged(seen["cancelled"], seen["later"], requirement="PAY-CHG-001")


async def _cut(stage: Stage) -> None:
    """Goes away from an answer, comes back when it has ended, and looks what it cost."""
    payer = Payer(stage)
    price, account = await payer.deal()
    gate = stage.gate()
    steps = (token("so far"), wait(gate), worth(price, price.window, stage=stage))
    ask = payer.ask(*steps, price=price, account=account)
    reader = payer.open_ask("ask", ask, price=price, voucher=payer.voucher(account, account.amount))
    await reader.until(text_seen("so far"), budget=stage.budget)
    reader.cut()
    await stage.open_gate("gate", gate)
    await stage.resume("resume", ask)
    await payer.state("state", account)
    await payer.receipts("receipts", account)


def _judge_cut(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-CHG-001")
    if not seen["ask"].accepted:
        return
    exchange = seen["resume"]
    yield from complete(exchange)
    log = read_log(exchange)
    yield from final_findings(log, deal_of(seen, seen["ask"]), exchange="resume")
    receipt = receipt_of(log.final)
    if receipt is None:
        return
    yield from counters_are(seen["state"], {"spent": receipt.value.charge, "reserved": 0}, requirement="PAY-CHG-003")
    yield from chain_findings(receipts_in(seen["receipts"]), exchange="receipts")


async def _on_disconnect(stage: Stage) -> None:
    """Goes away from an answer that is to stop then, and looks what it cost."""
    payer = Payer(stage)
    price, account = await payer.deal(offer=untimed(payer))
    steps = (token("so far"), wait(stage.gate()), worth(price, price.window, stage=stage))
    changes = {"on_disconnect": ask_pb2.ON_DISCONNECT_CANCEL}
    ask = payer.ask(*steps, price=price, account=account, **changes)
    reader = payer.open_ask("ask", ask, price=price, voucher=payer.voucher(account, account.amount))
    await reader.until(text_seen("so far"), budget=stage.budget)
    reader.cut()
    for number in range(round(stage.budget / LOOK_SECONDS / 4)):
        exchange = await stage.get(f"look-{number}", ask)
        stage.note("last", number)
        if _snapshot_final(exchange) is not None or not exchange.accepted:
            break
        await asyncio.sleep(LOOK_SECONDS)
    await payer.state("state", account)


def _judge_disconnected(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-CHG-001")
    exchange = seen[f"look-{seen.notes['last']}"]
    final = _snapshot_final(exchange)
    receipt = receipt_of(final)
    if final is None or receipt is None:
        yield Finding(
            requirement="PAY-RCP-001",
            message="an answer that its reader left has no Final with a receipt",
            expected="a receipt",
            got="a Final without one" if final is not None else "no Final",
            exchange=exchange.name,
        )
        return
    deal = deal_of(seen, seen["ask"])
    answer = ask_pb2.Answer.FromString(final.answer.payload)
    most = deal.charge(answer.usage)
    if receipt.value.charge > most:
        yield differs(
            "PAY-CHG-001",
            "more is charged than the usage costs",
            expected=f"at most {most}",
            got=receipt.value.charge,
            exchange=exchange.name,
        )
    yield from counters_are(seen["state"], {"spent": receipt.value.charge, "reserved": 0}, requirement="PAY-CHG-003")


CHECKS = (
    Check(
        name="a-free-answer-has-no-receipt",
        title="The Final of an ask that names no payment has no receipt, and says that nothing is charged.",
        requirements=("PAY-RCP-001", "PAY-CHG-002"),
        drive=_ask_for_free,
        judge=_judge_free,
        profile="pay",
    ),
    Check(
        name="reading-again-costs-nothing",
        title="A paid answer has one receipt, whichever call brings it, and reading it again costs nothing.",
        requirements=("PAY-RCP-004", "STRM-LOG-001", "STRM-LOG-002", "STRM-TXT-001", "ERR-FLD-001"),
        drive=_read_again,
        judge=_judge_read_again,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="a-failure-before-text-is-free",
        title="An answer that failed before there was text is charged nothing, and what was reserved for it is free.",
        requirements=(*PAID_ANSWER, "PAY-CHG-003"),
        drive=_fail_before_text,
        judge=_judge_failed,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="a-cancelled-answer-costs-what-it-said",
        title="An answer that is cancelled costs no more than the text that stands in its log, and frees the rest.",
        requirements=(*PAID_ANSWER, "PAY-CHG-003"),
        drive=_cancel,
        judge=_judge_cancelled,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="an-answer-without-readers-is-charged-once",
        title="An answer whose reader went away costs what it said, once, and whoever comes back finds its receipt.",
        requirements=(
            "PAY-CHG-001",
            "PAY-CHG-002",
            "PAY-CHG-003",
            "PAY-RCP-001",
            "PAY-RCP-002",
            "PAY-RCP-003",
            "STRM-LOG-001",
            "STRM-LOG-002",
            "STRM-LOG-003",
            "STRM-TXT-001",
            "SIG-ENV-001",
            "SIG-ENV-005",
            "ERR-FLD-001",
        ),
        drive=_cut,
        judge=_judge_cut,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="a-reader-that-leaves-stops-the-charge",
        title="An answer that stops with its reader costs no more than it had said, and has a receipt.",
        requirements=("PAY-CHG-001", "PAY-CHG-003", "PAY-RCP-001"),
        drive=_on_disconnect,
        judge=_judge_disconnected,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
