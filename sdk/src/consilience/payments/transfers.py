"""Transfers: how a deposit or a payout stands, and the promises of the rail `hold.v1` (spec section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consilience.envelopes import Signed
from consilience.errors import DepositInvalidError
from consilience.payments.sessions import SessionTerms
from consilience.units import Digest, EncodedAny, NamedNumber, PublicKey

TRANSFER_ID_BYTES = 16
"""Of the id of a deposit or a withdrawal."""


class TransferStatus(NamedNumber):
    """What a rail says of a transfer. What is not known is PENDING, and never FAILED (PAY-RAIL-001)."""

    UNKNOWN = -1
    SUCCEEDED = 1
    FAILED = 2
    PENDING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositInstruction:
    """How to make a deposit: `amount` in units of the session's asset, `detail` in the words of the rail."""

    deposit_id: bytes
    amount: int
    expire_time: datetime
    detail: EncodedAny | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A promise of money for one deposit of one session, signed by its issuer; `amount` in units of the asset."""

    issuer: PublicKey
    session_id: Digest
    deposit_id: bytes
    amount: int
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRelease:
    """Frees part of the promises for a session, signed by the node that gives it back."""

    node_id: PublicKey
    signing_key: PublicKey
    session_id: Digest
    withdrawal_id: bytes
    amount: int


def check_hold(
    hold: Signed[Hold], *, terms: SessionTerms, session_id: Digest, deposit_id: bytes, amount: int, now: datetime
) -> None:
    """Checks a promise against the deposit that it is to prove (PAY-HOLD-001).

    Args:
        hold: The promise, its signature verified.
        terms: Those of the session.
        session_id: Their digest.
        deposit_id: Of the deposit, 16 bytes.
        amount: Of the deposit, in units of the asset.
        now: Aware UTC.

    Raises:
        DepositInvalidError: It is somebody else's promise, for something else, or over.
    """
    value = hold.value
    if value.issuer != terms.issuer:
        raise DepositInvalidError("the hold is not the promise of the session's issuer")
    if (value.session_id, value.deposit_id, value.amount) != (session_id, deposit_id, amount):
        raise DepositInvalidError("the hold is for another session, deposit or amount")
    if now > value.expire_time:
        raise DepositInvalidError("the hold has expired")
