"""A rail that does not answer holds up the ask alone that needs its money, and that one not for ever."""

import asyncio
from pathlib import Path

import pytest

from consilience.client import AnswerStream
from consilience.client.payments import deposits
from consilience.errors import DepositPendingError
from consilience.payments import Amount, Budget, DepositInstruction
from consilience.rails.contract import DepositOrder, Paid
from consilience.rails.hold import HoldPayer, HoldRail
from sdk.tests.client.payments.shops import COST, Shop, customer, settled, wallet_in


class SilentRail(HoldPayer):
    """Answers until it is told to be silent.

    Attributes:
        silent: Whether it says nothing.
        called: Set once it was called and said nothing.
        spoken: To be set for it to go on.
        paid: How many deposits it was told of.
    """

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__()
        self.silent = silent
        self.called = asyncio.Event()
        self.spoken = asyncio.Event()
        self.paid: set[bytes] = set()

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        self.paid.add(order.deposit_id)
        if self.silent:
            self.called.set()
            await self.spoken.wait()
        return await super().pay(order, instruction)


async def test_an_ask_for_which_there_is_money_does_not_wait_for_the_deposit_of_another(tmp_path: Path) -> None:
    rail, budget = SilentRail(), Budget(per_ask="1000 TEST/0", per_day="3000 TEST/0")
    async with (
        Shop().node.serving("127.0.0.1:0") as running,
        customer(tmp_path, rails=[rail], budget=budget) as client,
    ):
        await client.ask("?", node=running.address, skill="words", max_charge="200 TEST/0")
        await settled(client)
        rail.silent = True
        waiting = asyncio.create_task(client.ask("?", node=running.address, skill="words"))
        await asyncio.wait_for(rail.called.wait(), 10)
        answer = await client.ask("?", node=running.address, skill="words", max_charge="200 TEST/0")
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert answer.cost == Amount(COST, "TEST/0")


async def test_what_another_ask_takes_while_a_deposit_is_made_is_brought_as_well(tmp_path: Path) -> None:
    rail, budget = SilentRail(), Budget(per_ask="1000 TEST/0", per_day="10000 TEST/0")
    shop = Shop(rail=HoldRail(max_deposit=600))
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=[rail], budget=budget) as client:
        await client.ask("?", node=running.address, skill="words", max_charge="200 TEST/0")
        await settled(client)
        rail.silent = True
        waiting = client.stream("?", node=running.address, skill="words")
        large = asyncio.create_task(_read(waiting))
        await asyncio.wait_for(rail.called.wait(), 10)
        async with client.stream("?", node=running.address, skill="stall", max_charge="200 TEST/0"):
            rail.silent = False
            rail.spoken.set()
            await large
        intent = wallet_in(tmp_path).intent(waiting.request_id)
    assert intent is not None
    assert intent.ceiling == budget.per_ask.value
    assert len(rail.paid) == 3


async def _read(stream: AnswerStream) -> None:
    async with stream:
        await stream.final()


async def test_an_ask_whose_rail_says_nothing_ends_and_the_next_one_goes_on_with_its_deposit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deposits, "PAY_SECONDS", 0.2)
    rail = SilentRail(silent=True)
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=[rail]) as client:
        with pytest.raises(DepositPendingError):
            await client.ask("?", node=running.address, skill="words")
        monkeypatch.undo()
        rail.silent = False
        answer = await client.ask("?", node=running.address, skill="words")
    assert answer.cost == Amount(COST, "TEST/0")
    assert len(rail.paid) == 1
