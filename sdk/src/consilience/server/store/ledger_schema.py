"""The tables of a ledger in the SQLite store. What must never be doubled is unique here, whatever the code does.

Amounts are in units of the asset of their session.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table
from sqlalchemy import UniqueConstraint as Unique

from consilience.payments import TransferStatus
from consilience.server.store.schema import ASKS, TABLES, UtcTime

SESSIONS = Table(
    "sessions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("session_id", LargeBinary, nullable=False, unique=True),
    Column("terms", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("deposited", BigInteger, nullable=False),
    Column("credit_limit", BigInteger, nullable=False),
    Column("authorized", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("withdrawn", BigInteger, nullable=False),
    Column("receipt_count", BigInteger, nullable=False),
    Column("last_receipt_digest", LargeBinary, nullable=False),
    Column("voucher", LargeBinary),
    Column("funding_commitment", LargeBinary, nullable=False),
    Column("acknowledged_number", BigInteger, nullable=False, server_default="0"),
    Column("acknowledgement", LargeBinary, comment="The payer's word for that receipt."),
    # PAY-SES-001, with the terms on such sides that no sum leaves 64 bits.
    CheckConstraint("spent <= authorized - reserved", name="authorized_is_enough"),
    CheckConstraint("authorized - refunded - credit_limit <= deposited - withdrawn", name="available_is_enough"),
    CheckConstraint("min(deposited, credit_limit, spent, reserved, refunded, withdrawn) >= 0", name="none_is_negative"),
)

DEPOSITS = Table(
    "deposits",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("session", ForeignKey(SESSIONS.c.id), nullable=False),
    Column("deposit_id", LargeBinary, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("instruction", LargeBinary, nullable=False),
    Column("rail_ref", LargeBinary, nullable=False, unique=True),
    Column("status", Integer, nullable=False),
    Column("credited", BigInteger, nullable=False, server_default="0", comment="What really came."),
    Column("reference", LargeBinary, unique=True, comment="Over all sessions: what proved one proves no other."),
    Unique("session", "deposit_id"),
)
Index("deposits_pending", DEPOSITS.c.id, sqlite_where=DEPOSITS.c.status == TransferStatus.PENDING.value)

WITHDRAWALS = Table(
    "withdrawals",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("session", ForeignKey(SESSIONS.c.id), nullable=False),
    Column("withdrawal_id", LargeBinary, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("destination", LargeBinary),
    Column("status", Integer, nullable=False),
    Column("detail", LargeBinary),
    Unique("session", "withdrawal_id"),
)
Index("withdrawals_pending", WITHDRAWALS.c.id, sqlite_where=WITHDRAWALS.c.status == TransferStatus.PENDING.value)

RECEIPTS = Table(
    "receipts",
    TABLES,
    Column("session", ForeignKey(SESSIONS.c.id), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    Column("charge", BigInteger, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("refund_of", LargeBinary, comment="NULL: it is for an ask."),
    Unique("session", "digest"),
    sqlite_with_rowid=False,
)
Index("receipts_refunds", RECEIPTS.c.session, RECEIPTS.c.refund_of, sqlite_where=RECEIPTS.c.refund_of.is_not(None))

RESERVATIONS = Table(
    "reservations",
    TABLES,
    Column("ask_id", ForeignKey(ASKS.c.id), primary_key=True, autoincrement=False),
    Column("session", ForeignKey(SESSIONS.c.id), nullable=False, index=True),
    Column("quote", LargeBinary, nullable=False),
    Column("quote_digest", LargeBinary, nullable=False, index=True),
    Column("max_asks", BigInteger, nullable=False),
    Column("total_max_charge", BigInteger, nullable=False),
    Column("ceiling", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    comment="One row for each paid ask that runs.",
)

QUOTE_USES = Table(
    "quote_uses",
    TABLES,
    Column("quote_digest", LargeBinary, primary_key=True),
    Column("forget_time", UtcTime, nullable=False),
    Column("ask_count", BigInteger, nullable=False),
    Column("most_charge", BigInteger, nullable=False, comment="Charges of ended asks, ceilings of running ones."),
    sqlite_with_rowid=False,
)

LEDGER_TABLES = (SESSIONS, DEPOSITS, WITHDRAWALS, RECEIPTS, RESERVATIONS, QUOTE_USES)
