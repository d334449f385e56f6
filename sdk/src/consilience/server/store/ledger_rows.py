"""The rows of the SQLite ledger: how they are found, and what they say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select

from consilience.payments import Account, SessionStatus, TransferStatus
from consilience.server.store.contract import AskKey, AskReservation, StoredReceipt
from consilience.server.store.ledger import StoredDeposit, StoredSession, StoredWithdrawal
from consilience.server.store.ledger_schema import DEPOSITS, RECEIPTS, RESERVATIONS, SESSIONS, WITHDRAWALS
from consilience.server.store.schema import ASKS
from consilience.units import Digest, EncodedAny, EncodedEnvelope

_OF_SESSION = SESSIONS.c.session_id == bindparam("of_session")
_SESSION = select(SESSIONS).where(_OF_SESSION)
_NEXT_SESSIONS = (
    select(SESSIONS)
    .where(SESSIONS.c.session_id > bindparam("after"))
    .order_by(SESSIONS.c.session_id)
    .limit(bindparam("at_most"))
)
_DEPOSITS = select(DEPOSITS, SESSIONS.c.session_id).join(SESSIONS)
_DEPOSIT = _DEPOSITS.where(_OF_SESSION, DEPOSITS.c.deposit_id == bindparam("of_id"))
_PENDING_DEPOSITS = _DEPOSITS.where(DEPOSITS.c.status == TransferStatus.PENDING.value).order_by(DEPOSITS.c.id)
_NEXT_PENDING_DEPOSITS = _PENDING_DEPOSITS.where(DEPOSITS.c.id > bindparam("after")).limit(bindparam("at_most"))
_WITHDRAWALS = select(WITHDRAWALS, SESSIONS.c.session_id).join(SESSIONS)
_WITHDRAWAL = _WITHDRAWALS.where(_OF_SESSION, WITHDRAWALS.c.withdrawal_id == bindparam("of_id"))
_PENDING_WITHDRAWALS = _WITHDRAWALS.where(WITHDRAWALS.c.status == TransferStatus.PENDING.value).order_by(
    WITHDRAWALS.c.id
)
_RECEIPTS = select(RECEIPTS, SESSIONS.c.session_id).join(SESSIONS).where(_OF_SESSION)
_NEXT_RECEIPTS = (
    _RECEIPTS.where(RECEIPTS.c.number > bindparam("after")).order_by(RECEIPTS.c.number).limit(bindparam("at_most"))
)
_RECEIPT = _RECEIPTS.where(RECEIPTS.c.digest == bindparam("of_digest"))
_RESERVATIONS = select(RESERVATIONS, SESSIONS.c.session_id).join(SESSIONS)
_RESERVATION = _RESERVATIONS.where(RESERVATIONS.c.ask_id == bindparam("of_ask"))
_OF_KEY = and_(ASKS.c.caller == bindparam("of_caller"), ASKS.c.request_id == bindparam("of_request_id"))
_RESERVATION_OF_KEY = _RESERVATIONS.join(ASKS).where(_OF_KEY)


def session_row(connection: Connection, session_id: Digest) -> Row[Any] | None:
    """Returns the row of a session, or None."""
    return connection.execute(_SESSION, {"of_session": session_id}).one_or_none()


def deposit_row(connection: Connection, session_id: Digest, deposit_id: bytes) -> Row[Any] | None:
    """Returns the row of a deposit, or None."""
    return connection.execute(_DEPOSIT, {"of_session": session_id, "of_id": deposit_id}).one_or_none()


def withdrawal_row(connection: Connection, session_id: Digest, withdrawal_id: bytes) -> Row[Any] | None:
    """Returns the row of a payout, or None."""
    return connection.execute(_WITHDRAWAL, {"of_session": session_id, "of_id": withdrawal_id}).one_or_none()


def reservation_row(connection: Connection, key: AskKey) -> Row[Any] | None:
    """Returns the row of what is reserved for an ask, or None."""
    of_key = {"of_caller": key.caller, "of_request_id": key.request_id}
    return connection.execute(_RESERVATION_OF_KEY, of_key).one_or_none()


def reservation_row_of(connection: Connection, ask_id: int) -> Row[Any] | None:
    """Returns the row of what is reserved for an ask, by the row id of that, or None."""
    return connection.execute(_RESERVATION, {"of_ask": ask_id}).one_or_none()


def find_session(connection: Connection, session_id: Digest) -> StoredSession | None:
    """Returns a session, or None."""
    row = session_row(connection, session_id)
    return None if row is None else session_of(row)


def sessions(connection: Connection, *, after: bytes, limit: int) -> tuple[StoredSession, ...]:
    """Returns sessions in the order of their ids."""
    return tuple(map(session_of, connection.execute(_NEXT_SESSIONS, {"after": after, "at_most": limit})))


def find_deposit(connection: Connection, session_id: Digest, deposit_id: bytes) -> StoredDeposit | None:
    """Returns a deposit, or None."""
    row = deposit_row(connection, session_id, deposit_id)
    return None if row is None else deposit_of(row)


def pending_deposits(connection: Connection) -> tuple[StoredDeposit, ...]:
    """Returns the deposits that are pending, oldest first."""
    return tuple(map(deposit_of, connection.execute(_PENDING_DEPOSITS)))


def next_pending_deposits(connection: Connection, *, after: int, limit: int) -> tuple[tuple[int, StoredDeposit], ...]:
    """Returns pending deposits, oldest first, each with the id of its row."""
    found = connection.execute(_NEXT_PENDING_DEPOSITS, {"after": after, "at_most": limit})
    return tuple((row.id, deposit_of(row)) for row in found)


def pending_withdrawals(connection: Connection) -> tuple[StoredWithdrawal, ...]:
    """Returns the payouts that are pending, oldest first."""
    return tuple(map(withdrawal_of, connection.execute(_PENDING_WITHDRAWALS)))


def find_reservation(connection: Connection, key: AskKey) -> AskReservation | None:
    """Returns what is reserved for an ask, or None."""
    row = reservation_row(connection, key)
    return None if row is None else reservation_of(row)


def receipts(connection: Connection, session_id: Digest, *, after: int, limit: int) -> tuple[StoredReceipt, ...]:
    """Returns receipts of a session in order."""
    window = {"of_session": session_id, "after": after, "at_most": limit}
    return tuple(map(receipt_of, connection.execute(_NEXT_RECEIPTS, window)))


def find_receipt(connection: Connection, session_id: Digest, digest: bytes) -> StoredReceipt | None:
    """Returns a receipt by its digest, or None."""
    row = connection.execute(_RECEIPT, {"of_session": session_id, "of_digest": digest}).one_or_none()
    return None if row is None else receipt_of(row)


def acknowledgement(connection: Connection, session_id: Digest) -> EncodedEnvelope | None:
    """Returns the payer's highest acknowledgement, or None."""
    row = session_row(connection, session_id)
    return None if row is None or row.acknowledgement is None else EncodedEnvelope(row.acknowledgement)


def session_of(row: Row[Any]) -> StoredSession:
    """Returns what the row of a session says."""
    account = Account(
        deposited=row.deposited,
        credit_limit=row.credit_limit,
        authorized=row.authorized,
        spent=row.spent,
        reserved=row.reserved,
        refunded=row.refunded,
        withdrawn=row.withdrawn,
    )
    return StoredSession(
        session_id=Digest(row.session_id),
        terms=EncodedEnvelope(row.terms),
        account=account,
        status=SessionStatus(row.status),
        receipt_count=row.receipt_count,
        last_receipt_digest=row.last_receipt_digest,
        voucher=None if row.voucher is None else EncodedEnvelope(row.voucher),
        funding_commitment=row.funding_commitment,
    )


def values_of(session: StoredSession) -> dict[str, Any]:
    """Returns the columns of a session that its steps change."""
    account = session.account
    return {
        "status": session.status.value,
        "deposited": account.deposited,
        "authorized": account.authorized,
        "spent": account.spent,
        "reserved": account.reserved,
        "refunded": account.refunded,
        "withdrawn": account.withdrawn,
        "receipt_count": session.receipt_count,
        "last_receipt_digest": session.last_receipt_digest,
        "voucher": session.voucher,
        "funding_commitment": session.funding_commitment,
    }


def deposit_of(row: Row[Any]) -> StoredDeposit:
    """Returns what the row of a deposit says."""
    return StoredDeposit(
        session_id=Digest(row.session_id),
        deposit_id=row.deposit_id,
        amount=row.amount,
        instruction=row.instruction,
        rail_ref=row.rail_ref,
        status=TransferStatus(row.status),
        reference=row.reference or b"",
    )


def withdrawal_of(row: Row[Any]) -> StoredWithdrawal:
    """Returns what the row of a payout says."""
    return StoredWithdrawal(
        session_id=Digest(row.session_id),
        withdrawal_id=row.withdrawal_id,
        amount=row.amount,
        destination=None if row.destination is None else EncodedAny(row.destination),
        status=TransferStatus(row.status),
        detail=None if row.detail is None else EncodedAny(row.detail),
    )


def receipt_of(row: Row[Any]) -> StoredReceipt:
    """Returns what the row of a receipt says."""
    return StoredReceipt(
        session_id=Digest(row.session_id),
        number=row.number,
        digest=Digest(row.digest),
        charge=row.charge,
        envelope=EncodedEnvelope(row.envelope),
        refund_of=row.refund_of or b"",
    )


def reservation_of(row: Row[Any]) -> AskReservation:
    """Returns what the row of a reservation says."""
    return AskReservation(
        session_id=Digest(row.session_id),
        quote=EncodedEnvelope(row.quote),
        quote_digest=Digest(row.quote_digest),
        max_asks=row.max_asks,
        total_max_charge=row.total_max_charge,
        ceiling=row.ceiling,
        reserved=row.reserved,
    )
