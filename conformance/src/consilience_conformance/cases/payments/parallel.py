"""Asks that run at one time out of one session (spec section 3.3): what is reserved for one is not there for another.

Asks that end at once never meet. So those of these checks stand at gates, each with what is reserved for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from consilience.v1 import ask_pb2
from consilience_conformance.cases.payments.pricing import untimed, worth
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.deals import first_window_of, session_of
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.payments import differs, receipt_of, receipts_in
from consilience_conformance.rules.receipts import chain_findings
from consilience_conformance.rules.refusals import outcome_of, refused, was_accepted
from consilience_conformance.rules.sessions import counters_are, never_falls, state_findings, unchanged
from consilience_conformance.stage import Stage, accepted, token, wait
from consilience_conformance.streams import Stream
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)

ASKS = 50
MOST_STANDING = 32
"""Asks that are let stand at one time at most, by a node that takes too many."""
LOOKS = 12
"""How often a session is looked at while its answers go on."""
_WINDOWS = 3
"""For so much text each answer wants to go on, so that they vie for what is left."""


async def _ask_in_parallel(stage: Stage) -> None:
    """Asks many times at once out of a session that covers some of them, which then vie for what is left of it."""
    payer, opener = Payer(stage), stage.callers[1]
    price = await payer.quote("quote", offer=untimed(payer))
    places = _places(stage, price)
    ceiling = min(price.max_charge, _WINDOWS * price.window, price.quote.value.total_max_charge // places)
    needed = min(price.window, ceiling)
    # All but a unit of a window more than those that are covered need at first.
    authorized = places // 2 * needed + needed - 1
    account = await payer.open("open", price=price, amount=authorized)
    stage.note("covered", places // 2)
    stage.note("needed", needed)
    stage.note("authorized", authorized)
    gate = stage.gate()
    voucher = payer.voucher(account, authorized)
    steps = (wait(gate), worth(price, _WINDOWS * price.window, stage=stage))
    asks = [payer.ask(*steps, price=price, account=account, max_charge=ceiling) for _ in range(ASKS)]
    readers = [payer.open_ask(f"ask-{index:02}", ask, price=price, voucher=voucher) for index, ask in enumerate(asks)]
    await asyncio.gather(*(reader.until(accepted, budget=stage.budget) for reader in readers))
    await payer.state("standing", account)
    await stage.open_gate("gate", gate, caller=opener)
    standing = [(ask, reader) for ask, reader in zip(asks, readers, strict=True) if reader.events]
    await asyncio.gather(_go_on(stage, standing), _look(payer, account))
    await payer.state("after", account)
    await payer.receipts("receipts", account)


def _places(stage: Stage, price: Price) -> int:
    """Returns how many asks of one caller a node works on, beside one of another that opens gates.

    Raises:
        NotApplicableError: It works on one alone.
    """
    limits = (stage.limit("max_running_asks_per_caller"), stage.limit("max_running_asks") - 1)
    places = min(*limits, price.quote.value.max_asks, MOST_STANDING)
    if places < 2:  # noqa: PLR2004 - a pair is what can meet
        raise NotApplicableError("no two asks of one caller can run beside one that opens their gate")
    return places


async def _go_on(stage: Stage, standing: Sequence[tuple[ask_pb2.Ask, Stream]]) -> None:
    """Reads answers until each has ended or wants a voucher, which it does not get: it is cancelled."""
    await asyncio.gather(*(reader.until(_wants_a_voucher, budget=stage.budget) for _, reader in standing))
    await asyncio.gather(*(stage.cancel(f"cancel-{index}", ask) for index, (ask, _) in enumerate(standing)))
    await asyncio.gather(*(reader.until(budget=stage.budget) for _, reader in standing))


def _wants_a_voucher(events: list[ask_pb2.AnswerEvent]) -> bool:
    return any(event.HasField("payment_needed") for event in events)


async def _look(payer: Payer, account: Account) -> None:
    for index in range(LOOKS):
        await payer.state(f"look-{index:02}", account)


def _judge_parallel(seen: Transcript) -> Iterator[Finding]:
    card, session_id = card_of(seen)[1], session_of(seen, "open")
    taken = [exchange for exchange in seen.named("ask-") if exchange.accepted]
    looks = (seen["standing"], *seen.named("look-"), seen["after"])
    for exchange in looks:
        yield from state_findings(exchange, card=card, session_id=session_id)
    yield from never_falls(looks)
    yield from _taken(seen, taken)
    reserved = len(taken) * int(str(seen.notes["needed"]))
    yield from counters_are(seen["standing"], {"reserved": reserved, "spent": 0}, requirement="PAY-SES-004")
    receipts = [receipt_of(read_log(exchange).final) for exchange in taken]
    told = [one for one in receipts if one is not None]
    charged = sum(one.value.charge for one in told)
    authorized = int(str(seen.notes["authorized"]))
    if charged > authorized:
        yield differs(
            "PAY-SES-001",
            "more is charged than is authorized",
            expected=f"at most {authorized}",
            got=charged,
            exchange="after",
        )
    yield from counters_are(seen["after"], {"spent": charged, "reserved": 0}, requirement="PAY-SES-004")
    yield from _listed(seen, {one.digest for one in told})


def _taken(seen: Transcript, taken: Sequence[Exchange]) -> Iterator[Finding]:
    """Yields that other asks were taken than there is authority for."""
    covered = int(str(seen.notes["covered"]))
    if len(taken) > covered:
        yield differs(
            "PAY-SES-001",
            "more asks run than windows are authorized",
            expected=f"at most {covered}",
            got=len(taken),
            exchange=taken[-1].name,
        )
    outcomes = {exchange.name: outcome_of(exchange) for exchange in seen.named("ask-") if not exchange.accepted}
    for name, outcome in outcomes.items():
        if outcome not in {"refused BALANCE_TOO_LOW", "refused LIMIT_EXCEEDED"}:
            yield from refused(seen[name], "BALANCE_TOO_LOW", requirement="PAY-ASK-002", called="an ask of many")
    if len(taken) < covered and "refused BALANCE_TOO_LOW" in outcomes.values():
        yield differs(
            "PAY-ASK-002",
            "asks were refused for which there was authority",
            expected=f"{covered} asks that run",
            got=len(taken),
            exchange="standing",
        )


def _listed(seen: Transcript, digests: set[bytes]) -> Iterator[Finding]:
    listed = receipts_in(seen["receipts"])
    yield from chain_findings(listed, exchange="receipts")
    if missing := digests - {one.digest for one in listed}:
        yield differs(
            "PAY-RCP-002",
            "receipts of answers are not in the list",
            expected=f"{len(digests)} receipts",
            got=f"{len(missing)} of them are missing",
            exchange="receipts",
        )


async def _ask_at_gates(stage: Stage) -> None:
    """Lets two asks stand at gates, whose windows are all that is authorized, and asks once more."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    another = await payer.quote("another-quote")
    windows = 3 * price.first_window
    account = await payer.open("open", price=price, amount=windows)
    await payer.submit("voucher", payer.voucher(account, 2 * price.first_window))
    gates = [stage.gate(), stage.gate()]
    readers = []
    for index, (gate, under) in enumerate(zip(gates, (price, another), strict=True)):
        ask = payer.ask(wait(gate), price=under, account=account)
        readers.append(payer.open_ask(f"ask-{index}", ask, price=under))
        await readers[-1].until(accepted, budget=stage.budget)
    await payer.state("before", account)
    third = await payer.quote("third-quote")
    late = payer.ask(token("late"), price=third, account=account)
    await payer.send("one-more", late, price=third, until=accepted)
    await stage.get("answer", late)
    await payer.state("after", account)
    await stage.open_gate("gate", gates[0])
    await readers[0].until(budget=stage.budget)
    await payer.send("in-its-place", late, price=third, voucher=payer.voucher(account, windows))
    await stage.let_go()


def _judge_at_gates(seen: Transcript) -> Iterator[Finding]:
    for name in ("ask-0", "ask-1"):
        yield from was_accepted(seen[name], requirement="PAY-ASK-003")
    yield from refused(seen["one-more"], "BALANCE_TOO_LOW", requirement="PAY-ASK-003")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from counters_are(seen["before"], {"reserved": 2 * first_window_of(seen)}, requirement="PAY-ASK-003")
    yield from was_accepted(seen["in-its-place"], requirement="PAY-ASK-003")


CHECKS = (
    Check(
        name="parallel-asks-never-overdraw",
        title="Asks that run at one time out of one session reserve and spend no more than is authorized.",
        requirements=("PAY-SES-001", "PAY-SES-004", "PAY-ASK-002", "PAY-RCP-002", "PAY-RCP-003"),
        drive=_ask_in_parallel,
        judge=_judge_parallel,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
        alone=True,
        callers=2,
    ),
    Check(
        name="what-is-reserved-is-reserved-once",
        title="An ask is refused when all that is authorized is reserved for others, and taken when one has ended.",
        requirements=("PAY-ASK-003", "PAY-ASK-002", "ASK-IDEM-005"),
        drive=_ask_at_gates,
        judge=_judge_at_gates,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
