"""Chains of receipts (spec sections 3.6 and 3.7): without holes, listed in pages, and acknowledged by the payer."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import ask_pb2
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Payer
from consilience_conformance.rules.deals import deal_of
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.payments import differs, receipt_of, receipts_in, state_in
from consilience_conformance.rules.receipts import chain_findings, final_findings
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import Stage, token
from consilience_conformance.steps import concludes, fails
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)

ANSWERS = 5
PAGE = 2


async def _ask_several_times(stage: Stage) -> None:
    payer = Payer(stage)
    price = await payer.quote("quote")
    account = await payer.open("open", price=price, amount=ANSWERS * price.first_window)
    voucher = payer.voucher(account, account.amount)
    steps = [
        (token("one"),),
        (fails("the engine is out of order"),),
        (token("three "), fails("and again")),
        (concludes(ask_pb2.OUTCOME_ABSTAINED, ask_pb2.STOP_REASON_COMPLETE),),
        (token("five"),),
    ]
    for index, script in enumerate(steps):
        ask = payer.ask(*script, price=price, account=account, max_charge=price.first_window)
        await payer.send(f"ask-{index}", ask, price=price, voucher=voucher)
    await payer.state("state", account)
    await payer.receipts("all", account)
    for after in range(ANSWERS + 2):
        await payer.receipts(f"page-{after}", account, after=after, page_size=PAGE)


def _judge_several(seen: Transcript) -> Iterator[Finding]:
    told = []
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-RCP-002", called="a paid ask")
        receipt = receipt_of(read_log(exchange).final)
        if receipt is not None:
            told.append(receipt)
        if exchange.accepted:
            yield from final_findings(read_log(exchange), deal_of(seen, exchange), exchange=exchange.name)
    yield from chain_findings(told, exchange="all")
    spent = told[-1].value.session_spent if told else 0
    yield from counters_are(
        seen["state"], {"spent": spent, "receipt_count": len(told), "reserved": 0}, requirement="PAY-RCP-003"
    )
    state = state_in(seen["state"])
    if told and state is not None and state.value.last_receipt_digest != told[-1].digest:
        yield differs(
            "PAY-SES-004",
            "the session names another last receipt",
            expected=told[-1].digest,
            got=state.value.last_receipt_digest,
            exchange="state",
        )


def _judge_list(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["all"], requirement="PAY-LST-001")
    every = receipts_in(seen["all"])
    told = [receipt_of(read_log(exchange).final) for exchange in seen.named("ask-")]
    wanted = [one.digest for one in told if one is not None]
    got = [one.digest for one in every]
    if not got or got != wanted[: len(got)]:
        yield differs(
            "PAY-LST-001",
            "ListReceipts does not list the receipts in their order",
            expected=_listed(wanted),
            got=_listed(got),
            exchange="all",
        )
    for after in range(ANSWERS + 2):
        exchange = seen[f"page-{after}"]
        yield from was_accepted(exchange, requirement="PAY-LST-001")
        page, rest = [one.digest for one in receipts_in(exchange)], wanted[after:]
        if page != rest[: len(page)]:
            yield differs(
                "PAY-LST-001",
                "a page of receipts does not begin behind after_number",
                expected=_listed(rest[:PAGE]),
                got=_listed(page),
                exchange=exchange.name,
            )
        elif len(page) > PAGE:
            yield differs(
                "PAY-LST-001",
                "a page of receipts has more than page_size",
                expected=PAGE,
                got=len(page),
                exchange=exchange.name,
            )
        elif rest and not page:
            yield differs(
                "PAY-LST-001", "a page of receipts is empty", expected="one at least", got=0, exchange=exchange.name
            )


def _listed(digests: list[bytes]) -> str:
    return ", ".join(digest.hex()[:16] for digest in digests) or "none"


async def _acknowledge(stage: Stage) -> None:
    """Acknowledges receipts rightly and wrongly, those of another session too."""
    payer = Payer(stage)
    price, account = await payer.deal()
    other = await payer.open("open-another", price=price)
    told = []
    for index, session in enumerate((account, account, other)):
        ask = payer.ask(price=price, account=session, max_charge=price.first_window)
        voucher = payer.voucher(session, session.amount)
        exchange = await payer.send(f"ask-{index}", ask, price=price, voucher=voucher)
        told.append(receipt_of(read_log(exchange).final))
    first, second, foreign = told
    if first is None or second is None or foreign is None:
        return
    stage.note("acknowledged", True)  # noqa: FBT003 - a note is a value
    await payer.state("before", account)
    for name, digest, spent in (
        ("no-receipt", bytes(32), second.value.session_spent),
        ("of-another-session", foreign.digest, foreign.value.session_spent),
        ("more-spent", second.digest, second.value.session_spent + 1),
        ("less-spent", second.digest, max(0, second.value.session_spent - 1)),
        ("good-second", second.digest, second.value.session_spent),
        ("good-first", first.digest, first.value.session_spent),
        ("good-again", second.digest, second.value.session_spent),
    ):
        await payer.acknowledge(name, account, digest=digest, spent=spent)
    await payer.state("after", account)


def _judge_acknowledged(seen: Transcript) -> Iterator[Finding]:
    if "acknowledged" not in seen.notes:
        for exchange in seen.named("ask-"):
            yield from was_accepted(exchange, requirement="PAY-ACK-001", called="a paid ask")
        return
    spent = receipt_of(read_log(seen["ask-1"]).final)
    for name in ("no-receipt", "of-another-session", "more-spent", "less-spent"):
        if name == "less-spent" and spent is not None and not spent.value.session_spent:
            continue
        yield from refused(seen[name], "RECEIPT_UNKNOWN", requirement="PAY-ACK-001")
    for name in ("good-second", "good-first", "good-again"):
        yield from was_accepted(seen[name], requirement="PAY-ACK-001")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ACK-001")


CHECKS = (
    Check(
        name="receipts-are-a-chain",
        title="The receipts of a session are numbered without holes, name each other, and add up to what is spent.",
        requirements=(
            "PAY-RCP-001",
            "PAY-RCP-002",
            "PAY-RCP-003",
            "PAY-SES-004",
            "PAY-CHG-001",
            "PAY-CHG-002",
            "SIG-ENV-001",
            "SIG-ENV-005",
            "ERR-FLD-001",
        ),
        drive=_ask_several_times,
        judge=_judge_several,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="receipts-are-listed-in-pages",
        title="Receipts are listed in their order, from behind a number, and no more than are wanted.",
        requirements=("PAY-LST-001",),
        drive=_ask_several_times,
        judge=_judge_list,
        after=("receipts-are-a-chain",),
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="only-a-receipt-of-the-session-is-acknowledged",
        title="An acknowledgement of no receipt of the session, or with another total, is refused.",
        requirements=("PAY-ACK-001",),
        drive=_acknowledge,
        judge=_judge_acknowledged,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
)
