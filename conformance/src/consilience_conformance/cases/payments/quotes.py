"""Quotes (spec section 3.2): a price for one payer, one skill and one card, frozen until it expires, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience.v1 import error_details_pb2, node_pb2
from consilience_conformance import envelopes
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError, UntestableError
from consilience_conformance.payers import Payer
from consilience_conformance.purses import TEST_NETWORK
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.payments import differs, lacks, quote_in, response_of
from consilience_conformance.rules.quotes import Wish, quote_findings, rail_findings, tariffs_of
from consilience_conformance.rules.refusals import names_unsupported, refusal_of, refused, was_accepted
from consilience_conformance.stage import Stage
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_BASIS = ("a-price-is-quoted-for-every-skill",)

MOST_WISHES = 24
"""Skills, models and assets for which a price is asked at most."""
MOST_QUOTES = 600
"""A card that allows more of them in a minute is not tried."""


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
    yield from names_unsupported(seen["unknown-asset"], "asset", requirement="PAY-QUO-001")
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
)
