"""Sessions (spec section 3.3): one account for one set of terms, its counters, and whose business it is."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

from google.protobuf.any_pb2 import Any

from consilience.v1 import payment_pb2
from consilience_conformance.checks import Check
from consilience_conformance.forgeries import signed_with_other_nonce
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Account, Payer
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.deals import first_window_of, session_of, terms_of
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.payments import Signed, differs, receipt_of, state_in
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import (
    counters_are,
    never_falls,
    state_findings,
    unchanged,
)
from consilience_conformance.stage import Stage, accepted, token, wait
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_OPENED = ("a-session-opens",)
_PAID = ("a-paid-ask-is-answered",)

AT_ONCE = 8


async def _open(stage: Stage) -> None:
    payer = Payer(stage)
    _, account = await payer.deal()
    await payer.state("state", account)
    await payer.submit("voucher", payer.voucher(account, account.amount))
    await payer.state("authorized", account)


def _judge_opened(seen: Transcript) -> Iterator[Finding]:
    card, session_id = card_of(seen)[1], session_of(seen, "open")
    terms = terms_of(seen, session_id).value
    yield from was_accepted(seen["open"], requirement="PAY-SES-002")
    for name in ("open", "state", "voucher", "authorized"):
        yield from state_findings(seen[name], card=card, session_id=session_id)
    nothing = {"authorized": 0, "spent": 0, "reserved": 0, "refunded": 0, "withdrawn": 0, "receipt_count": 0}
    yield from counters_are(seen["open"], {**nothing, "deposited": 0}, requirement="PAY-SES-004")
    credit = {"credit_limit": terms.credit_limit}
    yield from counters_are(seen["state"], {**nothing, **credit}, requirement="PAY-SES-004")
    yield from _is_open(seen["state"])


def _is_open(exchange: Exchange) -> Iterator[Finding]:
    found = state_in(exchange)
    if found is not None and found.value.status != payment_pb2.SESSION_STATUS_OPEN:
        yield differs(
            "PAY-SES-004", "a new session is not open", expected="OPEN", got=found.value.status, exchange=exchange.name
        )


async def _open_again(stage: Stage) -> None:
    """Sends the same terms many times, one signature made anew among them, and looks whether anything came of it."""
    payer = Payer(stage)
    _, account = await payer.deal()
    await payer.submit("voucher", payer.voucher(account, account.amount))
    await payer.state("before", account)
    again = signed_with_other_nonce(account.terms.envelope, seed=payer.caller.seed)
    await asyncio.gather(
        payer.call_open("signed-again", again),
        *(payer.call_open(f"again-{index}", account.terms.envelope) for index in range(AT_ONCE)),
    )
    await payer.state("after", account)


def _judge_opened_again(seen: Transcript) -> Iterator[Finding]:
    for exchange in (seen["signed-again"], *seen.named("again-")):
        yield from was_accepted(exchange, requirement="PAY-SES-002", called="the same terms")
        yield from unchanged(seen["before"], exchange, requirement="PAY-SES-002")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-SES-002")


async def _pry(stage: Stage) -> None:
    """Calls as a stranger about a session of somebody else, and about one that there is not."""
    payer, stranger = Payer(stage), Payer(stage, caller=stage.stranger())
    _, account = await payer.deal()
    await payer.submit("voucher", payer.voucher(account, account.amount // 2))
    await payer.state("before", account)
    nothing = Account(terms=_made_up(payer, account), amount=account.amount)
    for what, about in (("foreign", account), ("unknown", nothing)):
        stage.note(what, about.session_id.hex())
        await _pry_about(stranger, what, about)
    await payer.state("after", account)


def _made_up(payer: Payer, account: Account) -> Signed[payment_pb2.SessionTerms]:
    value = payment_pb2.SessionTerms()
    value.CopyFrom(account.terms.value)
    value.salt = secrets.token_bytes(16)
    return Signed(envelope=payer.seal(value), value=value)


async def _pry_about(stranger: Payer, what: str, account: Account) -> None:
    await stranger.state(f"{what}-get", account)
    await stranger.submit(f"{what}-voucher", stranger.voucher(account, 1))
    await stranger.receipts(f"{what}-list", account)
    await stranger.acknowledge(f"{what}-acknowledge", account, digest=bytes(32), spent=0)
    await stranger.withdraw(f"{what}-withdraw", account, amount=1, withdrawal_id=b"\1" * 16)
    await stranger.confirm(f"{what}-confirm", account, deposit_id=b"\1" * 16, proof=Any())
    await stranger.close(f"{what}-close", account)


_PRIED = ("get", "voucher", "list", "acknowledge", "withdraw", "confirm", "close")


def _judge_prying(seen: Transcript) -> Iterator[Finding]:
    for call in _PRIED:
        told = []
        for what in ("foreign", "unknown"):
            exchange = seen[f"{what}-{call}"]
            yield from refused(exchange, "SESSION_UNKNOWN", requirement="PAY-SES-003")
            told.append(_told(exchange, bytes.fromhex(str(seen.notes[what]))))
        if not seen[f"foreign-{call}"].accepted and told[0] != told[1]:
            yield differs(
                "PAY-SES-003",
                "a stranger can tell a foreign session from one that there is not",
                expected=told[1],
                got=told[0],
                exchange=f"foreign-{call}",
            )
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-SES-003")


def _told(exchange: Exchange, session_id: bytes) -> str:
    """Returns all that a refusal tells, without the id that the stranger knows anyhow."""
    message = exchange.message.replace(session_id.hex(), "ID")
    details = exchange.details.replace(session_id.hex().encode(), b"ID").replace(session_id, b"ID")
    return f"{exchange.code} {message!r} {details.hex()}"


async def _count(stage: Stage) -> None:
    """Looks at a session at each step of its life."""
    payer = Payer(stage)
    price, account = await payer.deal()
    stage.note("amount", account.amount)
    await payer.state("funded", account)
    await payer.submit("voucher", payer.voucher(account, price.first_window))
    await payer.state("authorized", account)
    gate = stage.gate()
    ask = payer.ask(wait(gate), token("counted"), price=price, account=account)
    reader = payer.open_ask("ask", ask, price=price)
    await reader.until(accepted, budget=stage.budget)
    await payer.state("reserved", account)
    await stage.open_gate("gate", gate)
    await reader.until(budget=stage.budget)
    await payer.state("spent", account)
    await payer.close("close", account)


def _judge_counted(seen: Transcript) -> Iterator[Finding]:
    card, session_id = card_of(seen)[1], session_of(seen, "open")
    terms, amount = terms_of(seen, session_id).value, int(str(seen.notes["amount"]))
    window = first_window_of(seen)
    log = read_log(seen["ask"])
    receipt = receipt_of(log.final)
    charge = receipt.value.charge if receipt is not None else 0
    constant = {"deposited": 0 if terms.credit_limit else amount, "credit_limit": terms.credit_limit}
    constant |= {"refunded": 0, "withdrawn": 0}
    nothing = {"authorized": 0, "spent": 0, "reserved": 0, "receipt_count": 0}
    expected = {
        "funded": {**nothing},
        "authorized": {**nothing, "authorized": window},
        "reserved": {**nothing, "authorized": window, "reserved": window},
        "spent": {**nothing, "authorized": window, "spent": charge, "receipt_count": 1},
    }
    for name, counters in expected.items():
        yield from state_findings(seen[name], card=card, session_id=session_id)
        yield from counters_are(seen[name], {**constant, **counters}, requirement="PAY-SES-004")
    last = state_in(seen["spent"])
    if last is not None and receipt is not None and last.value.last_receipt_digest != receipt.digest:
        yield differs(
            "PAY-SES-004",
            "the session names another last receipt",
            expected=receipt.digest,
            got=last.value.last_receipt_digest,
            exchange="spent",
        )
    yield from never_falls(seen.named(""))


CHECKS = (
    Check(
        name="a-session-opens",
        title="Terms that the card offers open a session, which tells its counters and takes a voucher.",
        requirements=("PAY-SES-001", "PAY-SES-002", "PAY-SES-004", "SIG-ENV-001", "SIG-ENV-005", "ERR-FLD-001"),
        drive=_open,
        judge=_judge_opened,
        after=("a-price-is-quoted-for-every-skill",),
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="the-same-terms-are-one-session",
        title="Terms that are sent again, even signed anew, lead to the session that is there, as it stands.",
        requirements=("PAY-SES-002",),
        drive=_open_again,
        judge=_judge_opened_again,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="a-stranger-learns-nothing-of-a-session",
        title="Whoever does not pay is told the same of a session as of one that there is not, and changes nothing.",
        requirements=("PAY-SES-003",),
        drive=_pry,
        judge=_judge_prying,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="a-session-counts",
        title="A session tells what was deposited, authorized, reserved and spent, at each step.",
        requirements=("PAY-SES-001", "PAY-SES-004"),
        drive=_count,
        judge=_judge_counted,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
