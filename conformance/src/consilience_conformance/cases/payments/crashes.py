"""Crashes (spec sections 3.6 and 3.8): what is paid outlives a restart, and no quote outlives its card.

Like the checks of durable answers they come last: each stops the node at once, with a command that the operator lends.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from consilience.v1 import node_pb2, payment_pb2, tariff_pb2
from consilience_conformance.cases.durable import present
from consilience_conformance.cases.payments.pricing import steps_within, text_of, untimed, worth
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.payers import Payer
from consilience_conformance.rules.answers import answer_findings
from consilience_conformance.rules.deals import deal_of
from consilience_conformance.rules.endings import ended_as
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.meters import meter_findings, meters_in
from consilience_conformance.rules.payments import (
    differs,
    instruction_in,
    receipt_of,
    receipts_in,
    response_of,
)
from consilience_conformance.rules.receipts import chain_findings, final_findings
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import Stage, accepted, text_seen, token, wait
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)
_VOUCHERS = ("authorized", "voucher")
"""What a crash may take, as the payer sends it again."""


async def _before(stage: Stage) -> Stage:
    """Returns a stage with the card that the node shows now, if it is paid.

    Raises:
        NotApplicableError: It is not.
    """
    if node_pb2.PROFILE_PAY not in stage.target.card.profiles:
        raise NotApplicableError("the card does not declare pay")
    return await present(stage)


async def _outlive(stage: Stage) -> None:
    """Leaves a session behind in which everything has happened, and one that is closed, and looks after the restart."""
    payer = Payer(await _before(stage))
    price, account = await payer.deal(backing=tariff_pb2.BACKING_PREPAID)
    ask = payer.ask(price=price, account=account, max_charge=price.first_window)
    voucher = payer.voucher(account, account.amount - 1)
    await payer.send("ask", ask, price=price, voucher=voucher)
    withdrawal_id, deposit_id = secrets.token_bytes(16), secrets.token_bytes(16)
    await payer.withdraw("withdraw", account, amount=1, withdrawal_id=withdrawal_id)
    least = max(1, price.offer.rail.min_deposit)
    terms = account.terms.envelope
    await payer.call_open("pending", terms, deposit_id=deposit_id, deposit=least)
    instruction = instruction_in(stage.transcript["pending"])
    proof = instruction.detail if instruction is not None else None
    closed = await payer.open("open-and-close", price=price, backing=tariff_pb2.BACKING_PREPAID)
    await payer.close("close", closed)
    await payer.state("before", account)
    await payer.receipts("receipts-before", account)
    stage.note("least", least)
    stage.note("deposited", account.amount)

    after = await stage.elsewhere(await stage.surroundings.restart(stage.target))
    payer = Payer(after)
    await payer.state("after", account)
    await payer.receipts("receipts-after", account)
    await payer.call_open("open-again", terms)
    await payer.withdraw("withdraw-again", account, amount=1, withdrawal_id=withdrawal_id)
    await payer.call_open("pending-again", terms, deposit_id=deposit_id, deposit=least)
    await payer.submit("voucher-again", voucher)
    await payer.state("authorized-again", account)
    await payer.confirm("confirm", account, deposit_id=deposit_id, proof=proof)
    await payer.confirm("confirm-again", account, deposit_id=deposit_id, proof=proof)
    await payer.state("last", account)
    await payer.submit("voucher-closed", payer.voucher(closed, 1))


def _judge_outlived(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["ask"], requirement="PAY-DUR-001")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-DUR-001", but=_VOUCHERS)
    yield from unchanged(seen["after"], seen["open-again"], requirement="PAY-DUR-001")
    before, after = ([one.digest for one in receipts_in(seen[f"receipts-{when}"])] for when in ("before", "after"))
    if before != after:
        yield differs(
            "PAY-DUR-001",
            "the receipts of a session did not outlive the restart",
            expected=f"{len(before)} receipts",
            got=f"{len(after)} receipts, or others",
            exchange="receipts-after",
        )
    yield from was_accepted(seen["withdraw-again"], requirement="PAY-DUR-001")
    first, again = (response_of(seen[name], payment_pb2.WithdrawResponse) for name in ("withdraw", "withdraw-again"))
    if first is not None and again is not None and first.detail != again.detail:
        yield differs(
            "PAY-DUR-001",
            "a withdrawal was paid out once more after the restart",
            expected=first.detail.value,
            got=again.detail.value,
            exchange="withdraw-again",
        )
    pending, still = (instruction_in(seen[name]) for name in ("pending", "pending-again"))
    if pending != still:
        yield differs(
            "PAY-DUR-001",
            "a deposit has another instruction after the restart",
            expected=pending.SerializeToString(deterministic=True) if pending is not None else "none",
            got=still.SerializeToString(deterministic=True) if still is not None else "none",
            exchange="pending-again",
        )
    yield from unchanged(seen["before"], seen["authorized-again"], requirement="PAY-DUR-001")
    for name in ("confirm", "confirm-again"):
        yield from was_accepted(seen[name], requirement="PAY-DUR-001")
    deposited = int(str(seen.notes["deposited"])) + int(str(seen.notes["least"]))
    yield from counters_are(seen["last"], {"deposited": deposited, "withdrawn": 1}, requirement="PAY-DUR-001")
    yield from refused(seen["voucher-closed"], "SESSION_CLOSED", requirement="PAY-DUR-001")


async def _interrupt(stage: Stage) -> None:
    """Restarts the node while it stands in the middle of a paid answer, behind a Meter and some text."""
    before = await _before(stage)
    payer = Payer(before)
    price, account = await payer.deal(offer=untimed(payer))
    await payer.send(
        "first", payer.ask(price=price, account=account), price=price, voucher=payer.voucher(account, account.amount)
    )
    another = await payer.quote("another-quote", offer=price.offer)
    size, count = steps_within(price, max(1, price.first_window // 4), stage=before)
    steps = (worth(price, 2 * price.window, stage=before), text_of(size=size, count=count), token("stop"))
    ask = payer.ask(*steps, wait(before.gate()), token(" and on"), price=another, account=account)
    reader = payer.open_ask("ask", ask, price=another)
    await reader.until(text_seen("stop"), budget=stage.budget)
    after = await stage.elsewhere(await stage.surroundings.restart(stage.target))
    await reader.until(budget=stage.budget)
    payer = Payer(after)
    await after.resume("resume", ask)
    await payer.state("state", account)
    await payer.receipts("receipts", account)
    await after.resume("resume-again", ask)
    await payer.state("state-again", account)


def _judge_interrupted(seen: Transcript) -> Iterator[Finding]:
    for name in ("first", "ask"):
        yield from was_accepted(seen[name], requirement="PAY-DUR-002")
    if not seen["ask"].accepted:
        return
    exchange = seen["resume"]
    yield from complete(exchange, requirement="PAY-DUR-002")
    log, deal = read_log(exchange), deal_of(seen, seen["ask"])
    yield from ended_as(log, "FAILED INTERRUPTED", requirement="PAY-DUR-002", name="resume")
    yield from answer_findings(seen, log, asked=seen["ask"], read=exchange)
    yield from final_findings(log, deal, exchange="resume")
    yield from meter_findings(exchange, deal)
    receipt, meters = receipt_of(log.final), meters_in(exchange)
    most = meters[-1].value.charge if meters else 0
    if receipt is not None and receipt.value.charge > most:
        yield differs(
            "PAY-DUR-002",
            "an interrupted answer is charged more than its last Meter told",
            expected=f"at most {most}",
            got=receipt.value.charge,
            exchange="resume",
        )
    first = receipt_of(read_log(seen["first"]).final)
    told = [one for one in (first, receipt) if one is not None]
    yield from chain_findings(told, exchange="resume")
    listed = receipts_in(seen["receipts"])
    if [one.digest for one in listed] != [one.digest for one in told]:
        yield differs(
            "PAY-DUR-002",
            "the receipts of the session are not those of its answers",
            expected=f"{len(told)} receipts",
            got=f"{len(listed)} receipts, or others",
            exchange="receipts",
        )
    spent = told[-1].value.session_spent if told else 0
    yield from counters_are(
        seen["state"], {"spent": spent, "reserved": 0, "receipt_count": 2}, requirement="PAY-DUR-002"
    )
    yield from unchanged(seen["state"], seen["state-again"], requirement="PAY-DUR-002")


async def _ask_across_cards(stage: Stage) -> None:
    """Gets a quote on a card, has the node issue another one by a restart, and asks on each under the quote of each."""
    before = await _before(stage)
    payer = Payer(before)
    price, account = await payer.deal()
    after = await stage.elsewhere(await stage.surroundings.restart(stage.target))
    payer = Payer(after)
    another = await payer.quote("another-quote", offer=price.offer)
    await payer.submit("voucher", payer.voucher(account, account.amount))
    await payer.state("before", account)
    on_the_new = payer.ask(price=price, account=account)
    await payer.send("new-card-old-quote", on_the_new, price=price, until=accepted)
    on_the_old = payer.ask(price=another, account=account, card_digest=before.target.card_digest)
    await payer.send("old-card-new-quote", on_the_old, price=another, until=accepted)
    await payer.state("after", account)
    same = payer.ask(price=price, account=account, card_digest=before.target.card_digest)
    await payer.send("old-card-old-quote", same, price=price, until=accepted)
    await after.let_go()
    await payer.send("new-card-new-quote", payer.ask(price=another, account=account), price=another, until=accepted)


def _judge_across_cards(seen: Transcript) -> Iterator[Finding]:
    for name in ("new-card-old-quote", "old-card-new-quote"):
        yield from refused(seen[name], "QUOTE_INVALID", requirement="PAY-ASK-002")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    for name in ("old-card-old-quote", "new-card-new-quote"):
        yield from was_accepted(seen[name], requirement="PAY-ASK-002")


CHECKS = (
    Check(
        name="sessions-outlive-a-restart",
        title="Sessions, deposits, withdrawals, receipts and the close outlive a restart, and nothing happens twice.",
        requirements=("PAY-DUR-001",),
        drive=_outlive,
        judge=_judge_outlived,
        after=_PAID,
        needs=Needs.RESTART | Needs.PRICE,
        profile="durable",
        alone=True,
    ),
    Check(
        name="a-quote-rests-on-its-card",
        title="An ask is refused whose quote rests on another card of the node than it names itself.",
        requirements=("PAY-ASK-002",),
        drive=_ask_across_cards,
        judge=_judge_across_cards,
        after=_PAID,
        needs=Needs.RESTART | Needs.PRICE,
        profile="durable",
        alone=True,
    ),
    Check(
        name="an-interrupted-answer-costs-what-was-metered",
        title="A paid answer that a restart interrupted ends with a receipt for no more than its last Meter told.",
        requirements=(
            "PAY-DUR-002",
            "PAY-TRF-001",
            "PAY-MTR-001",
            "PAY-MTR-002",
            "PAY-RCP-001",
            "PAY-RCP-002",
            "PAY-RCP-003",
            "PAY-CHG-001",
            "PAY-CHG-002",
            "STRM-LOG-001",
            "STRM-LOG-002",
            "STRM-LOG-003",
            "STRM-TXT-001",
            "STRM-TXT-002",
            "ASK-ANS-001",
            "ASK-ANS-002",
            "ASK-ANS-003",
            "ASK-ANS-004",
            "ASK-ANS-005",
            "SIG-ENV-001",
            "SIG-ENV-005",
            "ERR-FLD-001",
        ),
        drive=_interrupt,
        judge=_judge_interrupted,
        after=_PAID,
        needs=Needs.RESTART | Needs.SCRIPT | Needs.PRICE,
        profile="durable",
        alone=True,
    ),
)
