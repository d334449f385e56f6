"""Sessions: the account of one payer at one node, in one asset, and the invariant that it keeps (spec section 3.3).

An `Account` is a value: each step returns the next one, or says why there is none. Whatever stores accounts does one
step in one transaction, so an account never leaves the invariant, in memory or on disk.

>>> account = Account(deposited=100).authorized_to(60).reserving(10)
>>> account.settling(reserved=10, charge=7)
Account(deposited=100, credit_limit=0, authorized=60, spent=7, reserved=0, refunded=0, withdrawn=0)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from consilience.asks.questions import refuse_violations
from consilience.envelopes import Envelope
from consilience.errors import ConsilienceError, FieldViolation
from consilience.payments.costs import MAX_AMOUNT
from consilience.tariffs import Backing, is_asset, is_id
from consilience.units import Digest, NamedNumber, PublicKey

SALT_BYTES = 16
MAX_NETWORK_CHARACTERS = 64
KEY_BYTES = 32


class SessionStatus(NamedNumber):
    """What a session is open for."""

    UNKNOWN = -1
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class AccountError(ConsilienceError):
    """A step would leave the invariant of the account, which stays as it is."""

    remedy = "Send a higher voucher, after a deposit where the session needs one."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """What payer and node agree on; the digest of the signed terms is the id of the session.

    See `SessionTerms` in payment.proto for each field; `credit_limit` is in units of the asset.
    """

    payer: PublicKey
    payee: PublicKey
    asset: str
    rail_id: str
    network: str
    backing: Backing
    issuer: PublicKey
    salt: bytes
    credit_limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """Allows the node to spend of a session up to `cumulative`, in units of its asset, since it was opened."""

    payer: PublicKey
    session_id: Digest
    cumulative: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """The counters of a session as a node tells them, signed; `voucher` is the payer's highest."""

    node_id: PublicKey
    signing_key: PublicKey
    session_id: Digest
    status: SessionStatus
    issue_time: datetime
    deposited: int = 0
    authorized: int = 0
    spent: int = 0
    reserved: int = 0
    refunded: int = 0
    withdrawn: int = 0
    credit_limit: int = 0
    receipt_count: int = 0
    last_receipt_digest: bytes = b""
    voucher: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The counters of a session, in units of its asset, always within the invariant (PAY-SES-001).

    Raises:
        AccountError: The counters are outside it.
    """

    deposited: int = 0
    credit_limit: int = 0
    authorized: int = 0
    spent: int = 0
    reserved: int = 0
    refunded: int = 0
    withdrawn: int = 0

    def __post_init__(self) -> None:
        least = min(
            *(self.deposited, self.credit_limit, self.authorized, self.spent),
            *(self.reserved, self.refunded, self.withdrawn),
        )
        if least < 0 or max(self.deposited, self.refunded) > MAX_AMOUNT:
            raise AccountError("a counter of the session is out of range")
        if not self.spent + self.reserved <= self.authorized <= self.available:
            raise AccountError(
                f"{self.spent} spent and {self.reserved} reserved do not fit {self.authorized} authorized of "
                f"{self.available} available"
            )

    @property
    def available(self) -> int:
        """Up to what a voucher can go."""
        return self.deposited + self.refunded - self.withdrawn + self.credit_limit

    @property
    def free(self) -> int:
        """What can be reserved for another ask."""
        return self.authorized - self.spent - self.reserved

    def withdrawable(self, *, closed: bool) -> int:
        """Returns the most that can be paid out: nothing that is promised to the node, and no credit (PAY-WDR-001)."""
        promised = self.spent if closed else self.authorized
        return max(0, self.available - self.credit_limit - promised)

    def crediting(self, amount: int) -> Account:
        """Returns the account with a deposit more."""
        return replace(self, deposited=self.deposited + _positive(amount))

    def authorized_to(self, cumulative: int) -> Account:
        """Returns the account with a voucher taken: one that is not higher changes nothing (PAY-VCH-002).

        Raises:
            AccountError: The voucher is above what is available.
        """
        return self if 0 <= cumulative <= self.authorized else replace(self, authorized=cumulative)

    def reserving(self, amount: int) -> Account:
        """Returns the account with more set aside for an ask.

        Raises:
            AccountError: It is more than what is free, or below zero.
        """
        if amount < 0:
            raise AccountError(f"{amount} cannot be set aside")
        return replace(self, reserved=self.reserved + amount)

    def settling(self, *, reserved: int, charge: int) -> Account:
        """Returns the account after an ask: its reservation is free again, its charge is spent.

        Raises:
            AccountError: The charge is above the reservation (PAY-CHG-001), or there is no such reservation.
        """
        if not 0 <= charge <= reserved <= self.reserved:
            raise AccountError(f"a charge of {charge} does not fit a reservation of {reserved} out of {self.reserved}")
        return replace(self, reserved=self.reserved - reserved, spent=self.spent + charge)

    def refunding(self, amount: int) -> Account:
        """Returns the account with a charge given back; how much of one may be is the caller's to know."""
        if self.refunded + _positive(amount) > self.spent:
            raise AccountError(f"a refund of {amount} is more than was spent")
        return replace(self, refunded=self.refunded + amount)

    def withdrawing(self, amount: int, *, closed: bool) -> Account:
        """Returns the account with a payout begun.

        Raises:
            AccountError: It is more than can be paid out.
        """
        if _positive(amount) > self.withdrawable(closed=closed):
            raise AccountError(f"{amount} is more than the {self.withdrawable(closed=closed)} that can be paid out")
        return replace(self, withdrawn=self.withdrawn + amount)

    def taking_back(self, amount: int) -> Account:
        """Returns the account after a payout that failed (PAY-WDR-002)."""
        return replace(self, withdrawn=self.withdrawn - amount)

    def closed(self) -> Account:
        """Returns the account as it is once the session is closed: what was authorized and not spent is the payer's.

        Raises:
            AccountError: Asks still run.
        """
        if self.reserved:
            raise AccountError(f"{self.reserved} are still reserved for running asks")
        return replace(self, authorized=self.spent)


def _positive(amount: int) -> int:
    if not 0 < amount <= MAX_AMOUNT:
        raise AccountError(f"{amount} is no amount to move")
    return amount


def check_terms(terms: SessionTerms) -> None:
    """Checks the declared constraints of session terms.

    Raises:
        FieldInvalidError: With the violations found.
    """
    refuse_violations(_terms_violations(terms))


def check_voucher(voucher: Voucher) -> None:
    """Checks the declared constraints of a voucher.

    Raises:
        FieldInvalidError: With the violations found.
    """
    refuse_violations(_voucher_violations(voucher))


def _terms_violations(terms: SessionTerms) -> Iterator[FieldViolation]:
    for name, size in (("payer", KEY_BYTES), ("payee", KEY_BYTES), ("issuer", KEY_BYTES), ("salt", SALT_BYTES)):
        if len(getattr(terms, name)) != size:
            yield FieldViolation(field=name, description=f"must be {size} bytes")
    if not is_asset(terms.asset):
        yield FieldViolation(field="asset", description="must be the id of an asset, as USD/6")
    if not is_id(terms.rail_id):
        yield FieldViolation(field="rail_id", description="must be the id of a rail")
    if not 1 <= len(terms.network) <= MAX_NETWORK_CHARACTERS:
        yield FieldViolation(field="network", description=f"must have 1 to {MAX_NETWORK_CHARACTERS} characters")
    if terms.backing <= Backing.UNSPECIFIED:
        yield FieldViolation(field="backing", description="must be a backing of this version")
    elif not _issuer_fits(terms):
        yield FieldViolation(field="session_terms", description="must have the issuer of its backing")
    if terms.credit_limit < 0:
        yield FieldViolation(field="credit_limit", description="must not be negative")
    if (terms.backing is Backing.CREDIT) != (terms.credit_limit > 0):
        yield FieldViolation(field="session_terms", description="must have a credit limit on credit alone")


def _issuer_fits(terms: SessionTerms) -> bool:
    match terms.backing:
        case Backing.PREPAID:
            return terms.issuer == terms.payee
        case Backing.CREDIT:
            return terms.issuer == terms.payer
        case _:
            return terms.issuer not in (terms.payer, terms.payee)


def _voucher_violations(voucher: Voucher) -> Iterator[FieldViolation]:
    for name in ("payer", "session_id"):
        if len(getattr(voucher, name)) != KEY_BYTES:
            yield FieldViolation(field=name, description=f"must be {KEY_BYTES} bytes")
    if voucher.cumulative < 0:
        yield FieldViolation(field="cumulative", description="must not be negative")
