"""Quotes (spec section 3.2): a price for one payer, one skill and one card, frozen until it expires, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience.v1 import error_details_pb2, node_pb2
from consilience_conformance import envelopes
from consilience_conformance.cases.payments.pricing import worth
from consilience_conformance.checks import Check, Needs, NotApplicableError, UntestableError
from consilience_conformance.payers import Payer, Price
from consilience_conformance.purses import TEST_NETWORK
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.deals import deal_of
from consilience_conformance.rules.meters import meters_in
from consilience_conformance.rules.payments import differs, lacks, quote_in, response_of
from consilience_conformance.rules.quotes import Wish, quote_findings, rail_findings, tariffs_of
from consilience_conformance.rules.refusals import refusal_of, refused, was_accepted
from consilience_conformance.rules.sessions import unchanged
from consilience_conformance.stage import Stage, accepted, wait
from consilience_conformance.steps import fails
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of

_BASIS = ("a-price-is-quoted-for-every-skill",)
_PAID = ("a-paid-ask-is-answered",)

MOST_WISHES = 24
"""Skills, models and assets for which a price is asked at most."""
MOST_QUOTES = 600
"""A card that allows more of them in a minute is not tried."""
MOST_ASKS = 64
"""Asks under one quote that are tried at most."""
LONGEST_QUOTE_SECONDS = 10
"""A quote that lives longer is not waited for."""


async def _look_at_the_card(stage: Stage) -> None:
    await stage.call("card", GET_NODE_CARD, b"")


def _judge_rails(seen: Transcript) -> Iterator[Finding]:
    """Yields that a card lists no rail, and which quotes are paid by others than it lists."""
    card = card_of(seen)[1]
    if not card.rails:
        yield Finding(requirement="PAY-CARD-001", message="the card of a node that is paid lists no rail")
    for exchange in seen.named("quote-"):
        quote = quote_in(exchange)
        if quote is not None:
            yield from rail_findings(quote.value, card=card, exchange=exchange.name)


def _judge_networks(seen: Transcript) -> Iterator[Finding]:
    card = card_of(seen)[1]
    if node_pb2.PROFILE_DURABLE in card.profiles:
        return
    for rail in card.rails:
        if rail.network != TEST_NETWORK:
            yield differs(
                "PAY-CARD-002",
                "a node that forgets its sessions lists a rail that moves something of value",
                expected=TEST_NETWORK,
                got=f"{rail.id} on {rail.network}",
                exchange="",
            )


def _wishes(card: node_pb2.NodeCard, payer: bytes) -> list[Wish]:
    """Returns what a price can be asked for: each skill, and each model and asset that its tariffs name."""
    found = []
    for skill in card.skills:
        tariffs = tariffs_of(card, skill)
        assets = dict.fromkeys(("", *(tariff.asset for tariff in tariffs)))
        found += [Wish(payer=payer, skill_id=skill.id, asset=asset) for asset in assets]
        found += [
            Wish(payer=payer, skill_id=skill.id, model_id=model)
            for model in skill.model_ids
            if any(not tariff.model_ids or model in tariff.model_ids for tariff in tariffs)
        ]
    return found[:MOST_WISHES]


async def _ask_for_every_price(stage: Stage) -> None:
    payer = Payer(stage, caller=stage.stranger())
    stage.note("payer", payer.caller.key.hex())
    wishes = _wishes(stage.target.card, payer.caller.key)
    most = stage.target.card.limits.max_quotes_per_minute
    for index, wish in enumerate(wishes[: most or None]):
        await payer.ask_price(f"quote-{index}", skill_id=wish.skill_id, model_id=wish.model_id, asset=wish.asset)
    await stage.call("card", GET_NODE_CARD, b"")


def _judge_every_price(seen: Transcript) -> Iterator[Finding]:
    envelope, card = card_of(seen)
    honoured = {envelopes.envelope_digest(envelope), *_card_digest(seen["card"])}
    wishes = _wishes(card, bytes.fromhex(str(seen.notes["payer"])))
    for exchange in seen.named("quote-"):
        wish = wishes[int(exchange.name.removeprefix("quote-"))]
        quote = quote_in(exchange)
        if quote is None:
            yield lacks(exchange, "quote", requirement="PAY-QUO-001")
            continue
        yield from quote_findings(quote, wish, card=card, honoured=honoured, exchange=exchange.name)


def _card_digest(exchange: Exchange) -> Iterator[bytes]:
    response = response_of(exchange, node_pb2.GetNodeCardResponse)
    if response is not None:
        yield envelopes.envelope_digest(response.card)


async def _ask_for_prices_of_nothing(stage: Stage) -> None:
    payer = Payer(stage, caller=stage.stranger())
    skill = stage.subject.skill
    nonce = stage.random.randrange(10**6)
    await payer.ask_price("control-before", skill_id=skill.id)
    await payer.ask_price("unknown-skill", skill_id=f"no-such-skill-{nonce}")
    await payer.ask_price("unknown-model", skill_id=skill.id, model_id=f"no-such-model-{nonce}")
    await payer.ask_price("unknown-asset", skill_id=skill.id, asset=f"NIL{nonce}/0")
    await payer.ask_price("control-after", skill_id=skill.id)


def _judge_prices_of_nothing(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="PAY-QUO-001")
    yield from refused(seen["unknown-skill"], "SKILL_UNKNOWN", requirement="PAY-QUO-001")
    yield from refused(seen["unknown-model"], "MODEL_UNKNOWN", requirement="PAY-QUO-001")
    yield from refused(seen["unknown-asset"], "TERMS_REFUSED", requirement="PAY-QUO-001")
    yield from was_accepted(seen["control-after"], requirement="PAY-QUO-001")


async def _ask_for_too_many(stage: Stage) -> None:
    limit = stage.target.card.limits.max_quotes_per_minute
    if not limit:
        raise UntestableError("the card does not set max_quotes_per_minute: see the check card-is-complete")
    if limit > MOST_QUOTES:
        raise NotApplicableError(
            f"a caller may have {limit} quotes a minute, and more than {MOST_QUOTES} are not tried"
        )
    skill, eager, other = stage.subject.skill.id, Payer(stage, caller=stage.stranger()), stage.stranger()
    stage.note("limit", limit)
    for start in range(0, limit, 32):
        batch = range(start, min(start + 32, limit))
        await asyncio.gather(*(eager.ask_price(f"quote-{index}", skill_id=skill) for index in batch))
    await eager.ask_price("one-more", skill_id=skill)
    await Payer(stage, caller=other).ask_price("of-another", skill_id=skill)


def _judge_too_many(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("quote-"):
        yield from was_accepted(exchange, requirement="ASK-LIM-001", called="a quote within the limit")
    yield from refused(seen["one-more"], "LIMIT_EXCEEDED", requirement="ASK-LIM-001")
    yield from was_accepted(seen["of-another"], requirement="ASK-LIM-001")
    detail = refusal_of(seen["one-more"]).details.get("consilience.v1.LimitExceeded")
    wanted = ("max_quotes_per_minute", int(str(seen.notes["limit"])))
    if isinstance(detail, error_details_pb2.LimitExceeded) and (detail.limit, detail.maximum) != wanted:
        yield differs(
            "ASK-LIM-001",
            "the refusal of one quote more names another limit",
            expected=f"{wanted[0]} of {wanted[1]}",
            got=f"{detail.limit} of {detail.maximum}",
            exchange="one-more",
        )


async def _ask_under_an_earlier_quote(stage: Stage) -> None:
    """Gets a quote, gets others after it, in other assets too, and asks under the first."""
    payer = Payer(stage)
    price, account = await payer.deal(amount=0)
    for index, offer in enumerate((*payer.offers[1:], payer.offers[0])):
        await payer.quote(f"later-{index}", offer=offer)
    text = worth(price, 2 * price.window, stage=stage)
    ask = payer.ask(text, price=price, account=account)
    await payer.send("ask", ask, price=price, voucher=payer.voucher(account, account.amount))


def _judge_earlier_quote(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    yield from was_accepted(exchange, requirement="PAY-QUO-002")
    if not exchange.accepted:
        return
    deal = deal_of(seen, exchange)
    meters = meters_in(exchange)
    if not meters:
        yield Finding(requirement="PAY-MTR-001", message="two windows of text came without a Meter", exchange="ask")
    for meter in meters:
        charge = deal.charge(meter.value.usage)
        if (meter.value.charge, meter.value.quote_digest) != (charge, deal.quote.digest):
            yield differs(
                "PAY-QUO-002",
                "the answer is metered by another quote than the ask names",
                expected=f"{charge} by {deal.quote.digest.hex()}",
                got=f"{meter.value.charge} by {meter.value.quote_digest.hex()}",
                exchange="ask",
            )
            return


async def _use_a_quote_up(stage: Stage) -> None:
    """Asks as often as a quote allows, for answers that fail and cost nothing, and once more."""
    payer = Payer(stage)
    price, account = await payer.deal()
    most = price.quote.value.max_asks
    if most > MOST_ASKS:
        raise NotApplicableError(f"a quote allows {most} asks, and more than {MOST_ASKS} are not tried")
    await payer.submit("voucher", payer.voucher(account, account.amount))
    for index in range(most):
        await payer.send(f"ask-{index}", payer.ask(fails("tried"), price=price, account=account), price=price)
    late = payer.ask(fails("tried"), price=price, account=account)
    await payer.state("before", account)
    await payer.send("one-more", late, price=price, until=accepted)
    await stage.get("answer", late)
    await payer.state("after", account)
    # The steps before and after that of the quote, in a session without a voucher and in one that is closed.
    poor = await payer.open("open-poor", price=price)
    await payer.send("one-more-unpaid", payer.ask(price=price, account=poor), price=price, until=accepted)
    await payer.close("close", poor)
    await payer.send("one-more-closed", payer.ask(price=price, account=poor), price=price, until=accepted)
    another = await payer.quote("another-quote")
    await payer.send("under-another", payer.ask(price=another, account=account), price=another, until=accepted)


def _judge_used_up(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003", called="an ask within max_asks")
    yield from refused(seen["one-more"], "QUOTE_INVALID", requirement="PAY-QUO-003")
    yield from refused(seen["one-more-unpaid"], "QUOTE_INVALID", requirement="PAY-ASK-002")
    yield from refused(seen["one-more-closed"], "SESSION_CLOSED", requirement="PAY-ASK-002")
    yield from refused(seen["answer"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from was_accepted(seen["under-another"], requirement="PAY-QUO-003")


async def _fill_a_quote(stage: Stage) -> None:
    """Lets as many asks run as `total_max_charge` allows at their ceilings, asks once more, and again for less."""
    payer = Payer(stage)
    price = await payer.quote("quote")
    total, each = price.quote.value.total_max_charge, price.max_charge
    fitting = total // each
    room = stage.limit("max_running_asks_per_caller")
    if fitting >= min(room, price.quote.value.max_asks):
        raise NotApplicableError(f"{fitting} asks at their highest charge fit into a quote, more than may run at once")
    windows = price.first_window * (fitting + 2)
    account = await payer.open("open", price=price, amount=windows)
    await payer.submit("voucher", payer.voucher(account, windows))
    streams = []
    for index in range(fitting):
        ask = payer.ask(wait(stage.gate()), price=price, account=account)
        streams.append(payer.open_ask(f"ask-{index}", ask, price=price))
        if not await streams[-1].until(accepted, budget=stage.budget):
            return
    stage.note("full", fitting)
    rest = total - fitting * each
    over = payer.ask(price=price, account=account, max_charge=rest + 1)
    await payer.state("before", account)
    await payer.send("one-more", over, price=price, until=accepted)
    await payer.state("after", account)
    if rest >= _least_charge(price):
        await payer.send("for-the-rest", payer.ask(price=price, account=account, max_charge=rest), price=price)
    await stage.let_go()
    again = payer.ask(price=price, account=account, max_charge=rest + 1)
    await payer.send("later", again, price=price, until=accepted)


def _least_charge(price: Price) -> int:
    return max(1, int(price.quote.value.tariff.minimum_charge))


def _judge_filled(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("ask-"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003", called="an ask within total_max_charge")
    if "full" not in seen.notes:
        return
    yield from refused(seen["one-more"], "QUOTE_INVALID", requirement="PAY-QUO-003")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    for exchange in seen.named("for-the-rest"):
        yield from was_accepted(exchange, requirement="PAY-QUO-003")
    yield from was_accepted(seen["later"], requirement="PAY-QUO-003")


async def _outlive_a_quote(stage: Stage) -> None:
    payer = Payer(stage)
    price, account = await payer.deal()
    value = price.quote.value
    life = (nanoseconds_of(value.expire_time) - nanoseconds_of(value.issue_time)) / 10**9
    if life > LONGEST_QUOTE_SECONDS:
        raise NotApplicableError(
            f"a quote lives for {life:g} s, and no more than {LONGEST_QUOTE_SECONDS} are waited for"
        )
    first, late = (payer.ask(price=price, account=account) for _ in range(2))
    await payer.send("in-time", first, price=price, voucher=payer.voucher(account, account.amount))
    await payer.state("before", account)
    # Measured from when the quote had come, so that a wrong clock of the tester does no harm.
    await asyncio.sleep(life + 0.1)
    await payer.send("too-late", late, price=price, until=accepted)
    await payer.state("after", account)
    another = await payer.quote("another-quote")
    await payer.send("under-another", payer.ask(price=another, account=account), price=another, until=accepted)


def _judge_outlived(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["in-time"], requirement="PAY-ASK-002")
    yield from refused(seen["too-late"], "QUOTE_INVALID", requirement="PAY-ASK-002")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-ASK-002")
    yield from was_accepted(seen["under-another"], requirement="PAY-ASK-002")


CHECKS = (
    Check(
        name="a-price-is-quoted-for-every-skill",
        title="A quote is made for every skill, and for every model and asset that its tariffs name.",
        requirements=("PAY-QUO-001", "SIG-ENV-001", "SIG-ENV-005", "ERR-FLD-001"),
        drive=_ask_for_every_price,
        judge=_judge_every_price,
        after=("ask",),
        profile="pay",
    ),
    Check(
        name="rails-are-listed-in-the-card",
        title="The card lists the rails on which its quotes are paid.",
        requirements=("PAY-CARD-001",),
        drive=_ask_for_every_price,
        judge=_judge_rails,
        after=_BASIS,
        profile="pay",
    ),
    Check(
        name="a-forgetful-node-moves-nothing-of-value",
        title="A node that is not durable lists no rail but those of the network test.",
        requirements=("PAY-CARD-002",),
        drive=_look_at_the_card,
        judge=_judge_networks,
        after=("unknown-skill-is-refused",),
        profile="pay",
    ),
    Check(
        name="no-price-is-quoted-for-what-there-is-not",
        title="A quote for a skill, a model or an asset that there is not is refused, each for its own reason.",
        requirements=("PAY-QUO-001",),
        drive=_ask_for_prices_of_nothing,
        judge=_judge_prices_of_nothing,
        after=_BASIS,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="quotes-in-a-minute-are-limited",
        title="One quote more than a caller may have in a minute is refused, and another caller gets one.",
        requirements=("ASK-LIM-001",),
        drive=_ask_for_too_many,
        judge=_judge_too_many,
        after=_BASIS,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="an-ask-is-charged-by-the-quote-that-it-names",
        title="An ask under an earlier quote is metered by that one, whatever was quoted since.",
        requirements=("PAY-QUO-002", "PAY-MTR-001"),
        drive=_ask_under_an_earlier_quote,
        judge=_judge_earlier_quote,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="asks-under-a-quote-are-counted",
        title="One ask more than a quote allows is refused, and taken under another quote.",
        requirements=("PAY-QUO-003", "PAY-ASK-002", "ASK-IDEM-005"),
        drive=_use_a_quote_up,
        judge=_judge_used_up,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="charges-under-a-quote-are-bounded",
        title="An ask that could bring the charges of a quote above its total is refused, until there is room.",
        requirements=("PAY-QUO-003", "PAY-ASK-002"),
        drive=_fill_a_quote,
        judge=_judge_filled,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
    Check(
        name="an-expired-quote-is-refused",
        title="An ask under a quote that has expired is refused, and taken under another quote.",
        requirements=("PAY-ASK-002",),
        drive=_outlive_a_quote,
        judge=_judge_outlived,
        after=_PAID,
        needs=Needs.PRICE | Needs.SCRIPT,
        profile="pay",
    ),
)
