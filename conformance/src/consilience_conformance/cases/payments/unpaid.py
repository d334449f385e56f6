"""Asks that are not paid (spec section 3.6): quote, session and voucher, wrong in every way and in every order."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

from consilience.v1 import ask_pb2, payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.payers import Account, Payer, Price
from consilience_conformance.rules.payments import response_of
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import counters_are, unchanged
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PAID = ("a-paid-ask-is-answered",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What defects of a paid ask are made of.

    Attributes:
        payer: Whose ask it is.
        price, account: What it is paid by, and out of.
        request: Of the good ask, with a voucher for all of the session.
    """

    payer: Payer
    price: Price
    account: Account
    request: ask_pb2.AskRequest

    def again(self, **changes: object) -> ask_pb2.AskRequest:
        """Returns the request with changed fields of its ask, signed."""
        ask = ask_pb2.Ask.FromString(self.request.ask.payload)
        for name, value in changes.items():
            getattr(ask, name).CopyFrom(value)
        return self.with_parts(ask=self.payer.seal(ask))

    def paid_by(self, quote: SignedEnvelope, *, session_id: bytes = b"") -> ask_pb2.AskRequest:
        """Returns the request under another quote, and out of another session."""
        payment = ask_pb2.AskPayment(
            quote_digest=envelopes.envelope_digest(quote), session_id=session_id or self.account.session_id
        )
        request = self.again(payment=payment)
        request.quote.CopyFrom(quote)
        return request

    def with_parts(self, **parts: SignedEnvelope | None) -> ask_pb2.AskRequest:
        """Returns the request with other envelopes, or without one."""
        request = ask_pb2.AskRequest()
        request.CopyFrom(self.request)
        for name, envelope in parts.items():
            request.ClearField(name)  # type: ignore[arg-type]
            if envelope is not None:
                getattr(request, name).CopyFrom(envelope)
        return request


Spoil = Callable[[Bench], Awaitable[ask_pb2.AskRequest]]
"""Returns the request of a paid ask with one defect."""


def _quietly(make: Callable[[Bench], ask_pb2.AskRequest]) -> Spoil:
    async def spoil(bench: Bench) -> ask_pb2.AskRequest:
        return make(bench)

    return spoil


def _quote_as(bench: Bench, *, seed: bytes, **changes: object) -> SignedEnvelope:
    """Returns the quote with changes, signed by somebody."""
    quote = payment_pb2.Quote()
    quote.CopyFrom(bench.price.quote.value)
    for name, value in changes.items():
        setattr(quote, name, value)
    return envelopes.seal(quote, seed=seed)


def _cheaper(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under a quote that the payer wrote himself."""
    key = bench.payer.caller
    return bench.paid_by(_quote_as(bench, seed=key.seed, signing_key=key.key, window=1))


def _unsigned(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under the node's quote, raised in a field that no signature covers any more."""
    quote = SignedEnvelope()
    quote.CopyFrom(bench.price.quote.envelope)
    value = payment_pb2.Quote()
    value.CopyFrom(bench.price.quote.value)
    value.max_charge += 1
    quote.payload = value.SerializeToString(deterministic=True)
    return bench.paid_by(quote)


async def _another_payers_quote(bench: Bench) -> ask_pb2.AskRequest:
    stage = bench.payer.stage
    stranger = Payer(stage, caller=stage.stranger())
    quote = (await stranger.quote("quote-of-another", offer=bench.price.offer)).quote
    return bench.paid_by(quote.envelope)


async def _another_skills_quote(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under a quote for another skill: a priced one, or else a free one, which has no tariff."""
    stage = bench.payer.stage
    others = [skill for skill in stage.target.card.skills if skill.id != stage.subject.skill.id]
    if not others:
        return bench.with_parts(quote=None)
    chosen = max(others, key=lambda skill: bool(skill.tariff_ids))
    exchange = await bench.payer.ask_price("quote-of-another-skill", skill_id=chosen.id)
    response = response_of(exchange, payment_pb2.GetQuoteResponse)
    return bench.paid_by(response.quote) if response is not None else bench.with_parts(quote=None)


async def _another_models_quote(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask under a quote for a model that it does not name; where the skill names none, without a quote."""
    payer = bench.payer
    models = payer.stage.subject.skill.model_ids
    if not models:
        return bench.with_parts(quote=None)
    exchange = await payer.ask_price(
        "quote-of-another-model",
        skill_id=payer.stage.subject.skill.id,
        model_id=models[0],
        asset=bench.price.offer.tariff.asset,
    )
    response = response_of(exchange, payment_pb2.GetQuoteResponse)
    return bench.paid_by(response.quote) if response is not None else bench.with_parts(quote=None)


async def _another_payers_session(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask out of a session that somebody else has opened and authorized."""
    stage, offer = bench.payer.stage, bench.price.offer
    stranger = Payer(stage, caller=stage.stranger())
    account = await stranger.open("open-as-another", offer=offer, price=bench.price)
    await stranger.submit("voucher-as-another", stranger.voucher(account, account.amount))
    request = bench.paid_by(bench.price.quote.envelope, session_id=account.session_id)
    request.ClearField("voucher")
    return request


async def _another_assets_session(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask out of a session in another asset; where there is none, without a quote, for the same reason."""
    return await _out_of_another_asset(bench) or bench.with_parts(quote=None)


async def _out_of_another_asset(bench: Bench) -> ask_pb2.AskRequest | None:
    """Returns the ask out of a session in another asset that the rail moves, or None: it moves no other."""
    offer = bench.price.offer
    asset = next((one for one in offer.rail.assets if one != offer.tariff.asset), None)
    if asset is None:
        return None
    other = replace(offer, tariff=tariff_pb2.Tariff(asset=asset))
    name = f"open-in-another-asset-{secrets.token_hex(4)}"
    account = await bench.payer.open(name, offer=other, amount=max(1, offer.rail.min_deposit))
    request = bench.paid_by(bench.price.quote.envelope, session_id=account.session_id)
    request.voucher.CopyFrom(bench.payer.voucher(account, 1))
    return request


async def _closed_session(bench: Bench) -> ask_pb2.AskRequest:
    """Returns the ask out of a session that is closed, with enough authorized, by a voucher that came before."""
    account = await bench.payer.open("open-and-close", offer=bench.price.offer, price=bench.price)
    await bench.payer.submit("voucher-and-close", bench.payer.voucher(account, account.amount))
    await bench.payer.close("close", account)
    request = bench.paid_by(bench.price.quote.envelope, session_id=account.session_id)
    request.ClearField("voucher")
    return request


async def _voucher_of_another_session(bench: Bench) -> ask_pb2.AskRequest:
    account = await bench.payer.open("open-another", offer=bench.price.offer, price=bench.price)
    return bench.with_parts(voucher=bench.payer.voucher(account, account.amount))


def _damaged(envelope: SignedEnvelope) -> SignedEnvelope:
    copy = SignedEnvelope()
    copy.CopyFrom(envelope)
    copy.signature = copy.signature[:-1] + bytes([copy.signature[-1] ^ 1])
    return copy


DEFECTS: dict[str, tuple[str, Spoil]] = {
    "no-quote": ("QUOTE_INVALID", _quietly(lambda bench: bench.with_parts(quote=None))),
    "digest-of-another-quote": (
        "QUOTE_INVALID",
        _quietly(
            lambda bench: bench.again(
                payment=ask_pb2.AskPayment(quote_digest=bytes(32), session_id=bench.account.session_id)
            )
        ),
    ),
    "no-quote-in-the-envelope": (
        "QUOTE_INVALID",
        _quietly(lambda bench: bench.paid_by(bench.payer.seal(bench.account.terms.value))),
    ),
    "a-quote-of-the-payer": ("QUOTE_INVALID", _quietly(_cheaper)),
    "a-quote-without-its-signature": ("QUOTE_INVALID", _quietly(_unsigned)),
    "a-quote-for-another-payer": ("QUOTE_INVALID", _another_payers_quote),
    "a-quote-for-another-skill": ("QUOTE_INVALID", _another_skills_quote),
    "a-quote-for-another-model": ("QUOTE_INVALID", _another_models_quote),
    "no-such-session": (
        "SESSION_UNKNOWN",
        _quietly(lambda bench: bench.paid_by(bench.price.quote.envelope, session_id=bytes(32))),
    ),
    "a-session-of-another-payer": ("SESSION_UNKNOWN", _another_payers_session),
    "a-session-in-another-asset": ("QUOTE_INVALID", _another_assets_session),
    "a-voucher-for-another-session": ("SESSION_UNKNOWN", _voucher_of_another_session),
    "a-voucher-without-its-signature": (
        "SIGNATURE_INVALID",
        _quietly(lambda bench: bench.with_parts(voucher=_damaged(bench.request.voucher))),
    ),
    "a-voucher-of-another-payer": (
        "SIGNER_WRONG",
        _quietly(
            lambda bench: bench.with_parts(
                voucher=Caller.new().seal(payment_pb2.Voucher.FromString(bench.request.voucher.payload))
            )
        ),
    ),
    "a-voucher-above-the-session": (
        "BALANCE_TOO_LOW",
        _quietly(lambda bench: bench.with_parts(voucher=bench.payer.voucher(bench.account, bench.account.amount + 1))),
    ),
    "a-closed-session": ("SESSION_CLOSED", _closed_session),
}
"""What can be wrong with how an ask is paid, and the reason; all under the request id of the ask that comes last."""


async def _bench(stage: Stage) -> tuple[Bench, ask_pb2.Ask]:
    payer = Payer(stage)
    price, account = await payer.deal()
    ask = payer.ask(price=price, account=account, max_charge=price.first_window)
    request = payer.request(ask, price=price, voucher=payer.voucher(account, account.amount))
    return Bench(payer=payer, price=price, account=account, request=request), ask


async def _spoil_payments(stage: Stage) -> None:
    bench, ask = await _bench(stage)
    payer = bench.payer
    before = payer.ask(price=bench.price, account=bench.account, max_charge=bench.price.first_window)
    voucher = payer.voucher(bench.account, bench.price.first_window)
    await payer.send("control-before", before, price=bench.price, voucher=voucher, until=accepted)
    await stage.let_go()
    await payer.state("before", bench.account)
    for name, (_, spoil) in DEFECTS.items():
        await stage.call(f"defect-{name}", ASK, await spoil(bench), until=accepted)
    await stage.get("answer", ask)
    await payer.state("after", bench.account)
    poor = await payer.open("open-poor", offer=bench.price.offer, price=bench.price)
    too_little = bench.price.first_window - 1
    stage.note("too-little", too_little)
    request = bench.paid_by(bench.price.quote.envelope, session_id=poor.session_id)
    request.voucher.CopyFrom(payer.voucher(poor, too_little))
    await stage.call("too-little-in-its-voucher", ASK, request, until=accepted)
    await payer.state("poor", poor)
    await stage.call("control-after", ASK, bench.request, until=accepted)


def _judge_spoilt_payments(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="PAY-ASK-002")
    for name, (reason, _) in DEFECTS.items():
        yield from refused(seen[f"defect-{name}"], reason, requirement="PAY-ASK-002")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from refused(seen["too-little-in-its-voucher"], "BALANCE_TOO_LOW", requirement="PAY-ASK-002")
    # What a voucher has authorized stays so, though its ask was refused.
    authorized = {"authorized": int(str(seen.notes["too-little"])), "reserved": 0, "spent": 0}
    yield from counters_are(seen["poor"], authorized, requirement="PAY-ASK-002")
    yield from was_accepted(seen["control-after"], requirement="PAY-ASK-002")


async def _spoil_more_and_more(stage: Stage) -> None:
    """Breaks the last step of the table, then the one before it too, and so on, and one before them all."""
    bench, ask = await _bench(stage)
    payer, price = bench.payer, bench.price

    async def send(name: str, request: ask_pb2.AskRequest) -> None:
        await stage.call(f"from-{name}-on", ASK, request, until=accepted)

    poor = await payer.open("open-poor", price=price)
    request = bench.paid_by(price.quote.envelope, session_id=poor.session_id)
    request.ClearField("voucher")
    await send("balance", request)
    await payer.close("close", poor)
    await send("closed", request)
    request.voucher.CopyFrom(_damaged(payer.voucher(poor, 1)))
    await send("voucher", request)
    if asset_request := await _out_of_another_asset(bench):
        asset_request.voucher.CopyFrom(request.voucher)
        await send("asset", asset_request)
    unknown = bench.paid_by(price.quote.envelope, session_id=bytes(32))
    unknown.voucher.CopyFrom(request.voucher)
    await send("session", unknown)
    forged = bench.paid_by(_quote_as(bench, seed=payer.caller.seed, signing_key=payer.caller.key), session_id=bytes(32))
    forged.voucher.CopyFrom(request.voucher)
    await send("quote", forged)
    if stage.subject.skill.id != SCRIPT_SKILL:
        unpaid = ask_pb2.Ask.FromString(forged.ask.payload)
        unpaid.ClearField("payment")
        forged.ask.CopyFrom(payer.seal(unpaid))
        await send("payment", forged)
    late = ask_pb2.Ask.FromString(forged.ask.payload)
    late.limits.deadline.FromSeconds(1)
    forged.ask.CopyFrom(payer.seal(late))
    await send("deadline", forged)
    await stage.get("answer", ask)
    await stage.call("control-after", ASK, bench.request, until=accepted)


_FIRST = {
    "balance": "BALANCE_TOO_LOW",
    "closed": "SESSION_CLOSED",
    "voucher": "SIGNATURE_INVALID",
    "asset": "QUOTE_INVALID",
    "session": "SESSION_UNKNOWN",
    "quote": "QUOTE_INVALID",
    "payment": "PAYMENT_REQUIRED",
    "deadline": "DEADLINE_PASSED",
}


def _judge_order(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("from-"):
        name = exchange.name.removeprefix("from-").removesuffix("-on")
        yield from refused(exchange, _FIRST[name], requirement="PAY-ASK-002")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from was_accepted(seen["control-after"], requirement="PAY-ASK-002")


CHECKS = (
    Check(
        name="an-ask-that-is-not-paid-is-refused",
        title="An ask whose quote, session or voucher does not hold is refused, and the session is left alone.",
        requirements=("PAY-ASK-002", "ASK-IDEM-005"),
        drive=_spoil_payments,
        judge=_judge_spoilt_payments,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="first-defect-of-a-payment-is-the-refusal",
        title="Of several defects of a payment, the one that the table names first is told, and none binds the ask.",
        requirements=("PAY-ASK-002", "ASK-IDEM-005"),
        drive=_spoil_more_and_more,
        judge=_judge_order,
        after=_PAID,
        needs=Needs.PRICE,
        profile="pay",
    ),
)
