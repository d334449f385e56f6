"""The rows of a wallet as values: sessions, and the asks that are paid out of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

from consilience._wire.envelopes import from_bytes, open_envelope
from consilience.asks import Ask
from consilience.envelopes import Signed
from consilience.payments import Exposure, Quote, SessionState, SessionStatus, SessionTerms, TransferStatus
from consilience.units import Digest, RequestId

T = TypeVar("T")

REMEMBERED = 1024
"""How many signed objects are not verified again while the bytes of them stay the same."""


class PaymentStatus(enum.StrEnum):
    """How the payment of an ask stands.

    RUNNING: its receipt has not come; it counts with its ceiling. PAID: it has. RELEASED: the node never took the ask,
    and nothing can be charged for it.
    """

    RUNNING = "RUNNING"
    PAID = "PAID"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletSession:
    """A session as the wallet knows it; amounts in units of the asset of its terms.

    Attributes:
        terms: What was agreed on; its digest is the id of the session.
        address: Where the node was reached.
        authorized: The highest voucher that was signed.
        spent: All charges of receipts that were checked.
        refunded: All that they gave back.
        acknowledged: The number of the last receipt that the node was told to be right.
        trouble: Why it is not used any more, though it may be open; empty: nothing is wrong.
        state: The last one that the node has told, checked; None: there was none.
        exposed: What may be authorized for its running asks now.
        promised: The ceilings of its running asks.
        asks: Their request ids.
    """

    terms: Signed[SessionTerms]
    address: str
    authorized: int = 0
    spent: int = 0
    refunded: int = 0
    acknowledged: int = 0
    trouble: str = ""
    state: Signed[SessionState] | None = None
    exposed: int = 0
    promised: int = 0
    asks: frozenset[RequestId] = frozenset()

    @property
    def running(self) -> int:
        """How many asks run."""
        return len(self.asks)

    @property
    def session_id(self) -> Digest:
        """The digest of the terms."""
        return self.terms.digest

    @property
    def status(self) -> SessionStatus:
        """What it is open for, as far as the node has said so."""
        return self.state.value.status if self.state else SessionStatus.UNKNOWN

    @property
    def is_usable(self) -> bool:
        """Whether asks may be paid out of it."""
        return self.status is SessionStatus.OPEN and not self.trouble

    @property
    def available(self) -> int:
        """Up to what a voucher can go."""
        if self.state is None:
            return 0
        told = self.state.value
        return told.deposited + told.refunded - told.withdrawn + told.credit_limit

    @property
    def room(self) -> int:
        """How much another ask may come to cost, with all that run."""
        return max(0, self.available - self.spent - self.promised)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent:
    """What was written down before an ask was paid for.

    Attributes:
        request_id: Names the ask.
        session_id: Out of what it is paid.
        quote: What was agreed on.
        ceiling: The most that it may cost, in units of the asset.
        question: What the question itself may cost.
        begin_time: When it was written down, aware UTC; what it costs counts for the day of it.
        voucher: The `cumulative` of the voucher that goes with it, as far as was allowed then; zero: it was read again.
        status: How it stands.
        metered: The charge of the last Meter that was checked; None: there was none.
        charge: That of the receipt; None: there is none.
        ask_digest: Of the ask as it was signed; empty: it was not, and so nothing was sent.
        ask: The ask; it is forgotten with the receipt.
    """

    request_id: RequestId
    session_id: Digest
    quote: Signed[Quote]
    ceiling: int
    question: int
    begin_time: datetime
    voucher: int = 0
    status: PaymentStatus = PaymentStatus.RUNNING
    metered: int | None = None
    charge: int | None = None
    ask_digest: bytes = b""
    ask: Signed[Ask] | None = None

    @property
    def exposure(self) -> Exposure:
        """What may be authorized for it."""
        window = self.quote.value.window
        return Exposure(ceiling=self.ceiling, window=window, question=self.question, metered=self.metered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a node requires for an ask.

    Attributes:
        request_id: Names the ask.
        upto: The total that a voucher is to reach, in units of the asset.
        exposure: What the ask puts at risk now.
    """

    request_id: RequestId
    upto: int
    exposure: Exposure


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What may be signed for a session.

    Attributes:
        cumulative: Of the voucher to sign next, written down as signed.
        excessive: The asks for which the node required more than it can need, and that most; nothing is signed for
            these.
    """

    cumulative: int
    excessive: Mapping[RequestId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletTransfer:
    """A deposit or a withdrawal: its id of 16 bytes, its amount in units of the asset, and how it stands.

    `begin_time` is when it was written down, aware UTC; `detail` is what the rail said of it, encoded, where it did.
    """

    session_id: Digest
    transfer_id: bytes
    amount: int
    status: TransferStatus
    begin_time: datetime
    detail: bytes | None = None


def opened(encoded: bytes, value_type: type[T]) -> Signed[T]:
    """Returns a signed object that the wallet keeps; a file may be changed, so what was not seen yet is verified."""
    remembered: Signed[T] = _remembered(encoded, cast("Any", value_type))
    return remembered


@lru_cache(maxsize=REMEMBERED)
def _remembered(encoded: bytes, value_type: Any) -> Signed[Any]:  # noqa: ANN401 - a cache knows no type variables
    signed: Signed[Any] = open_envelope(from_bytes(encoded), value_type)
    return signed


def session_of(row: tuple[Any, ...], *, running: Iterable[tuple[RequestId, int, int]]) -> WalletSession:
    """Returns the session of a row, as `SESSION_FIELDS` names its columns.

    Args:
        row: The session.
        running: Its running asks, as `RUNNING_FIELDS` names their columns.
    """
    terms, address, authorized, spent, refunded, acknowledged, trouble, state = row
    asks, promised, exposed = set[RequestId](), 0, 0
    for request_id, ceiling, amount in running:  # one by one: dozens of rows that are kept wake the garbage collector
        asks.add(request_id)
        promised += ceiling
        exposed += amount
    return WalletSession(
        terms=opened(terms, SessionTerms),
        address=address,
        authorized=authorized,
        spent=spent,
        refunded=refunded,
        acknowledged=acknowledged,
        trouble=trouble,
        state=opened(state, SessionState) if state else None,
        exposed=exposed,
        promised=promised,
        asks=frozenset(asks),
    )


def intent_of(row: tuple[Any, ...]) -> PaymentIntent:
    """Returns the intent of a row, as `INTENT_FIELDS` names its columns."""
    request_id, session_id, quote, ceiling, question, begin_time, status, metered, charge, ask_digest, ask = row
    return PaymentIntent(
        request_id=request_id,
        session_id=session_id,
        quote=opened(quote, Quote),
        ceiling=ceiling,
        question=question,
        begin_time=datetime.fromisoformat(begin_time),
        status=PaymentStatus(status),
        metered=metered,
        charge=charge,
        ask_digest=ask_digest or b"",
        ask=opened(ask, Ask) if ask else None,
    )


RUNNING_FIELDS = "request_id, ceiling, exposed"
SESSION_FIELDS = "terms, address, authorized, spent, refunded, acknowledged, trouble, state"
INTENT_FIELDS = (
    "request_id, session_id, quotes.quote, ceiling, question, begin_time, status, metered, charge, ask_digest, ask"
)
