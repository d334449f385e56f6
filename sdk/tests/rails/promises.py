"""A payer, a payee and an issuer with their keys, and sessions between them."""

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from consilience._wire.envelopes import seal
from consilience.envelopes import Signed
from consilience.identity import KeyPair, Signer
from consilience.payments import DepositInstruction, SessionTerms
from consilience.rails.contract import DepositOrder, PayoutOrder, StartedDeposit
from consilience.tariffs import Backing
from consilience.units import EncodedAny

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def clock() -> datetime:
    """Tells the time of all tests."""
    return NOW


DAY = timedelta(days=1)

PAYER = KeyPair(b"p" * 32)
PAYEE = KeyPair(b"n" * 32)
ISSUER = KeyPair(b"i" * 32)


@dataclass
class Keys:
    """The keys of the payee: its root, and a signing key of its own."""

    root: KeyPair = PAYEE
    signing: KeyPair = field(default_factory=lambda: KeyPair(b"s" * 32))

    def signer(self, *, now: datetime) -> Signer:  # noqa: ARG002 - the same at all times
        return self.signing


def terms(backing: Backing = Backing.PREPAID, **changes: Any) -> Signed[SessionTerms]:
    """Returns the terms of a new session."""
    issuer = {Backing.PREPAID: PAYEE, Backing.CREDIT: PAYER, Backing.ESCROW: ISSUER}[backing]
    made = SessionTerms(
        payer=PAYER.public_key,
        payee=PAYEE.public_key,
        asset="TEST/0",
        rail_id="hold.v1",
        network="test",
        backing=backing,
        issuer=issuer.public_key,
        salt=os.urandom(16),
        credit_limit=50 if backing is Backing.CREDIT else 0,
    )
    return seal(replace(made, **changes), signer=PAYER)


def deposit_order(signed: Signed[SessionTerms], *, amount: int = 100) -> DepositOrder:
    """Returns a new deposit of a session."""
    return DepositOrder(session_id=signed.digest, terms=signed.value, deposit_id=os.urandom(16), amount=amount)


def payout_order(signed: Signed[SessionTerms], *, amount: int = 40) -> PayoutOrder:
    """Returns a new payout of a session."""
    return PayoutOrder(session_id=signed.digest, terms=signed.value, withdrawal_id=os.urandom(16), amount=amount)


def instruction(order: DepositOrder, started: StartedDeposit | EncodedAny | None) -> DepositInstruction:
    """Returns what a payer is told of a deposit."""
    detail = started.detail if isinstance(started, StartedDeposit) else started
    return DepositInstruction(deposit_id=order.deposit_id, amount=order.amount, expire_time=NOW + DAY, detail=detail)
