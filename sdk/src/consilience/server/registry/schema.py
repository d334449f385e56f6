"""The tables of a record store, for every database alike.

Digests and keys are bytes, which compare byte by byte everywhere. What cards are found by stands in two tables that are
nothing but keys of numbers: whichever terms are asked for, the nodes that have them are met in the order of the ring.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from consilience.server.store.schema import UtcTime

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
    Column("record", LargeBinary, nullable=False, comment="An encoded Record; empty of a card that was dropped."),
    Column("place", BigInteger, comment="Of a card that can be found: where on the ring it stands."),
    UniqueConstraint("author", "slot_type", "slot"),
)
OF_AUTHOR = Index("records_of_author", RECORDS.c.author, RECORDS.c.type, RECORDS.c.serial)
ABOUT = Index("records_about", RECORDS.c.subject, RECORDS.c.type, RECORDS.c.serial)
Index("records_in_quota", RECORDS.c.author, RECORDS.c.slot_type, RECORDS.c.end_time, RECORDS.c.slot)
Index("records_end", RECORDS.c.end_time)
ON_RING = Index("records_on_ring", RECORDS.c.place, unique=True)

TERMS = Table(
    "terms",
    TABLES,
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False, comment="Of a card."),
    Column("skills", BigInteger, primary_key=True, autoincrement=False, comment="Of that card, a bit each."),
    comment="What cards are found by: the nodes for each term, in the order of the ring.",
    sqlite_with_rowid=False,
)

NUMBERS = Table(
    "numbers",
    TABLES,
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False, comment="Of a card."),
    Column("value", BigInteger, primary_key=True, autoincrement=False),
    Column("skills", BigInteger, primary_key=True, autoincrement=False, comment="Of that card, a bit each."),
    comment="What skills cost, and how large their models are, as terms with a value.",
    sqlite_with_rowid=False,
)

FOLLOWED = Table(
    "followed",
    TABLES,
    Column("registry", LargeBinary, primary_key=True),
    Column("cursor", LargeBinary, nullable=False),
    Column("whole_time", UtcTime, comment="When it was last begun to follow from the beginning."),
    comment="How far other registries were followed.",
)
