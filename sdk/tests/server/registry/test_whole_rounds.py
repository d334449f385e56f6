"""Once a day another registry is followed from the beginning, whatever breaks, and whenever the process restarts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, text

from consilience.errors import ConnectionLostError
from consilience.server.registry.schema import RECORDS, REGISTRY
from consilience.server.registry.store import SqlRecordStore
from consilience.server.registry.sync import WHOLE_ROUND
from sdk.tests.reviews.specimens import HOUR, NOW, TestNode, card_record
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.conftest import MakeDatabase
from sdk.tests.server.registry.offices import Line, LocalRegistry

ADDRESS = "https://a.example:7341"
CARD = card_record(TestNode.named("fast"), issued=NOW)
MINUTE = timedelta(minutes=1)
GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "run-a-registry.md"
NEW_IDENTITY = {
    "sqlite": "UPDATE registry SET identity = randomblob(16)",
    "postgresql": "UPDATE registry SET identity = uuid_send(gen_random_uuid())",
}
Ring = tuple[LocalRegistry, LocalRegistry]


@pytest.fixture
def clock() -> ManualClock:
    made = ManualClock()
    made.now = NOW - MINUTE
    return made


@pytest.fixture
async def ring(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ring]:
    """Are two registries, of which the second holds a card that the first has refused: its clock was behind."""
    right = ManualClock()
    right.now = NOW
    one, two = LocalRegistry(tmp_path, "one", clock=clock), LocalRegistry(tmp_path, "two", clock=right)
    async with AsyncExitStack() as stack:
        for registry in (one, two):
            await registry.open()
            stack.push_async_callback(registry.store.close)
        await two.bring(CARD)
        assert await one.follow(Line(two)) == 0
        assert await one.follow(Line(two)) == 0
        yield one, two


async def test_a_break_at_the_time_of_the_whole_round_puts_it_off_and_no_more(ring: Ring, clock: ManualClock) -> None:
    one, two = ring
    clock.now += WHOLE_ROUND
    with pytest.raises(ConnectionLostError):
        await one.follow(Line(two, calls_left=0))
    assert await one.follow(Line(two)) == 1
    assert await one.held() == {CARD.digest}


async def test_a_whole_round_goes_on_behind_a_break(ring: Ring, clock: ManualClock) -> None:
    """Else a long one over a bad line would never come to its end."""
    one, two = ring
    clock.now += WHOLE_ROUND
    assert await one.follow(Line(two)) == 1
    cursor = await one.store.cursor_of("two")
    assert cursor
    with pytest.raises(ConnectionLostError):
        await one.follow(Line(two, calls_left=0))
    assert await one.store.cursor_of("two") == cursor


async def test_the_whole_round_comes_to_a_process_that_is_restarted_every_few_hours(
    ring: Ring, clock: ManualClock
) -> None:
    one, two = ring
    for _ in range(3):
        clock.now += WHOLE_ROUND - 15 * HOUR
        one.restart()
        await one.follow(Line(two))
    assert await one.held() == {CARD.digest}


async def test_the_whole_round_comes_though_the_clock_was_once_far_ahead(ring: Ring, clock: ManualClock) -> None:
    one, two = ring
    await one.store.begin_whole_round("two", now=clock.now + 1000 * WHOLE_ROUND)
    await one.store.note_cursor("two", await _end_of(two))
    clock.now += HOUR
    assert await one.follow(Line(two)) == 1


async def _end_of(registry: LocalRegistry) -> bytes:
    return [behind async for _, behind in Line(registry).digests(b"")][-1]


async def test_what_a_restored_registry_numbers_again_comes_with_the_whole_round_or_under_a_new_identity(
    ring: Ring, clock: ManualClock
) -> None:
    one, two = ring
    clock.now = NOW
    await two.store._database.write(_as_in_a_backup)
    anew = [card_record(TestNode.named(name)) for name in ("first", "second")]
    await two.bring(anew[0])
    assert await one.follow(Line(two)) == 0
    clock.now += WHOLE_ROUND
    assert await one.follow(Line(two)) == 1
    await two.store._database.write(_as_in_a_backup)
    await two.bring(anew[1])
    await two.store._database.write(_renew_identity)
    await two.store.close()
    await two.store.open()
    assert await one.follow(Line(two)) == 1
    assert await one.held() == {card.digest for card in anew}


def _as_in_a_backup(connection: Connection) -> None:
    connection.execute(delete(RECORDS))
    connection.execute(REGISTRY.update().values(last_serial=0))


def _renew_identity(connection: Connection) -> None:
    connection.execute(text(NEW_IDENTITY[connection.dialect.name]))


async def test_the_guide_tells_how_a_store_gets_a_new_identity(make_database: MakeDatabase) -> None:
    store = SqlRecordStore(make_database())
    await store.open()
    before = store.identity
    await store._database.write(_renew_identity)
    await store.close()
    await store.open()
    assert len(store.identity) == len(before)
    assert store.identity != before
    await store.close()
    assert all(statement in GUIDE.read_text(encoding="utf-8") for statement in NEW_IDENTITY.values())


async def test_a_store_knows_when_a_whole_round_began(store: SqlRecordStore) -> None:
    assert await store.whole_round_of(ADDRESS) is None
    await store.note_cursor(ADDRESS, b"cursor")
    assert await store.whole_round_of(ADDRESS) is None
    await store.begin_whole_round(ADDRESS, now=NOW)
    assert (await store.whole_round_of(ADDRESS), await store.cursor_of(ADDRESS)) == (NOW, b"")
    await store.note_cursor(ADDRESS, b"later")
    assert (await store.whole_round_of(ADDRESS), await store.cursor_of(ADDRESS)) == (NOW, b"later")
    await store.begin_whole_round("https://b.example:7341", now=NOW + HOUR)
    assert await store.whole_round_of("https://b.example:7341") == NOW + HOUR
    assert await store.whole_round_of(ADDRESS) == NOW
