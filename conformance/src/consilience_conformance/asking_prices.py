"""Asking prices: what an ask of each skill costs at most, as the node quotes it, and what a run needs to pay that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from consilience.v1 import node_pb2
from consilience_conformance.amounts import written
from consilience_conformance.payers import Payer
from consilience_conformance.purses import HOLD_RAIL, TEST_NETWORK, Purse, offers
from consilience_conformance.rules.payments import quote_in
from consilience_conformance.rules.quotes import tariffs_of
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.stage import Stage

MOST_QUOTES = 16
"""How many are asked for: a node counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingPrice:
    """What an ask of a skill costs in one asset.

    Attributes:
        skill: As the card has it.
        asset: Empty: it is free.
        most: In units of the asset; None: the node did not say.
        because: Why it did not.
    """

    skill: node_pb2.Skill
    asset: str = ""
    most: int | None = None
    because: str = ""

    def words(self, card: node_pb2.NodeCard) -> str:
        """Returns the price as a person reads it, and what a run needs to pay it."""
        if not self.asset:
            return f"{self.skill.id} is free"
        if self.most is None:
            return f"{self.skill.id} is paid in {self.asset}, and the node does not say how much: {self.because}"
        costs = f"{self.skill.id} costs {written(self.most, asset=self.asset)} at most"
        return f"{costs}; {_how_a_run_pays(card, self.skill, asset=self.asset)}"


async def asking_prices(stage: Stage, *, seconds: float) -> tuple[AskingPrice, ...]:
    """Returns the prices of all skills of a card that has tariffs; none: it has none.

    Args:
        stage: To ask for quotes with.
        seconds: How long to ask for them.
    """
    card = stage.target.card
    if not card.tariffs:
        return ()
    wanted = list(_unquoted(card))
    told: list[AskingPrice] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for price in _quoted(stage, wanted):
                told.append(price)  # noqa: PERF401 - what has come counts, though time runs out
    return (*told, *wanted[len(told) :])


def _unquoted(card: node_pb2.NodeCard) -> Iterator[AskingPrice]:
    for skill in card.skills:
        assets = dict.fromkeys(tariff.asset for tariff in tariffs_of(card, skill))
        for asset in assets or [""]:
            yield AskingPrice(skill=skill, asset=asset, because="there was no time to ask")


async def _quoted(stage: Stage, wanted: list[AskingPrice]) -> AsyncIterator[AskingPrice]:
    payer = Payer(stage)
    for number, price in enumerate(wanted):
        if not price.asset or number >= MOST_QUOTES:
            yield price
            continue
        exchange = await payer.ask_price(f"quote-{number}", skill_id=price.skill.id, asset=price.asset)
        quote = quote_in(exchange)
        if quote is None:
            yield AskingPrice(skill=price.skill, asset=price.asset, because=outcome_of(exchange))
        else:
            yield AskingPrice(skill=price.skill, asset=price.asset, most=int(quote.value.max_charge))


def _how_a_run_pays(card: node_pb2.NodeCard, skill: node_pb2.Skill, *, asset: str) -> str:
    found = [one for one in offers(card, skill, purse=Purse(asset=asset, amount=1)) if one.tariff.asset == asset]
    if not found:
        return f"no run can pay that: a tester pays by {HOLD_RAIL} alone, on credit where it is of value"
    if found[0].rail.network == TEST_NETWORK:
        return f"units of the network {TEST_NETWORK}, for which a run needs no --max-spend"
    return f"a run pays it where --max-spend 'AMOUNT {asset}' allows it"
