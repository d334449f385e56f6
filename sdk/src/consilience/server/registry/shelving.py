"""Shelving: what cards are found by is put where it is searched, and taken out again.

Nothing is looked up for that: what stands in the tables of a card is what `offers_of` says of it. A new card of a node
changes no more than what it says otherwise than the one before.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, delete, select

from consilience._wire import convert
from consilience._wire import records as wire
from consilience.nodes import NodeCard
from consilience.server.registry import ring
from consilience.server.registry.offers import NOTHING, Offers, offers_of
from consilience.server.registry.schema import NUMBERS, RECORDS, TERMS

_KEYS = {
    table: delete(table).where(*(column == bindparam(f"key_{column.name}") for column in table.primary_key))
    for table in (TERMS, NUMBERS)
}


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
        names = [column.name for column in table.primary_key]
        if gone := sorted(were[table] - shall[table]):
            keys = [{f"key_{name}": value for name, value in zip(names, row, strict=True)} for row in gone]
            connection.execute(_KEYS[table], keys)
        if new := sorted(shall[table] - were[table]):
            connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in new])
