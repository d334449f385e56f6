"""The statements of the SQLite store: what each operation does to the tables.

Every function works on a connection within a transaction that its caller began, and leaves committing to it. That
transaction holds the write lock of the file, so what a function reads stays true until it has written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from consilience.server.store import ledger_statements
from consilience.server.store.contract import (
    MIN_DURABLE_RETENTION,
    AskKey,
    AskReservation,
    LeaseLostError,
    LogEntry,
    Settlement,
    StoredAsk,
    StoredCard,
    check_write,
)
from consilience.server.store.schema import ASKS, CARDS, ENTRIES, REPLICAS, STORE
from consilience.units import CardSequence, Digest, PublicKey, RequestId, Sequence

MAX_FORGOTTEN = 100
"""Answers that one operation drops, so that no running answer waits long behind it."""

_OF_KEY = and_(ASKS.c.caller == bindparam("of_caller"), ASKS.c.request_id == bindparam("of_request_id"))
_FIND = select(ASKS).where(_OF_KEY)
_APPEND = ENTRIES.insert()
_ADVANCE = ASKS.update().where(ASKS.c.id == bindparam("of_id")).values(last_sequence=bindparam("reached"))
_READ = (
    select(ENTRIES.c.sequence, ENTRIES.c.data, ENTRIES.c.text, ENTRIES.c.output_tokens)
    .join(ASKS)
    .where(_OF_KEY, ENTRIES.c.sequence > bindparam("after"))
    .order_by(ENTRIES.c.sequence)
    .limit(bindparam("at_most"))
)


def begin_life(connection: Connection, *, replica: str, lease_until: datetime) -> int:
    """Notes that a replica has started, and returns the number of this life of it, from 1."""
    beginning = insert(REPLICAS).values(name=replica, life=1, lease_until=lease_until)
    again = {"life": REPLICAS.c.life + 1, "lease_until": beginning.excluded.lease_until}
    connection.execute(beginning.on_conflict_do_update(index_elements=[REPLICAS.c.name], set_=again))
    life: int = connection.execute(select(REPLICAS.c.life).where(REPLICAS.c.name == replica)).scalar_one()
    return life


def renew(connection: Connection, *, replica: str, until: datetime) -> None:
    """Prolongs the lease of a replica."""
    connection.execute(REPLICAS.update().where(REPLICAS.c.name == replica).values(lease_until=until))


def bind(
    connection: Connection, ask: StoredAsk, *, first: LogEntry, life: int, reservation: AskReservation | None
) -> StoredAsk | None:
    """Inserts an ask with its first entry and what is reserved for it, or returns the one that holds its key."""
    if (earlier := find(connection, ask.key)) is not None:
        return earlier
    inserted = connection.execute(ASKS.insert(), _row_of(ask, life=life))
    _insert_entries(connection, (first,), ask_id=inserted.lastrowid)
    if reservation is not None:
        ledger_statements.reserve(connection, reservation, ask_id=inserted.lastrowid, now=ask.accept_time)
    return None


def find(connection: Connection, key: AskKey) -> StoredAsk | None:
    """Returns the ask under a key, or None."""
    row = connection.execute(_FIND, _of_key(key)).one_or_none()
    return None if row is None else _ask_of(row)


def append(connection: Connection, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> int:
    """Appends entries that pass `check_write`, and returns the row id of their ask."""
    row = connection.execute(_FIND, _of_key(key)).one_or_none()
    if row is None:
        raise LeaseLostError("the ask is not in the store any more")
    ask = _ask_of(row)
    check_write(ask, entries, epoch=epoch, last_sequence=ask.last_sequence)
    if entries:
        _insert_entries(connection, entries, ask_id=row.id)
        connection.execute(_ADVANCE, {"of_id": row.id, "reached": entries[-1].sequence})
    return int(row.id)


def finish(
    connection: Connection,
    key: AskKey,
    entries: tuple[LogEntry, ...],
    *,
    epoch: int,
    finish_time: datetime,
    keep_until_time: datetime,
    settlement: Settlement | None,
) -> None:
    """Appends the end of a log, marks its ask finished, and settles what was reserved for it."""
    ask_id = append(connection, key, entries, epoch=epoch)
    ledger_statements.settle(connection, settlement, ask_id=ask_id)
    end = {"finish_time": finish_time, "keep_until_time": keep_until_time}
    connection.execute(ASKS.update().where(ASKS.c.id == ask_id).values(end))


def read(connection: Connection, key: AskKey, *, after: Sequence, limit: int) -> tuple[LogEntry, ...]:
    """Returns the next entries of a log; none where it ends, or where there is no such ask."""
    rows = connection.execute(_READ, {**_of_key(key), "after": after, "at_most": limit})
    return tuple(
        LogEntry(sequence=sequence, data=data, text=text, output_tokens=tokens) for sequence, data, text, tokens in rows
    )


def claim_abandoned(connection: Connection, *, replica: str, life: int, now: datetime) -> tuple[StoredAsk, ...]:
    """Takes over the running asks of former lives of a replica, and of replicas whose lease has ended."""
    leased = select(REPLICAS.c.name).where(REPLICAS.c.lease_until >= now)
    former = and_(ASKS.c.replica == replica, ASKS.c.life < life)
    orphaned = and_(ASKS.c.replica != replica, ASKS.c.replica.not_in(leased))
    abandoned = select(ASKS).where(ASKS.c.finish_time.is_(None), or_(former, orphaned))
    rows = connection.execute(abandoned.order_by(ASKS.c.accept_time, ASKS.c.id)).all()
    if rows:
        taking = ASKS.update().where(ASKS.c.id == bindparam("of_id"))
        taken = taking.values(replica=replica, life=life, epoch=ASKS.c.epoch + 1)
        connection.execute(taken, [{"of_id": row.id} for row in rows])
    return tuple(replace(_ask_of(row), replica=replica, epoch=row.epoch + 1) for row in rows)


def forget_some(connection: Connection, *, now: datetime) -> int:
    """Drops some of the answers whose time has passed, and tells how many; zero: none is left."""
    passed = (
        select(ASKS.c.id)
        .where(ASKS.c.keep_until_time <= now, ASKS.c.accept_time <= now - MIN_DURABLE_RETENTION)
        .limit(MAX_FORGOTTEN)
    )
    return connection.execute(ASKS.delete().where(ASKS.c.id.in_(passed))).rowcount


def forget_cards(connection: Connection, *, now: datetime) -> None:
    """Drops the cards that have expired."""
    connection.execute(CARDS.delete().where(CARDS.c.expire_time <= now))


def reserve_card_sequence(connection: Connection, *, at_least: CardSequence) -> CardSequence:
    """Raises the last card sequence of the file, and returns it."""
    connection.execute(STORE.update().values(last_card_sequence=func.max(at_least, STORE.c.last_card_sequence + 1)))
    return CardSequence(connection.execute(select(STORE.c.last_card_sequence)).scalar_one())


def remember_card(connection: Connection, card: StoredCard) -> None:
    """Inserts a card, unless it is there."""
    row = {"digest": card.digest, "expire_time": card.expire_time, "sequence": card.sequence, "envelope": card.envelope}
    connection.execute(insert(CARDS).values(row).on_conflict_do_nothing())


def newer_card(connection: Connection, *, than: CardSequence) -> StoredCard | None:
    """Returns the card with the highest sequence above another, or None."""
    newest = select(CARDS).where(CARDS.c.sequence > than, CARDS.c.envelope.is_not(None))
    row = connection.execute(newest.order_by(CARDS.c.sequence.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return StoredCard(digest=row.digest, sequence=row.sequence, expire_time=row.expire_time, envelope=row.envelope)


def card_expire_time(connection: Connection, digest: Digest) -> datetime | None:
    """Returns when a card expires, or None where it was not issued from this file."""
    return connection.execute(select(CARDS.c.expire_time).where(CARDS.c.digest == digest)).scalar_one_or_none()


def _of_key(key: AskKey) -> dict[str, Any]:
    return {"of_caller": key.caller, "of_request_id": key.request_id}


def _insert_entries(connection: Connection, entries: tuple[LogEntry, ...], *, ask_id: int) -> None:
    rows = [
        {
            "ask_id": ask_id,
            "sequence": entry.sequence,
            "data": entry.data,
            "text": entry.text,
            "output_tokens": entry.output_tokens,
        }
        for entry in entries
    ]
    connection.execute(_APPEND, rows)


def _row_of(ask: StoredAsk, *, life: int) -> dict[str, Any]:
    return {
        "caller": ask.key.caller,
        "request_id": ask.key.request_id,
        "ask_digest": ask.ask_digest,
        "card_digest": ask.card_digest,
        "accept_time": ask.accept_time,
        "expire_time": ask.expire_time,
        "replica": ask.replica,
        "life": life,
        "epoch": ask.epoch,
        "last_sequence": ask.last_sequence,
    }


def _ask_of(row: Row[Any]) -> StoredAsk:
    return StoredAsk(
        key=AskKey(caller=PublicKey(row.caller), request_id=RequestId(row.request_id)),
        ask_digest=Digest(row.ask_digest),
        card_digest=Digest(row.card_digest),
        accept_time=row.accept_time,
        expire_time=row.expire_time,
        replica=row.replica,
        epoch=row.epoch,
        last_sequence=Sequence(row.last_sequence),
        finish_time=row.finish_time,
        keep_until_time=row.keep_until_time,
    )
