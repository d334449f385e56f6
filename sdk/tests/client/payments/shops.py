"""Nodes that are paid, over real sockets, and clients with a purse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from consilience.asks import Usage
from consilience.client import Client
from consilience.client.payments import Wallet, WalletSession
from consilience.identity import KeyPair
from consilience.payments import Budget
from consilience.rails.contract import RailSettings
from consilience.rails.hold import HoldRail
from consilience.server import Conclusion, Delta, IncomingAsk, Item, Node
from consilience.server.payments import Offer, Payments
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

WORDS = [f"word{number:02} " for number in range(40)]
TEXT = "".join(WORDS)
BYTES = UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1, per=2)
REQUEST = UnitPrice(unit=PricedUnit.REQUEST, price=5)
TARIFF = Tariff(id="words", asset="TEST/0", prices=(REQUEST, BYTES))
OFFER = Offer(tariff=TARIFF, window=20, max_charge=1000, hold_open=timedelta(seconds=5))
COST = 5 + len(TEXT) // 2
BUDGET = Budget(per_ask="500 TEST/0", per_day="10000 TEST/0")


class Shop:
    """A node that sells words.

    Args:
        rail: How it is paid.
        offers: What words cost.
        pause: Between two words, in seconds.
    """

    def __init__(
        self,
        *,
        rail: RailSettings | None = None,
        offers: Iterable[Offer] = (OFFER,),
        pause: float = 0.0,
        key: KeyPair | None = None,
        **options: Any,
    ) -> None:
        self.pause = pause
        self.gate = asyncio.Event()
        payments = Payments(
            rails=(rail or HoldRail(max_credit=0),),
            quotes_per_minute=1000,
            sessions_per_minute=1000,
            transfers_per_minute=10_000,
        )
        self.node = Node("shop", key=key or KeyPair.generate(), payments=payments, **options)
        self.node.skill("greet")(self.greet)
        self.node.skill("words", offers=tuple(offers))(self.words)
        self.node.skill("stall", offers=tuple(offers))(self.stall)
        self.node.skill("recall", offers=tuple(offers))(self.recall)

    async def greet(self, _: IncomingAsk) -> AsyncIterator[str]:
        yield "Hello, world."

    async def words(self, _: IncomingAsk) -> AsyncIterator[str]:
        for word in WORDS:
            yield word
            await asyncio.sleep(self.pause)

    async def stall(self, _: IncomingAsk) -> AsyncIterator[str]:
        for word in WORDS[:10]:
            yield word
        await self.gate.wait()
        yield "done"

    async def recall(self, _: IncomingAsk) -> AsyncIterator[Item]:
        """Reads much more than it was asked."""
        yield Usage(input_tokens=800)
        for word in WORDS[:10]:
            yield Delta(text=word, output_tokens=1)
        yield Conclusion(usage=Usage(input_tokens=800, output_tokens=10))


def customer(folder: Path, *, key: KeyPair | None = None, **options: Any) -> Client:
    """Returns a client with a purse; its cards and its wallet are in a folder."""
    options = {"budget": BUDGET, "wallet": folder / "wallet.sqlite", **options}
    return Client(key or KeyPair.generate(), card_file=folder / "cards.sqlite", **options)


def wallet_in(folder: Path) -> Wallet:
    """Opens the wallet that `customer` keeps in a folder."""
    return Wallet.at(folder / "wallet.sqlite")


async def settled(client: Client) -> tuple[WalletSession, ...]:
    """Waits until no payment of a client goes on in the background, and returns its sessions."""
    payer = client._payer
    assert payer is not None
    couriers = payer._couriers.values()
    while pending := {*payer._tasks, *(one._task for one in couriers if one._task and not one._task.done())}:
        await asyncio.wait(pending)
    return await client.payments.sessions()
