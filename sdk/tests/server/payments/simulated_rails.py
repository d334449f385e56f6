"""A simulated rail: an outside world in which money moves as a test says, and a rail over it that may fail.

The world outlives the rail, as a bank outlives a node that crashes.
"""

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consilience.errors import DepositInvalidError
from consilience.payments import TransferStatus
from consilience.rails.contract import (
    FAILED,
    PENDING,
    DepositOrder,
    PayeeKeys,
    PayeeRail,
    PayoutOrder,
    Standing,
    StartedDeposit,
)
from consilience.tariffs import Backing, Rail
from consilience.units import EncodedAny

Transfer = tuple[bytes, bytes]

DEPOSIT_TIME = timedelta(hours=1)
INVOICE = EncodedAny(b"\n\x07invoice\x12\x80\x10" + bytes(2048))
"""What a rail tells of a deposit, longer than any invoice."""
WRONG = EncodedAny(b"\n\x05wrong")
"""A proof that does not hold."""


@dataclass
class SimulatedWorld:
    """What is outside of the node.

    Attributes:
        arrived: Deposits that have come, with their amounts.
        lost: Deposits and payouts that will not come.
        held_up: Payouts under way do not arrive for now.
        paid: What each payout has brought its payer, each time it was paid.
        silent: Whoever asks gets no answer.
        broken: Whoever asks gets an error.
        asked: How often anything was asked about each transfer.
        same_proof: All deposits are proved by one and the same thing.
    """

    arrived: dict[Transfer, int] = field(default_factory=dict)
    lost: set[Transfer] = field(default_factory=set)
    held_up: bool = False
    under_way: dict[Transfer, int] = field(default_factory=dict)
    paid: dict[Transfer, list[int]] = field(default_factory=dict)
    silent: bool = False
    broken: bool = False
    asked: Counter[bytes] = field(default_factory=Counter)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    same_proof: bool = False

    async def reached(self, own: bytes) -> None:
        """Is asked: answers, fails, or never answers."""
        self.asked[own] += 1
        self.waiting.set()
        if self.broken:
            raise ConnectionError("the world is away")
        if self.silent:
            await self.answer.wait()


@dataclass(frozen=True)
class SimulatedRail:
    """Is the settings of a rail over a world."""

    world: SimulatedWorld
    id: str = "sim.v1"

    def payee(self, keys: PayeeKeys) -> PayeeRail:  # noqa: ARG002 - it promises nothing
        return SimulatedPayee(self.world, rail_id=self.id)


class SimulatedPayee:
    """Is a rail over a world; it keeps nothing itself."""

    def __init__(self, world: SimulatedWorld, *, rail_id: str) -> None:
        self._world = world
        self.offer = Rail(id=rail_id, network="test", assets=("TEST/0",), backings=(Backing.PREPAID,), min_deposit=1)

    async def start_deposit(self, order: DepositOrder, *, now: datetime) -> StartedDeposit:
        await self._world.reached(order.deposit_id)
        name = order.session_id + order.deposit_id
        return StartedDeposit(rail_ref=self.offer.id.encode() + name, expire_time=now + DEPOSIT_TIME, detail=INVOICE)

    async def check_deposit(
        self,
        order: DepositOrder,
        *,
        rail_ref: bytes,
        proof: EncodedAny | None,
        credited: bool,  # noqa: ARG002 - nothing expires in this world
        now: datetime,  # noqa: ARG002 - as above
    ) -> Standing:
        of = order.session_id, order.deposit_id
        assert rail_ref == self.offer.id.encode() + order.session_id + order.deposit_id
        await self._world.reached(order.deposit_id)
        if proof == WRONG:
            raise DepositInvalidError("the proof does not hold")
        if of in self._world.lost:
            return FAILED
        if (amount := self._world.arrived.get(of)) is None:
            return PENDING
        reference = hashlib.sha256(b"" if self._world.same_proof else order.session_id + order.deposit_id).digest()
        return Standing(status=TransferStatus.SUCCEEDED, amount=amount, reference=reference)

    async def start_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:  # noqa: ARG002 - as above
        of = order.session_id, order.withdrawal_id
        if of in self._world.lost:
            return FAILED
        self._world.paid.setdefault(of, []).append(order.amount)
        await self._world.reached(order.withdrawal_id)
        return PENDING if self._world.held_up else _paid(order)

    async def check_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:  # noqa: ARG002 - as above
        of = order.session_id, order.withdrawal_id
        await self._world.reached(order.withdrawal_id)
        if of in self._world.lost:
            return FAILED
        if of not in self._world.paid:
            self._world.paid[of] = [order.amount]
        return PENDING if self._world.held_up else _paid(order)


def _paid(order: PayoutOrder) -> Standing:
    return Standing(status=TransferStatus.SUCCEEDED, detail=order.destination)
