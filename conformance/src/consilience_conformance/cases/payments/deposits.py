"""Deposits and the rail `hold.v1` (spec section 3.4): one id is one deposit, credited once, by a hold that holds."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any

from consilience.v1 import payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, UntestableError
from consilience_conformance.payers import Account, Payer
from consilience_conformance.rules.payments import Signed, differs, instruction_in, opened, response_of
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_OPENED = ("a-session-opens",)
_CREDITED = ("a-deposit-is-credited-once",)

AT_ONCE = 6

Hold = Signed[payment_pb2.Hold]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deposit:
    """A deposit that was asked for.

    Attributes:
        account: In which session; nothing is credited yet.
        deposit_id: Its id.
        amount: How much.
        proof: The hold that the node gave.
    """

    account: Account
    deposit_id: bytes
    amount: int
    proof: Any


async def _begin(
    payer: Payer, name: str, *, account: Account | None = None, share: int = 1, deposit_id: bytes = b""
) -> _Deposit:
    """Asks for a deposit of a new prepaid session, or for another one of it.

    Args:
        payer: Whose.
        name: Of the exchange.
        account: The session; None: a new one.
        share: How many times the least deposit it is.
        deposit_id: Its id; empty: a new one.

    Raises:
        NotApplicableError: The card offers no prepaid session.
        UntestableError: The node gives no hold.
    """
    offer = payer.offer(backing=tariff_pb2.BACKING_PREPAID)
    amount = share * max(1, offer.rail.min_deposit)
    if offer.rail.max_deposit:
        amount = min(amount, offer.rail.max_deposit)
    deposit_id = deposit_id or secrets.token_bytes(16)
    if account is None:
        value = payer.terms(offer, backing=tariff_pb2.BACKING_PREPAID, amount=amount)
        account = Account(terms=Signed(envelope=payer.seal(value), value=value), amount=amount)
    exchange = await payer.call_open(name, account.terms.envelope, deposit_id=deposit_id, deposit=amount)
    instruction = instruction_in(exchange)
    if instruction is None or not instruction.HasField("detail"):
        raise UntestableError("the node gives no hold for a prepaid session on a test network")
    return _Deposit(account=account, deposit_id=deposit_id, amount=amount, proof=instruction.detail)


async def _ask_for_it_again(stage: Stage) -> None:
    payer = Payer(stage)
    one = await _begin(payer, "open", share=2)
    terms = one.account.terms.envelope
    stage.note("amount", one.amount)
    for index in range(AT_ONCE):
        await payer.call_open(f"again-{index}", terms, deposit_id=one.deposit_id, deposit=one.amount)
    await payer.state("before", one.account)
    await payer.call_open("another-amount", terms, deposit_id=one.deposit_id, deposit=one.amount + 1)
    await payer.state("after", one.account)
    await payer.confirm("confirm", one.account, deposit_id=one.deposit_id, proof=one.proof)
    await payer.call_open("when-credited", terms, deposit_id=one.deposit_id, deposit=one.amount)
    await payer.confirm("confirm-later", one.account, deposit_id=one.deposit_id, proof=one.proof)
    await payer.call_open("another-amount-later", terms, deposit_id=one.deposit_id, deposit=one.amount - 1)
    await payer.state("last", one.account)


def _judge_asked_again(seen: Transcript) -> Iterator[Finding]:
    first = instruction_in(seen["open"])
    for exchange in seen.named("again-"):
        yield from was_accepted(exchange, requirement="PAY-DEP-001", called="the same deposit")
        told = instruction_in(exchange)
        if exchange.accepted and told != first:
            yield differs(
                "PAY-DEP-001",
                "one deposit has two instructions",
                expected=_hex(first),
                got=_hex(told),
                exchange=exchange.name,
            )
    for name in ("another-amount", "another-amount-later"):
        yield from refused(seen[name], "DEPOSIT_INVALID", requirement="PAY-DEP-001")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-DEP-001")
    for name in ("confirm", "when-credited", "confirm-later"):
        yield from was_accepted(seen[name], requirement="PAY-DEP-001")
    amount = int(str(seen.notes["amount"]))
    yield from counters_are(seen["last"], {"deposited": amount}, requirement="PAY-DEP-001")


def _hex(message: payment_pb2.DepositInstruction | None) -> str:
    return message.SerializeToString(deterministic=True).hex() if message is not None else "none"


async def _confirm_many_times(stage: Stage) -> None:
    """Brings the proof of a deposit many times at once, and for other deposits too, of this session and another."""
    payer = Payer(stage)
    one = await _begin(payer, "open")
    stage.note("amount", one.amount)
    await asyncio.gather(
        *(
            payer.confirm(f"confirm-{index}", one.account, deposit_id=one.deposit_id, proof=one.proof)
            for index in range(AT_ONCE)
        )
    )
    await payer.state("once", one.account)
    await payer.confirm("confirm-later", one.account, deposit_id=one.deposit_id, proof=one.proof)
    second = await _begin(payer, "second-deposit", account=one.account)
    # In all but the session it is the deposit that was credited.
    other = await _begin(payer, "another-session", deposit_id=one.deposit_id)
    await payer.confirm("for-another-deposit", one.account, deposit_id=second.deposit_id, proof=one.proof)
    await payer.confirm("for-another-session", other.account, deposit_id=other.deposit_id, proof=one.proof)
    await payer.state("still-once", one.account)
    await payer.state("other-empty", other.account)
    await payer.confirm("second-proof", second.account, deposit_id=second.deposit_id, proof=second.proof)
    await payer.state("twice", one.account)


def _judge_confirmed(seen: Transcript) -> Iterator[Finding]:
    amount = int(str(seen.notes["amount"]))
    for exchange in seen.named("confirm-"):
        yield from was_accepted(exchange, requirement="PAY-DEP-002", called="the proof of a deposit")
        yield from _succeeded(exchange)
    for name in ("once", "still-once"):
        yield from counters_are(seen[name], {"deposited": amount}, requirement="PAY-DEP-002")
    for name in ("for-another-deposit", "for-another-session"):
        yield from refused(seen[name], "DEPOSIT_INVALID", requirement="PAY-HOLD-001")
    yield from counters_are(seen["other-empty"], {"deposited": 0}, requirement="PAY-DEP-002")
    yield from was_accepted(seen["second-proof"], requirement="PAY-DEP-002")
    yield from counters_are(seen["twice"], {"deposited": 2 * amount}, requirement="PAY-DEP-002")


def _succeeded(exchange: Exchange) -> Iterator[Finding]:
    """Yields that a deposit by a hold, which is there or is not, is told to be otherwise than succeeded."""
    response = response_of(exchange, payment_pb2.ConfirmDepositResponse)
    if response is not None and response.status != payment_pb2.TRANSFER_STATUS_SUCCEEDED:
        yield differs(
            "PAY-DEP-002",
            "a deposit by a hold has not succeeded",
            expected="TRANSFER_STATUS_SUCCEEDED",
            got=response.status,
            exchange=exchange.name,
        )


def _forged(deposit: _Deposit) -> Iterator[tuple[str, Any | None]]:
    """Yields what proves nothing, with what finds it out: a hold that nobody signed so."""
    envelope = SignedEnvelope()
    deposit.proof.Unpack(envelope)
    hold = opened(envelope, payment_pb2.Hold)
    changed = payment_pb2.Hold()
    changed.CopyFrom(hold.value if hold is not None else payment_pb2.Hold())
    changed.amount += 1
    yield "no-proof", None
    yield "an-empty-proof", Any()
    yield "another-message", _packed(payment_pb2.GetSessionRequest())
    yield "an-empty-envelope", _packed(SignedEnvelope())
    for name, payload, signature in (
        ("a-changed-signature", envelope.payload, envelope.signature[:-1] + bytes([envelope.signature[-1] ^ 1])),
        ("no-signature", envelope.payload, b""),
        ("a-changed-amount", changed.SerializeToString(deterministic=True), envelope.signature),
    ):
        copy = SignedEnvelope()
        copy.CopyFrom(envelope)
        copy.payload, copy.signature = payload, signature
        yield name, _packed(copy)


def _packed(message: payment_pb2.GetSessionRequest | SignedEnvelope) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _by_the_payer(payer: Payer, deposit: _Deposit) -> Iterator[tuple[str, Any]]:
    """Yields holds that the payer signed himself: in the name of the node, and in his own."""
    envelope = SignedEnvelope()
    deposit.proof.Unpack(envelope)
    hold = payment_pb2.Hold.FromString(envelope.payload)
    yield "signed-by-the-payer", _packed(payer.seal(hold))
    hold.issuer = payer.caller.key
    yield "issued-by-the-payer", _packed(payer.seal(hold))


async def _bring_no_proof(stage: Stage) -> None:
    payer = Payer(stage)
    one = await _begin(payer, "open")
    stage.note("amount", one.amount)
    await payer.state("before", one.account)
    for name, proof in (*_forged(one), *_by_the_payer(payer, one)):
        await payer.confirm(f"defect-{name}", one.account, deposit_id=one.deposit_id, proof=proof)
    await payer.confirm("no-such-deposit", one.account, deposit_id=secrets.token_bytes(16), proof=one.proof)
    await payer.state("after", one.account)
    await payer.confirm("control-after", one.account, deposit_id=one.deposit_id, proof=one.proof)
    await payer.state("credited", one.account)


_OF_HOLDS = {"a-changed-signature", "no-signature", "a-changed-amount", "signed-by-the-payer", "issued-by-the-payer"}


def _judge_no_proof(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("defect-"):
        of_hold = exchange.name.removeprefix("defect-") in _OF_HOLDS
        yield from refused(exchange, "DEPOSIT_INVALID", requirement="PAY-HOLD-001" if of_hold else "PAY-DEP-003")
    yield from refused(seen["no-such-deposit"], "DEPOSIT_INVALID", requirement="PAY-DEP-003")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-DEP-003")
    yield from was_accepted(seen["control-after"], requirement="PAY-DEP-003")
    amount = int(str(seen.notes["amount"]))
    yield from counters_are(seen["credited"], {"deposited": amount}, requirement="PAY-DEP-003")


CHECKS = (
    Check(
        name="a-deposit-is-credited-once",
        title="A deposit is credited once, however often its proof comes, and the proof of one is none of another.",
        requirements=("PAY-DEP-002", "PAY-HOLD-001"),
        drive=_confirm_many_times,
        judge=_judge_confirmed,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="one-deposit-id-is-one-deposit",
        title="A deposit that is asked for again has the same instruction, and under another amount it is refused.",
        requirements=("PAY-DEP-001",),
        drive=_ask_for_it_again,
        judge=_judge_asked_again,
        after=_CREDITED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="what-proves-nothing-is-not-credited",
        title="A deposit that there is not, or with a hold that does not hold, is refused, and nothing is credited.",
        requirements=("PAY-DEP-003", "PAY-HOLD-001"),
        drive=_bring_no_proof,
        judge=_judge_no_proof,
        after=_CREDITED,
        needs=Needs.PRICE,
        profile="pay",
    ),
)
