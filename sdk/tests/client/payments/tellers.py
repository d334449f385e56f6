"""Banks that move the money of a client to the shop it deals with, for a fee."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from consilience.client import Client
from consilience.payments import DepositInstruction, TransferStatus
from consilience.rails.bank import BankRail
from consilience.rails.contract import Backed, DepositOrder, Paid
from consilience.tariffs import Backing, Rail
from consilience.units import PublicKey
from consilience_conformance.peers.bank_conducts import Honest
from consilience_conformance.peers.banks import Bank
from sdk.tests.client.payments.shops import Shop, customer


class Teller:
    """Has the bank move money, of which it takes a fee for each deposit."""

    id = "conformance.bank"
    network = "test"
    sends_money = True

    def __init__(self, bank: Bank, *, fee: int) -> None:
        self.sent: dict[bytes, int] = {}
        self._bank = bank
        self.fee = fee

    def backed(self, offer: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:  # noqa: ARG002
        return Backed(backing=Backing.PREPAID, issuer=payee)

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:  # noqa: ARG002
        if order.deposit_id not in self.sent:
            self.sent[order.deposit_id] = order.amount
            self._bank.pay(order.session_id, order.deposit_id, amount=order.amount - self.fee)
        return Paid(status=TransferStatus.SUCCEEDED)

    async def check(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        return await self.pay(order, instruction)


@asynccontextmanager
async def dealing(folder: Path, *, fee: int, **shop: Any) -> AsyncIterator[tuple[Client, Teller, str]]:
    """Yields a client of a shop that has its account at a bank, how the client pays, and where the shop is."""
    bank = Bank(Honest())
    async with bank.serving("127.0.0.1:0") as at:
        teller = Teller(bank, fee=fee)
        async with (
            Shop(rail=BankRail(address=at), **shop).node.serving("127.0.0.1:0") as running,
            customer(folder, rails=[teller]) as client,
        ):
            yield client, teller, running.address
