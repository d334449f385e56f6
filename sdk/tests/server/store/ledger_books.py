"""A model of ledgers: what sessions come to, in plain numbers. It shares no code with the ledgers.

It is written from spec chapter 3 and from the contract alone.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from consilience.payments import Account, SessionStatus
from consilience.server.store.contract import StoredAsk
from consilience.server.store.ledger import StoredSession
from consilience.units import Digest, EncodedEnvelope
from sdk.tests.server.store.ledger_specimens import receipt_digest

TERMS = EncodedEnvelope(b"terms")

Status = Literal["open", "closing", "closed"]
Progress = Literal["pending", "succeeded", "failed"]

_STATUSES = {"open": SessionStatus.OPEN, "closing": SessionStatus.CLOSING, "closed": SessionStatus.CLOSED}


@dataclass(slots=True)
class Books:
    """A session."""

    number: int
    lent: int
    deposited: int = 0
    promised: int = 0
    spent: int = 0
    set_aside: int = 0
    given_back: int = 0
    paid_out: int = 0
    status: Status = "open"
    voucher: int = 0
    receipts: list[tuple[int, int]] = field(default_factory=list)
    """The amount of each, and the number of the receipt that it refunds, or 0."""
    proofs: list[bytes] = field(default_factory=list)
    acknowledged: int = 0

    @property
    def there(self) -> int:
        """How far a voucher can go."""
        return self.deposited + self.given_back - self.paid_out + self.lent

    @property
    def free(self) -> int:
        """What can be set aside."""
        return self.promised - self.spent - self.set_aside

    @property
    def payable(self) -> int:
        """What can be paid out."""
        owed = self.spent if self.status == "closed" else self.promised
        return self.deposited + self.given_back - self.paid_out - owed

    def refundable(self, number: int) -> int | None:
        """Returns what can still be given back of a receipt; None: there is no such, or it is a refund itself."""
        if not 1 <= number <= len(self.receipts) or self.receipts[number - 1][1]:
            return None
        return self.receipts[number - 1][0] - sum(amount for amount, of in self.receipts if of == number)

    def close_when_idle(self) -> None:
        """Closes a session that is closing and of which nothing is set aside."""
        if self.status == "closing" and self.set_aside == 0:
            self.status = "closed"
            self.promised = self.spent

    def session(self) -> StoredSession:
        """Returns what a ledger should say of the session."""
        commitment = b""
        for proof in self.proofs:
            commitment = hashlib.sha256((commitment or bytes(32)) + proof).digest()
        of = session_id(self.number)
        return StoredSession(
            session_id=of,
            terms=TERMS,
            account=Account(
                deposited=self.deposited,
                credit_limit=self.lent,
                authorized=self.promised,
                spent=self.spent,
                reserved=self.set_aside,
                refunded=self.given_back,
                withdrawn=self.paid_out,
            ),
            status=_STATUSES[self.status],
            receipt_count=len(self.receipts),
            last_receipt_digest=receipt_digest(of, len(self.receipts)) if self.receipts else b"",
            voucher=voucher(self.voucher) if self.voucher else None,
            funding_commitment=commitment,
        )


@dataclass(slots=True)
class Work:
    """A paid ask that runs."""

    ask: StoredAsk
    books: Books
    quote: int
    ceiling: int
    reserved: int
    epoch: int = 1


@dataclass(slots=True)
class Transfer:
    """A deposit or a payout."""

    amount: int
    status: Progress = "pending"


@dataclass(slots=True)
class Quote:
    """A quote: what it allows, and the charges of the asks under it that have ended."""

    most_asks: int
    most_charge: int
    charges: list[int] = field(default_factory=list)


def session_id(number: int) -> Digest:
    """Returns the id of the session with a number."""
    return Digest(bytes([number + 1]) * 32)


def number_of(session: bytes) -> int:
    """Returns the number of the session with an id."""
    return session[0] - 1


def voucher(cumulative: int) -> EncodedEnvelope:
    """Returns the voucher up to a total."""
    return EncodedEnvelope(b"voucher %d" % cumulative)
