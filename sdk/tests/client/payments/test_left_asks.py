"""Asks that are left before their end, or given up: what they cost is found out, and what they do not is free again."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.payments import PaymentStatus
from consilience.errors import AnswerTimeoutError, Stake, TransportError
from consilience.payments import Amount, Budget, DepositInstruction
from consilience.rails.contract import DepositOrder, Paid
from consilience.rails.hold import HoldPayer
from sdk.tests.client.payments.shops import COST, OFFER, Shop, customer, settled, wallet_in
from sdk.tests.client.wires import Proxy

TEST = "TEST/0"


async def test_leaving_early_finds_out_what_it_cost(client: Client, tmp_path: Path) -> None:
    async with Shop(pause=0.02).node.serving("127.0.0.1:0") as running:
        async with client.stream("?", node=running.address, skill="words") as stream:
            await anext(stream)
        (session,) = await settled(client)
    intent = wallet_in(tmp_path).intent(stream.request_id)
    assert intent is not None
    assert intent.status is PaymentStatus.PAID
    assert session.spent == intent.charge
    assert 0 < session.spent < COST


async def test_the_session_of_an_answer_that_was_left_is_used_again(client: Client) -> None:
    async with Shop(pause=0.02).node.serving("127.0.0.1:0") as running:
        for _ in range(3):
            async with client.stream("?", node=running.address, skill="words") as stream:
                await anext(stream)
        assert (await client.ask("?", node=running.address, skill="words")).cost == Amount(COST, TEST)
        sessions = await settled(client)
    assert len(sessions) == 1


async def test_a_time_out_says_how_much_may_have_been_paid(client: Client, tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        with pytest.raises(AnswerTimeoutError, match="the node may charge up to") as error:
            await client.ask("?", node=running.address, skill="stall", timeout=3)
        stake = error.value.stake
        (session,) = await settled(client)
    assert stake is not None
    assert stake.money_moved
    assert 0 < stake.metered <= session.spent <= stake.at_most


async def test_a_time_out_before_anything_was_sent_says_that_nothing_was_paid(client: Client) -> None:
    shop = Shop()
    async with Proxy() as proxy, shop.node.serving("127.0.0.1:0", advertise=[f"127.0.0.1:{proxy.port}"]) as running:
        proxy.target = running.port
        address = f"127.0.0.1:{proxy.port}"
        await client.ask("?", node=address, skill="words")
        await settled(client)
    with pytest.raises(Exception, match="nothing was paid for it"):
        await client.ask("?", node=address, skill="words", timeout=3)
    (session,) = await client.payments.sessions()
    assert (session.spent, session.running) == (COST, 0)


class SlowRail(HoldPayer):
    """Takes its time to say that it has paid.

    Attributes:
        paid: What was ordered, by the id of the deposit.
        seconds: How long it takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.paid: dict[bytes, int] = {}
        self.seconds = 60.0

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        self.paid[order.deposit_id] = order.amount
        await asyncio.sleep(self.seconds)
        return await super().pay(order, instruction)


async def test_a_time_out_while_a_deposit_is_made_says_that_it_may_be_on_its_way(tmp_path: Path) -> None:
    rail = SlowRail()
    async with customer(tmp_path, rails=[rail]) as client:
        async with Shop().node.serving("127.0.0.1:0") as running:
            for _ in range(2):
                with pytest.raises(AnswerTimeoutError, match="a deposit of 1500 TEST may be on its way") as error:
                    await client.ask("?", node=running.address, skill="words", timeout=2)
                stake = error.value.stake
                assert stake is not None
                assert (stake.money_moved, stake.deposit, stake.at_most) == (True, sum(rail.paid.values()), 0)
            rail.seconds = 0.0
            answer = await client.ask("?", node=running.address, skill="words")
            (session,) = await settled(client)
        assert answer.cost == Amount(COST, TEST)
        assert session.available == sum(rail.paid.values()) == 1500
        with pytest.raises(TransportError) as broken:
            await client.ask("?", node=running.address, skill="words", timeout=1)
        assert broken.value.stake == Stake(asset=TEST), "what has arrived is not on its way any more"


async def test_what_is_written_down_for_an_ask_that_was_given_up_meanwhile_is_let_go_of(
    tmp_path: Path, client: Client
) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        await client.ask("?", node=running.address, skill="words")
        await settled(client)
        with closing(sqlite3.connect(tmp_path / "wallet.sqlite", isolation_level=None)) as another_process:
            another_process.execute("BEGIN IMMEDIATE")
            with pytest.raises(AnswerTimeoutError):
                await client.ask("?", node=running.address, skill="words", timeout=0.2)
        (session,) = await settled(client)
        assert (session.running, session.promised) == (0, 0)
        assert await client.payments.spent_today(TEST) == Amount(COST, TEST)
        again = await client.ask("?", node=running.address, skill="words")
    assert again.cost == Amount(COST, TEST)


async def test_the_budget_of_a_day_that_an_ask_holds_which_nobody_reads_is_found_out_before_another_is_refused(
    tmp_path: Path,
) -> None:
    budget = Budget(per_ask="500 TEST/0", per_day="500 TEST/0")
    shop = Shop(offers=[replace(OFFER, window=500)])  # so that the node needs no voucher beyond the first
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        async with client.stream("?", node=running.address, skill="words") as stream:
            request_id = stream.detach()
        assert await client.payments.spent_today(TEST) == Amount(500, TEST)
        for _ in range(100):
            if (await client.get(request_id, node=running.address)).final is not None:
                break
            await asyncio.sleep(0.1)
        answer = await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        spent = await client.payments.spent_today(TEST)
    assert answer.cost == Amount(COST, TEST)
    assert spent.value == session.spent == 2 * COST
