"""The statements of a record store: how records are taken in, and what may be taken out.

Every function works on a connection within a transaction that its caller began, and leaves committing to it. Whoever
takes records in or out writes the last number first: that row stays locked until the commit, so the order of the
numbers is the order of the commits, and what was read stays true until it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, text, update

from consilience._wire import records as wire
from consilience.errors import KeyRetiredError, LimitExceededError
from consilience.nodes import NodeCard
from consilience.reviews import Place, Placed, PublishOutcome, RecordType, refusal_of, wins
from consilience.reviews.slots import rank
from consilience.server.registry import shelving
from consilience.server.registry.contract import Admission, Capacity
from consilience.server.registry.schema import FOLLOWED, RECORDS, REGISTRY
from consilience.units import EPOCH, Digest

EMPTIED = EPOCH
"""The end of a card of which the row alone is left: a clock that was put right since does not serve it."""

_LOOKED_UP = 500
"""Digests that one statement asks for."""

FORGOTTEN_AT_ONCE = 500
"""Records of each kind that one transaction drops, since others wait for it."""

_NOTE_CURSOR = text(
    "INSERT INTO followed (registry, cursor) VALUES (:registry, :cursor)"
    " ON CONFLICT (registry) DO UPDATE SET cursor = excluded.cursor"
)


def admit(
    connection: Connection,
    records: Sequence[Placed],
    *,
    now: datetime,
    quotas: Mapping[RecordType, int],
    capacity: Capacity | None = None,
) -> tuple[Admission, ...]:
    """Takes records in, and tells what became of each."""
    _wait_turn(connection, numbers=len(records))
    last: int = connection.execute(select(REGISTRY.c.last_serial)).scalar_one()
    numbered = enumerate(records, start=last - len(records) + 1)
    room, before = (None, 0) if capacity is None else (replace(capacity), capacity.held)  # what breaks is not counted
    admissions = tuple(
        _admit(connection, placed, serial=serial, now=now, quotas=quotas, capacity=room) for serial, placed in numbered
    )
    if capacity is not None and room is not None:
        capacity.held += room.held - before
    return admissions


def forget(connection: Connection, *, now: datetime) -> int:
    """Drops some of what has ended, and tells how many; of a card its row keeps earlier ones out (REC-END-001)."""
    _wait_turn(connection)
    ended = RECORDS.c.end_time <= now
    a_card = RECORDS.c.type == int(RecordType.NODE_CARD)
    some = select(RECORDS.c.serial).where(ended, ~a_card).limit(FORGOTTEN_AT_ONCE)
    gone = connection.execute(delete(RECORDS).where(RECORDS.c.serial.in_(some))).rowcount
    cards = connection.execute(
        select(RECORDS).where(ended, a_card, RECORDS.c.record != b"").limit(FORGOTTEN_AT_ONCE)
    ).all()
    for card in cards:
        shelving.take_out(connection, card)
    if cards:
        emptied = update(RECORDS).where(RECORDS.c.serial.in_([card.serial for card in cards]))
        connection.execute(emptied.values(record=b"", place=None, end_time=EMPTIED))
    return gone + len(cards)


def _wait_turn(connection: Connection, *, numbers: int = 0) -> None:
    """Waits until nobody else writes, and takes so many numbers."""
    connection.execute(update(REGISTRY).values(last_serial=REGISTRY.c.last_serial + numbers))


def unknown(connection: Connection, digests: Sequence[Digest]) -> tuple[Digest, ...]:
    """Returns the digests of no record; the row alone of a card that ended is none."""
    known: set[bytes] = set()
    held = select(RECORDS.c.digest).where(RECORDS.c.record != b"")
    for start in range(0, len(digests), _LOOKED_UP):
        some = digests[start : start + _LOOKED_UP]
        known.update(connection.execute(held.where(RECORDS.c.digest.in_(some))).scalars())
    return tuple(digest for digest in digests if digest not in known)


def cursor_of(connection: Connection, registry: str) -> bytes:
    """Returns how far another registry was followed."""
    noted = select(FOLLOWED.c.cursor).where(FOLLOWED.c.registry == registry.encode())
    return connection.execute(noted).scalar_one_or_none() or b""


def note_cursor(connection: Connection, registry: str, cursor: bytes) -> None:
    """Notes how far another registry was followed; what several processes note at once comes one after the other."""
    connection.execute(_NOTE_CURSOR, {"registry": registry.encode(), "cursor": cursor})


def whole_round_of(connection: Connection, registry: str) -> datetime | None:
    """Returns when it was last begun to follow another registry from the beginning."""
    noted = select(FOLLOWED.c.whole_time).where(FOLLOWED.c.registry == registry.encode())
    return connection.execute(noted).scalar_one_or_none()


def begin_whole_round(connection: Connection, registry: str, *, now: datetime) -> None:
    """Notes that another registry is followed from the beginning."""
    note_cursor(connection, registry, b"")
    connection.execute(update(FOLLOWED).where(FOLLOWED.c.registry == registry.encode()).values(whole_time=now))


def _admit(
    connection: Connection,
    placed: Placed,
    *,
    serial: int,
    now: datetime,
    quotas: Mapping[RecordType, int],
    capacity: Capacity | None,
) -> Admission:
    """Goes through steps 9 to 13 of spec section 4.4."""
    place = placed.place
    retired = _retirement(connection, place.subject)
    if retired is not None and place.since is not None and place.since > retired:
        return KeyRetiredError("the node has gone over to another root key before")
    held = leaving = connection.execute(select(RECORDS).where(*_slot_of(place))).one_or_none()
    if held is not None:
        if (kept_out := _kept_out(place, held=held, now=now)) is not None:
            return kept_out
    else:
        leaving = _last_within_quota(connection, place, quota=quotas[place.slot_type])
        if leaving is not None and (leaving.end_time, leaving.slot) > rank(place):
            return PublishOutcome.SUPERSEDED
    if (full := _without_room(capacity, leaving=leaving, now=now)) is not None:
        return full
    if leaving is not None:
        connection.execute(delete(RECORDS).where(RECORDS.c.serial == leaving.serial))
    match placed.record.object.value:
        case NodeCard() as card if retired is None:
            on_ring = shelving.put_in(connection, card, instead_of=held)
        case _:
            on_ring = None
    _insert(connection, placed, serial=serial, on_ring=on_ring)
    if place.type is RecordType.KEY_SUCCESSION:
        _retire(connection, place)
    return PublishOutcome.STORED


def _kept_out(place: Place, *, held: Row[Any], now: datetime) -> Admission | None:
    """Returns what becomes of a record that does not take the place of the one in its slot, or None where it does.

    The row that a card left when it was dropped gives way to the same card, should that not have ended after all.
    """
    if held.digest == place.digest:
        if place.end <= now:
            return PublishOutcome.SUPERSEDED
        return PublishOutcome.KNOWN if held.record else None
    if wins(place, held=_place_of(held)):
        return None
    return refusal_of(place, held=_place_of(held)) or PublishOutcome.SUPERSEDED


def _without_room(capacity: Capacity | None, *, leaving: Row[Any] | None, now: datetime) -> LimitExceededError | None:
    """Returns the refusal where there is no room: what has ended counts no more, and so leaves none behind."""
    if capacity is None or (leaving is not None and leaving.end_time > now):
        return None
    return capacity.take()


def _slot_of(place: Place) -> tuple[Any, ...]:
    return (
        RECORDS.c.author == place.author,
        RECORDS.c.slot_type == int(place.slot_type),
        RECORDS.c.slot == place.slot,
    )


def _last_within_quota(connection: Connection, place: Place, *, quota: int) -> Any:  # noqa: ANN401 - a row of three columns
    """Returns what a new slot would push out of its author's quota, or None where that is not full."""
    of_author = (RECORDS.c.author == place.author, RECORDS.c.slot_type == int(place.slot_type))
    last = (
        select(RECORDS.c.serial, RECORDS.c.end_time, RECORDS.c.slot)
        .where(*of_author)
        .order_by(RECORDS.c.end_time.desc(), RECORDS.c.slot.desc())
        .offset(quota - 1)
        .limit(1)
    )
    return connection.execute(last).one_or_none()


def row_of(placed: Placed, *, serial: int, on_ring: int | None) -> dict[str, Any]:
    """Returns what is kept of a record.

    Args:
        placed: The record.
        serial: Its number.
        on_ring: The place of a card that can be found.
    """
    place = placed.place
    return {
        "serial": serial,
        "digest": place.digest,
        "type": int(place.type),
        "slot_type": int(place.slot_type),
        "author": place.author,
        "slot": place.slot,
        "subject": place.subject,
        "issue_time": place.issue_time,
        "since": place.since,
        "end_time": place.end,
        "record": wire.to_bytes(placed.record.record),
        "place": on_ring,
    }


def _insert(connection: Connection, placed: Placed, *, serial: int, on_ring: int | None) -> None:
    connection.execute(RECORDS.insert(), row_of(placed, serial=serial, on_ring=on_ring))


def _retirement(connection: Connection, node_id: bytes) -> datetime | None:
    """Returns when a node went over to another root key, or None."""
    succession = (RECORDS.c.author == node_id, RECORDS.c.slot_type == int(RecordType.KEY_SUCCESSION))
    return connection.execute(select(RECORDS.c.issue_time).where(*succession)).scalar_one_or_none()


def _retire(connection: Connection, succession: Place) -> None:
    """Drops what was signed for a node after it went over to another root key, and no longer lets it be found."""
    card = (RECORDS.c.author == succession.author, RECORDS.c.slot_type == int(RecordType.NODE_CARD))
    for held in connection.execute(select(RECORDS).where(*card)).all():
        shelving.take_out(connection, held)
    connection.execute(update(RECORDS).where(*card).values(place=None))
    connection.execute(
        delete(RECORDS).where(RECORDS.c.subject == succession.subject, RECORDS.c.since > succession.issue_time)
    )


def _place_of(row: Row[Any]) -> Place:
    return Place(
        type=RecordType(row.type),
        slot_type=RecordType(row.slot_type),
        author=row.author,
        slot=row.slot,
        subject=row.subject,
        issue_time=row.issue_time,
        since=row.since,
        end=row.end_time,
        digest=Digest(row.digest),
    )
