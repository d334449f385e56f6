"""How banks deal with nodes: honestly, or in one of the ways in which a rail can cheat (spec section 3.4).

Each is a small program for a `Bank`. Money moves all the same, and in the worst way: what was ordered is paid out at
once, whatever the node is told of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from consilience.v1 import payment_pb2
from consilience.v1.conformance_pb2 import BankTransfer
from consilience_conformance.peers.banks import Conduct, ConductError, Transfer

PENDING = BankTransfer(status=payment_pb2.TRANSFER_STATUS_PENDING)
FAILED = BankTransfer(status=payment_pb2.TRANSFER_STATUS_FAILED)


def reference_of(transfer: Transfer) -> bytes:
    """Returns by what an honest bank proves a deposit."""
    return hashlib.sha256(transfer.order.name).digest()


def came(transfer: Transfer, *, reference: bytes) -> BankTransfer:
    """Returns that a deposit has come, as much as has moved."""
    return BankTransfer(status=payment_pb2.TRANSFER_STATUS_SUCCEEDED, amount=transfer.moved, reference=reference)


class Honest:
    """Tells what has moved, and pays at once."""

    async def deposit(self, transfer: Transfer) -> BankTransfer:
        """Tells how a deposit stands."""
        return came(transfer, reference=reference_of(transfer)) if transfer.moved else PENDING

    async def payout(self, transfer: Transfer) -> BankTransfer:
        """Pays out once."""
        transfer.moved = transfer.order.amount
        return BankTransfer(status=payment_pb2.TRANSFER_STATUS_SUCCEEDED, amount=transfer.moved)


class _Vague(Honest):
    """Moves money, and tells nothing of it."""

    async def deposit(self, transfer: Transfer) -> BankTransfer:
        """Tells nothing."""
        return await self.says_nothing(transfer)

    async def payout(self, transfer: Transfer) -> BankTransfer:
        """Pays out once, and tells nothing."""
        await super().payout(transfer)
        return await self.says_nothing(transfer)

    async def says_nothing(self, _: Transfer) -> BankTransfer:
        """Says that nothing is known."""
        return PENDING


class PendingForEver(_Vague):
    """Says PENDING, whatever has moved, and never anything else."""


@dataclass(slots=True)
class LateSuccess(_Vague):
    """Says PENDING, and tells what has moved much later.

    Attributes:
        late: It is late enough.
    """

    late: bool = False

    async def deposit(self, transfer: Transfer) -> BankTransfer:
        """Tells how a deposit stands, once it is late."""
        return await (Honest if self.late else _Vague).deposit(self, transfer)

    async def payout(self, transfer: Transfer) -> BankTransfer:
        """Pays out once, and tells so once it is late."""
        return await (Honest if self.late else _Vague).payout(self, transfer)


class Silent(_Vague):
    """Takes every order, and answers nobody."""

    async def says_nothing(self, _: Transfer) -> BankTransfer:
        """Waits until the caller gives up."""
        await asyncio.Event().wait()
        return PENDING


class OutOfOrder(_Vague):
    """Takes every order, and gives an error in the place of an answer."""

    async def says_nothing(self, _: Transfer) -> BankTransfer:
        """Fails."""
        raise ConductError("the bank is out of order")


class FailingPayouts(Honest):
    """Fails each payout, and moves nothing."""

    async def payout(self, _: Transfer) -> BankTransfer:
        """Says that nothing will move."""
        return FAILED


@dataclass(slots=True)
class OnePaymentForAll(Honest):
    """Tells of the first payment that came, under every deposit that is asked about."""

    _first: BankTransfer | None = None

    async def deposit(self, transfer: Transfer) -> BankTransfer:
        """Tells of the first payment."""
        if self._first is None and transfer.moved:
            self._first = came(transfer, reference=reference_of(transfer))
        return self._first or PENDING


class NewReferences(Honest):
    """Proves a deposit by something else each time that it is asked about."""

    async def deposit(self, transfer: Transfer) -> BankTransfer:
        """Tells of it as of another payment."""
        return came(transfer, reference=secrets.token_bytes(32)) if transfer.moved else PENDING


HOSTILE: Mapping[str, Callable[[], Conduct]] = MappingProxyType(
    {
        "pending-for-ever": PendingForEver,
        "late-success": LateSuccess,
        "one-payment-for-all": OnePaymentForAll,
        "new-references": NewReferences,
        "silent": Silent,
        "out-of-order": OutOfOrder,
        "failing-payouts": FailingPayouts,
    }
)
"""Every one that an honest bank is not, by its name."""
