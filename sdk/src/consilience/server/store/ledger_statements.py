"""The statements of the SQLite ledger: what each step does to its tables.

As in `statements`, every function works within a transaction that holds the write lock of the file: it reads the
session, takes one of the `ledger_steps`, and writes what came of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, select

from consilience.payments import TransferStatus
from consilience.server.store import ledger_rows as rows
from consilience.server.store import ledger_steps as steps
from consilience.server.store.contract import AskKey, AskReservation, LeaseLostError, Settlement, StoredReceipt
from consilience.server.store.ledger import (
    SessionMissingError,
    StoredDeposit,
    StoredSession,
    StoredWithdrawal,
    TransferConflictError,
)
from consilience.server.store.ledger_schema import DEPOSITS, QUOTE_USES, RECEIPTS, RESERVATIONS, SESSIONS, WITHDRAWALS
from consilience.units import Digest, EncodedAny, EncodedEnvelope

_CHANGE_SESSION = SESSIONS.update().where(SESSIONS.c.id == bindparam("of_row"))
_CHANGE_DEPOSIT = DEPOSITS.update().where(DEPOSITS.c.id == bindparam("of_row"))
_CHANGE_WITHDRAWAL = WITHDRAWALS.update().where(WITHDRAWALS.c.id == bindparam("of_row"))
_RAISE = (
    RESERVATIONS.update().where(RESERVATIONS.c.ask_id == bindparam("of_ask")).values(reserved=bindparam("raised_to"))
)
_END_RESERVATION = RESERVATIONS.delete().where(RESERVATIONS.c.ask_id == bindparam("of_ask"))
_USE = select(QUOTE_USES).where(QUOTE_USES.c.quote_digest == bindparam("of_quote"))
_CHANGE_USE = QUOTE_USES.update().where(QUOTE_USES.c.quote_digest == bindparam("of_quote"))


def open_session(connection: Connection, session: StoredSession) -> StoredSession:
    """Inserts a session, or returns the one that is there."""
    if (earlier := rows.find_session(connection, session.session_id)) is not None:
        return earlier
    fixed = {
        "session_id": session.session_id,
        "terms": session.terms,
        "credit_limit": session.account.credit_limit,
    }
    connection.execute(SESSIONS.insert(), fixed | rows.values_of(session))
    return session


def begin_deposit(connection: Connection, deposit: StoredDeposit) -> StoredDeposit:
    """Inserts a deposit, or returns the one that is there."""
    row, session = _session(connection, deposit.session_id)
    if (earlier := rows.find_deposit(connection, deposit.session_id, deposit.deposit_id)) is not None:
        steps.same_transfer(earlier, amount=deposit.amount)
        return earlier
    steps.still_open(session)
    if _is_there(connection, DEPOSITS.c.rail_ref == deposit.rail_ref):
        raise TransferConflictError("the rail knows another deposit by this name")
    values = {
        "session": row.id,
        "deposit_id": deposit.deposit_id,
        "amount": deposit.amount,
        "instruction": deposit.instruction,
        "rail_ref": deposit.rail_ref,
        "status": deposit.status.value,
        "reference": deposit.reference or None,
    }
    connection.execute(DEPOSITS.insert(), values)
    return deposit


def credit(
    connection: Connection, session_id: Digest, deposit_id: bytes, *, amount: int, reference: bytes
) -> StoredSession:
    """Credits a deposit, unless that was done."""
    row, session = _session(connection, session_id)
    deposit_row = rows.deposit_row(connection, session_id, deposit_id)
    deposit = steps.creditable(None if deposit_row is None else rows.deposit_of(deposit_row))
    if deposit_row is None or deposit.status is TransferStatus.SUCCEEDED:
        return session
    if _is_there(connection, DEPOSITS.c.reference == reference):
        raise TransferConflictError("what proves the deposit has proved another one")
    credited = steps.crediting(session, amount=amount, reference=reference)
    values = {"status": TransferStatus.SUCCEEDED.value, "reference": reference, "credited": amount}
    connection.execute(_CHANGE_DEPOSIT, {"of_row": deposit_row.id} | values)
    return _write(connection, row, credited)


def fail_deposit(connection: Connection, session_id: Digest, deposit_id: bytes) -> None:
    """Notes that a pending deposit has failed."""
    row = rows.deposit_row(connection, session_id, deposit_id)
    if row is None:
        raise SessionMissingError("the session has no such deposit")
    if row.status == TransferStatus.PENDING:
        connection.execute(_CHANGE_DEPOSIT, {"of_row": row.id, "status": TransferStatus.FAILED.value})


def authorize(
    connection: Connection, session_id: Digest, *, cumulative: int, voucher: EncodedEnvelope
) -> StoredSession:
    """Takes a voucher."""
    row, session = _session(connection, session_id)
    return _write(connection, row, steps.authorizing(steps.still_open(session), cumulative=cumulative, voucher=voucher))


def reserve(connection: Connection, reservation: AskReservation, *, ask_id: int, now: datetime) -> None:
    """Sets aside what an ask was bound with, or raises what `AnswerStore.bind` says."""
    row, session = _session(connection, reservation.session_id)
    steps.still_open(session)
    _use_quote(connection, reservation, now=now)
    _write(connection, row, steps.reserving(session, reservation.reserved))
    values = {
        "ask_id": ask_id,
        "session": row.id,
        "quote": reservation.quote,
        "quote_digest": reservation.quote_digest,
        "max_asks": reservation.max_asks,
        "total_max_charge": reservation.total_max_charge,
        "ceiling": reservation.ceiling,
        "reserved": reservation.reserved,
    }
    connection.execute(RESERVATIONS.insert(), values)


def extend(connection: Connection, key: AskKey, *, least: int, most: int) -> tuple[AskReservation, StoredSession]:
    """Raises what is reserved for an ask."""
    reservation_row = rows.reservation_row(connection, key)
    if reservation_row is None:
        raise LeaseLostError("nothing is reserved for the ask any more")
    before = rows.reservation_of(reservation_row)
    row, session = _session(connection, before.session_id)
    extended, reservation = steps.extending(session, before, least=least, most=most)
    if reservation.reserved != before.reserved:
        connection.execute(_RAISE, {"of_ask": reservation_row.ask_id, "raised_to": reservation.reserved})
    return reservation, _write(connection, row, extended)


def settle(connection: Connection, settlement: Settlement | None, *, ask_id: int) -> None:
    """Ends what is reserved for an ask, or raises what `AnswerStore.finish` says."""
    reservation_row = rows.reservation_row_of(connection, ask_id)
    reservation = None if reservation_row is None else rows.reservation_of(reservation_row)
    steps.check_settled(reservation, settled=settlement is not None)
    if reservation is None or settlement is None:
        return
    row, session = _session(connection, reservation.session_id)
    _write(connection, row, steps.settling(session, reservation, settlement.receipt))
    _insert_receipt(connection, settlement.receipt, session_row=row.id)
    use = connection.execute(_USE, {"of_quote": reservation.quote_digest}).one()
    settled = _use_of(use).settling(reservation, charge=settlement.receipt.charge)
    connection.execute(_CHANGE_USE, {"of_quote": reservation.quote_digest, "most_charge": settled.most_charge})
    connection.execute(_END_RESERVATION, {"of_ask": ask_id})


def refund(connection: Connection, receipt: StoredReceipt) -> StoredSession:
    """Gives part of a charge back."""
    row, session = _session(connection, receipt.session_id)
    refunded = rows.find_receipt(connection, receipt.session_id, receipt.refund_of)
    given_back = select(func.coalesce(func.sum(RECEIPTS.c.charge), 0)).where(
        RECEIPTS.c.session == row.id, RECEIPTS.c.refund_of == receipt.refund_of
    )
    before: int = connection.execute(given_back).scalar_one()
    after = steps.refunding(session, receipt, refunded=refunded, before=before)
    _insert_receipt(connection, receipt, session_row=row.id)
    return _write(connection, row, after)


def acknowledge(connection: Connection, session_id: Digest, *, number: int, call: EncodedEnvelope) -> None:
    """Keeps the payer's word for a receipt, unless there is one for a later receipt, or for this one."""
    row, session = _session(connection, session_id)
    if not 1 <= number <= session.receipt_count:
        raise SessionMissingError(f"the session has no receipt {number}")
    if number > row.acknowledged_number:
        values = {"acknowledged_number": number, "acknowledgement": call}
        connection.execute(_CHANGE_SESSION, {"of_row": row.id} | values)


def begin_withdrawal(connection: Connection, withdrawal: StoredWithdrawal) -> StoredWithdrawal:
    """Counts a payout as withdrawn, or returns the one that is there."""
    row, session = _session(connection, withdrawal.session_id)
    earlier = rows.withdrawal_row(connection, withdrawal.session_id, withdrawal.withdrawal_id)
    if earlier is not None:
        steps.same_transfer(rows.withdrawal_of(earlier), amount=withdrawal.amount)
        return rows.withdrawal_of(earlier)
    _write(connection, row, steps.withdrawing(session, withdrawal.amount))
    values = {
        "session": row.id,
        "withdrawal_id": withdrawal.withdrawal_id,
        "amount": withdrawal.amount,
        "destination": withdrawal.destination,
        "status": withdrawal.status.value,
        "detail": withdrawal.detail,
    }
    connection.execute(WITHDRAWALS.insert(), values)
    return withdrawal


def end_withdrawal(
    connection: Connection,
    session_id: Digest,
    withdrawal_id: bytes,
    *,
    status: TransferStatus,
    detail: EncodedAny | None,
) -> StoredWithdrawal:
    """Notes how a payout ended."""
    withdrawal_row = rows.withdrawal_row(connection, session_id, withdrawal_id)
    if withdrawal_row is None:
        raise SessionMissingError("the session has no such payout")
    withdrawal = rows.withdrawal_of(withdrawal_row)
    ended = steps.ending(withdrawal, status=status, detail=detail)
    if ended is withdrawal:
        return withdrawal
    if status is TransferStatus.FAILED:
        row, session = _session(connection, session_id)
        _write(connection, row, steps.taking_back(session, withdrawal.amount))
    connection.execute(_CHANGE_WITHDRAWAL, {"of_row": withdrawal_row.id, "status": status.value, "detail": detail})
    return ended


def close_session(connection: Connection, session_id: Digest) -> StoredSession:
    """Shuts a session."""
    row, session = _session(connection, session_id)
    return _write(connection, row, steps.closing(session))


def forget_quotes(connection: Connection, *, now: datetime) -> None:
    """Drops the uses of quotes that have long ended and under which no ask runs."""
    running = select(RESERVATIONS.c.quote_digest)
    passed = QUOTE_USES.c.forget_time <= now
    connection.execute(QUOTE_USES.delete().where(passed, QUOTE_USES.c.quote_digest.not_in(running)))


def _session(connection: Connection, session_id: Digest) -> tuple[Row[Any], StoredSession]:
    row = rows.session_row(connection, session_id)
    if row is None:
        raise SessionMissingError("there is no such session")
    return row, rows.session_of(row)


def _write(connection: Connection, row: Row[Any], session: StoredSession) -> StoredSession:
    """Writes a session where a step has changed it, and returns it."""
    if session != rows.session_of(row):
        connection.execute(_CHANGE_SESSION, {"of_row": row.id} | rows.values_of(session))
    return session


def _insert_receipt(connection: Connection, receipt: StoredReceipt, *, session_row: int) -> None:
    values = {
        "session": session_row,
        "number": receipt.number,
        "digest": receipt.digest,
        "charge": receipt.charge,
        "envelope": receipt.envelope,
        "refund_of": receipt.refund_of or None,
    }
    connection.execute(RECEIPTS.insert(), values)


def _use_quote(connection: Connection, reservation: AskReservation, *, now: datetime) -> None:
    row = connection.execute(_USE, {"of_quote": reservation.quote_digest}).one_or_none()
    if row is None:
        use = steps.QuoteUse(forget_time=now + steps.QUOTE_USE_LIFETIME).binding(reservation)
        values = {"quote_digest": reservation.quote_digest, "forget_time": use.forget_time}
        counts = {"ask_count": use.ask_count, "most_charge": use.most_charge}
        connection.execute(QUOTE_USES.insert(), values | counts)
    else:
        use = _use_of(row).binding(reservation)
        counts = {"ask_count": use.ask_count, "most_charge": use.most_charge}
        connection.execute(_CHANGE_USE, {"of_quote": reservation.quote_digest} | counts)


def _use_of(row: Row[Any]) -> steps.QuoteUse:
    return steps.QuoteUse(forget_time=row.forget_time, ask_count=row.ask_count, most_charge=row.most_charge)


def _is_there(connection: Connection, condition: ColumnElement[bool]) -> bool:
    return connection.execute(select(DEPOSITS.c.id).where(condition)).first() is not None
