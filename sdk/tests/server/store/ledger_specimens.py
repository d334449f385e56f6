"""Sessions, deposits, reservations and receipts to store."""

import os

from consilience.payments import Account
from consilience.server.store.contract import AskReservation, Settlement, StoredReceipt
from consilience.server.store.ledger import StoredDeposit, StoredSession, StoredWithdrawal
from consilience.units import Digest, EncodedEnvelope

ENVELOPE = EncodedEnvelope(b"\x0a\x01x")


def new_session(*, credit_limit: int = 0) -> StoredSession:
    return StoredSession(session_id=Digest(os.urandom(32)), terms=ENVELOPE, account=Account(credit_limit=credit_limit))


def deposit_of(session: StoredSession, *, amount: int = 100) -> StoredDeposit:
    return StoredDeposit(
        session_id=session.session_id,
        deposit_id=os.urandom(16),
        amount=amount,
        instruction=b"pay",
        rail_ref=os.urandom(8),
    )


def withdrawal_of(session: StoredSession, *, amount: int) -> StoredWithdrawal:
    return StoredWithdrawal(session_id=session.session_id, withdrawal_id=os.urandom(16), amount=amount)


def reservation_of(
    session: StoredSession, *, reserved: int, ceiling: int = 50, quote: bytes = b"q" * 32, max_asks: int = 1000
) -> AskReservation:
    return AskReservation(
        session_id=session.session_id,
        quote=ENVELOPE,
        quote_digest=Digest(quote),
        max_asks=max_asks,
        total_max_charge=100_000,
        ceiling=ceiling,
        reserved=reserved,
    )


def settlement_of(session: StoredSession, *, number: int, charge: int, refund_of: bytes = b"") -> Settlement:
    receipt = StoredReceipt(
        session_id=session.session_id,
        number=number,
        digest=Digest(os.urandom(32)),
        charge=charge,
        envelope=ENVELOPE,
        refund_of=refund_of,
    )
    return Settlement(receipt=receipt)
