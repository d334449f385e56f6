"""Shops: nodes whose skills cost something, at prices that a test can count in its head."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from consilience.asks import Usage
from consilience.identity import KeyPair
from consilience.rails.hold import HoldRail
from consilience.server import Conclusion, Delta, IncomingAsk, Item, Node
from consilience.server.payments import Offer, Payments
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

WINDOW = 20
BY_THE_BYTE = Tariff(
    id="bytes",
    asset="TEST/0",
    prices=(UnitPrice(unit=PricedUnit.REQUEST, price=2), UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1)),
)
BY_THE_TOKEN = Tariff(
    id="tokens",
    asset="TEST/0",
    prices=(
        UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1, per=2),
        UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=10, per=3),
    ),
    tokenizer="words",
)


def offer_of(tariff: Tariff, **changes: Any) -> Offer:
    """Returns an offer that waits long enough for any payer that means to pay."""
    told: dict[str, Any] = {"window": WINDOW, "max_charge": 1000, "hold_open": timedelta(seconds=30)}
    return Offer(tariff=tariff, **(told | changes))


@dataclass
class Shop:
    """A node that says the words of the question, one by one, and what it has worked on.

    Attributes:
        asks: How often the skill was started.
        gate: The skill waits for it before each word.
    """

    asks: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def words(self, ask: IncomingAsk) -> AsyncIterator[str]:
        self.asks += 1
        first, *rest = ask.text.split(" ")
        yield first
        for word in rest:
            await self.gate.wait()
            yield f" {word}"

    async def tokens(self, ask: IncomingAsk) -> AsyncIterator[Item]:
        words = ask.text.split(" ")
        yield Usage(input_tokens=len(words))
        for word in words:
            yield Delta(text=word, output_tokens=1)
        yield Conclusion(usage=Usage(input_tokens=len(words), output_tokens=len(words)))

    async def failing(self, ask: IncomingAsk) -> AsyncIterator[str]:
        if ask.text == "late":
            yield "some text"
        raise ValueError("the engine broke")


def shop_node(key: KeyPair, shop: Shop, *, hold_open: timedelta = timedelta(seconds=30), **node: Any) -> Node:
    """Returns a node that is paid on credit."""
    rail = HoldRail(max_credit=1_000_000)
    made = Node("shop", key=key, payments=Payments(rails=(rail,), sessions_per_minute=1000), **node)
    by_the_byte = offer_of(BY_THE_BYTE, hold_open=hold_open)
    made.skill("words", offers=[by_the_byte])(shop.words)
    made.skill("tokens", offers=[offer_of(BY_THE_TOKEN, hold_open=hold_open)])(shop.tokens)
    made.skill("failing", offers=[by_the_byte])(shop.failing)
    made.skill("gratis")(shop.words)
    return made
