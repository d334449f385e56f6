"""What a node refuses while a deposit is made: the error tells of the money, and a wait that is short is kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire import payments as wire
from consilience.client import Client
from consilience.errors import DepositInvalidError, DepositPendingError, LimitExceededError, RefusedError, Stake
from consilience.payments import Amount, TransferStatus
from sdk.tests.client.payments.scripted_shops import sell
from sdk.tests.client.payments.shops import customer, wallet_in
from sdk.tests.client.payments.test_takers import DEPOSIT, Taker
from sdk.tests.client.scripted_nodes import Call

TEST = "TEST/0"


@dataclass
class Refuser(Taker):
    """Refuses to confirm deposits, with one error after the other, before it confirms them."""

    refusals: list[RefusedError] = field(default_factory=list)
    claims: bool = False

    async def _open(self, call: Call) -> bytes:
        """Claims, when told to, that the deposit has come, and tells of a session in which nothing is."""
        response = await super()._open(call)
        return wire.encode_opened(self.state()) if self.claims else response

    async def _confirm(self, call: Call) -> bytes:
        if self.refusals:
            raise self.refusals.pop(0)
        return await super()._confirm(call)


@asynccontextmanager
async def refused(folder: Path, *refusals: RefusedError) -> AsyncIterator[tuple[Client, Refuser]]:
    """Yields a client and a node that refuses its deposits so often."""
    shop = Refuser(on_ask=sell, refusals=list(refusals))
    async with shop, customer(folder, rails=[shop.rail]) as client:
        yield client, shop


async def test_a_refusal_of_a_deposit_tells_that_money_may_be_on_its_way(tmp_path: Path) -> None:
    async with refused(tmp_path, DepositInvalidError("the proof does not hold")) as (client, shop):
        with pytest.raises(DepositInvalidError, match="a deposit of 1500 TEST may be on its way") as error:
            await client.ask("?", node=shop.address)
        answer = await client.ask("?", node=shop.address)
    assert error.value.stake == Stake(asset=TEST, deposit=DEPOSIT)
    assert answer.cost == Amount(30, TEST)
    assert list(shop.rail.paid.values()) == [DEPOSIT]


async def test_who_is_told_to_come_back_soon_with_a_deposit_does(tmp_path: Path) -> None:
    later = LimitExceededError("too many transfers", retry_after=timedelta(seconds=0.2))
    async with refused(tmp_path, later, later) as (client, shop):
        answer = await client.ask("?", node=shop.address, timeout=60)
    assert answer.cost == Amount(30, TEST)
    assert list(shop.rail.paid.values()) == [DEPOSIT]


async def test_who_is_told_to_come_back_after_its_time_out_is_told_so_at_once(tmp_path: Path) -> None:
    later = LimitExceededError("too many transfers", retry_after=timedelta(minutes=5))
    async with refused(tmp_path, later) as (client, shop):
        with pytest.raises(LimitExceededError) as error:
            await client.ask("?", node=shop.address, timeout=60)
    assert error.value.stake == Stake(asset=TEST, deposit=DEPOSIT)


async def test_a_deposit_that_the_node_says_has_failed_is_let_go_of_with_its_session_and_counts_as_spent(
    tmp_path: Path,
) -> None:
    async with refused(tmp_path) as (client, shop):
        shop.confirmed = TransferStatus.FAILED
        with pytest.raises(DepositPendingError, match=r"the node says that it failed.*consilience sessions close"):
            await client.ask("?", node=shop.address)
        (session,) = await client.payments.sessions()
        before = await client.payments.spent_today(TEST)
        for _ in range(2):
            await client.payments.close_session(session.session_id)
            after = await client.payments.spent_today(TEST)
            assert after == Amount(DEPOSIT, TEST)
    assert before == Amount(0, TEST)
    (deposit,) = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert deposit.status is TransferStatus.FAILED


async def test_a_session_is_closed_whatever_its_node_claims_of_a_deposit(tmp_path: Path) -> None:
    async with refused(tmp_path, DepositInvalidError("the proof does not hold")) as (client, shop):
        with pytest.raises(DepositInvalidError):
            await client.ask("?", node=shop.address)
        shop.claims = True
        (session,) = await client.payments.sessions()
        closed = await client.payments.close_session(session.session_id)
        spent = await client.payments.spent_today(TEST)
    assert "is not credited" in closed.trouble
    assert spent == Amount(DEPOSIT, TEST)
