"""Reading: what a record store returns, by digest, by whom, by what a node offers, and in the order of arrival."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, exists, func, or_, select

from consilience._wire import records as wire
from consilience.reviews import NodeQuery, Record, RecordQuery, RecordType
from consilience.server.registry.contract import Arc, Entry
from consilience.server.registry.offers import CARD_ITSELF, SIZE, Wanted, cost_name, wanted_by
from consilience.server.registry.schema import NUMBERS, OFFERS, RECORDS, TERMS
from consilience.units import Digest, PublicKey


def count(connection: Connection, *, now: datetime) -> int:
    """Returns how many records have not ended."""
    number: int = connection.execute(select(func.count()).where(RECORDS.c.end_time > now)).scalar_one()
    return number


def get(connection: Connection, digest: Digest, *, now: datetime) -> Record | None:
    """Returns a record by its digest."""
    return _one(connection, RECORDS.c.digest == digest, now=now)


def card_of(connection: Connection, node_id: PublicKey, *, now: datetime) -> Record | None:
    """Returns the card of a node."""
    return _one(connection, RECORDS.c.author == node_id, RECORDS.c.slot_type == int(RecordType.NODE_CARD), now=now)


def about(
    connection: Connection, query: RecordQuery, *, before: int | None, limit: int, now: datetime
) -> tuple[Entry, ...]:
    """Returns records by whom they are about and by whom, the latest first."""
    found = select(RECORDS.c.serial, RECORDS.c.record).where(RECORDS.c.end_time > now)
    if query.subject:
        found = found.where(RECORDS.c.subject == query.subject)
    if query.author:
        found = found.where(RECORDS.c.author == query.author)
    if query.types:
        found = found.where(RECORDS.c.type.in_([int(kind) for kind in query.types]))
    if before is not None:
        found = found.where(RECORDS.c.serial < before)
    return _entries(connection, found.order_by(RECORDS.c.serial.desc()).limit(limit))


def fitting(connection: Connection, query: NodeQuery, *, arc: Arc, limit: int, now: datetime) -> tuple[Entry, ...]:
    """Returns the cards of nodes of which a skill fits, by their node ids."""
    found = select(RECORDS.c.serial, RECORDS.c.record).where(
        RECORDS.c.type == int(RecordType.NODE_CARD),
        RECORDS.c.end_time > now,
        RECORDS.c.author > arc.after,
        RECORDS.c.serial.in_(_offering(query)),
    )
    if arc.until is not None:
        found = found.where(RECORDS.c.author <= arc.until)
    return _entries(connection, found.order_by(RECORDS.c.author).limit(limit))


def taken_in(connection: Connection, *, after: int, limit: int, now: datetime) -> tuple[tuple[int, Digest], ...]:
    """Returns numbers and digests in the order of the commits."""
    found = (
        select(RECORDS.c.serial, RECORDS.c.digest)
        .where(RECORDS.c.serial > after, RECORDS.c.end_time > now)
        .order_by(RECORDS.c.serial)
        .limit(limit)
    )
    return tuple((row.serial, Digest(row.digest)) for row in connection.execute(found))


def _offering(query: NodeQuery) -> Select[Any]:
    """Returns the cards of which one skill has everything that is wanted.

    Each thing wanted is a join of its own, so that the database may begin with the rarest of them.
    """
    joined: FromClause = OFFERS
    for wanted in wanted_by(query):
        terms = TERMS.alias()
        joined = joined.join(terms, _has(terms, wanted))
    if query.min_parameter_count or query.max_parameter_count:
        sizes = NUMBERS.alias()
        joined = joined.join(sizes, _is_sized(sizes, query))
    return select(OFFERS.c.serial).select_from(joined).where(*_bounds(query))


def _has(terms: FromClause, wanted: Wanted) -> ColumnElement[bool]:
    numbers = (OFFERS.c.number, CARD_ITSELF) if wanted.also_of_card else (OFFERS.c.number,)
    return and_(terms.c.serial == OFFERS.c.serial, terms.c.number.in_(numbers), terms.c.term.in_(sorted(wanted.terms)))


def _is_sized(sizes: FromClause, query: NodeQuery) -> ColumnElement[bool]:
    bounds = [_of_offer(sizes), sizes.c.name == SIZE, sizes.c.value >= query.min_parameter_count]
    if query.max_parameter_count:
        bounds.append(sizes.c.value <= query.max_parameter_count)
    return and_(*bounds)


def _bounds(query: NodeQuery) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if query.data_class:
        bounds.append(OFFERS.c.data_class >= int(query.data_class))
    if (price := query.price) is not None:
        cheap = exists().where(
            _of_offer(NUMBERS), NUMBERS.c.name == cost_name(price.asset), NUMBERS.c.value <= price.max_cost
        )
        bounds.append(or_(OFFERS.c.free, cheap))
    return bounds


def _of_offer(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.serial == OFFERS.c.serial, table.c.number == OFFERS.c.number)


def _one(connection: Connection, *where: ColumnElement[bool], now: datetime) -> Record | None:
    found = select(RECORDS.c.record).where(*where, RECORDS.c.end_time > now)
    encoded = connection.execute(found).scalar_one_or_none()
    return None if encoded is None else wire.from_bytes(encoded)


def _entries(connection: Connection, found: Select[Any]) -> tuple[Entry, ...]:
    return tuple(Entry(serial=row.serial, record=wire.from_bytes(row.record)) for row in connection.execute(found))
