"""Reading: what a record store returns, by digest, by whom, and in the order of arrival; `finding` does by offers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, union_all

from consilience._wire import records as wire
from consilience.reviews import Record, RecordQuery, RecordType
from consilience.server.registry.contract import Entry
from consilience.server.registry.schema import RECORDS
from consilience.units import Digest, PublicKey

_TYPES = tuple(kind for kind in RecordType if kind is not RecordType.UNKNOWN)


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
    """Returns records by whom they are about and by whom, the latest first.

    Of each type the latest are found along an index; so it costs no more where there are many of another type.
    """
    types = query.types or _TYPES
    latest = [select(_latest_of(query, kind, before=before, limit=limit, now=now).subquery()) for kind in types]
    serials = union_all(*latest).subquery()
    found = select(RECORDS.c.serial, RECORDS.c.record).join(serials, RECORDS.c.serial == serials.c.serial)
    return _entries(connection, found.order_by(RECORDS.c.serial.desc()).limit(limit))


def taken_in(connection: Connection, *, after: int, limit: int, now: datetime) -> tuple[tuple[int, Digest], ...]:
    """Returns numbers and digests in the order of the commits."""
    found = (
        select(RECORDS.c.serial, RECORDS.c.digest)
        .where(RECORDS.c.serial > after, RECORDS.c.end_time > now)
        .order_by(RECORDS.c.serial)
        .limit(limit)
    )
    return tuple((row.serial, Digest(row.digest)) for row in connection.execute(found))


def _latest_of(
    query: RecordQuery, kind: RecordType, *, before: int | None, limit: int, now: datetime
) -> Select[tuple[int]]:
    found = select(RECORDS.c.serial).where(RECORDS.c.type == int(kind), RECORDS.c.end_time > now)
    if query.author:
        found = found.where(RECORDS.c.author == query.author)
    if query.subject and not query.author:
        found = found.where(RECORDS.c.subject == query.subject)
    elif query.subject:
        # An author has a quota, and a subject has none: written so, no database goes along what is about the subject.
        found = found.where(func.coalesce(RECORDS.c.subject, b"") == query.subject)
    if before is not None:
        found = found.where(RECORDS.c.serial < before)
    return found.order_by(RECORDS.c.serial.desc()).limit(limit)


def _one(connection: Connection, *where: ColumnElement[bool], now: datetime) -> Record | None:
    found = select(RECORDS.c.record).where(*where, RECORDS.c.end_time > now)
    encoded = connection.execute(found).scalar_one_or_none()
    return None if encoded is None else wire.from_bytes(encoded)


def _entries(connection: Connection, found: Select[Any]) -> tuple[Entry, ...]:
    return tuple(Entry(serial=row.serial, record=wire.from_bytes(row.record)) for row in connection.execute(found))
