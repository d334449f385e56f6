"""What the office of a registry does by itself: it takes in what its own node says, as soon as it can."""

from pathlib import Path

import pytest

from consilience.reviews import OpenRecord
from consilience.server import Registry
from consilience.server.registry.databases import SqliteDatabase
from consilience.server.registry.office import RegistryOffice
from consilience.server.registry.store import SqlRecordStore
from sdk.tests.reviews.specimens import DAY, HOUR, LIMITS, NOW, TestNode, advisory_about, card_record, key, placed
from sdk.tests.server.clocks import ManualClock

NODE = TestNode.named("registry")


def _office(store: SqlRecordStore, *, clock: ManualClock, max_records: int) -> RegistryOffice:
    return RegistryOffice(Registry(store=store, max_records=max_records), limits=LIMITS, clock=clock, peers=None)


async def _holds(store: SqlRecordStore, card: OpenRecord, *, clock: ManualClock) -> bool:
    return await store.card_of(NODE.root.public_key, now=clock.now) == card.record


async def test_a_registry_that_is_full_at_its_start_takes_in_its_own_card_once_there_is_room(tmp_path: Path) -> None:
    clock = ManualClock()
    clock.now = NOW
    file, card = tmp_path / "records.db", card_record(NODE)
    before = SqlRecordStore(SqliteDatabase(file))
    await before.open()
    await before.admit([placed(advisory_about(bytes(32), author=key("author"), at=NOW - HOUR, days=1))], now=NOW)
    await before.close()
    store = SqlRecordStore(SqliteDatabase(file))
    office = _office(store, clock=clock, max_records=1)
    await office.open()
    await office.tend(now=clock.now, own=[card.record])
    assert not await _holds(store, card, clock=clock)
    clock.now = NOW + DAY
    await office.tend(now=clock.now, own=[card.record])
    assert await _holds(store, card, clock=clock)
    await office.close()


async def test_what_is_refused_for_good_of_the_node_itself_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    clock.now = NOW
    store = SqlRecordStore(SqliteDatabase(tmp_path / "records.db"))
    office = _office(store, clock=clock, max_records=9)
    await office.open()
    ended = card_record(NODE, issued=NOW - 9 * DAY)
    for _ in range(3):
        await office.tend(now=clock.now, own=[ended.record, card_record(NODE).record])
    assert await _holds(store, card_record(NODE), clock=clock)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await office.close()
