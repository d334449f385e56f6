"""The tables of the SQLite store, but for those of its ledger (`ledger_schema`).

Times are integers, microseconds since the Unix epoch, so that they compare and index as numbers.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from consilience.units import EPOCH, MICROSECOND


class UtcTime(TypeDecorator[datetime]):
    """An aware time as microseconds since the Unix epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        """Returns what is stored for a time."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Returns the UTC time of what is stored."""
        return None if value is None else EPOCH + value * MICROSECOND


TABLES = MetaData()

STORE = Table(
    "store",
    TABLES,
    Column("schema_version", Integer, nullable=False),
    Column("last_card_sequence", BigInteger, nullable=False),
    comment="One row: what holds for the whole file.",
)

REPLICAS = Table(
    "replicas",
    TABLES,
    Column("name", Text, primary_key=True),
    Column("life", Integer, nullable=False, comment="Counts the times that the replica opened the store."),
    Column("lease_until", UtcTime, nullable=False, comment="Covers all running asks of the replica."),
)

ASKS = Table(
    "asks",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("caller", LargeBinary, nullable=False),
    Column("request_id", LargeBinary, nullable=False),
    Column("ask_digest", LargeBinary, nullable=False),
    Column("card_digest", LargeBinary, nullable=False),
    Column("accept_time", UtcTime, nullable=False),
    Column("expire_time", UtcTime, nullable=False),
    Column("replica", ForeignKey(REPLICAS.c.name), nullable=False),
    Column("life", Integer, nullable=False, comment="The life of the replica that runs the ask."),
    Column("epoch", Integer, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("finish_time", UtcTime),
    Column("keep_until_time", UtcTime),
    UniqueConstraint("caller", "request_id"),
)
Index("asks_running", ASKS.c.replica, sqlite_where=ASKS.c.finish_time.is_(None))
Index("asks_kept", ASKS.c.keep_until_time, sqlite_where=ASKS.c.keep_until_time.is_not(None))

ENTRIES = Table(
    "entries",
    TABLES,
    Column("ask_id", ForeignKey(ASKS.c.id, ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    Column("text", Text),
    Column("output_tokens", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,  # the log lies in the order in which it is read
)

CARDS = Table(
    "cards",
    TABLES,
    Column("digest", LargeBinary, primary_key=True),
    Column("expire_time", UtcTime, nullable=False),
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    Column("envelope", LargeBinary, comment="NULL: an earlier version noted the digest alone."),
    sqlite_with_rowid=False,
)
