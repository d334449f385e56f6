"""How payees deal: honestly in all of chapter 3, unless a check says else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from consilience.v1 import payment_pb2


def as_it_is(*_: object) -> None:
    """Changes nothing."""


class Payout(Enum):
    """How a payee answers who asks for money back. It counts the money as withdrawn, whatever it says."""

    PAID = auto()
    """It has gone out."""
    PENDING = auto()
    """Nobody knows yet."""
    BROKEN_OFF = auto()
    """The call breaks off."""
    SILENT = auto()
    """It does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """How a payee deals; each part is right unless it is given.

    Attributes:
        quote: Changes a quote before it is signed.
        quote_seed: Signs it; empty: the node's signing key.
        meter: Changes the second Meter of an answer, or each of them, by its number from zero.
        needed: Changes what is required before the second piece of text; None: nothing is, unless it is needed.
        receipt: Changes a receipt before it is signed.
        lingers: It stands still behind the first piece of text until the asker has left, so that no race decides how
            far it had come.
        afterthought: What an answer pretends to have said before it was cancelled.
        withholds: The Final comes without the receipt, which ListReceipts has.
        confirmed: What is said of a deposit; None: the call breaks off.
        payout: What is said of a withdrawal.
    """

    quote: Callable[[payment_pb2.Quote], None] = as_it_is
    quote_seed: bytes = b""
    meter: Callable[[payment_pb2.Meter, int], None] = as_it_is
    needed: Callable[[int], int] | None = None
    receipt: Callable[[payment_pb2.Receipt], None] = as_it_is
    lingers: bool = False
    afterthought: str = ""
    withholds: bool = False
    confirmed: payment_pb2.TransferStatus.ValueType | None = payment_pb2.TRANSFER_STATUS_SUCCEEDED
    payout: Payout = Payout.PAID


HONEST = Dealing()
