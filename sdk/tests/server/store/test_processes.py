"""What processes that share a file, and are killed over it, may rely on."""

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from consilience.server.store.contract import AskKey, StoredAsk, StoreLockedError
from consilience.server.store.sqlite import SqliteStore
from consilience.units import PublicKey, RequestId, Sequence
from sdk.tests.server.store.processes import SHARED_KEYS, start
from sdk.tests.server.store.specimens import (
    FINISH,
    KEEP_END,
    LEASE_END,
    NOW,
    OTHER_REPLICA,
    REPLICA,
    entries,
    entry,
)

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture(name="start")
def _start() -> Iterator[Start]:
    """Starts processes that end with the test."""
    with ExitStack() as running:

        def begin(deed: str, path: Path, *arguments: str) -> Process:
            process = running.enter_context(start(deed, path, *arguments))
            running.callback(process.kill)
            return process

        yield begin


def read_line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: Process) -> None:
    """Sends the line that a process waits for."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def kill_after(process: Process, *, lines: int) -> dict[AskKey, int]:
    """Kills a growing process and returns the last sequence of each log that it said was acknowledged."""
    said = [read_line(process) for _ in range(lines)]
    process.kill()
    assert process.stdout is not None
    said += [line for line in process.stdout if line.endswith("\n")]
    process.wait()
    acknowledged: dict[AskKey, int] = {}
    for line in said:
        caller, request_id, sequence = line.split()
        key = AskKey(caller=PublicKey(bytes.fromhex(caller)), request_id=RequestId(bytes.fromhex(request_id)))
        acknowledged[key] = int(sequence)
    return acknowledged


async def end(store: SqliteStore, ask: StoredAsk) -> None:
    last = (entry(ask.last_sequence + 1),)
    await store.finish(ask.key, last, epoch=ask.epoch, finish_time=FINISH, keep_until_time=KEEP_END)


async def test_a_killed_process_loses_nothing_that_was_acknowledged(path: Path, start: Start) -> None:
    choice = random.Random(7)  # noqa: S311 - a spread of moments, not a secret
    acknowledged: dict[AskKey, int] = {}
    for _ in range(6):
        acknowledged |= kill_after(start("grow_for_ever", path), lines=choice.randint(1, 150))
        store = SqliteStore(path)
        await store.open(replica=REPLICA, lease_until=LEASE_END)
        for key, sequence in acknowledged.items():
            found = await store.find(key)
            assert found is not None
            assert found.last_sequence >= sequence
            assert await store.read(key, after=Sequence(0), limit=100) == entries(1, found.last_sequence)
        claimed = await store.claim_abandoned(now=NOW)
        assert claimed
        for ask in claimed:
            assert ask.epoch == 2
            await end(store, ask)
            acknowledged[ask.key] = ask.last_sequence + 1
        await store.close()


async def test_a_replica_id_is_refused_while_a_process_holds_it_and_free_once_that_is_killed(
    path: Path, start: Start
) -> None:
    holder = start("hold", path)
    assert read_line(holder) == "open"
    store = SqliteStore(path)
    with pytest.raises(StoreLockedError, match=REPLICA):
        await store.open(replica=REPLICA, lease_until=LEASE_END)
    holder.kill()
    holder.wait()
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    await store.close()


def test_of_two_processes_that_bind_the_same_keys_one_wins_each(path: Path, start: Start) -> None:
    rivals = [start("bind_shared_keys", path, replica) for replica in (REPLICA, OTHER_REPLICA)]
    assert [read_line(rival) for rival in rivals] == ["ready", "ready"]
    for _ in SHARED_KEYS:
        for rival in rivals:
            let_go(rival)
        assert sorted(read_line(rival) for rival in rivals) == ["lost", "won"]
    assert [rival.wait() for rival in rivals] == [0, 0]
