"""Money comes into sessions and back out of them, each time once, by the rail of promises."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import to_bytes
from consilience.calls import MAX_CLOCK_SKEW
from consilience.client.payments.sessions import MOST_ASKS_PER_DEPOSIT
from consilience.client.payments.wallet_rows import WalletTransfer
from consilience.envelopes import Envelope
from consilience.errors import DepositInvalidError, DepositPendingError, UsageError, WithdrawalInvalidError
from consilience.identity import KeyPair
from consilience.payments import Amount, Budget, DepositInstruction, TransferStatus
from consilience.payments.costs import MAX_AMOUNT
from consilience.rails.contract import DepositOrder, Paid
from consilience.rails.hold import DEPOSIT_TIME, GRANT_LIFETIME, HoldPayer, HoldRail, issue_hold
from consilience.tariffs import Backing
from consilience.units import utc_now
from sdk.tests.client.payments.shops import BUDGET, COST, Shop, customer, settled, wallet_in

TEST = "TEST/0"


class ForgetfulRail(HoldPayer):
    """Pays, and is cut off before it can say so: once, as often as it is told."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.orders: list[DepositOrder] = []
        self._times = times

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        self.orders.append(order)
        if len(self.orders) <= self._times:
            return Paid(status=TransferStatus.PENDING)
        return await super().pay(order, instruction)


async def test_a_deposit_is_made_for_several_asks_and_within_the_budget_of_a_day(tmp_path: Path) -> None:
    budget = Budget(per_ask="200 TEST/0", per_day="900 TEST/0")
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
    assert session.terms.value.backing is Backing.PREPAID
    assert session.available == 600


async def test_many_asks_at_once_need_few_deposits(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await asyncio.gather(*(client.ask("?", node=running.address, skill="words") for _ in range(15)))
        (session,) = await settled(client)
    amounts = [deposit.amount for deposit in wallet_in(tmp_path).transfers.deposits(session.session_id)]
    assert sorted(amounts)[:3] == [1500, 1500, 3000]
    assert len(amounts) <= 4
    assert session.spent == 15 * COST


async def test_what_was_paid_back_makes_no_deposit_larger(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        for _ in range(4):
            await client.ask("?", node=running.address, skill="words")
            (session,) = await settled(client)
            await client.payments.withdraw(session.session_id)
    amounts = [deposit.amount for deposit in wallet_in(tmp_path).transfers.deposits(session.session_id)]
    assert amounts == [3 * BUDGET.per_ask.value] * len(amounts)
    assert len(amounts) > 2


async def test_deposits_double_up_to_a_bound_where_a_day_has_none(tmp_path: Path) -> None:
    budget = Budget(per_ask="500 TEST/0", per_day=Amount(MAX_AMOUNT, TEST))
    shop = Shop()
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        async with AsyncExitStack() as stack:
            for _ in range(25):  # all of them run at one time, each at its ceiling
                await stack.enter_async_context(client.stream("?", node=running.address, skill="stall"))
            shop.gate.set()
        (session,) = await client.payments.sessions()
    amounts = [deposit.amount for deposit in wallet_in(tmp_path).transfers.deposits(session.session_id)]
    assert sorted(amounts) == [1500, 1500, 3000, 6000, MOST_ASKS_PER_DEPOSIT * 500]


async def test_the_bounds_of_the_rail_are_kept(tmp_path: Path) -> None:
    rail = HoldRail(min_deposit=100, max_deposit=550)
    async with Shop(rail=rail).node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        for _ in range(4):
            await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
    amounts = [deposit.amount for deposit in wallet_in(tmp_path).transfers.deposits(session.session_id)]
    assert session.available == sum(amounts)
    assert max(amounts) <= 550
    assert len(amounts) > 1


async def test_a_deposit_that_the_rail_knows_nothing_of_yet_goes_on_and_is_not_made_again(tmp_path: Path) -> None:
    rail = ForgetfulRail(times=2)
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=[rail]) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
    assert len({(order.deposit_id, order.amount) for order in rail.orders}) == 1
    (deposit,) = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert deposit.status is TransferStatus.SUCCEEDED
    assert session.available == deposit.amount


async def test_a_deposit_that_was_begun_before_a_crash_goes_on(tmp_path: Path) -> None:
    key = KeyPair.generate()
    async with Shop().node.serving("127.0.0.1:0") as running:
        async with customer(tmp_path, key=key, rails=[ForgetfulRail(times=99)]) as client:
            with pytest.raises(DepositPendingError):
                await client.ask("?", node=running.address, skill="words")
        async with customer(tmp_path, key=key) as client:
            await client.ask("?", node=running.address, skill="words")
            (session,) = await settled(client)
    (deposit,) = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert deposit.status is TransferStatus.SUCCEEDED
    assert session.available == deposit.amount


async def test_a_hold_that_has_expired_since_a_crash_is_asked_for_anew(tmp_path: Path) -> None:
    key, ahead = KeyPair.generate(), timedelta(0)
    shop = Shop(clock=lambda: utc_now() + ahead)
    async with shop.node.serving("127.0.0.1:0") as running:
        async with customer(tmp_path, key=key, rails=[ForgetfulRail(times=99)]) as client:
            with pytest.raises(DepositPendingError):
                await client.ask("?", node=running.address, skill="words")
        ahead = 2 * GRANT_LIFETIME
        async with customer(tmp_path, key=key, clock=lambda: utc_now() + ahead) as client:
            result = await client.ask("?", node=running.address, skill="words")
            (session,) = await settled(client)
    assert result.cost == Amount(COST, TEST)
    deposits = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert sorted(deposit.status for deposit in deposits) == [TransferStatus.SUCCEEDED, TransferStatus.FAILED]
    assert session.available == 1500


def hold_for(wanted: DepositPendingError, *, issuer: KeyPair, now: datetime) -> Envelope:
    """Returns a promise of an hour for a deposit that has not arrived."""
    return issue_hold(
        issuer=issuer,
        session_id=wanted.session_id,
        deposit_id=wanted.deposit_id,
        amount=wanted.amount,
        expire_time=now + timedelta(hours=1),
    ).envelope


async def test_who_has_no_hold_yet_is_told_for_what_to_get_one(tmp_path: Path) -> None:
    key, rail = KeyPair.generate(), HoldPayer()
    shop = Shop(rail=HoldRail(grants=False), key=key)
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=[rail]) as client:
        with pytest.raises(DepositPendingError, match="a deposit of 1500 TEST has not arrived") as error:
            await client.ask("?", node=running.address, skill="words")
        rail.take(hold_for(error.value, issuer=key, now=utc_now()))
        result = await client.ask("?", node=running.address, skill="words")
    assert result.cost == Amount(COST, TEST)


async def test_a_deposit_for_which_no_hold_came_in_its_time_is_followed_by_another(tmp_path: Path) -> None:
    key, ahead = KeyPair.generate(), timedelta(0)
    shop = Shop(rail=HoldRail(grants=False), key=key, clock=lambda: utc_now() + ahead)
    async with (
        shop.node.serving("127.0.0.1:0") as running,
        customer(tmp_path, clock=lambda: utc_now() + ahead) as client,
    ):
        with pytest.raises(DepositPendingError) as first:
            await client.ask("?", node=running.address, skill="words")
        ahead = DEPOSIT_TIME + 2 * MAX_CLOCK_SKEW
        await running.tend()
        with pytest.raises(DepositPendingError) as second:
            await client.ask("?", node=running.address, skill="words")
        wanted = second.value
        hold = hold_for(wanted, issuer=key, now=utc_now() + ahead)
        session = await client.payments.take_hold(to_bytes(hold))
    assert wanted.deposit_id != first.value.deposit_id
    assert session.available == wanted.amount
    deposits = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert sorted(deposit.status for deposit in deposits) == [TransferStatus.SUCCEEDED, TransferStatus.FAILED]


async def test_escrow_is_paid_with_the_hold_of_its_issuer(tmp_path: Path) -> None:
    issuer = KeyPair.generate()

    async def source(order: DepositOrder) -> object:
        return issue_hold(
            issuer=issuer,
            session_id=order.session_id,
            deposit_id=order.deposit_id,
            amount=order.amount,
            expire_time=utc_now() + timedelta(hours=1),
        ).envelope

    rail = HoldPayer(issuers=[issuer.public_key], prepaid=False, source=source)  # type: ignore[arg-type]
    shop = Shop(rail=HoldRail(issuers=(issuer.public_key,)))
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=[rail]) as client:
        result = await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
    assert result.cost == Amount(COST, TEST)
    assert (session.terms.value.backing, session.terms.value.issuer) == (Backing.ESCROW, issuer.public_key)
    assert session.acknowledged == 1


async def test_a_node_that_takes_large_deposits_alone_is_not_paid_beyond_the_budget_of_a_day(tmp_path: Path) -> None:
    budget = Budget(per_ask="200 TEST/0", per_day="900 TEST/0")
    rail = HoldRail(min_deposit=1000)
    async with Shop(rail=rail).node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        with pytest.raises(UsageError, match="deposits from 1000 TEST on"):
            await client.ask("?", node=running.address, skill="words")
        assert [session.available for session in await client.payments.sessions()] == [0]


async def test_what_is_left_of_a_closed_session_comes_back_once(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        await client.payments.close_session(session.session_id)
        back = await client.payments.withdraw(session.session_id)
        with pytest.raises(UsageError, match=r"^there is nothing to pay out$"):
            await client.payments.withdraw(session.session_id)
        (ended,) = await client.payments.sessions()
    assert (back.status, back.amount) == (TransferStatus.SUCCEEDED, 1500 - COST)
    assert back.detail is not None
    assert ended.available == COST


@pytest.mark.parametrize("amount", [0, -5])
async def test_only_an_amount_above_zero_can_be_withdrawn(tmp_path: Path, amount: int) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        with pytest.raises(UsageError, match=f"^{amount} TEST is no amount to pay out$"):
            await client.payments.withdraw(session.session_id, amount=amount)


async def test_no_more_can_be_withdrawn_than_is_there(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        with pytest.raises(WithdrawalInvalidError, match=r"^1501 TEST is more than the \d+ TEST that can be"):
            await client.payments.withdraw(session.session_id, amount=1501)
        part = await client.payments.withdraw(session.session_id, amount=100)
    refused, _ = sorted(wallet_in(tmp_path).transfers.withdrawals(session.session_id), key=lambda one: -one.amount)
    assert part.status is TransferStatus.SUCCEEDED
    assert refused.status is TransferStatus.FAILED


async def test_a_deposit_that_the_node_does_not_take_is_over(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        with pytest.raises(DepositInvalidError):
            await client.payments.deposit(session.session_id, amount=10**9)
        more = await client.payments.deposit(session.session_id, amount=10)
    assert more.available == session.available + 10


async def test_a_withdrawal_that_was_begun_before_a_crash_goes_on(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        wallet = wallet_in(tmp_path)
        wallet.transfers.begin_withdrawal(session.session_id, withdrawal_id=b"w" * 16, amount=100, now=utc_now())
        first: WalletTransfer = await client.payments.withdraw(session.session_id, amount=100)
        (ended,) = await client.payments.sessions()
    assert (first.transfer_id, first.status) == (b"w" * 16, TransferStatus.SUCCEEDED)
    assert ended.available == 1400
    assert len(wallet.transfers.withdrawals(session.session_id)) == 1


async def test_a_statement_tells_all_that_happened_and_adds_up(tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        for _ in range(2):
            await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        await client.payments.withdraw(session.session_id, amount=100)
        statement = await client.payments.statement(session.session_id)
    assert [line.kind for line in statement.lines] == ["deposit", "charge", "charge", "withdrawal"]
    assert [line.amount.value for line in statement.lines] == [1500, COST, COST, 100]
    header, *rows = statement.to_csv().splitlines()
    assert header.startswith("time,kind,amount,asset,units,spent,number,skill,outcome")
    assert rows[2].split(",")[1:9] == ["charge", str(COST), TEST, str(COST), str(2 * COST), "2", "words", "ANSWERED"]
