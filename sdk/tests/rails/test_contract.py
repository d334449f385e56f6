"""The contract of rails: hold.v1 keeps it, a simulated bank does, and each single fault of a rail is noticed."""

# ruff: noqa: ARG002 - a rail is handed more than each needs

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from consilience._wire.envelopes import open_envelope
from consilience._wire.payments import unpack_envelope
from consilience.envelopes import Envelope
from consilience.errors import DepositInvalidError
from consilience.identity import KeyPair
from consilience.payments import DepositInstruction, HoldRelease, SessionTerms, TransferStatus
from consilience.rails.contract import (
    PENDING,
    Backed,
    DepositOrder,
    Paid,
    PayeeRail,
    PayerRail,
    PayoutOrder,
    Standing,
    StartedDeposit,
)
from consilience.rails.hold import HoldPayer, HoldRail, issue_hold
from consilience.tariffs import Backing, Rail
from consilience.testing import RailBreachError, RailUnderTest, check_rail
from consilience.units import EncodedAny, PublicKey
from sdk.tests.rails.promises import DAY, ISSUER, NOW, PAYEE, Keys, clock

SUCCEEDED, FAILED = TransferStatus.SUCCEEDED, TransferStatus.FAILED


class Promises(RailUnderTest):
    """The rail hold.v1, prepaid by grants or in escrow."""

    def __init__(self, *, escrow: bool) -> None:
        self._escrow = escrow

    @property
    def node_id(self) -> PublicKey:
        return PAYEE.public_key

    def payee(self) -> PayeeRail:
        return HoldRail(issuers=(ISSUER.public_key,) if self._escrow else ()).payee(Keys())

    def payer(self) -> PayerRail:
        if not self._escrow:
            return HoldPayer(clock=clock)
        return HoldPayer(issuers=(ISSUER.public_key,), source=_issued, clock=clock)

    def received(self, order: PayoutOrder, *, told: Sequence[Standing]) -> int:
        releases = [open_envelope(unpack_envelope(one.detail), HoldRelease).value for one in told if one.detail]
        return sum({release.withdrawal_id: release.amount for release in releases}.values())


async def _issued(order: DepositOrder) -> Envelope:
    hold = issue_hold(
        issuer=ISSUER,
        session_id=order.session_id,
        deposit_id=order.deposit_id,
        amount=order.amount,
        expire_time=NOW + DAY,
    )
    return hold.envelope


@pytest.mark.parametrize("escrow", [False, True])
async def test_hold_keeps_the_contract(*, escrow: bool) -> None:
    await check_rail(Promises(escrow=escrow), clock=clock)


@dataclass
class SimulatedBank:
    """Moves money by ids, each once, and takes a look or two until a transfer is seen."""

    transfers: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    away: bool = False

    def move(self, name: str, amount: int, *, twice: bool = False) -> None:
        self._reached()
        if name not in self.transfers or twice:
            self.transfers[name] = self.transfers.get(name, 0) + amount

    def look(self, name: str, *, looks: int = 1) -> int | None:
        self._reached()
        if name not in self.transfers:
            return None
        self.seen[name] = self.seen.get(name, 0) + 1
        return self.transfers[name] if self.seen[name] > looks else None

    def _reached(self) -> None:
        if self.away:
            raise ConnectionError("the bank is away")


def name_of(order: DepositOrder | PayoutOrder) -> str:
    own = order.deposit_id if isinstance(order, DepositOrder) else order.withdrawal_id
    return (order.session_id + own).hex()


class BankPayee:
    """Is the side of the node; `fault` is what is wrong with it."""

    def __init__(self, bank: SimulatedBank, fault: str = "") -> None:
        self._bank = bank
        self._fault = fault
        self.offer = Rail(
            id="Bank" if fault == "bad id" else "bank.v1",
            network="" if fault == "no network" else "test",
            assets=("EURO",) if fault == "bad asset" else ("TEST/0",),
            backings=(Backing.PREPAID,),
        )

    async def start_deposit(self, order: DepositOrder, *, now: datetime) -> StartedDeposit:
        ref = b"other" if self._fault == "foreign ref" else b"bank.v1:"
        ref += b"" if self._fault == "one ref" else name_of(order).encode()
        if self._fault == "long ref":
            ref += bytes(300)
        late = now if self._fault == "late" else now + timedelta(hours=1)
        return StartedDeposit(rail_ref=ref, expire_time=late, detail=EncodedAny(name_of(order).encode()))

    async def check_deposit(
        self, order: DepositOrder, *, rail_ref: bytes, proof: EncodedAny | None, credited: bool, now: datetime
    ) -> Standing:
        if self._fault == "strict" and credited:
            raise DepositInvalidError("it was credited")
        if self._fault == "any proof" and proof is not None:
            return Standing(status=SUCCEEDED, amount=order.amount, reference=_hashed(proof))
        try:
            amount = self._bank.look(name_of(order))
        except ConnectionError:
            if self._fault == "fails when away":
                return Standing(status=FAILED)
            if self._fault == "raises when away":
                raise
            return PENDING
        if amount is None:
            return Standing(status=FAILED) if self._fault == "impatient" else PENDING
        if self._fault == "never sees":
            return PENDING
        reference = _hashed(b"" if self._fault == "one reference" else name_of(order).encode())
        if self._fault == "new reference":
            reference = os.urandom(32)
        return Standing(
            status=SUCCEEDED,
            amount=0 if self._fault == "no amount" else amount - (self._fault == "less"),
            reference=reference[:16] if self._fault == "short reference" else reference,
        )

    async def start_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        return self._pay(order, twice=self._fault == "pays each start")

    async def check_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        if self._fault == "forgets payouts" and name_of(order) not in self._bank.transfers:
            return PENDING
        return self._pay(order, twice=self._fault == "pays each look")

    def _pay(self, order: PayoutOrder, *, twice: bool) -> Standing:
        try:
            self._bank.move(name_of(order), order.amount, twice=twice)
            seen = self._bank.look(name_of(order), looks=3)
        except ConnectionError:
            return Standing(status=FAILED) if self._fault == "payout fails when away" else PENDING
        return PENDING if seen is None else Standing(status=SUCCEEDED)


def _hashed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class BankPayer:
    """Is the side of the client; `fault` is what is wrong with it."""

    def __init__(self, bank: SimulatedBank, fault: str = "") -> None:
        self._bank = bank
        self._fault = fault
        self.id = "bank.v1"
        self.network = "home" if fault == "elsewhere" else "test"
        if fault != "does not say":
            self.sends_money = True

    def backed(self, offer: Rail, *, payer: PublicKey, payee: PublicKey, most: int) -> Backed | None:
        if self._fault == "agrees to nothing":
            return None
        if self._fault == "agrees to escrow":
            return Backed(backing=Backing.ESCROW, issuer=ISSUER.public_key)
        return Backed(backing=Backing.PREPAID, issuer=payer if self._fault == "wrong issuer" else payee)

    async def pay(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        try:
            self._bank.move(name_of(order), order.amount, twice=self._fault == "pays each time")
        except ConnectionError:
            if self._fault == "payer raises when away":
                raise
            return Paid(status=FAILED if self._fault == "payer fails when away" else TransferStatus.PENDING)
        status = FAILED if self._fault == "cannot pay" else SUCCEEDED
        return Paid(status=status, proof=instruction.detail)

    async def check(self, order: DepositOrder, instruction: DepositInstruction) -> Paid:
        if self._bank.away:
            return Paid(status=FAILED if self._fault == "payer forgets when away" else TransferStatus.PENDING)
        return Paid(status=SUCCEEDED if name_of(order) in self._bank.transfers else TransferStatus.PENDING)

    def destination(self, terms: SessionTerms) -> EncodedAny | None:
        return None


class Bank(RailUnderTest):
    """A rail over a bank that outlives both sides."""

    def __init__(self, fault: str = "") -> None:
        self._bank = SimulatedBank()
        self._fault = fault
        self._node = KeyPair.generate()

    @property
    def node_id(self) -> PublicKey:
        return self._node.public_key

    def payee(self) -> PayeeRail:
        return BankPayee(self._bank, self._fault)

    def payer(self) -> PayerRail:
        return BankPayer(self._bank, self._fault)

    def received(self, order: PayoutOrder, *, told: Sequence[Standing]) -> int:
        return self._bank.transfers.get(name_of(order), 0)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        self._bank.away = True
        yield
        self._bank.away = False


async def test_a_rail_whose_money_takes_its_time_keeps_the_contract() -> None:
    await check_rail(Bank())


FAULTS = {
    "bad id": "id of a rail",
    "no network": "network",
    "bad asset": "asset",
    "elsewhere": "same rail and network",
    "does not say": "sends_money",
    "foreign ref": "begin with the id",
    "one ref": "same rail_ref",
    "long ref": "256 bytes",
    "late": "over before it begins",
    "impatient": "that nobody made has ended",
    "any proof": "taken for another",
    "never sees": "does not arrive",
    "one reference": "same reference",
    "new reference": "another amount or reference",
    "short reference": "32 bytes",
    "no amount": "how much came",
    "less": "99 came of 100",
    "strict": "does not hold",
    "pays each time": "came of 100",
    "cannot pay": "cannot pay",
    "pays each start": "brought",
    "pays each look": "brought",
    "forgets payouts": "does not come through",
    "agrees to nothing": "no session",
    "agrees to escrow": "not offered",
    "wrong issuer": "break a rule",
    "fails when away": "check_deposit says FAILED",
    "raises when away": "check_deposit raises",
    "payout fails when away": "start_payout says FAILED",
    "payer raises when away": "pay raises",
    "payer fails when away": "pay says FAILED",
    "payer forgets when away": "check says FAILED",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_single_fault_of_a_rail_is_noticed(fault: str) -> None:
    with pytest.raises(RailBreachError, match=FAULTS[fault]):
        await check_rail(Bank(fault))
