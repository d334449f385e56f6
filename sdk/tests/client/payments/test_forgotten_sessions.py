"""A session that its node has lost ends in the wallet where its payer says so: it counts as spent, and gets no more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consilience.client import Client
from consilience.client.payments import WalletSession
from consilience.client.payments.desk import FORGOTTEN
from consilience.client.payments.sessions import LOST
from consilience.errors import (
    BudgetExceededError,
    DepositPendingError,
    SessionUnknownError,
    UnreachableError,
    UsageError,
)
from consilience.identity import KeyPair
from consilience.payments import Budget, SessionStatus, TransferStatus
from consilience.rails.hold import HoldRail
from consilience.units import utc_now
from sdk.tests.client.payments.shops import COST, Shop, customer, settled, wallet_in

TEST = "TEST/0"
BROUGHT = 1500


@dataclass
class Lives:
    """One node and one payer, over restarts of both; a life that names no database remembers nothing."""

    folder: Path
    node_key: KeyPair
    payer_key: KeyPair
    port: int = 0

    @asynccontextmanager
    async def life(
        self, store: str | None = None, *, rail: HoldRail | None = None
    ) -> AsyncIterator[tuple[str, Client]]:
        """Gives the address of the node while it runs, and a client of the payer."""
        kept: dict[str, Any] = {} if store is None else {"store": f"sqlite:///{self.folder}/{store}"}
        shop = Shop(key=self.node_key, rail=rail, **kept)
        async with shop.node.serving(f"127.0.0.1:{self.port}") as running, self.client() as client:
            self.port = running.port
            yield running.address, client

    def client(self) -> Client:
        return customer(self.folder, key=self.payer_key)


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    return Lives(tmp_path, KeyPair.generate(), KeyPair.generate())


async def buy(address: str, client: Client) -> WalletSession:
    """Asks, and returns the session out of which that is paid."""
    await client.ask("?", node=address, skill="words")
    return (await settled(client))[-1]


async def spent_today(client: Client) -> int:
    return (await client.payments.spent_today(TEST)).value


async def test_what_is_left_in_a_session_that_a_node_has_lost_is_told_and_let_go_of_on_purpose(lives: Lives) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
    async with lives.life() as (_, client):
        desk = client.payments
        for call in (desk.refresh, desk.close_session, desk.withdraw):
            with pytest.raises(SessionUnknownError) as error:
                await call(session_id)
            name = session_id.hex()[:12]
            assert f"{BROUGHT - COST} TEST are left in the session {name}" in str(error.value)
            assert f"`consilience sessions close {name} --forget`" in str(error.value)
        assert await spent_today(client) == COST
        for _ in range(2):
            ended = await desk.close_session(session_id, forget=True)
            assert (ended.trouble, await spent_today(client)) == (LOST, BROUGHT)
        with pytest.raises(SessionUnknownError, match=f"{BROUGHT - COST} TEST were left .* and count as spent"):
            await desk.close_session(session_id)
        assert len(await desk.receipts(session_id)) == 1
        assert all(check.passed for check in await desk.verify(session_id))


async def test_a_client_that_asks_at_a_node_that_has_lost_its_session_opens_another(lives: Lives) -> None:
    async with lives.life() as (address, client):
        lost = (await buy(address, client)).session_id
    async with lives.life() as (address, client):
        await buy(address, client)
        sessions = {one.session_id: one for one in await client.payments.sessions()}
        spent = await spent_today(client)
    first = sessions.pop(lost)
    (second,) = sessions.values()
    assert (first.trouble, first.spent, second.trouble, second.spent) == (LOST, COST, "", COST)
    assert spent == BROUGHT + COST


async def test_a_node_that_has_lost_the_budget_of_a_day_is_brought_nothing_more_on_it(lives: Lives) -> None:
    async with lives.life() as (address, client):
        lost = (await buy(address, client)).session_id
    budget = Budget(per_ask="500 TEST/0", per_day=f"{BROUGHT} TEST/0")
    async with lives.life() as (address, _), customer(lives.folder, key=lives.payer_key, budget=budget) as client:
        with pytest.raises(BudgetExceededError, match=f"of the day's {BROUGHT} TEST 0 TEST are left; nothing was sent"):
            await buy(address, client)
        (session,) = await client.payments.sessions()
    assert (session.session_id, session.trouble) == (lost, LOST)


async def test_a_node_that_denied_a_session_and_knows_it_again_is_paid_nothing_more_and_pays_back(lives: Lives) -> None:
    async with lives.life("books.db") as (address, client):
        before = await buy(address, client)
    async with lives.life() as (_, client):
        await client.payments.close_session(before.session_id, forget=True)
    async with lives.life("books.db") as (address, client):
        await buy(address, client)
        desk, sessions = client.payments, {one.session_id: one for one in await client.payments.sessions()}
        first = sessions.pop(before.session_id)
        (second,) = sessions.values()
        assert (first.authorized, first.spent, second.spent) == (before.authorized, COST, COST)
        with pytest.raises(UsageError, match="the session is not used any more"):
            await desk.deposit(first.session_id, amount=1)
        closed = await desk.close_session(first.session_id)
        back = await desk.withdraw(first.session_id)
        spent = await spent_today(client)
    assert closed.status is SessionStatus.CLOSED
    assert (back.amount, back.status) == (BROUGHT - COST, TransferStatus.SUCCEEDED)
    assert spent == BROUGHT + COST


async def test_what_is_left_in_a_closed_session_that_a_node_has_lost_counts_as_spent_once_it_is_let_go_of(
    lives: Lives,
) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
        await client.payments.close_session(session_id)
    async with lives.life() as (_, client):
        assert await spent_today(client) == COST
        ended = await client.payments.close_session(session_id, forget=True)
        assert (ended.status, ended.trouble, await spent_today(client)) == (SessionStatus.CLOSED, LOST, BROUGHT)


async def test_a_session_at_a_node_that_is_gone_is_let_go_of(lives: Lives) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
    async with lives.client() as client:
        with pytest.raises(UnreachableError):
            await client.payments.close_session(session_id)
        ended = await client.payments.close_session(session_id, forget=True)
        assert (ended.trouble, await spent_today(client)) == (FORGOTTEN, BROUGHT)


async def test_a_session_at_a_node_that_has_another_key_now_is_let_go_of(lives: Lives) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
    lives.node_key = KeyPair.generate()
    async with lives.life() as (_, client):
        ended = await client.payments.close_session(session_id, forget=True)
        assert (ended.trouble, await spent_today(client)) == (FORGOTTEN, BROUGHT)


async def test_a_session_that_its_node_knows_is_closed_and_nothing_of_it_is_lost(lives: Lives) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
        ended = await client.payments.close_session(session_id, forget=True)
        assert (ended.status, ended.trouble) == (SessionStatus.CLOSED, "")
        assert await spent_today(client) == COST


async def test_a_session_of_another_key_is_never_let_go_of(lives: Lives) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
        async with customer(lives.folder) as stranger:
            with pytest.raises(UsageError, match="the session belongs to the key"):
                await stranger.payments.close_session(session_id, forget=True)
        (session,) = await client.payments.sessions()
    assert (session.trouble, session.status) == ("", SessionStatus.OPEN)


async def test_closing_does_not_open_anew_what_a_node_has_lost_to_look_for_a_deposit(lives: Lives) -> None:
    async with lives.life() as (address, client):
        session_id = (await buy(address, client)).session_id
    wallet = wallet_in(lives.folder)
    wallet.transfers.begin_deposit(session_id, deposit_id=b"d" * 16, amount=100, now=utc_now())
    async with lives.life() as (_, client):
        with pytest.raises(SessionUnknownError):
            await client.payments.close_session(session_id)
        assert await spent_today(client) == COST


async def test_a_deposit_on_its_way_into_a_session_that_is_let_go_of_counts_as_spent(lives: Lives) -> None:
    rail = HoldRail(max_credit=0, grants=False)
    async with lives.life(rail=rail) as (address, client):
        with pytest.raises(DepositPendingError) as pending:
            await client.ask("?", node=address, skill="words")
    async with lives.life(rail=rail) as (_, client):
        await client.payments.close_session(pending.value.session_id, forget=True)
        assert await spent_today(client) == pending.value.amount
