"""Deposits at the bank that the judge plays: what the driver of a check pays, looks at and takes back there.

Example::

    async def drive(stage: Stage) -> None:
        one = await begun(new_deposit(stage), "open")
        one.pay()
        await one.confirm("confirm")
        one.note_books("books")
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import Int32Value

from consilience.v1 import tariff_pb2
from consilience_conformance.needs import UntestableError
from consilience_conformance.payers import Account, Payer
from consilience_conformance.peers.banks import Bank, Conduct
from consilience_conformance.purses import Offer, bank_rail
from consilience_conformance.rules.banks import DEPOSIT, PAYOUT, line
from consilience_conformance.rules.payments import Signed
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange

LEAST_AMOUNT = 20

EARLY = "early-"
"""How the names of exchanges begin that may tell of a look at the bank from before the money moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankDeposit:
    """A deposit by the bank.

    Attributes:
        payer: Who makes it.
        bank: Where.
        account: In which session.
        deposit_id: Its id.
        amount: What is asked for.
    """

    payer: Payer
    bank: Bank
    account: Account
    deposit_id: bytes
    amount: int

    async def open(self, name: str) -> Exchange:
        """Asks for it."""
        terms = self.account.terms.envelope
        return await self.payer.call_open(name, terms, deposit_id=self.deposit_id, deposit=self.amount)

    async def confirm(self, name: str, *, shown: int = 0) -> Exchange:
        """Says that it was made, and shows what is no proof: the bank knows."""
        proof = None
        if shown:
            proof = Any()
            proof.Pack(Int32Value(value=shown))
        return await self.payer.confirm(name, self.account, deposit_id=self.deposit_id, proof=proof)

    async def arrive(self, name: str) -> Exchange:
        """Says that it was made, and again when that has ended: the first call may have to wait for an earlier look."""
        await self.confirm(f"{EARLY}{name}")
        return await self.confirm(name)

    async def withdraw(self, name: str, *, withdrawal_id: bytes, amount: int = 0) -> Exchange:
        """Takes all back, or some of it."""
        return await self.payer.withdraw(name, self.account, amount=amount or self.amount, withdrawal_id=withdrawal_id)

    def pay(self, amount: int = 0) -> None:
        """Moves money at the bank: what was asked for, or another amount."""
        self.bank.pay(self.account.session_id, self.deposit_id, amount=amount or self.amount)

    def deal(self, conduct: Conduct) -> None:
        """Has the bank deal so with the session."""
        self.bank.deal(self.account.session_id, conduct)

    def note_books(self, name: str) -> None:
        """Writes down what the books of the bank say of the session."""
        lines = [
            line(direction=DEPOSIT if one.comes else PAYOUT, transfer_id=one.order.transfer_id, moved=one.moved)
            for one in self.bank.about(self.account.session_id)
        ]
        self.payer.stage.note(name, lines)

    def another(self) -> BankDeposit:
        """Returns another one of the same session."""
        return replace(self, deposit_id=secrets.token_bytes(16))


def new_deposit(stage: Stage) -> BankDeposit:
    """Returns a deposit of a new session, which nobody has asked for yet."""
    rail, bank = bank_rail(stage.target.card), stage.surroundings.played
    assert rail is not None  # noqa: S101 - no check with Needs.BANK is driven without it
    assert bank is not None  # noqa: S101 - nor without this
    payer = Payer(stage)
    asset = rail.assets[0] if rail.assets else ""
    offer = Offer(tariff=tariff_pb2.Tariff(asset=asset), rail=rail, backings=(tariff_pb2.BACKING_PREPAID,))
    amount = max(LEAST_AMOUNT, rail.min_deposit)
    value = payer.terms(offer, backing=tariff_pb2.BACKING_PREPAID, amount=amount)
    account = Account(terms=Signed(envelope=payer.seal(value), value=value), amount=amount)
    return BankDeposit(payer=payer, bank=bank, account=account, deposit_id=secrets.token_bytes(16), amount=amount)


async def begun(deposit: BankDeposit, name: str) -> BankDeposit:
    """Asks for a deposit.

    Raises:
        UntestableError: The node does not come to the bank.
    """
    exchange = await deposit.open(name)
    if not deposit.bank.about(deposit.account.session_id, deposit.deposit_id):
        raise UntestableError(
            f"the node started no deposit at the bank that the judge plays ({outcome_of(exchange)}): let --bank name "
            "the address that the node has for its rail conformance.bank"
        )
    return deposit


async def funded(stage: Stage, name: str) -> BankDeposit:
    """Makes a deposit, and has it credited."""
    one = await begun(new_deposit(stage), f"open-{name}")
    one.pay()
    await one.arrive(f"fund-{name}")
    return one
