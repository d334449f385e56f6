"""Rails under test: what every rail has to do, by whatever its money moves (spec section 3.4).

A rail is called again after each crash, and for each answer that did not come. So everything here is done twice, the
second time in another life of the rail, and it is counted what really moved.

>>> class Coins(RailUnderTest): ...
>>> asyncio.run(check_rail(Coins()))
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from consilience._wire.envelopes import seal
from consilience.errors import DepositInvalidError, FieldInvalidError
from consilience.identity import KeyPair
from consilience.payments import DepositInstruction, SessionTerms, TransferStatus, check_terms
from consilience.rails.contract import DepositOrder, Paid, PayeeRail, PayerRail, PayoutOrder, Standing, StartedDeposit
from consilience.tariffs import Backing, is_asset, is_id
from consilience.units import Digest, EncodedAny, PublicKey, utc_now

T = TypeVar("T")

LOOKS = 20
"""How often a transfer is looked at that is PENDING, before it is taken for lost."""

REFERENCE_BYTES = 32
MAX_RAIL_REF_BYTES = 256
SALT_BYTES = 16
ID_BYTES = 16


class RailBreachError(AssertionError):
    """A rail does not do what the contract says."""


class RailUnderTest(ABC):
    """Lends a rail to `check_rail`: both sides of it, over the same outside world, in as many lives as are wanted."""

    amount = 100
    """Of each deposit and payout, in units of the asset."""

    @property
    @abstractmethod
    def node_id(self) -> PublicKey:
        """The root key of the node that is paid, 32 bytes."""

    @abstractmethod
    def payee(self) -> PayeeRail:
        """Returns the side of the node in another life: it remembers nothing that a crash would have taken."""

    @abstractmethod
    def payer(self) -> PayerRail:
        """Returns the side of the client in another life."""

    @abstractmethod
    def received(self, order: PayoutOrder, *, told: Sequence[Standing]) -> int:
        """Returns what a payout has brought its payer in all, who was told this of it."""

    def outage(self) -> contextlib.AbstractContextManager[None]:
        """Keeps the service behind the rail out of reach while the block runs; a rail without one needs nothing."""
        return contextlib.nullcontext()

    async def pause(self) -> None:
        """Waits a moment for the outside world, where a transfer takes its time there."""
        await asyncio.sleep(0)


async def check_rail(rail: RailUnderTest, *, clock: Callable[[], datetime] = utc_now) -> None:
    """Checks both sides of a rail against the contract (`consilience.rails.contract`).

    Args:
        rail: The rail.
        clock: Tells the aware UTC time.

    Raises:
        RailBreachError: With what it did, and should not have.
    """
    trial = _Trial(rail=rail, clock=clock)
    trial.check_offer()
    await trial.check_start()
    await trial.check_deposits()
    await trial.check_payouts()
    await trial.check_outage()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    rail: RailUnderTest
    clock: Callable[[], datetime]

    def check_offer(self) -> None:
        offer = self.rail.payee().offer
        _require(is_id(offer.id), f"{offer.id!r} is no id of a rail: lower case, digits, '.', '_' and '-'")
        _require(bool(offer.network), "the offer names no network")
        _require(
            bool(offer.assets) and all(map(is_asset, offer.assets)), "the offer names an asset otherwise than BTC/11"
        )
        _require(bool(offer.backings), "the offer names no backing")
        payer = self.rail.payer()
        named = payer.id, payer.network
        _require(named == (offer.id, offer.network), "payer and payee are not on the same rail and network")
        says = isinstance(getattr(payer, "sends_money", None), bool)
        _require(says, "the payer does not say whether it sends_money")

    async def check_start(self) -> None:
        """A deposit may be started again after a crash, and is told from every other one."""
        order, other = self._deposit(), self._deposit()
        started = await self._started(order)
        await self._started(order)
        elsewhere = await self._started(other)
        prefix = self.rail.payee().offer.id.encode()
        for each in (started, elsewhere):
            _require(each.rail_ref.startswith(prefix), "the rail_ref does not begin with the id of the rail")
            _require(len(each.rail_ref) <= MAX_RAIL_REF_BYTES, f"the rail_ref is over {MAX_RAIL_REF_BYTES} bytes")
            _require(each.expire_time > self.clock(), "the time to make the deposit in is over before it begins")
        _require(started.rail_ref != elsewhere.rail_ref, "two deposits have the same rail_ref")
        standing = await self._looked_at(order, started, proof=None)
        _require(_is_open(standing), "a deposit that nobody made has ended")

    async def check_deposits(self) -> None:
        """A deposit is paid once, seen as it came, proved by itself, and proves no other."""
        order, other = self._deposit(), self._deposit()
        started, proof = await self._paid(order)
        await self._paid(order, started=started)
        standing = await self._arrived(order, started, proof=proof)
        _require(standing.amount == order.amount, f"{standing.amount} came of {order.amount} that were paid")
        again = await self._arrived(order, started, proof=proof, credited=True)
        _require(
            (again.amount, again.reference) == (standing.amount, standing.reference),
            "a deposit that is looked at again has another amount or reference",
        )
        unpaid = await self._started(other)
        shown = await self._looked_at(other, unpaid, proof=proof)
        _require(_is_open(shown), "the proof of one deposit is taken for another")
        second = await self._arrived(other, *await self._paid(other, started=unpaid))
        _require(second.reference != standing.reference, "two deposits have the same reference")

    async def check_payouts(self) -> None:
        """A payout is made once, whether or not the rail knows that it was begun."""
        begun = self._payout()
        told = [
            await self.rail.payee().start_payout(begun, now=self.clock()),
            await self.rail.payee().start_payout(begun, now=self.clock()),
        ]
        await self._paid_out(begun, told=told)
        await self._paid_out(self._payout(), told=[])

    async def check_outage(self) -> None:
        """What cannot be known is PENDING, and comes right afterwards."""
        order, payout = self._deposit(), self._payout()
        started = await self._started(order)
        with self.rail.outage():
            paid = await self._never_fails(self.rail.payer().pay(order, _told(order, started)), "pay")
            await self._never_fails(self.rail.payer().check(order, _told(order, started)), "check")
            with contextlib.suppress(DepositInvalidError):
                await self._never_fails(
                    self.rail.payee().check_deposit(
                        order, rail_ref=started.rail_ref, proof=paid.proof, credited=False, now=self.clock()
                    ),
                    "check_deposit",
                )
            told = [
                await self._never_fails(self.rail.payee().start_payout(payout, now=self.clock()), "start_payout"),
                await self._never_fails(self.rail.payee().check_payout(payout, now=self.clock()), "check_payout"),
            ]
        standing = await self._arrived(order, *await self._paid(order, started=started))
        _require(standing.amount == order.amount, f"{standing.amount} came of {order.amount} after an outage")
        await self._paid_out(payout, told=told)

    async def _never_fails(self, call: Awaitable[T], name: str) -> T:
        try:
            said = await call
        except DepositInvalidError:
            raise
        except Exception as error:
            raise RailBreachError(f"{name} raises {error!r} while the service is out of reach, not PENDING") from error
        if isinstance(said, Standing | Paid):
            _require(
                said.status is not TransferStatus.FAILED,
                f"{name} says FAILED while the service is out of reach: nobody knows that (PAY-RAIL-001)",
            )
        return said

    async def _started(self, order: DepositOrder) -> StartedDeposit:
        return await self.rail.payee().start_deposit(order, now=self.clock())

    async def _paid(
        self, order: DepositOrder, *, started: StartedDeposit | None = None
    ) -> tuple[StartedDeposit, EncodedAny | None]:
        """Has the payer pay, and then look, each in a life of its own; returns what it shows."""
        started = started or await self._started(order)
        paid = await self.rail.payer().pay(order, _told(order, started))
        for _ in range(LOOKS):
            if paid.status is not TransferStatus.PENDING:
                break
            await self.rail.pause()
            paid = await self.rail.payer().pay(order, _told(order, started))
        _require(paid.status is TransferStatus.SUCCEEDED, f"the payer cannot pay a deposit: {paid.status}")
        return started, paid.proof

    async def _arrived(
        self, order: DepositOrder, started: StartedDeposit, proof: EncodedAny | None, *, credited: bool = False
    ) -> Standing:
        """Looks at a deposit that was paid, until the rail has seen it."""
        for _ in range(LOOKS):
            standing = await self._looked_at(order, started, proof=proof, credited=credited)
            _require(standing is not None, "the proof of a deposit does not hold")
            if standing is not None and standing.status is not TransferStatus.PENDING:
                _require(standing.status is TransferStatus.SUCCEEDED, "a deposit that was paid has failed")
                _require(standing.amount > 0, "the rail does not say how much came")
                _require(len(standing.reference) == REFERENCE_BYTES, "the reference of a deposit is not 32 bytes")
                return standing
            await self.rail.pause()
        raise RailBreachError("a deposit that was paid does not arrive")

    async def _looked_at(
        self, order: DepositOrder, started: StartedDeposit, *, proof: EncodedAny | None, credited: bool = False
    ) -> Standing | None:
        """Returns what the payee sees of a deposit, in another life; None: the proof does not hold."""
        try:
            return await self.rail.payee().check_deposit(
                order, rail_ref=started.rail_ref, proof=proof, credited=credited, now=self.clock()
            )
        except DepositInvalidError:
            return None

    async def _paid_out(self, order: PayoutOrder, *, told: list[Standing]) -> None:
        """Looks at a payout until it has ended, and once more, and counts what it brought."""
        for _ in range(LOOKS):
            told.append(await self.rail.payee().check_payout(order, now=self.clock()))
            if told[-1].status is not TransferStatus.PENDING:
                break
            await self.rail.pause()
        told.append(await self.rail.payee().check_payout(order, now=self.clock()))
        _require(told[-1].status is TransferStatus.SUCCEEDED, f"a payout does not come through: {told[-1].status}")
        brought = self.rail.received(order, told=told)
        _require(brought == order.amount, f"a payout of {order.amount} brought {brought}")

    def _deposit(self) -> DepositOrder:
        session_id, terms = self._session()
        return DepositOrder(
            session_id=session_id, terms=terms, deposit_id=os.urandom(ID_BYTES), amount=self.rail.amount
        )

    def _payout(self) -> PayoutOrder:
        session_id, terms = self._session()
        return PayoutOrder(
            session_id=session_id,
            terms=terms,
            withdrawal_id=os.urandom(ID_BYTES),
            amount=self.rail.amount,
            destination=self.rail.payer().destination(terms),
        )

    def _session(self) -> tuple[Digest, SessionTerms]:
        """Returns the terms of a new session, as payer and payee agree on them."""
        offer, payer = self.rail.payee().offer, self.rail.payer()
        key = KeyPair.generate()
        backed = payer.backed(offer, payer=key.public_key, payee=self.rail.node_id, most=self.rail.amount)
        if backed is None or backed.backing is Backing.CREDIT:
            raise RailBreachError("the payer agrees to no session with deposits")
        terms = SessionTerms(
            payer=key.public_key,
            payee=self.rail.node_id,
            asset=offer.assets[0],
            rail_id=offer.id,
            network=offer.network,
            backing=backed.backing,
            issuer=backed.issuer,
            salt=os.urandom(SALT_BYTES),
            credit_limit=backed.credit_limit,
        )
        try:
            check_terms(terms)
        except FieldInvalidError as error:
            raise RailBreachError(f"the payer agrees to terms that break a rule: {error}") from error
        _require(backed.backing in offer.backings, f"the payer agrees to {backed.backing}, which is not offered")
        return seal(terms, signer=key).digest, terms


def _told(order: DepositOrder, started: StartedDeposit) -> DepositInstruction:
    return DepositInstruction(
        deposit_id=order.deposit_id, amount=order.amount, expire_time=started.expire_time, detail=started.detail
    )


def _is_open(standing: Standing | None) -> bool:
    return standing is None or standing.status is TransferStatus.PENDING


def _require(kept: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise RailBreachError(otherwise)
