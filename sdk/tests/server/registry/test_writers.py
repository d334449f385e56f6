"""What several write to one PostgreSQL at one time comes out as if they had written one after the other."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from consilience.reviews import NodeQuery, PublishOutcome
from consilience.server.registry import Arc, shelving
from consilience.server.registry.contract import Capacity
from consilience.server.registry.databases import TRIES, DatabaseBusyError
from consilience.server.registry.store import SqlRecordStore
from sdk.tests.reviews.specimens import DAY, NOW, TestNode, card_record, placed
from sdk.tests.server.registry.conftest import MakeDatabase

SECOND = timedelta(seconds=1)
NODE = TestNode.named("node")
UNITS = NodeQuery(domain="units")
ENDED = card_record(NODE, issued=NOW - 8 * DAY)
RENEWED, AGAIN = card_record(NODE, issued=NOW - 2 * SECOND), card_record(NODE, issued=NOW - SECOND)
BEFORE = NOW - 2 * DAY
Stores = tuple[SqlRecordStore, SqlRecordStore]


async def test_a_card_that_is_renewed_while_the_old_one_is_dropped_is_found(
    siblings: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping, renewing = siblings
    await dropping.admit([placed(ENDED, now=BEFORE)], now=BEFORE)
    began, may_go_on = threading.Event(), threading.Event()
    take_out = shelving.take_out

    def slowly(connection: Connection, held: Row[Any]) -> None:
        began.set()
        may_go_on.wait(60)
        take_out(connection, held)

    monkeypatch.setattr(shelving, "take_out", slowly)
    forgetting = asyncio.create_task(dropping.forget(now=NOW))
    await asyncio.to_thread(began.wait, 60)
    admitting = asyncio.create_task(renewing.admit([placed(RENEWED)], now=NOW))
    while not admitting.done() and not await renewing._database.read(_somebody_waits):  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(0.02)
    may_go_on.set()
    await forgetting
    assert await admitting == (PublishOutcome.STORED,)
    assert len((await renewing.fitting(UNITS, arc=Arc(), limit=9, now=NOW)).cards) == 1
    await renewing.admit([placed(AGAIN)], now=NOW)
    assert len((await renewing.fitting(UNITS, arc=Arc(), limit=9, now=NOW)).cards) == 1


def _somebody_waits(connection: Connection) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    return bool(connection.execute(text(waiting)).scalar_one())


async def test_cards_are_renewed_in_another_order_than_the_old_ones_are_dropped(siblings: Stores) -> None:
    one, two = siblings
    for time in range(3):
        named = [TestNode.named(f"{time} {number}") for number in range(60)]
        ended = [card_record(node, issued=NOW - 8 * DAY, description=_WORDY) for node in named]
        await one.admit([placed(card, now=BEFORE) for card in ended], now=BEFORE)
        renewed = [placed(card_record(node)) for node in reversed(named)]
        await asyncio.gather(one.forget(now=NOW), two.forget(now=NOW), two.admit(renewed, now=NOW))
    found = await one.fitting(UNITS, arc=Arc(), limit=999, now=NOW)
    assert len(found.cards) == 3 * 60


_WORDY = " ".join(f"word{number}" for number in range(60))


async def test_a_transaction_that_the_server_breaks_off_is_begun_again(share_database: MakeDatabase) -> None:
    """Two that wait for each other, of which the server ends one."""
    database = share_database()
    await database.open()
    both_hold = threading.Barrier(2, timeout=60)
    begun: list[int] = []

    def crossing(first: int, second: int) -> Callable[[Connection], int]:
        def work(connection: Connection) -> int:
            begun.append(first)
            connection.execute(_LOCK, {"number": first})
            if begun.count(first) == 1:
                both_hold.wait()
            connection.execute(_LOCK, {"number": second})
            return first

        return work

    done = await asyncio.gather(database.write(crossing(71, 72)), database.write(crossing(72, 71)))
    await database.close()
    assert list(done) == [71, 72]
    assert len(begun) == 3


_LOCK = text("SELECT pg_advisory_xact_lock(:number)")


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
async def test_what_is_broken_off_each_time_is_not_called_a_lack_of_rights(
    share_database: MakeDatabase, sqlstate: str
) -> None:
    database = share_database()
    await database.open()
    begun: list[str] = []

    def broken_off(connection: Connection) -> None:
        begun.append(sqlstate)
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'others write' USING ERRCODE = '{sqlstate}'; END $$"))

    with pytest.raises(DatabaseBusyError, match="others write") as caught:
        await database.write(broken_off)
    await database.close()
    assert len(begun) == TRIES
    assert "right" not in caught.value.remedy


async def test_what_was_broken_off_does_not_count_towards_what_is_held(
    siblings: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = siblings
    put_in = shelving.put_in
    tries: list[int] = []

    def broken_off_once(connection: Connection, *arguments: Any, **named: Any) -> int | None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise DBAPIError("", None, psycopg.errors.DeadlockDetected())
        return put_in(connection, *arguments, **named)

    monkeypatch.setattr(shelving, "put_in", broken_off_once)
    capacity = Capacity(max_records=1)
    assert await store.admit([placed(RENEWED)], now=NOW, capacity=capacity) == (PublishOutcome.STORED,)
    assert capacity.held == 1


async def test_several_processes_note_one_cursor_at_once(siblings: Stores) -> None:
    one, two = siblings
    for number in range(60):
        cursor = str(number).encode()
        await asyncio.gather(*(store.note_cursor("https://a.example:7341", cursor) for store in (one, two, one, two)))
        assert await one.cursor_of("https://a.example:7341") == cursor
