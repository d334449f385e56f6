"""Migrations: how a database gets the tables of a registry, and how one of an earlier version gets the present ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, inspect, select, text, update

from consilience._wire import convert
from consilience._wire import records as wire
from consilience.nodes import NodeCard
from consilience.reviews import RecordType
from consilience.server.registry import shelving
from consilience.server.registry.schema import ABOUT, NUMBERS, OF_AUTHOR, ON_RING, RECORDS, REGISTRY, TABLES, TERMS
from consilience.server.store.contract import SchemaTooNewError

SCHEMA_VERSION = 5
IDENTITY_BYTES = 16
_CARDS_AT_ONCE = 500


def prepare(connection: Connection) -> bytes:
    """Makes the tables where there are none, or brings them to this version, and returns the identity of the store.

    Raises:
        SchemaTooNewError: A later version of this library made them.
    """
    if not inspect(connection).has_table(REGISTRY.name):
        TABLES.create_all(connection)
        first = {"schema_version": SCHEMA_VERSION, "identity": os.urandom(IDENTITY_BYTES), "last_serial": 0}
        connection.execute(REGISTRY.insert().values(first))
    version, identity = connection.execute(select(REGISTRY.c.schema_version, REGISTRY.c.identity)).one()
    if version > SCHEMA_VERSION:
        raise SchemaTooNewError(
            f"the registry has schema {version}, this version of the library reads up to {SCHEMA_VERSION}"
        )
    if version < SCHEMA_VERSION:  # first, so that processes of the earlier version wait with what they write
        connection.execute(REGISTRY.update().values(schema_version=SCHEMA_VERSION))
    for step in range(version, SCHEMA_VERSION):
        _STEPS[step](connection)
    return bytes(identity)


def _search_along_the_ring(connection: Connection) -> None:
    """From 1 to 2: terms and numbers stand in the order of the ring, and tell which skills have them."""
    for table in ("numbers", "terms", "offers"):
        connection.execute(text(f"DROP TABLE {table}"))
    connection.execute(text("ALTER TABLE records ADD COLUMN place BIGINT"))
    TABLES.create_all(connection, tables=(TERMS, NUMBERS), checkfirst=False)
    ON_RING.create(connection)
    retired = select(RECORDS.c.author).where(RECORDS.c.slot_type == int(RecordType.KEY_SUCCESSION))
    cards = select(RECORDS.c.serial, RECORDS.c.record).where(
        RECORDS.c.type == int(RecordType.NODE_CARD), RECORDS.c.record != b"", RECORDS.c.author.not_in(retired)
    )
    for row in connection.execute(cards).all():
        card = convert.parse(wire.from_bytes(row.record).object.payload, NodeCard)
        place = shelving.put_in(connection, card, instead_of=None)
        connection.execute(update(RECORDS).where(RECORDS.c.serial == row.serial).values(place=place))


def _list_by_type(connection: Connection) -> None:
    """From 2 to 3: what is listed of a subject or an author is found type by type."""
    for index in (OF_AUTHOR, ABOUT):
        connection.execute(text(f"DROP INDEX {index.name}"))
        index.create(connection)


def _shelve_what_is_missing(connection: Connection) -> None:
    """From 3 to 4: a card that was renewed while the one before was dropped had lost what it is found by."""
    place = 0
    on_ring: Select[Any] = select(RECORDS.c.place, RECORDS.c.record).order_by(RECORDS.c.place).limit(_CARDS_AT_ONCE)
    while cards := connection.execute(on_ring.where(RECORDS.c.place > place)).all():
        shelving.complete(connection, cards)
        place = cards[-1].place


def _note_whole_rounds(connection: Connection) -> None:
    """From 4 to 5: when it was last begun to follow a registry from the beginning outlives the process."""
    connection.execute(text("ALTER TABLE followed ADD COLUMN whole_time BIGINT"))


_STEPS: dict[int, Callable[[Connection], None]] = {
    1: _search_along_the_ring,
    2: _list_by_type,
    3: _shelve_what_is_missing,
    4: _note_whole_rounds,
}
