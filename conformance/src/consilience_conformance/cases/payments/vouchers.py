"""Vouchers (spec section 3.5): only the highest counts, and none moves more than the session holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from consilience.v1 import payment_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Account, Payer
from consilience_conformance.payment_methods import SUBMIT
from consilience_conformance.rules.payments import balance_in, differs, lacks, opened, state_in
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import available, counters_are, never_falls, unchanged
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_OPENED = ("a-session-opens",)

AT_ONCE = 8

_Spoil = Callable[[Payer, Account], SignedEnvelope]


def _of_a_stranger(payer: Payer, account: Account) -> SignedEnvelope:
    """Returns a voucher by which somebody else lets the node spend of the session."""
    return payer.voucher(account, account.amount, payer=payer.caller.key[:-1] + bytes([payer.caller.key[-1] ^ 1]))


def _signed_by_a_stranger(_: Payer, account: Account) -> SignedEnvelope:
    stranger = Caller.new()
    voucher = payment_pb2.Voucher(payer=stranger.key, session_id=account.session_id, cumulative=account.amount)
    return stranger.seal(voucher)


def _resealed(change: Callable[[SignedEnvelope], None]) -> _Spoil:
    def spoil(payer: Payer, account: Account) -> SignedEnvelope:
        envelope = payer.voucher(account, account.amount)
        change(envelope)
        return envelope

    return spoil


def _flip(envelope: SignedEnvelope) -> None:
    envelope.signature = envelope.signature[:-1] + bytes([envelope.signature[-1] ^ 1])


def _raise(envelope: SignedEnvelope) -> None:
    """Raises what a voucher allows, under the signature over less."""
    voucher = payment_pb2.Voucher.FromString(envelope.payload)
    voucher.cumulative -= 1
    envelope.payload = voucher.SerializeToString(deterministic=True)


def _as_terms(payer: Payer, account: Account) -> SignedEnvelope:
    payload = payer.voucher(account, account.amount).payload
    return envelopes.seal_bytes(payload, payload_type="consilience.v1.SessionTerms", seed=payer.caller.seed)


DEFECTS: dict[str, tuple[str, _Spoil]] = {
    "of-another-type": ("PAYLOAD_TYPE_WRONG", _as_terms),
    "without-signature": ("SIGNATURE_MISSING", _resealed(lambda envelope: envelope.ClearField("signature"))),
    "with-another-signature": ("SIGNATURE_INVALID", _resealed(_flip)),
    "changed-after-it-was-signed": ("SIGNATURE_INVALID", _resealed(_raise)),
    "signed-by-another": ("SIGNER_WRONG", _of_a_stranger),
    "below-zero": ("FIELD_INVALID", lambda payer, account: payer.voucher(account, -1)),
    "of-a-short-session-id": (
        "FIELD_INVALID",
        lambda payer, account: payer.voucher(account, account.amount, session_id=account.session_id[:-1]),
    ),
    "of-another-payer": ("SESSION_UNKNOWN", _signed_by_a_stranger),
    "of-no-session": (
        "SESSION_UNKNOWN",
        lambda payer, account: payer.voucher(account, account.amount, session_id=bytes(32)),
    ),
    "above-what-is-available": (
        "BALANCE_TOO_LOW",
        lambda payer, account: payer.voucher(account, account.amount + 1),
    ),
    "far-above-what-is-available": ("BALANCE_TOO_LOW", lambda payer, account: payer.voucher(account, 2**63 - 1)),
}
"""What can be wrong with a voucher, and the reason."""


async def _spoil_vouchers(stage: Stage) -> None:
    payer = Payer(stage)
    _, account = await payer.deal()
    half = account.amount // 2
    await payer.submit("control-before", payer.voucher(account, half))
    await payer.state("before", account)
    for name, (_, spoil) in DEFECTS.items():
        await payer.submit(f"defect-{name}", spoil(payer, account))
    await stage.call("defect-no-voucher", SUBMIT, b"")
    await payer.state("after", account)
    await payer.submit("control-after", payer.voucher(account, account.amount))


def _judge_spoilt_vouchers(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="PAY-VCH-001")
    for name, (reason, _) in DEFECTS.items():
        yield from refused(seen[f"defect-{name}"], reason, requirement="PAY-VCH-001")
    yield from refused(seen["defect-no-voucher"], "ENVELOPE_MALFORMED", requirement="PAY-VCH-001")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-VCH-001")
    yield from was_accepted(seen["control-after"], requirement="PAY-VCH-001")


async def _rise_and_fall(stage: Stage) -> None:
    """Sends vouchers over less, over the same and over more, one after the other and all at once."""
    payer = Payer(stage)
    _, account = await payer.deal()
    half = account.amount // 2
    stage.note("half", half)
    stage.note("amount", account.amount)
    await payer.submit("first", payer.voucher(account, half))
    await payer.state("before", account)
    for name, cumulative in (("lower", half - 1), ("zero", 0), ("equal", half)):
        await payer.submit(name, payer.voucher(account, cumulative))
    await payer.state("after", account)
    await payer.submit("higher", payer.voucher(account, half + 1))
    many = [account.amount - index for index in range(AT_ONCE) if account.amount - index > half]
    await asyncio.gather(*(payer.submit(f"many-{one}", payer.voucher(account, one)) for one in many))
    await payer.state("last", account)


def _judge_risen(seen: Transcript) -> Iterator[Finding]:
    half, amount = int(str(seen.notes["half"])), int(str(seen.notes["amount"]))
    yield from was_accepted(seen["first"], requirement="PAY-VCH-002")
    for name in ("lower", "zero", "equal"):
        exchange = seen[name]
        yield from was_accepted(exchange, requirement="PAY-VCH-002", called="a voucher that is not higher")
        if exchange.accepted:
            yield from unchanged(seen["before"], exchange, requirement="PAY-VCH-002")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-VCH-002")
    yield from counters_are(seen["higher"], {"authorized": half + 1}, requirement="PAY-VCH-002")
    for exchange in seen.named("many-"):
        yield from was_accepted(exchange, requirement="PAY-VCH-002", called="one voucher of many")
    yield from counters_are(seen["last"], {"authorized": amount}, requirement="PAY-VCH-002")
    yield from never_falls((seen["before"], seen["after"], seen["higher"], seen["last"]))


async def _forget(stage: Stage) -> None:
    """Provokes both refusals that tell a payer its own last word: too high, and of a session that is closed."""
    payer = Payer(stage)
    price, account = await payer.deal()
    await payer.submit("nothing-signed", payer.voucher(account, account.amount + 1))
    highest = payer.voucher(account, account.amount // 2)
    await payer.submit("highest", highest)
    await payer.state("state", account)
    await payer.submit("too-high", payer.voucher(account, account.amount + 1))
    full = payer.ask(price=price, account=account)
    late = payer.voucher(account, account.amount + 1)
    await payer.send("ask-too-high", full, price=price, voucher=late, until=accepted)
    await payer.close("close", account)
    await payer.submit("closed", payer.voucher(account, account.amount))
    await payer.send("ask-closed", full, price=price, until=accepted)


def _judge_forgotten(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["highest"], requirement="PAY-VCH-003")
    sent = payment_pb2.SubmitVoucherRequest.FromString(seen["highest"].request).voucher
    state = state_in(seen["state"])
    for name, reason in (
        ("nothing-signed", "BALANCE_TOO_LOW"),
        ("too-high", "BALANCE_TOO_LOW"),
        ("ask-too-high", "BALANCE_TOO_LOW"),
        ("closed", "SESSION_CLOSED"),
        ("ask-closed", "SESSION_CLOSED"),
    ):
        exchange = seen[name]
        yield from refused(exchange, reason, requirement="PAY-VCH-003")
        if exchange.accepted:
            continue
        yield from _carries(exchange, None if name == "nothing-signed" else sent)
        balance = balance_in(exchange)
        if balance is not None and state is not None and balance.available != available(state.value):
            yield differs(
                "PAY-VCH-003",
                "a refusal tells another available amount",
                expected=available(state.value),
                got=balance.available,
                exchange=name,
            )


def _carries(exchange: Exchange, sent: SignedEnvelope | None) -> Iterator[Finding]:
    """Yields that a refusal does not carry the payer's own highest voucher."""
    balance = balance_in(exchange)
    if balance is None:
        yield lacks(exchange, "detail consilience.v1.SessionBalance", requirement="PAY-VCH-003")
        return
    carried = balance.voucher if balance.HasField("voucher") else None
    if carried == sent:
        return
    got = opened(carried, payment_pb2.Voucher) if carried is not None else None
    wanted = opened(sent, payment_pb2.Voucher) if sent is not None else None
    yield differs(
        "PAY-VCH-003",
        "a refusal does not carry the payer's own highest voucher",
        expected=f"one over {wanted.value.cumulative}" if wanted is not None else "none",
        got=f"one over {got.value.cumulative}" if got is not None else "none",
        exchange=exchange.name,
    )


CHECKS = (
    Check(
        name="a-voucher-that-does-not-hold-is-refused",
        title="A voucher of another payer, of another session or above what there is is refused, and changes nothing.",
        requirements=("PAY-VCH-001",),
        drive=_spoil_vouchers,
        judge=_judge_spoilt_vouchers,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="vouchers-only-rise",
        title="A voucher that is lower or equal changes nothing and is no error; of many at once the highest counts.",
        requirements=("PAY-VCH-002", "PAY-SES-001"),
        drive=_rise_and_fall,
        judge=_judge_risen,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="a-payer-finds-its-last-word-again",
        title="A refusal for the balance, or of a closed session, carries the payer's own highest voucher.",
        requirements=("PAY-VCH-003",),
        drive=_forget,
        judge=_judge_forgotten,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
)
