"""Escrow (spec section 3.4): holds of a third party, of which the tester is one, so that it can sign any hold."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from google.protobuf.any_pb2 import Any

from consilience.v1 import payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.forgeries import signed_with_other_nonce
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules.deals import deal_of
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.payments import Signed, differs, receipt_of, response_of
from consilience_conformance.rules.receipts import final_findings
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.releases import release_findings
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_HELD = ("a-hold-of-the-issuer-is-credited",)

HOLD_LIFE = timedelta(hours=1)
AT_ONCE = 6

Hold = payment_pb2.Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class _Escrow:
    """A session in escrow, with a deposit that was asked for.

    Attributes:
        payer: Whose it is.
        issuer: The tester, as the one who stands in.
        price: What is going to be paid.
        account: The session.
        deposit_id: Of the deposit.
    """

    payer: Payer
    issuer: Caller
    price: Price
    account: Account
    deposit_id: bytes

    def hold(self, **changes: object) -> Hold:
        """Returns the hold for the deposit, but for the changes; who signs it stands in for all of it."""
        purse, terms = self.payer.stage.surroundings.purse, self.account.terms.value
        purse.promise(self.account.amount, session_id=self.account.session_id, network=terms.network)
        fields: dict[str, object] = {
            "issuer": self.issuer.key,
            "session_id": self.account.session_id,
            "deposit_id": self.deposit_id,
            "amount": self.account.amount,
            "expire_time": timestamp(datetime.now(UTC) + HOLD_LIFE),
        }
        return Hold(**{**fields, **changes})  # type: ignore[arg-type]

    async def confirm(self, name: str, envelope: SignedEnvelope) -> Exchange:
        """Brings an envelope as the proof of the deposit."""
        proof = Any()
        proof.Pack(envelope)
        return await self.payer.confirm(name, self.account, deposit_id=self.deposit_id, proof=proof)


async def _begin(stage: Stage) -> _Escrow:
    """Gets a price, opens a session in escrow with the tester behind it, and asks for a deposit."""
    issuer = stage.issuer
    assert issuer is not None  # noqa: S101 - no check with Needs.ESCROW is driven without one
    payer = Payer(stage, caller=next(one for one in stage.callers if one.key != issuer.key))
    offer = payer.offer(backing=tariff_pb2.BACKING_ESCROW)
    price = await payer.quote("quote", offer=offer)
    amount = max(2 * price.first_window, offer.rail.min_deposit)
    # The tester stands in for all that it signs.
    stage.surroundings.purse.take(amount, asset=offer.tariff.asset, network=offer.rail.network)
    stage.note("amount", amount)
    terms = payer.terms(offer, backing=tariff_pb2.BACKING_ESCROW, amount=amount, issuer=issuer.key)
    account = Account(terms=Signed(envelope=payer.seal(terms), value=terms), amount=amount)
    deposit_id = secrets.token_bytes(16)
    await payer.call_open("open", account.terms.envelope, deposit_id=deposit_id, deposit=amount)
    return _Escrow(payer=payer, issuer=issuer, price=price, account=account, deposit_id=deposit_id)


async def _hold(stage: Stage) -> None:
    """Brings a hold many times, pays an answer out of it, and takes the rest back."""
    one = await _begin(stage)
    payer, account = one.payer, one.account
    await payer.state("before", account)
    hold = one.hold()
    envelope = one.issuer.seal(hold)
    await asyncio.gather(*(one.confirm(f"confirm-{index}", envelope) for index in range(AT_ONCE)))
    await one.confirm("confirm-signed-again", signed_with_other_nonce(envelope, seed=one.issuer.seed))
    later = one.hold(expire_time=timestamp(datetime.now(UTC) + 2 * HOLD_LIFE))
    await one.confirm("confirm-another-hold", one.issuer.seal(later))
    await payer.state("credited", account)
    ask = payer.ask(price=one.price, account=account, max_charge=one.price.first_window)
    await payer.send("ask", ask, price=one.price, voucher=payer.voucher(account, one.price.first_window))
    rest = account.amount - one.price.first_window
    await payer.withdraw("too-much", account, amount=rest + 1, withdrawal_id=secrets.token_bytes(16))
    await payer.withdraw("rest", account, amount=rest, withdrawal_id=secrets.token_bytes(16))
    receipt = receipt_of(read_log(stage.transcript["ask"]).final)
    if receipt is not None:
        await payer.acknowledge("acknowledge", account, digest=receipt.digest, spent=receipt.value.session_spent)
    await payer.close("close", account)
    await payer.state("closed", account)


def _judge_held(seen: Transcript) -> Iterator[Finding]:
    amount = int(str(seen.notes["amount"]))
    yield from was_accepted(seen["open"], requirement="PAY-SES-005")
    yield from counters_are(seen["before"], {"deposited": 0, "credit_limit": 0}, requirement="PAY-DEP-002")
    for exchange in seen.named("confirm-"):
        yield from was_accepted(exchange, requirement="PAY-HOLD-001", called="a hold of the issuer")
        response = response_of(exchange, payment_pb2.ConfirmDepositResponse)
        if response is not None and response.status != payment_pb2.TRANSFER_STATUS_SUCCEEDED:
            yield differs(
                "PAY-DEP-002",
                "a deposit by a hold has not succeeded",
                expected="TRANSFER_STATUS_SUCCEEDED",
                got=response.status,
                exchange=exchange.name,
            )
    yield from counters_are(seen["credited"], {"deposited": amount}, requirement="PAY-DEP-002")
    yield from was_accepted(seen["ask"], requirement="PAY-ASK-002")
    if not seen["ask"].accepted:
        return
    yield from complete(seen["ask"])
    log = read_log(seen["ask"])
    yield from final_findings(log, deal_of(seen, seen["ask"]), exchange="ask")
    yield from refused(seen["too-much"], "WITHDRAWAL_INVALID", requirement="PAY-WDR-001")
    yield from was_accepted(seen["rest"], requirement="PAY-WDR-001")
    yield from release_findings(seen, seen["rest"])
    for exchange in seen.named("acknowledge"):
        yield from was_accepted(exchange, requirement="PAY-ACK-001")
    receipt = receipt_of(log.final)
    spent = {"spent": receipt.value.charge} if receipt is not None else {}
    yield from counters_are(seen["closed"], {"deposited": amount, **spent}, requirement="PAY-DEP-002")


_Spoil = Callable[[_Escrow], SignedEnvelope]


def _signed(**changes: Callable[[_Escrow], object]) -> _Spoil:
    """Returns what makes a hold of the issuer with other fields."""
    return lambda one: one.issuer.seal(one.hold(**{name: value(one) for name, value in changes.items()}))


def _by_another(one: _Escrow) -> SignedEnvelope:
    """Returns a hold that somebody else signed, and issues."""
    other = Caller.new()
    return other.seal(one.hold(issuer=other.key))


def _in_its_name(one: _Escrow) -> SignedEnvelope:
    return Caller.new().seal(one.hold())


def _by_the_payer(one: _Escrow) -> SignedEnvelope:
    return one.payer.seal(one.hold(issuer=one.payer.caller.key))


def _without_signature(one: _Escrow) -> SignedEnvelope:
    envelope = one.issuer.seal(one.hold())
    envelope.ClearField("signature")
    return envelope


HOLDS: dict[str, _Spoil] = {
    "of-another-issuer": _by_another,
    "of-the-payer": _by_the_payer,
    "signed-by-another": _in_its_name,
    "without-signature": _without_signature,
    "for-another-session": _signed(session_id=lambda _: secrets.token_bytes(32)),
    "for-another-deposit": _signed(deposit_id=lambda _: secrets.token_bytes(16)),
    "over-less": _signed(amount=lambda one: one.account.amount - 1),
    "over-more": _signed(amount=lambda one: one.account.amount + 1),
    "over-nothing": _signed(amount=lambda _: 0),
    "of-the-past": _signed(expire_time=lambda _: timestamp(datetime.now(UTC) - timedelta(minutes=1))),
}
"""What can be wrong with a hold whose issuer can sign all that it likes."""


async def _spoil_holds(stage: Stage) -> None:
    one = await _begin(stage)
    await one.payer.state("before", one.account)
    for name, spoil in HOLDS.items():
        await one.confirm(f"defect-{name}", spoil(one))
    await one.payer.state("after", one.account)
    other = replace(one, deposit_id=secrets.token_bytes(16))
    await one.confirm("control-after", one.issuer.seal(one.hold()))
    await other.confirm("defect-no-such-deposit", one.issuer.seal(other.hold()))
    await one.payer.state("credited", one.account)


def _judge_spoilt_holds(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("defect-"):
        requirement = "PAY-DEP-003" if exchange.name == "defect-no-such-deposit" else "PAY-HOLD-001"
        yield from refused(exchange, "DEPOSIT_INVALID", requirement=requirement)
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-DEP-003")
    yield from was_accepted(seen["control-after"], requirement="PAY-HOLD-001")
    amount = int(str(seen.notes["amount"]))
    yield from counters_are(seen["credited"], {"deposited": amount}, requirement="PAY-DEP-003")


CHECKS = (
    Check(
        name="a-hold-of-the-issuer-is-credited",
        title="In escrow a hold of the issuer is credited once, pays for an answer, and is released where it is free.",
        requirements=(
            "PAY-SES-005",
            "PAY-HOLD-001",
            "PAY-DEP-002",
            "PAY-ASK-002",
            "PAY-RCP-001",
            "PAY-CHG-001",
            "PAY-CHG-002",
            "PAY-WDR-001",
            "PAY-ACK-001",
            "STRM-LOG-001",
            "STRM-LOG-002",
            "STRM-LOG-003",
            "STRM-TXT-001",
            "SIG-ENV-001",
            "SIG-ENV-005",
            "ERR-FLD-001",
        ),
        drive=_hold,
        judge=_judge_held,
        after=("a-paid-ask-is-answered",),
        needs=Needs.PRICE | Needs.ESCROW,
        profile="pay",
        callers=2,
    ),
    Check(
        name="a-hold-that-does-not-hold-is-refused",
        title="A hold of another issuer, or for another session, deposit, amount or time is refused, and not credited.",
        requirements=("PAY-HOLD-001", "PAY-DEP-003"),
        drive=_spoil_holds,
        judge=_judge_spoilt_holds,
        after=_HELD,
        needs=Needs.PRICE | Needs.ESCROW,
        profile="pay",
        callers=2,
    ),
)
