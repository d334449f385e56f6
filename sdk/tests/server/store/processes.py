"""Processes of their own that use a store, for what one process cannot show: locks, kills, a full disk.

Run as `python -m sdk.tests.server.store.processes DEED FILE [ARGUMENT…]`; each deed prints a line for each step.
"""

import asyncio
import itertools
import resource
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

from consilience.server.store.contract import AskKey, LogEntry, StoreUnavailableError
from consilience.server.store.ledger import BalanceError, ChainMovedError, StoredSession
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest, PublicKey, RequestId, Sequence
from sdk.tests.server.store.ledger_specimens import Paid, bind, finish, new_reservation, receipt
from sdk.tests.server.store.specimens import ACCEPTED, LEASE_END, REPLICA, entry, running_ask

ROOT = Path(__file__).parents[4]
SHARED_KEYS = tuple(
    AskKey(caller=PublicKey(bytes(32)), request_id=RequestId(number.to_bytes(16, "big"))) for number in range(100)
)


def command(deed: str, path: Path, *arguments: str) -> list[str]:
    """Returns the command line of a deed, to be run in ROOT."""
    return [sys.executable, "-m", "sdk.tests.server.store.processes", deed, str(path), *arguments]


def run(deed: str, path: Path, *arguments: str) -> list[str]:
    """Runs a deed to its end, and returns the lines that it printed."""
    done = subprocess.run(
        command(deed, path, *arguments), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=60
    )
    return done.stdout.splitlines()


def start(deed: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a deed whose lines can be read while it runs; whoever starts it ends it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command(deed, path, *arguments), cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - read by the test that started the process


async def opened(path: Path, *, replica: str = REPLICA) -> SqliteStore:
    store = SqliteStore(path)
    await store.open(replica=replica, lease_until=LEASE_END)
    return store


async def grow_for_ever(path: Path) -> None:
    """Binds asks and appends to them, four at a time, and says each entry that is acknowledged, until it is killed."""
    store = await opened(path)

    async def grow() -> None:
        while True:
            ask = running_ask()
            await store.bind(ask, first=ACCEPTED)
            say(ask.key.caller.hex(), ask.key.request_id.hex(), 1)
            for sequence in range(2, 30):
                await store.append(ask.key, (entry(sequence),), epoch=ask.epoch)
                say(ask.key.caller.hex(), ask.key.request_id.hex(), sequence)

    await asyncio.gather(*(grow() for _ in range(4)))


async def bind_shared_keys(path: Path, replica: str) -> None:
    """Binds the keys that a rival binds too, each as soon as it reads a line, and says whether it won the key."""
    store = await opened(path, replica=replica)
    say("ready")
    for key in SHARED_KEYS:
        await asyncio.to_thread(sys.stdin.readline)
        earlier = await store.bind(running_ask(key=key, replica=replica), first=ACCEPTED)
        say("lost" if earlier else "won")
    await store.close()


async def spend_a_session(path: Path, replica: str, session_id: str) -> None:
    """Once it reads a line, has asks of a session run and end, four at a time, until nothing is left of it.

    Says how much the receipts that it got charge in all.
    """
    store = await opened(path, replica=replica)
    session = await store.ledger.find_session(Digest(bytes.fromhex(session_id)))
    assert session is not None
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    spent = sum(await asyncio.gather(*(_spend(store, session) for _ in range(4))))
    say(spent)
    await store.close()


async def _spend(store: SqliteStore, session: StoredSession) -> int:
    spent = 0
    for amount in itertools.cycle((7, 5, 3, 2, 1)):
        try:
            paid = await bind(store, new_reservation(session, reserved=amount, ceiling=amount))
        except BalanceError as error:
            account = error.session.account
            if not account.free and not account.reserved:
                break
            continue  # a smaller ask may fit, and what is set aside for others may come back
        charge = max(1, amount - 1)
        await _settle(store, paid, charge=charge)
        spent += charge
    return spent


async def _settle(store: SqliteStore, paid: Paid, *, charge: int) -> None:
    while True:
        session = await store.ledger.find_session(paid.reservation.session_id)
        assert session is not None
        with suppress(ChainMovedError):
            return await finish(store, paid, receipt(session.session_id, session.receipt_count + 1, charge=charge))


async def hold(path: Path) -> None:
    """Opens the store and keeps it until it is killed."""
    await opened(path)
    say("open")
    await asyncio.Event().wait()


async def forget_to_close(path: Path) -> None:
    """Binds an ask and ends."""
    store = await opened(path)
    await store.bind(running_ask(), first=ACCEPTED)
    say("bound")


async def fill_the_disk(path: Path) -> None:
    """Writes until the system allows the files of this process to grow no further, then allows it again."""
    store = await opened(path)
    ask = running_ask()
    await store.bind(ask, first=ACCEPTED)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, most))
    acknowledged = 1
    try:
        while True:
            await store.append(ask.key, (large_entry(acknowledged + 1),), epoch=ask.epoch)
            acknowledged += 1
    except StoreUnavailableError:
        say("unavailable")
    if len(await store.read(ask.key, after=Sequence(0), limit=10**6)) == acknowledged:
        say("as acknowledged")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    await store.append(ask.key, (large_entry(acknowledged + 1),), epoch=ask.epoch)
    say("goes on")
    await store.close()
    say("closed")


def large_entry(sequence: int) -> LogEntry:
    return LogEntry(sequence=Sequence(sequence), data=bytes(50_000))


DEEDS: dict[str, Callable[..., Coroutine[None, None, None]]] = {
    deed.__name__: deed
    for deed in (bind_shared_keys, fill_the_disk, forget_to_close, grow_for_ever, hold, spend_a_session)
}

if __name__ == "__main__":
    asyncio.run(DEEDS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
