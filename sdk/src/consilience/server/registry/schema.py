"""The tables of a record store, for every database alike.

Digests, keys and search terms are bytes: they compare byte by byte everywhere, and hold what text columns refuse.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from consilience.server.store.schema import UtcTime

SCHEMA_VERSION = 1

TABLES = MetaData()

REGISTRY = Table(
    "registry",
    TABLES,
    Column("schema_version", Integer, nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Column(
        "last_serial", BigInteger, nullable=False, comment="Whoever writes, raises it first, and so waits its turn."
    ),
    comment="One row: what holds for the whole store.",
)

RECORDS = Table(
    "records",
    TABLES,
    Column("serial", BigInteger, primary_key=True, autoincrement=False, comment="In the order of the commits."),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("type", Integer, nullable=False),
    Column("slot_type", Integer, nullable=False),
    Column("author", LargeBinary, nullable=False),
    Column("slot", LargeBinary, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("issue_time", UtcTime, nullable=False),
    Column("since", UtcTime, comment="From when the key has to have been the node's."),
    Column("end_time", UtcTime, nullable=False),
    Column("record", LargeBinary, nullable=False, comment="An encoded Record; empty of a card that has ended."),
    UniqueConstraint("author", "slot_type", "slot"),
)
Index("records_of_author", RECORDS.c.author, RECORDS.c.serial)
Index("records_about", RECORDS.c.subject, RECORDS.c.serial)
Index("records_in_quota", RECORDS.c.author, RECORDS.c.slot_type, RECORDS.c.end_time, RECORDS.c.slot)
Index("records_end", RECORDS.c.end_time)

OFFERS = Table(
    "offers",
    TABLES,
    Column("serial", ForeignKey(RECORDS.c.serial, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="Of the skill within its card, from 1."),
    Column("data_class", Integer, nullable=False),
    Column("free", Boolean, nullable=False),
    comment="The skills of the cards that can be found.",
)

TERMS = Table(
    "terms",
    TABLES,
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="Of the skill; 0: of the whole card."),
    Column("term", LargeBinary, primary_key=True),
    ForeignKeyConstraint(["serial"], [RECORDS.c.serial], ondelete="CASCADE"),
    comment="What a skill is found by.",
)
Index("terms_by_term", TERMS.c.term, TERMS.c.serial, TERMS.c.number)

NUMBERS = Table(
    "numbers",
    TABLES,
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="Of the skill within its card, from 1."),
    Column("name", LargeBinary, primary_key=True),
    Column("value", BigInteger, primary_key=True, autoincrement=False),
    ForeignKeyConstraint(["serial"], [RECORDS.c.serial], ondelete="CASCADE"),
    comment="What a skill costs, and how large its models are.",
)
Index("numbers_by_value", NUMBERS.c.name, NUMBERS.c.value, NUMBERS.c.serial, NUMBERS.c.number)

FOLLOWED = Table(
    "followed",
    TABLES,
    Column("registry", LargeBinary, primary_key=True),
    Column("cursor", LargeBinary, nullable=False),
    comment="How far other registries were followed.",
)
