"""What SQLite adds to the contract: answers that outlive a life, and replicas that share a file."""

import asyncio
import sqlite3
import stat
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consilience.server.store.contract import (
    LeaseLostError,
    StoredAsk,
    StoreLockedError,
)
from consilience.server.store.sqlite import SqliteStore
from consilience.server.store.statements import MAX_FORGOTTEN
from consilience.units import CardSequence, Sequence, card_sequence
from sdk.tests.server.store.specimens import (
    ACCEPTED,
    CARD,
    FINISH,
    KEEP_END,
    LATER_THAN_ALL,
    LEASE_END,
    NOW,
    OTHER_REPLICA,
    REPLICA,
    entries,
    issued_card,
    running_ask,
)

START = Sequence(0)
AFTER_LEASE = LEASE_END + timedelta(microseconds=1)


async def reopen(store: SqliteStore, *, replica: str = REPLICA) -> None:
    await store.close()
    await store.open(replica=replica, lease_until=LEASE_END)


async def bound(store: SqliteStore, *, accept_time: datetime = NOW) -> StoredAsk:
    ask = running_ask(replica=store.replica, accept_time=accept_time)
    assert await store.bind(ask, first=ACCEPTED) is None
    return ask


async def finish(store: SqliteStore, ask: StoredAsk, *, keep_until_time: datetime = KEEP_END) -> None:
    await store.finish(ask.key, entries(2, 3), epoch=ask.epoch, finish_time=FINISH, keep_until_time=keep_until_time)


def taken_over(ask: StoredAsk, *, replica: str) -> StoredAsk:
    return replace(ask, replica=replica, epoch=ask.epoch + 1)


async def test_a_finished_answer_outlives_its_life(sqlite: SqliteStore) -> None:
    ask = await bound(sqlite)
    await finish(sqlite, ask)
    before = await sqlite.find(ask.key)
    await reopen(sqlite)
    assert await sqlite.find(ask.key) == before
    assert await sqlite.read(ask.key, after=START, limit=10) == entries(1, 3)
    assert await sqlite.claim_abandoned(now=NOW) == ()


async def test_the_running_asks_of_a_former_life_are_claimed_once_oldest_first(sqlite: SqliteStore) -> None:
    young = await bound(sqlite, accept_time=NOW + timedelta(seconds=1))
    old = await bound(sqlite)
    await finish(sqlite, await bound(sqlite))
    await reopen(sqlite)
    new = await bound(sqlite)
    assert await sqlite.claim_abandoned(now=NOW) == tuple(taken_over(ask, replica=REPLICA) for ask in (old, young))
    assert await sqlite.claim_abandoned(now=LATER_THAN_ALL) == ()
    assert await sqlite.find(new.key) == new


async def test_a_claimed_ask_is_ended_by_the_claimer_and_by_nobody_else(
    sqlite: SqliteStore, sibling: SqliteStore
) -> None:
    ask = await bound(sqlite)
    (claimed,) = await sibling.claim_abandoned(now=AFTER_LEASE)
    assert claimed == taken_over(ask, replica=OTHER_REPLICA)
    assert await sqlite.find(ask.key) == claimed
    with pytest.raises(LeaseLostError, match=OTHER_REPLICA):
        await sqlite.append(ask.key, entries(2, 2), epoch=ask.epoch)
    with pytest.raises(LeaseLostError):
        await finish(sqlite, ask)
    await finish(sibling, claimed)
    assert await sqlite.read(ask.key, after=START, limit=10) == entries(1, 3)


async def test_the_asks_of_a_replica_with_a_lease_are_left_alone(sqlite: SqliteStore, sibling: SqliteStore) -> None:
    ask = await bound(sqlite)
    assert await sibling.claim_abandoned(now=LEASE_END) == ()
    await sqlite.renew(until=LATER_THAN_ALL)
    assert await sibling.claim_abandoned(now=LATER_THAN_ALL) == ()
    await sqlite.append(ask.key, entries(2, 2), epoch=ask.epoch)


async def test_an_expired_lease_takes_nothing_from_a_replica_whose_asks_nobody_claimed(sqlite: SqliteStore) -> None:
    ask = await bound(sqlite)
    assert await sqlite.claim_abandoned(now=LATER_THAN_ALL) == ()
    await finish(sqlite, ask)


async def test_of_replicas_that_claim_at_once_one_gets_each_ask(path: Path, sqlite: SqliteStore) -> None:
    asks = [await bound(sqlite) for _ in range(20)]
    await sqlite.close()
    claimers = [SqliteStore(path) for _ in range(4)]
    for number, claimer in enumerate(claimers):
        await claimer.open(replica=f"claimer {number}", lease_until=LATER_THAN_ALL)
    claims = await asyncio.gather(*(claimer.claim_abandoned(now=AFTER_LEASE) for claimer in claimers))
    assert sorted(ask.key.request_id for claim in claims for ask in claim) == sorted(ask.key.request_id for ask in asks)
    for claimer in claimers:
        await claimer.close()


async def test_an_entry_is_visible_to_a_sibling_once_it_is_appended(sqlite: SqliteStore, sibling: SqliteStore) -> None:
    ask = await bound(sqlite)
    for last in range(2, 6):
        await sqlite.append(ask.key, entries(last, last), epoch=ask.epoch)
        assert await sibling.read(ask.key, after=START, limit=10) == entries(1, last)


async def test_a_key_bound_by_one_replica_is_bound_for_all(sqlite: SqliteStore, sibling: SqliteStore) -> None:
    ask = await bound(sqlite)
    assert await sibling.bind(running_ask(key=ask.key, replica=OTHER_REPLICA), first=ACCEPTED) == ask


async def test_cards_are_honoured_by_the_next_life_and_by_siblings(sqlite: SqliteStore, sibling: SqliteStore) -> None:
    await sqlite.remember_card(issued_card())
    assert await sibling.honours_card(CARD, now=NOW)
    assert await sibling.newer_card(than=CardSequence(0)) == issued_card()
    await reopen(sqlite)
    assert await sqlite.honours_card(CARD, now=NOW)
    assert not await sqlite.honours_card(CARD, now=KEEP_END)


async def test_a_restarted_node_whose_clock_was_set_back_issues_no_lower_card(
    sqlite: SqliteStore, sibling: SqliteStore
) -> None:
    now = card_sequence(NOW)
    assert await sqlite.reserve_card_sequence(at_least=now) == now
    await reopen(sqlite)
    assert await sqlite.reserve_card_sequence(at_least=CardSequence(now - 10**9)) == now + 1
    assert await sibling.reserve_card_sequence(at_least=now) == now + 2


async def test_no_answer_is_forgotten_within_a_day_of_its_acceptance(sqlite: SqliteStore) -> None:
    ask = await bound(sqlite)
    await finish(sqlite, ask, keep_until_time=FINISH)
    assert await sqlite.forget(now=NOW + timedelta(hours=24, microseconds=-1)) == 0
    assert await sqlite.forget(now=NOW + timedelta(hours=24)) == 1


async def test_more_answers_than_one_step_takes_are_forgotten_with_all_their_entries(
    sqlite: SqliteStore, path: Path
) -> None:
    count = 2 * MAX_FORGOTTEN + 1
    for ask in await asyncio.gather(*(bound(sqlite) for _ in range(count))):
        await finish(sqlite, ask)
    assert await sqlite.forget(now=LATER_THAN_ALL) == count
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)
    connection.close()


async def test_replicas_that_open_a_new_file_at_once_all_open(tmp_path: Path) -> None:
    for attempt in range(5):
        stores = {f"replica {number}": SqliteStore(tmp_path / f"{attempt}.db") for number in range(6)}
        opening = (store.open(replica=name, lease_until=LEASE_END) for name, store in stores.items())
        await asyncio.gather(*opening)
        for store in stores.values():
            await store.close()


async def test_a_second_store_under_one_replica_id_is_refused_until_the_first_closes(
    sqlite: SqliteStore, path: Path
) -> None:
    second = SqliteStore(path)
    with pytest.raises(StoreLockedError, match=REPLICA) as refusal:
        await second.open(replica=REPLICA, lease_until=LEASE_END)
    assert "replica id of its own" in refusal.value.remedy
    await sqlite.close()
    await second.open(replica=REPLICA, lease_until=LEASE_END)
    await second.close()


async def test_only_the_owner_can_read_the_files(sqlite: SqliteStore, path: Path) -> None:
    await bound(sqlite)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {"answers.db", "answers.db-wal", "answers.db-shm"} < set(modes)
    assert set(modes.values()) == {0o600}


async def test_closing_waits_for_the_writes_that_were_begun(sqlite: SqliteStore) -> None:
    ask = await bound(sqlite)
    appends = [asyncio.create_task(sqlite.append(ask.key, entries(n, n), epoch=ask.epoch)) for n in range(2, 100)]
    await asyncio.sleep(0)
    await reopen(sqlite)
    await asyncio.gather(*appends)
    assert await sqlite.read(ask.key, after=START, limit=1000) == entries(1, 99)
