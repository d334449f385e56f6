"""What comes of a deposit may be less than was sent: the client goes on with it, and the rest counts as spent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.errors import ProtocolError, UsageError
from consilience.payments import Account, Amount, DepositInstruction, TransferStatus
from consilience.rails.bank import BankRail
from consilience.rails.contract import Backed, DepositOrder, Paid
from consilience.tariffs import Backing, Rail
from consilience.units import PublicKey, utc_now
from consilience_conformance.peers.bank_conducts import Honest
from consilience_conformance.peers.banks import Bank
from sdk.tests.client.payments.shops import COST, OFFER, Shop, customer, settled, wallet_in

TEST = "TEST/0"
FEE = 3


class Teller:
    """Has the bank move money, of which it takes a fee for each deposit."""

    id = "conformance.bank"
    network = "test"
    sends_money = True

    def __init__(self, bank: Bank, *, fee: int) -> None:
        self.sent: dict[bytes, int] = {}
        self._bank = bank
        self._fee = fee

    def backed(self, offer: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:  # noqa: ARG002
        return Backed(backing=Backing.PREPAID, issuer=payee)

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:  # noqa: ARG002
        if order.deposit_id not in self.sent:
            self.sent[order.deposit_id] = order.amount
            self._bank.pay(order.session_id, order.deposit_id, amount=order.amount - self._fee)
        return Paid(status=TransferStatus.SUCCEEDED)

    async def check(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        return await self.pay(order, instruction)


@asynccontextmanager
async def dealing(folder: Path, *, fee: int) -> AsyncIterator[tuple[Client, Teller, str]]:
    """Yields a client of a shop that has its account at a bank, how the client pays, and where the shop is."""
    bank = Bank(Honest())
    async with bank.serving("127.0.0.1:0") as at:
        teller = Teller(bank, fee=fee)
        async with (
            Shop(rail=BankRail(address=at)).node.serving("127.0.0.1:0") as running,
            customer(folder, rails=[teller]) as client,
        ):
            yield client, teller, running.address


def spent_today(folder: Path) -> int:
    return wallet_in(folder).spent_on(utc_now().date(), asset=TEST)


async def test_the_rest_does_not_follow_a_first_deposit_that_comes_short(tmp_path: Path) -> None:
    async with dealing(tmp_path, fee=FEE) as (client, teller, shop):
        with pytest.raises(UsageError, match="of a first deposit of 20 TEST, 17 TEST came"):
            await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert list(teller.sent.values()) == [OFFER.window]
    assert session.is_usable
    assert session.available == OFFER.window - FEE
    assert spent_today(tmp_path) == FEE


async def test_who_asks_again_goes_on_with_what_is_credited(tmp_path: Path) -> None:
    async with dealing(tmp_path, fee=FEE) as (client, teller, shop):
        with pytest.raises(UsageError, match="came"):
            await client.ask("?", node=shop, skill="words")
        result = await client.ask("?", node=shop, skill="words")
        again = await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert (result.cost, again.cost) == (Amount(COST, TEST), Amount(COST, TEST))
    deposits = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert {one.status for one in deposits} == {TransferStatus.SUCCEEDED}
    assert len(deposits) == len(teller.sent) == 2
    assert session.available == sum(teller.sent.values()) - 2 * FEE == sum(one.amount for one in deposits)
    assert spent_today(tmp_path) == 2 * FEE + 2 * COST


async def test_a_node_that_takes_a_deposit_and_credits_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Account, "crediting", lambda account, _: account)
    async with dealing(tmp_path, fee=0) as (client, teller, shop):
        with pytest.raises(ProtocolError, match="the deposit succeeded and is not credited"):
            await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert not session.is_usable
    assert spent_today(tmp_path) == sum(teller.sent.values()) == OFFER.window
