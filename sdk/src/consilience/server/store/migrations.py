"""Migrations: how the SQLite file gets its tables, and how one that an earlier version made gets the present ones."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, inspect, select, text

from consilience.server.store.contract import SchemaTooNewError
from consilience.server.store.ledger_schema import LEDGER_TABLES
from consilience.server.store.schema import STORE, TABLES

SCHEMA_VERSION = 3


def prepare(connection: Connection) -> None:
    """Creates the tables of an empty file, or brings those that are there to this version, within a transaction.

    Raises:
        SchemaTooNewError: A later version of this library made the file.
    """
    if not inspect(connection).has_table(STORE.name):
        TABLES.create_all(connection)
        connection.execute(STORE.insert().values(schema_version=SCHEMA_VERSION, last_card_sequence=0))
        return
    version = connection.execute(select(STORE.c.schema_version)).scalar_one()
    if version > SCHEMA_VERSION:
        raise SchemaTooNewError(
            f"the file has schema {version}, this version of the library reads up to {SCHEMA_VERSION}"
        )
    for step in range(version, SCHEMA_VERSION):
        _STEPS[step](connection)
    if version < SCHEMA_VERSION:
        connection.execute(STORE.update().values(schema_version=SCHEMA_VERSION))


def _add_ledger(connection: Connection) -> None:
    """From 1 to 2: a ledger beside the answers, whose deltas have no tokens that count."""
    connection.execute(text("ALTER TABLE entries ADD COLUMN output_tokens INTEGER DEFAULT '0' NOT NULL"))
    TABLES.create_all(connection, tables=LEDGER_TABLES, checkfirst=False)


def _keep_cards(connection: Connection) -> None:
    """From 2 to 3: cards are kept whole, for the siblings of who issued them."""
    connection.execute(text("ALTER TABLE cards ADD COLUMN sequence BIGINT DEFAULT '0' NOT NULL"))
    connection.execute(text("ALTER TABLE cards ADD COLUMN envelope BLOB"))


_STEPS: dict[int, Callable[[Connection], None]] = {1: _add_ledger, 2: _keep_cards}
