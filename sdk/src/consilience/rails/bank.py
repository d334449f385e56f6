"""The rail `conformance.bank`: money moves in a bank that a tester plays, late, silently or told of twice.

It is there to put a node to the test (spec section 7.3), and its units are worth nothing. There is the side of the
payee alone: `Payments(rails=[BankRail(address="127.0.0.1:7350")])`. Who pays is the tester, and tells its own bank.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import grpc

from consilience._wire import banks
from consilience.conformance import BANK_RAIL_ID, BankTransfer, StartTransferRequest, TransferDirection
from consilience.errors import RefusedError, UsageError
from consilience.nodes import host_is_loopback
from consilience.rails.contract import (
    PENDING,
    DepositOrder,
    PayeeKeys,
    PayoutOrder,
    RailSilentError,
    Standing,
    StartedDeposit,
)
from consilience.tariffs import Backing, Rail, is_asset
from consilience.units import EncodedAny

NETWORK = "test"

PATIENCE = timedelta(seconds=2)
"""How long the bank gets to answer; no payer waits longer than 5 s for it (PAY-BANK-003)."""

DEPOSIT_TIME = timedelta(hours=1)
"""How long a payer is told that it has to pay."""

DEFAULT_MAX_DEPOSIT = 1_000_000

_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
"""Each call connects anew: a bank that was away is found as soon as it is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankRail:
    """How a node takes money by the bank of a tester.

    Attributes:
        address: Where the bank is served, `host:port` on loopback.
        assets: That are moved.
        min_deposit: Of one deposit, in units of the asset.
        max_deposit: Of one deposit, in units of the asset; 0: it is not bounded.

    Raises:
        UsageError: The address is none, or is not this machine; or it offers what cannot be.
    """

    address: str
    assets: tuple[str, ...] = ("TEST/0",)
    min_deposit: int = 1
    max_deposit: int = DEFAULT_MAX_DEPOSIT

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not (host_is_loopback(host.strip("[]")) and port.isascii() and port.isdigit()):
            raise UsageError("conformance.bank needs the address of a bank on this machine, as 127.0.0.1:7350")
        if not self.assets or not all(map(is_asset, self.assets)):
            raise UsageError("conformance.bank needs the ids of the assets that it moves, as TEST/0")
        if min(self.min_deposit, self.max_deposit) < 0 or 0 < self.max_deposit < self.min_deposit:
            raise UsageError("the bounds of conformance.bank are not negative, and max_deposit is 0 or the larger one")

    def payee(self, _: PayeeKeys) -> BankPayee:
        """Returns the rail for a node; it promises nothing, and needs no keys."""
        return BankPayee(self)


class BankPayee:
    """The side of the node: see `PayeeRail` for each method. Whatever the bank does not say in time is PENDING."""

    def __init__(self, settings: BankRail) -> None:
        """Makes the side of a node, which offers what `settings` say."""
        self._settings = settings
        self._offer = Rail(
            id=BANK_RAIL_ID,
            network=NETWORK,
            assets=settings.assets,
            backings=(Backing.PREPAID,),
            min_deposit=settings.min_deposit,
            max_deposit=settings.max_deposit,
        )

    @property
    def offer(self) -> Rail:
        """What the card says about the rail."""
        return self._offer

    async def start_deposit(self, order: DepositOrder, *, now: datetime) -> StartedDeposit:
        """Tells the bank what to wait for; raises RailSilentError where it does not say that it does."""
        if await self._start(order) is None:
            raise RailSilentError("the bank did not start the deposit")
        rail_ref = b":".join((BANK_RAIL_ID.encode(), name_of(order)))
        return StartedDeposit(rail_ref=rail_ref, expire_time=now + DEPOSIT_TIME)

    async def check_deposit(
        self,
        order: DepositOrder,
        *,
        rail_ref: bytes,  # noqa: ARG002 - the order says it all
        proof: EncodedAny | None,  # noqa: ARG002 - the bank knows, whatever the payer shows
        credited: bool,  # noqa: ARG002 - the bank does not forget
        now: datetime,  # noqa: ARG002 - nor does anything expire there
    ) -> Standing:
        """Asks the bank how the deposit stands."""
        said = await self._ask(banks.GET_TRANSFER_METHOD, banks.encode_look(name_of(order)))
        return _standing(said)

    async def start_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:  # noqa: ARG002 - as above
        """Has the bank pay, under the one name of the payout."""
        return _standing(await self._start(order))

    async def check_payout(self, order: PayoutOrder, *, now: datetime) -> Standing:
        """Has the bank pay what it knows nothing of, and tell how the payout stands that it knows."""
        return await self.start_payout(order, now=now)

    async def _start(self, order: DepositOrder | PayoutOrder) -> BankTransfer | None:
        request = StartTransferRequest(
            name=name_of(order),
            direction=_direction(order),
            session_id=order.session_id,
            transfer_id=_own_id(order),
            amount=order.amount,
            asset=order.terms.asset,
        )
        return await self._ask(banks.START_TRANSFER_METHOD, banks.encode_start(request))

    async def _ask(self, method: str, request: bytes) -> BankTransfer | None:
        """Returns what the bank says; None: nothing that means anything, or nothing in time."""
        async with grpc.aio.insecure_channel(self._settings.address, options=_OPTIONS) as channel:
            call = channel.unary_unary(f"/{method}", request_serializer=bytes, response_deserializer=bytes)
            try:
                return banks.decode_transfer(await call(request, timeout=PATIENCE.total_seconds()))
            except (grpc.aio.AioRpcError, RefusedError):
                return None


def name_of(order: DepositOrder | PayoutOrder) -> bytes:
    """Returns the name of a transfer at the bank, 32 bytes: the same for an order in every life of the node."""
    direction = _direction(order).name.encode()
    return hashlib.sha256(direction + order.session_id + _own_id(order)).digest()


def _direction(order: DepositOrder | PayoutOrder) -> TransferDirection:
    return TransferDirection.DEPOSIT if isinstance(order, DepositOrder) else TransferDirection.PAYOUT


def _own_id(order: DepositOrder | PayoutOrder) -> bytes:
    return order.deposit_id if isinstance(order, DepositOrder) else order.withdrawal_id


def _standing(said: BankTransfer | None) -> Standing:
    if said is None:
        return PENDING
    return Standing(status=said.status, amount=said.amount, reference=said.reference)
