"""Group commit on a real connection, whose statements are watched."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection

from consilience.server.store.contract import StoreUnavailableError
from consilience.server.store.database import connect_writer, engine_of, fault_named
from consilience.server.store.group_commit import MAX_GROUP, GroupCommit


@pytest.fixture
def statements() -> list[str]:
    """Is every statement that the group ran, in order."""
    return []


@pytest.fixture
async def group(tmp_path: Path, statements: list[str]) -> AsyncIterator[GroupCommit]:
    path = tmp_path / "numbers.db"
    engine = engine_of(path, connections=1)
    connection = connect_writer(engine)
    connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_trace_callback(statements.append)
    group = GroupCommit(connection, fault_named=partial(fault_named, path=path))
    yield group
    await group.close()
    engine.dispose()


def insert(connection: Connection, *, number: int) -> int:
    connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (number,))
    return number


def numbers(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT number FROM numbers ORDER BY number").scalars())


def insert_and_fail(connection: Connection, *, number: int) -> None:
    insert(connection, number=number)
    raise LookupError(number)


async def write_all(group: GroupCommit, count: int) -> list[int]:
    """Writes so many numbers while the thread is held up, so that they wait for one another."""
    free = Event()
    held_up = asyncio.create_task(group.write(lambda _: free.wait(60), on_disk=False))
    writes = [asyncio.create_task(group.write(partial(insert, number=n), on_disk=False)) for n in range(count)]
    await asyncio.sleep(0)
    free.set()
    await held_up
    return await asyncio.gather(*writes)


async def test_what_waits_shares_one_transaction(group: GroupCommit, statements: list[str]) -> None:
    assert await write_all(group, 100) == list(range(100))
    assert await group.write(numbers, on_disk=False) == list(range(100))
    assert statements.count("COMMIT") <= 4  # the hold-up, perhaps with some of the writes; the rest; the reading


async def test_a_group_is_bounded(group: GroupCommit, statements: list[str]) -> None:
    await write_all(group, 2 * MAX_GROUP + 1)
    assert await group.write(numbers, on_disk=False) == list(range(2 * MAX_GROUP + 1))
    groups = "\n".join(statements).split("COMMIT")
    assert max(part.count("SAVEPOINT") - part.count("RELEASE") for part in groups) <= MAX_GROUP
    assert all(part.count("RELEASE") <= MAX_GROUP for part in groups)


async def test_an_operation_that_fails_takes_back_only_itself(group: GroupCommit) -> None:
    operations = [partial(insert_and_fail if n % 3 == 0 else insert, number=n) for n in range(9)]
    results = await asyncio.gather(*(group.write(run, on_disk=False) for run in operations), return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, LookupError)] == [0, 3, 6]
    assert await group.write(numbers, on_disk=False) == [1, 2, 4, 5, 7, 8]


async def test_a_failure_of_the_database_is_named_and_spoils_no_other(group: GroupCommit) -> None:
    writes = [group.write(partial(insert, number=n), on_disk=False) for n in (1, 1, 2)]
    first, second, third = await asyncio.gather(*writes, return_exceptions=True)
    assert (first, third) == (1, 2)
    assert isinstance(second, StoreUnavailableError)
    assert "UNIQUE" in str(second)


async def test_a_transaction_that_fails_fails_all_of_it_and_the_next_one_works(group: GroupCommit) -> None:
    def end_early(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")

    writes = [group.write(partial(insert, number=1), on_disk=False), group.write(end_early, on_disk=False)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(results[1], StoreUnavailableError)
    assert await group.write(partial(insert, number=2), on_disk=False) == 2
    assert await group.write(numbers, on_disk=False) in ([2], [1, 2])


async def test_a_commit_that_fails_is_taken_back_and_the_next_one_works(group: GroupCommit) -> None:
    def break_a_promise(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE later (number REFERENCES numbers DEFERRABLE INITIALLY DEFERRED)")
        connection.exec_driver_sql("INSERT INTO later VALUES (7)")

    with pytest.raises(StoreUnavailableError, match="FOREIGN KEY"):
        await group.write(break_a_promise, on_disk=False)
    assert await group.write(partial(insert, number=2), on_disk=False) == 2
    assert await group.write(numbers, on_disk=False) == [2]


async def test_only_what_must_be_on_the_disk_waits_for_it(group: GroupCommit, statements: list[str]) -> None:
    for number, on_disk in enumerate([False, True, True, False]):
        await group.write(partial(insert, number=number), on_disk=on_disk)
    levels = [part for part in statements if part.startswith(("PRAGMA", "BEGIN"))]
    begin = "BEGIN IMMEDIATE"
    assert levels == [begin, "PRAGMA synchronous = FULL", begin, begin, "PRAGMA synchronous = NORMAL", begin]


async def test_whoever_stops_waiting_disturbs_nobody(group: GroupCommit) -> None:
    free = Event()
    held_up = asyncio.create_task(group.write(lambda _: free.wait(60), on_disk=False))
    given_up = asyncio.create_task(group.write(partial(insert, number=1), on_disk=False))
    waiting = asyncio.create_task(group.write(partial(insert, number=2), on_disk=False))
    await asyncio.sleep(0)
    given_up.cancel()
    free.set()
    assert await waiting == 2
    assert await held_up
    assert given_up.cancelled() or given_up.cancelling()


async def test_closing_does_what_was_begun_and_nothing_after(group: GroupCommit) -> None:
    free = Event()
    held_up = asyncio.create_task(group.write(lambda _: free.wait(60), on_disk=False))
    begun = asyncio.create_task(group.write(partial(insert, number=1), on_disk=False))
    await asyncio.sleep(0)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailableError, match="closed"):
        await group.write(partial(insert, number=2), on_disk=False)
    free.set()
    await closing
    assert await begun == 1
    assert await held_up
    await group.close()
