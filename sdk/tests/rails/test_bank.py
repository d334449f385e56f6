"""The rail conformance.bank over the bank of the judge, a real server: it keeps the contract of rails."""

# ruff: noqa: ARG002 - a rail is handed more than each needs

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from consilience.errors import UsageError
from consilience.payments import DepositInstruction, SessionTerms, TransferStatus
from consilience.rails.bank import BankPayee, BankRail, name_of
from consilience.rails.contract import (
    FAILED,
    PENDING,
    Backed,
    DepositOrder,
    Paid,
    PayeeRail,
    PayerRail,
    PayoutOrder,
    RailSilentError,
    Standing,
)
from consilience.tariffs import Backing, Rail
from consilience.testing import RailUnderTest, check_rail
from consilience.units import EncodedAny, PublicKey
from consilience_conformance.peers.bank_conducts import FailingPayouts, Honest, OutOfOrder, PendingForEver, Silent
from consilience_conformance.peers.banks import Bank, Conduct
from sdk.tests.rails.promises import NOW, PAYEE, Keys, deposit_order, payout_order, terms

SUCCEEDED = TransferStatus.SUCCEEDED


@dataclass
class Desk:
    """A bank that is served, and where."""

    bank: Bank
    address: str

    def payee(self) -> BankPayee:
        return BankRail(address=self.address).payee(Keys())

    def deal(self, order: DepositOrder | PayoutOrder, conduct: Conduct) -> None:
        self.bank.deal(order.session_id, conduct)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    bank = Bank(Honest())
    async with bank.serving("127.0.0.1:0") as address:
        yield Desk(bank, address)


class Teller:
    """Is the side of the client: the tester, who plays the bank itself."""

    id = "conformance.bank"
    network = "test"
    sends_money = True

    def __init__(self, desk: "UnderTest") -> None:
        self._desk = desk

    def backed(self, offer: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:
        return Backed(backing=Backing.PREPAID, issuer=payee)

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        if self._desk.away:
            return Paid(status=TransferStatus.PENDING)
        (transfer,) = self._desk.bank.about(order.session_id, order.deposit_id)
        if not transfer.moved:
            self._desk.bank.pay(order.session_id, order.deposit_id, amount=order.amount)
        return Paid(status=SUCCEEDED)

    async def check(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        return Paid(status=TransferStatus.PENDING)

    def destination(self, terms: SessionTerms) -> EncodedAny | None:
        return None


class UnderTest(RailUnderTest):
    """The rail under test; in an outage it calls where nobody serves."""

    def __init__(self, desk: Desk) -> None:
        self.bank = desk.bank
        self.away = False
        self._address = desk.address

    @property
    def node_id(self) -> PublicKey:
        return PAYEE.public_key

    def payee(self) -> PayeeRail:
        return BankRail(address="127.0.0.1:1" if self.away else self._address).payee(Keys())

    def payer(self) -> PayerRail:
        return Teller(self)

    def received(self, order: PayoutOrder, *, told: Sequence[Standing]) -> int:
        return sum(one.moved for one in self.bank.about(order.session_id, order.withdrawal_id))

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        self.away = True
        yield
        self.away = False


async def test_it_keeps_the_contract(desk: Desk) -> None:
    await check_rail(UnderTest(desk), clock=lambda: NOW)


async def look(payee: BankPayee, order: DepositOrder, *, at: datetime = NOW) -> Standing:
    return await payee.check_deposit(order, rail_ref=b"", proof=None, credited=False, now=at)


@pytest.mark.parametrize("conduct", [PendingForEver, Silent, OutOfOrder])
async def test_what_the_bank_does_not_tell_is_pending(desk: Desk, conduct: type) -> None:
    deposit, payout = deposit_order(terms()), payout_order(terms())
    await desk.payee().start_deposit(deposit, now=NOW)
    for order in (deposit, payout):
        desk.deal(order, conduct())
    desk.bank.pay(deposit.session_id, deposit.deposit_id, amount=7)
    assert (await look(desk.payee(), deposit)).status is TransferStatus.PENDING
    assert (await desk.payee().start_payout(payout, now=NOW)).status is TransferStatus.PENDING
    for order in (deposit, payout):
        desk.deal(order, Honest())
    assert (await look(desk.payee(), deposit)).amount == 7
    assert (await desk.payee().check_payout(payout, now=NOW)).status is SUCCEEDED
    (paid,) = desk.bank.about(payout.session_id)
    assert paid.moved == payout.amount


async def test_a_deposit_that_the_bank_does_not_start_is_not_started(desk: Desk) -> None:
    order = deposit_order(terms())
    desk.deal(order, OutOfOrder())
    with pytest.raises(RailSilentError, match="did not start"):
        await desk.payee().start_deposit(order, now=NOW)
    desk.deal(order, Honest())
    started = await desk.payee().start_deposit(order, now=NOW)
    assert started.rail_ref == b"conformance.bank:" + name_of(order)


async def test_a_deposit_of_which_the_bank_knows_nothing_is_pending(desk: Desk) -> None:
    assert await look(desk.payee(), deposit_order(terms())) is PENDING


async def test_a_payout_that_the_bank_fails_has_failed(desk: Desk) -> None:
    order = payout_order(terms())
    desk.deal(order, FailingPayouts())
    assert await desk.payee().start_payout(order, now=NOW) == FAILED


async def test_a_name_stands_for_one_transfer(desk: Desk) -> None:
    signed = terms()
    order = payout_order(signed, amount=40)
    other = PayoutOrder(session_id=order.session_id, terms=order.terms, withdrawal_id=order.withdrawal_id, amount=41)
    assert (await desk.payee().start_payout(order, now=NOW)).status is SUCCEEDED
    assert await desk.payee().start_payout(other, now=NOW) is PENDING
    names = {name_of(one) for one in (order, payout_order(signed), deposit_order(signed), payout_order(terms()))}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"address": "bank.example:7350"}, "the address of a bank on this machine"),
        ({"address": "127.0.0.1"}, "the address of a bank on this machine"),
        ({"assets": ("EURO",)}, "the ids of the assets"),
        ({"assets": ()}, "the ids of the assets"),
        ({"min_deposit": 9, "max_deposit": 8}, "the bounds"),
        ({"min_deposit": -1}, "the bounds"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        BankRail(**{"address": "127.0.0.1:7350", **settings})
