"""Shelving: what cards are found by is put where it is searched, and taken out again.

Nothing is looked up for that: what stands in the tables of a card is what `offers_of` says of it. A new card of a node
changes no more than what it says otherwise than the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, TextClause, bindparam, delete, select, text

from consilience._wire import convert
from consilience._wire import records as wire
from consilience.nodes import NodeCard
from consilience.server.registry import ring
from consilience.server.registry.offers import NOTHING, Offers, offers_of
from consilience.server.registry.schema import NUMBERS, RECORDS, TERMS


def _insert_of(table: Table) -> TextClause:
    """Returns what puts in the rows that are not there, in the words of both databases."""
    names = [column.name for column in table.primary_key]
    values = ", ".join(f":{name}" for name in names)
    return text(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO NOTHING")  # noqa: S608 - names of ours


_KEYS = {
    table: delete(table).where(*(column == bindparam(f"key_{column.name}") for column in table.primary_key))
    for table in (TERMS, NUMBERS)
}
_MISSING = {table: _insert_of(table) for table in _KEYS}


def put_in(connection: Connection, card: NodeCard, *, instead_of: Row[Any] | None) -> int | None:
    """Lets a card be found, and returns its place on the ring, or None where it offers nothing.

    Args:
        connection: Within a transaction.
        card: The card.
        instead_of: The row of the card of the same node that was held, and can be found no longer.
    """
    offers = offers_of(card)
    before = NOTHING if instead_of is None else _offers_in(instead_of)
    if not offers.terms:
        _change(connection, 0 if instead_of is None else instead_of.place, before=before, after=NOTHING)
        return None
    place = instead_of.place if before.terms and instead_of is not None else _free_place(connection, card.node_id)
    _change(connection, place, before=before, after=offers)
    return place


def take_out(connection: Connection, held: Row[Any]) -> None:
    """Lets a card be found no longer.

    Args:
        connection: Within a transaction.
        held: The row of the card, before it is changed.
    """
    _change(connection, held.place, before=_offers_in(held), after=NOTHING)


def complete(connection: Connection, cards: Sequence[Row[Any]]) -> None:
    """Lets cards be found by all that they say, where some of it is missing.

    Args:
        connection: Within a transaction.
        cards: Their rows, each with a place.
    """
    rows: dict[Table, set[tuple[int, ...]]] = {table: set() for table in _KEYS}
    for card in cards:
        for table, shall in rows_of(_offers_in(card), place=card.place).items():
            rows[table] |= shall
    for table, shall in rows.items():
        if shall:
            connection.execute(_MISSING[table], [_named(table, row) for row in sorted(shall)])


def _offers_in(held: Row[Any]) -> Offers:
    """Returns what the card of a row is found by."""
    if held.place is None:
        return NOTHING
    return offers_of(convert.parse(wire.from_bytes(held.record).object.payload, NodeCard))


def _free_place(connection: Connection, node_id: bytes) -> int:
    place = ring.place_on_ring(node_id)
    while connection.execute(select(RECORDS.c.serial).where(RECORDS.c.place == place)).one_or_none() is not None:
        place = ring.anywhere()
    return place


def rows_of(offers: Offers, *, place: int) -> dict[Table, set[tuple[int, ...]]]:
    """Returns what is kept, in which tables, of what a card at a place is found by."""
    return {
        TERMS: {(term, place, skills) for term, skills in offers.terms.items()},
        NUMBERS: {(term, place, value, skills) for (term, value), skills in offers.numbers.items()},
    }


def _change(connection: Connection, place: int, *, before: Offers, after: Offers) -> None:
    were, shall = rows_of(before, place=place), rows_of(after, place=place)
    for table in shall:
        if gone := sorted(were[table] - shall[table]):
            keys = [{f"key_{name}": value for name, value in _named(table, row).items()} for row in gone]
            connection.execute(_KEYS[table], keys)
        if new := sorted(shall[table] - were[table]):
            connection.execute(table.insert(), [_named(table, row) for row in new])


def _named(table: Table, row: tuple[int, ...]) -> dict[str, int]:
    """Returns a row by the names of its columns, all of which are its key."""
    return dict(zip((column.name for column in table.primary_key), row, strict=True))
