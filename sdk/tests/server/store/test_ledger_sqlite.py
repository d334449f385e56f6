"""What SQLite adds to the contract of ledgers: replicas that share a file, earlier files, and constraints."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from consilience.server.store.contract import AskKey, LeaseLostError, StoredAsk
from consilience.server.store.ledger import BalanceError
from consilience.server.store.sqlite import SqliteStore
from consilience.units import CardSequence, Digest, PublicKey, RequestId, Sequence
from sdk.tests.server.store.ledger_specimens import (
    VOUCHER,
    bind,
    charged,
    finish,
    funded,
    new_deposit,
    new_digest,
    new_reservation,
    new_session,
    new_withdrawal,
    receipt,
    state,
)
from sdk.tests.server.store.processes import start
from sdk.tests.server.store.specimens import (
    FINISH,
    KEEP_END,
    LATER_THAN_ALL,
    LEASE_END,
    REPLICA,
    entries,
    entry,
    issued_card,
    running_ask,
)

START = Sequence(0)
CARD = Digest(b"\x07" * 32)
VERSION_1 = Path(__file__).with_name("version_1.sql")


@contextmanager
def file_at(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens the file beside the store, as a stranger to its code."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def tables_of(path: Path) -> dict[str, set[str]]:
    """Returns what is declared in a file, table by table: columns, indexes and constraints, in any order."""
    with file_at(path) as connection:
        rows = connection.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    declared: dict[str, set[str]] = {}
    for table, sql in rows:
        # A column that was added later stands behind the constraints, in their line.
        lines = re.sub(r", (output_tokens|sequence|envelope) ", r"\n\1 ", sql).removesuffix(")").splitlines()
        declared.setdefault(table, set()).update(line.strip(" ,\t") for line in lines)
    return declared


async def reopen(store: SqliteStore) -> None:
    await store.close()
    await store.open(replica=REPLICA, lease_until=LEASE_END)


async def test_everything_in_a_ledger_outlives_its_life(sqlite: SqliteStore) -> None:
    ledger, session = sqlite.ledger, await funded(sqlite.ledger, amount=1000, authorized=400)
    kept = await charged(sqlite, session, charge=30)
    given_back = receipt(session.session_id, 2, charge=5, refund_of=kept.digest)
    await ledger.refund(given_back)
    await ledger.acknowledge(session.session_id, number=2, call=VOUCHER)
    payout = await ledger.begin_withdrawal(new_withdrawal(session, amount=60))
    deposit = await ledger.begin_deposit(new_deposit(session))
    paid = await bind(sqlite, new_reservation(session, reserved=10, ceiling=50))
    reservation, before = await ledger.extend(paid.ask.key, least=20, most=20)
    await reopen(sqlite)
    assert await state(ledger, session) == before
    assert await ledger.receipts(session.session_id, after=0, limit=9) == (kept, given_back)
    assert await ledger.acknowledgement(session.session_id) == VOUCHER
    assert await ledger.pending_withdrawals() == (payout,)
    assert await ledger.pending_deposits() == (deposit,)
    assert await ledger.find_reservation(paid.ask.key) == reservation


async def test_an_ask_that_was_claimed_is_settled_by_the_claimer_and_by_nobody_else(
    sqlite: SqliteStore, sibling: SqliteStore
) -> None:
    session = await funded(sqlite.ledger, authorized=40)
    paid = await bind(sqlite, new_reservation(session, reserved=10))
    (claimed,) = await sibling.claim_abandoned(now=LATER_THAN_ALL)
    assert await sibling.ledger.find_reservation(claimed.key) == paid.reservation
    with pytest.raises(LeaseLostError):
        await finish(sqlite, paid, receipt(session.session_id, 1, charge=10))
    assert (await state(sibling.ledger, session)).account.reserved == 10
    await finish(sibling, paid, receipt(session.session_id, 1, charge=3), epoch=claimed.epoch)
    left = await state(sqlite.ledger, session)
    assert (left.account.spent, left.account.reserved, left.receipt_count) == (3, 0, 1)


async def test_replicas_at_once_never_overdraw_a_session(sqlite: SqliteStore, sibling: SqliteStore) -> None:
    session = await funded(sqlite.ledger, authorized=95)
    binds = [bind(store, new_reservation(session)) for _ in range(25) for store in (sqlite, sibling)]
    results = await asyncio.gather(*binds, return_exceptions=True)
    assert sum(isinstance(result, BalanceError) for result in results) == 41
    assert (await state(sibling.ledger, session)).account.reserved == 90
    assert await state(sqlite.ledger, session) == await state(sibling.ledger, session)


async def test_a_deposit_that_two_replicas_credit_at_once_is_credited_once(
    sqlite: SqliteStore, sibling: SqliteStore
) -> None:
    session = await sqlite.ledger.open_session(new_session())
    for number in range(1, 21):
        deposit, reference = await sqlite.ledger.begin_deposit(new_deposit(session)), new_digest()
        of = session.session_id, deposit.deposit_id
        await asyncio.gather(*(each.ledger.credit(*of, amount=1, reference=reference) for each in (sqlite, sibling)))
        assert (await state(sqlite.ledger, session)).account.deposited == number


async def test_two_processes_that_spend_one_session_never_overdraw_it(sqlite: SqliteStore, path: Path) -> None:
    session = await funded(sqlite.ledger, amount=500, authorized=500)
    names = ("http://127.0.0.1:7351", "http://127.0.0.1:7352")
    rivals = [start("spend_a_session", path, name, session.session_id.hex()) for name in names]
    try:
        for rival in rivals:
            assert rival.stdout is not None
            assert await asyncio.to_thread(rival.stdout.readline) == "ready\n"
        for rival in rivals:
            assert rival.stdin is not None
            rival.stdin.write("\n")
            rival.stdin.flush()
        said = [(await asyncio.to_thread(rival.communicate, timeout=60))[0].split() for rival in rivals]
    finally:
        for rival in rivals:
            rival.kill()
    spent = [int(total) for (total,) in said]
    left = await state(sqlite.ledger, session)
    assert left.account.spent == sum(spent) == 500
    assert (left.account.reserved, left.account.authorized) == (0, 500)
    assert min(spent) > 0
    kept = await sqlite.ledger.receipts(session.session_id, after=0, limit=1000)
    assert [each.number for each in kept] == list(range(1, len(kept) + 1))
    assert sum(each.charge for each in kept) == 500


async def test_the_file_itself_takes_nothing_twice_and_no_account_out_of_its_invariant(
    sqlite: SqliteStore, path: Path
) -> None:
    sessions = [await funded(sqlite.ledger, authorized=40) for _ in range(2)]
    for session in sessions:
        await charged(sqlite, session, charge=5)
        await sqlite.ledger.begin_withdrawal(new_withdrawal(session, amount=10))
        await bind(sqlite, new_reservation(session))
    forbidden = (
        "UPDATE sessions SET session_id = (SELECT session_id FROM sessions WHERE id = 1) WHERE id = 2",
        "UPDATE deposits SET reference = (SELECT reference FROM deposits WHERE id = 1) WHERE id = 2",
        "UPDATE deposits SET rail_ref = (SELECT rail_ref FROM deposits WHERE id = 1) WHERE id = 2",
        "INSERT INTO deposits SELECT 9, session, deposit_id, amount, instruction, x'00', 3, 0, NULL FROM deposits",
        "INSERT INTO withdrawals SELECT 9, session, withdrawal_id, amount, NULL, status, NULL FROM withdrawals",
        "INSERT INTO receipts SELECT session, number, x'00', charge, envelope, NULL FROM receipts",
        "INSERT INTO receipts SELECT session, 2, digest, charge, envelope, NULL FROM receipts",
        "DELETE FROM asks WHERE finish_time IS NULL",
        "DELETE FROM sessions",
        "UPDATE sessions SET reserved = reserved + 26",
        "UPDATE sessions SET spent = spent + 26",
        "UPDATE sessions SET authorized = 91",
        "UPDATE sessions SET authorized = 14",
        "UPDATE sessions SET deposited = 49",
        "UPDATE sessions SET withdrawn = 61",
        "UPDATE sessions SET reserved = -1",
    )
    with file_at(path) as connection:
        before = list(connection.iterdump())
        for statement in forbidden:
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
        assert list(connection.iterdump()) == before
        connection.execute("UPDATE sessions SET reserved = reserved + 25")  # just what there is room for


async def test_amounts_of_sixty_three_bits_are_kept_to_the_unit(sqlite: SqliteStore) -> None:
    most = 2**63 - 1
    session = await funded(sqlite.ledger, amount=most, authorized=most)
    for number in (1, 2):
        paid = await bind(sqlite, new_reservation(session, reserved=2**61, ceiling=2**61, total_max_charge=most))
        await finish(sqlite, paid, receipt(session.session_id, number, charge=2**61))
    of = receipt(session.session_id, 1, charge=0).digest
    await sqlite.ledger.refund(receipt(session.session_id, 3, charge=2**61, refund_of=of))
    await sqlite.ledger.close_session(session.session_id)
    await sqlite.ledger.begin_withdrawal(new_withdrawal(session, amount=most - 2**61 - 1))
    left = (await state(sqlite.ledger, session)).account
    assert left.withdrawable(closed=True) == 1
    await sqlite.ledger.begin_withdrawal(new_withdrawal(session, amount=1))


@pytest.fixture
def old(path: Path) -> Path:
    """Is a file that version 1 made."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    return path


def old_ask(number: int) -> StoredAsk:
    """Returns an ask of that file: 1 runs, 2 has ended."""
    key = AskKey(caller=PublicKey(bytes([number]) * 32), request_id=RequestId(bytes([number]) * 16))
    ask = replace(running_ask(key=key), ask_digest=Digest(b"\x03" * 32), card_digest=CARD)
    if number == 1:
        return replace(ask, last_sequence=Sequence(3))
    return replace(ask, last_sequence=Sequence(4), finish_time=FINISH, keep_until_time=KEEP_END)


async def test_a_file_of_version_1_gets_a_ledger_and_keeps_all_that_it_has(old: Path, tmp_path: Path) -> None:
    store, new = SqliteStore(old), SqliteStore(tmp_path / "new.db")
    for each in (store, new):
        await each.open(replica=REPLICA, lease_until=LEASE_END)
    assert tables_of(old) == tables_of(tmp_path / "new.db")
    for number in (1, 2):
        ask = old_ask(number)
        assert await store.find(ask.key) == ask
        assert await store.read(ask.key, after=START, limit=9) == entries(1, number + 2)
    assert await store.honours_card(CARD, now=FINISH)
    assert await store.newer_card(than=CardSequence(0)) is None  # of the cards before there is the digest alone
    card = issued_card(digest=new_digest(), sequence=79)
    await store.remember_card(card)
    assert await store.newer_card(than=CardSequence(0)) == card
    assert await store.reserve_card_sequence(at_least=CardSequence(5)) == 78
    (claimed,) = await store.claim_abandoned(now=LATER_THAN_ALL)
    assert claimed.key == old_ask(1).key
    await store.finish(claimed.key, (entry(4),), epoch=claimed.epoch, finish_time=FINISH, keep_until_time=KEEP_END)
    session = await funded(store.ledger, authorized=40)
    await charged(store, session, charge=5)
    await reopen(store)
    assert (await state(store.ledger, session)).account.spent == 5
    for each in (store, new):
        await each.close()


async def test_replicas_that_open_a_file_of_version_1_at_once_all_open(old: Path) -> None:
    stores = {f"replica {number}": SqliteStore(old) for number in range(4)}
    await asyncio.gather(*(store.open(replica=name, lease_until=LEASE_END) for name, store in stores.items()))
    for store in stores.values():
        await store.close()
