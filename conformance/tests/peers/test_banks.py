"""No rail that cheats, and no payer in league with it, robs a node; what a payer has paid it has, once it is told."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from grpc import aio

from conformance.tests.peers.test_thieves import authority_of
from consilience import Budget, Client
from consilience.client.payments import deposits
from consilience.errors import DepositPendingError, NodeFaultError
from consilience.identity import KeyPair
from consilience.payments import DepositInstruction, SessionTerms, TransferStatus
from consilience.rails.bank import BankRail
from consilience.rails.contract import Backed, DepositOrder, Paid
from consilience.server import IncomingAsk, Node, RunningNode
from consilience.server.payments import Offer, Payments
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import EncodedAny, PublicKey
from consilience_conformance.peers.bank_conducts import HOSTILE, Honest, LateSuccess, Silent
from consilience_conformance.peers.bank_thieves import DEPOSIT_WINDOWS, BankThief, bank_thief_at
from consilience_conformance.peers.banks import Bank, Conduct
from consilience_conformance.peers.places import PlaceError

WINDOW = 20
PAID = DEPOSIT_WINDOWS * WINDOW
TARIFF = Tariff(
    id="words",
    asset="TEST/0",
    prices=(UnitPrice(unit=PricedUnit.REQUEST, price=2), UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1)),
)


@asynccontextmanager
async def shop(bank: str, *, store: str | None = None, key: KeyPair | None = None) -> AsyncIterator[RunningNode]:
    """Serves a node that sells words, and is paid at a bank."""
    payments = Payments(rails=(BankRail(address=bank),), quotes_per_minute=1000, sessions_per_minute=1000)
    node = Node("shop", key=key or KeyPair.generate(), payments=payments, store=store)
    offer = Offer(tariff=TARIFF, window=WINDOW, max_charge=1000, hold_open=timedelta(seconds=1))

    @node.skill("words", offers=[offer])
    async def words(_: IncomingAsk) -> AsyncIterator[str]:
        for number in range(30):
            yield f"word{number:02} "

    async with node.serving("127.0.0.1:0") as running:
        yield running


@asynccontextmanager
async def robbed(conduct: Conduct) -> AsyncIterator[tuple[BankThief, RunningNode]]:
    """Yields a thief with a bank of this conduct, and the node."""
    bank = Bank(conduct)
    async with (
        bank.serving("127.0.0.1:0") as address,
        shop(address) as running,
        bank_thief_at(authority_of(running), bank=bank, skill_id="words") as thief,
    ):
        yield thief, running


UNTOLD = {"pending-for-ever", "late-success", "silent", "out-of-order"}
"""The banks that do not tell the node of the deposit: it lies with them until they do."""


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_bank_that_cheats_with_deposits_robs_no_node(name: str) -> None:
    async with robbed(HOSTILE[name]()) as (thief, _):
        paid = await thief.deposits_once_and_claims_twice()
        await thief.spends_what_it_can()
        await thief.withdraws_again_and_again()
        state = await thief.settled()
        assert thief.sent == PAID
        assert thief.loss_of_the_node == 0
        assert thief.loss_of_the_payer(state) == (PAID if name in UNTOLD else 0)
        assert state.deposited == (0 if name in UNTOLD else PAID)

        thief.bank.deal(thief.session_id, Honest())
        await thief.open_deposit(paid, amount=PAID)
        await asyncio.gather(*(thief.confirm(paid, shown=number) for number in range(8)))
        await thief.spends_what_it_can()
        state = await thief.settled()
        assert state.deposited == PAID, "what was late is credited once"
        assert 0 < thief.loot <= thief.sent
        assert thief.loss_of_the_node == 0
        assert thief.loss_of_the_payer(state) == 0


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_bank_that_cheats_with_payouts_robs_neither_side(name: str) -> None:
    async with robbed(Honest()) as (thief, _):
        await thief.deposits_once_and_claims_twice()
        thief.bank.deal(thief.session_id, HOSTILE[name]())
        await thief.spends_what_it_can()
        await thief.withdraws_again_and_again()
        await thief.spends_what_it_can()
        state = await thief.settled()
        payouts = [one for one in thief.bank.about(thief.session_id) if not one.comes]
        assert payouts
        assert thief.loot > 0
        assert thief.loss_of_the_node == 0
        assert thief.loss_of_the_payer(state) == 0
        assert thief.got_back == (0 if name == "failing-payouts" else state.withdrawn)

        thief.bank.deal(thief.session_id, Honest())
        for payout in payouts:
            await asyncio.gather(
                *(thief.withdraw(payout.order.transfer_id, amount=payout.order.amount) for _ in range(4))
            )
        await thief.withdraws_again_and_again()
        state = await thief.settled()
        assert thief.got_back == state.withdrawn, "a payout that is asked for again is paid once"
        assert thief.loss_of_the_node == 0
        assert thief.loss_of_the_payer(state) == 0


async def test_one_payment_opens_no_purse_of_another_payer() -> None:
    async with robbed(HOSTILE["one-payment-for-all"]()) as (payer, running):
        await payer.deposits_once_and_claims_twice()
        async with bank_thief_at(authority_of(running), bank=payer.bank, skill_id="words") as other:
            await other.deposits_once_and_claims_twice()
            other_state = await other.state()
            await other.spends_what_it_can()
            # What it paid was told as the payment of the other one, so it has nothing until the bank tells of its own.
            assert (other.sent, other_state.deposited, other.loot) == (PAID, 0, 0)
            assert payer.loss_of_the_node == other.loss_of_the_node == 0


@pytest.mark.parametrize("name", ["new-references", "late-success"])
async def test_a_payment_of_which_the_look_of_the_node_and_the_payer_learn_at_once_counts_once(name: str) -> None:
    conduct = HOSTILE[name]()
    async with robbed(conduct) as (thief, running):
        deposit_id = b"d" * 16
        await thief.open_deposit(deposit_id, amount=PAID)
        thief.bank.pay(thief.session_id, deposit_id, amount=PAID)
        if isinstance(conduct, LateSuccess):
            conduct.late = True
        await asyncio.gather(running.tend(), *(thief.confirm(deposit_id, shown=number) for number in range(8)))
        assert (await thief.state()).deposited == PAID


async def test_a_node_that_was_away_learns_by_itself_of_what_came_and_pays_nothing_twice(tmp_path: Path) -> None:
    bank, key, store = Bank(Silent()), KeyPair.generate(), f"sqlite:///{tmp_path / 'shop.db'}"
    deposit_id, withdrawal_id = b"d" * 16, b"w" * 16
    async with bank.serving("127.0.0.1:0") as address:
        async with (
            shop(address, store=store, key=key) as running,
            bank_thief_at(authority_of(running), bank=bank, skill_id="words") as thief,
        ):
            bank.deal(thief.session_id, Honest())
            for one in (b"f" * 16, deposit_id):
                await thief.open_deposit(one, amount=PAID)
            bank.pay(thief.session_id, b"f" * 16, amount=PAID)
            await thief.confirm(b"f" * 16)
            bank.deal(thief.session_id, Silent())
            bank.pay(thief.session_id, deposit_id, amount=PAID)
            await asyncio.gather(thief.confirm(deposit_id), thief.withdraw(withdrawal_id, amount=PAID))
            before = await thief.state()
        assert (before.deposited, before.withdrawn, thief.got_back) == (PAID, PAID, PAID)
        bank.deal(thief.session_id, Honest())
        async with (
            shop(address, store=store, key=key) as running,
            aio.insecure_channel(authority_of(running)) as thief.channel,
        ):
            while (after := await thief.state()).deposited == PAID:  # noqa: ASYNC110 - a node tells it to whoever asks
                await asyncio.sleep(0.02)
        assert (after.deposited, after.withdrawn, thief.got_back) == (2 * PAID, PAID, PAID)
        assert len([one for one in bank.about(thief.session_id) if not one.comes]) == 1


class BankPayer:
    """Pays the deposits of our client at a bank."""

    id = "conformance.bank"
    network = "test"
    sends_money = True

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.orders: dict[bytes, DepositOrder] = {}

    @property
    def sent(self) -> int:
        return sum(order.amount for order in self.orders.values())

    def backed(self, _: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:  # noqa: ARG002 - as the contract names them
        return Backed(backing=Backing.PREPAID, issuer=payee)

    async def pay(self, order: DepositOrder, _: DepositInstruction) -> Paid:
        if self.orders.setdefault(order.deposit_id, order) is order:
            self._bank.pay(order.session_id, order.deposit_id, amount=order.amount)
        return Paid(status=TransferStatus.SUCCEEDED)

    async def check(self, order: DepositOrder, _: DepositInstruction) -> Paid:
        known = order.deposit_id in self.orders
        return Paid(status=TransferStatus.SUCCEEDED if known else TransferStatus.PENDING)

    def destination(self, _: SessionTerms) -> EncodedAny | None:
        return None


@pytest.mark.parametrize("name", sorted(UNTOLD))
async def test_our_client_loses_a_window_at_the_most_by_a_bank_that_does_not_tell(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deposits, "PAUSES_SECONDS", ())
    bank = Bank(HOSTILE[name]())
    payer, budget = BankPayer(bank), Budget(per_ask="500 TEST/0", per_day="10000 TEST/0")
    async with (
        bank.serving("127.0.0.1:0") as address,
        shop(address) as running,
        Client(wallet=tmp_path / "wallet.db", budget=budget, rails=[payer]) as client,
    ):
        node = authority_of(running)
        for _ in range(3):
            with pytest.raises((DepositPendingError, NodeFaultError)):
                await client.ask("?", node=node, timeout=5)
        (session,) = await client.payments.sessions()
        assert session.state is not None
        assert session.state.value.deposited == 0
        assert payer.sent == (0 if name in {"silent", "out-of-order"} else WINDOW), (
            "a bank that starts no deposit cannot be paid"
        )

        bank.deal(session.session_id, Honest())
        answer = await client.ask("?", node=node)
        (session,) = await client.payments.sessions()
        assert session.state is not None
        assert answer.cost is not None
        assert session.state.value.deposited == payer.sent > WINDOW, "what was late is credited, and the rest follows"
        assert session.spent == answer.cost.value


async def test_a_bank_is_served_where_nothing_else_is() -> None:
    async with Bank(Honest()).serving("127.0.0.1:0") as address:
        with pytest.raises(PlaceError, match=re.escape(address)):
            async with Bank(Honest()).serving(address):
                pass
