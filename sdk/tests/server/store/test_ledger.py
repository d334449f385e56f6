"""What every ledger keeps to, in memory and in SQLite alike."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from consilience.payments import Account, SessionStatus, TransferStatus
from consilience.server.store.contract import AskKey, LeaseLostError, Settlement, StoredAsk
from consilience.server.store.ledger import (
    BalanceError,
    ChainMovedError,
    Ledger,
    PayingStore,
    QuoteUsedUpError,
    SessionMissingError,
    SessionShutError,
    SettlementError,
    StoredSession,
    TransferConflictError,
)
from consilience.server.store.ledger_schema import LEDGER_TABLES
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest
from sdk.tests.server.store.ledger_specimens import (
    ENVELOPE,
    deposit_of,
    new_session,
    reservation_of,
    settlement_of,
    withdrawal_of,
)
from sdk.tests.server.store.specimens import ACCEPTED, FINISH, KEEP_END, LEASE_END, REPLICA, entry, running_ask

NOBODY = Digest(b"\0" * 32)


@pytest.fixture
def ledger(store: PayingStore) -> Ledger:
    assert isinstance(store, PayingStore)
    return store.ledger


async def funded(ledger: Ledger, *, deposited: int = 100, authorized: int = 0) -> StoredSession:
    session = await ledger.open_session(new_session())
    deposit = await ledger.begin_deposit(deposit_of(session, amount=deposited))
    await ledger.credit(session.session_id, deposit.deposit_id, amount=deposited, reference=deposit.deposit_id * 2)
    return await ledger.authorize(session.session_id, cumulative=authorized, voucher=ENVELOPE)


async def begun(store: PayingStore, session: StoredSession, *, reserved: int, ceiling: int = 50) -> AskKey:
    ask = running_ask()
    reservation = reservation_of(session, reserved=reserved, ceiling=ceiling)
    assert await store.bind(ask, first=ACCEPTED, reservation=reservation) is None
    return ask.key


async def ended(store: PayingStore, key: AskKey, settlement: Settlement | None) -> None:
    await store.finish(key, (entry(2),), epoch=1, finish_time=FINISH, keep_until_time=KEEP_END, settlement=settlement)


async def account_of(ledger: Ledger, session: StoredSession) -> Account:
    found = await ledger.find_session(session.session_id)
    assert found is not None
    return found.account


async def test_the_same_terms_are_one_session(ledger: Ledger) -> None:
    session = await funded(ledger, authorized=10)
    assert await ledger.open_session(replace(session, account=Account())) == session
    assert await ledger.find_session(NOBODY) is None


async def test_a_deposit_is_credited_once_and_its_proof_counts_once_over_all_sessions(ledger: Ledger) -> None:
    session, other = await funded(ledger), await funded(ledger, deposited=7)
    deposit = await ledger.begin_deposit(deposit_of(session, amount=30))
    for _ in range(3):
        await ledger.credit(session.session_id, deposit.deposit_id, amount=30, reference=b"r" * 32)
    assert (await account_of(ledger, session)).deposited == 130
    second = await ledger.begin_deposit(deposit_of(other))
    with pytest.raises(TransferConflictError):
        await ledger.credit(other.session_id, second.deposit_id, amount=100, reference=b"r" * 32)
    assert (await account_of(ledger, other)).deposited == 7
    assert [one.deposit_id for one in await ledger.pending_deposits()] == [second.deposit_id]


async def test_one_deposit_id_is_one_deposit(ledger: Ledger) -> None:
    session = await funded(ledger)
    deposit = await ledger.begin_deposit(deposit_of(session, amount=30))
    assert await ledger.begin_deposit(replace(deposit, instruction=b"other", rail_ref=b"new")) == deposit
    with pytest.raises(TransferConflictError):
        await ledger.begin_deposit(replace(deposit, amount=31))
    with pytest.raises(SessionMissingError):
        await ledger.begin_deposit(replace(deposit, session_id=NOBODY))


async def test_a_deposit_that_failed_is_never_credited(ledger: Ledger) -> None:
    session = await funded(ledger)
    deposit = await ledger.begin_deposit(deposit_of(session))
    await ledger.fail_deposit(session.session_id, deposit.deposit_id)
    with pytest.raises(TransferConflictError):
        await ledger.credit(session.session_id, deposit.deposit_id, amount=100, reference=b"f" * 32)
    assert (await account_of(ledger, session)).deposited == 100


async def test_vouchers_only_rise_and_stay_within_what_is_there(ledger: Ledger) -> None:
    session = await funded(ledger, authorized=60)
    for lower in (0, 59, 60):
        await ledger.authorize(session.session_id, cumulative=lower, voucher=ENVELOPE)
    with pytest.raises(BalanceError) as caught:
        await ledger.authorize(session.session_id, cumulative=101, voucher=ENVELOPE)
    assert caught.value.session.account.authorized == (await account_of(ledger, session)).authorized == 60


async def test_an_ask_is_bound_with_what_is_set_aside_for_it_or_not_at_all(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=30)
    key = await begun(store, session, reserved=20)
    refused = running_ask()
    with pytest.raises(BalanceError):
        await store.bind(refused, first=ACCEPTED, reservation=reservation_of(session, reserved=11))
    assert await store.find(refused.key) is None
    found = await ledger.find_reservation(key)
    assert found is not None
    assert (found.reserved, (await account_of(ledger, session)).reserved) == (20, 20)


async def test_a_quote_is_no_price_without_end(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=100)
    twice = reservation_of(session, reserved=1, quote=b"2" * 32, max_asks=2)
    for _ in range(2):
        assert await store.bind(running_ask(), first=ACCEPTED, reservation=twice) is None
    with pytest.raises(QuoteUsedUpError):
        await store.bind(running_ask(), first=ACCEPTED, reservation=twice)
    bounded = replace(reservation_of(session, reserved=1, quote=b"3" * 32), total_max_charge=99)
    key = running_ask().key
    assert await store.bind(running_ask(key=key), first=ACCEPTED, reservation=bounded) is None
    with pytest.raises(QuoteUsedUpError):  # 50 may come of the first, and 50 of this one
        await store.bind(running_ask(), first=ACCEPTED, reservation=bounded)
    await ended(store, key, settlement_of(session, number=1, charge=1))
    assert await store.bind(running_ask(), first=ACCEPTED, reservation=bounded) is None


async def test_a_reservation_rises_as_far_as_the_session_allows(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=30)
    key = await begun(store, session, reserved=10)
    assert (await ledger.extend(key, least=15, most=25))[0].reserved == 25
    assert (await ledger.extend(key, least=31, most=45))[0].reserved == 25
    assert (await ledger.extend(key, least=26, most=45))[0].reserved == 30
    assert (await ledger.extend(key, least=0, most=5))[0].reserved == 30


async def test_an_answer_ends_with_its_receipt_in_one_step(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    key = await begun(store, session, reserved=20)
    with pytest.raises(SettlementError):
        await ended(store, key, None)
    with pytest.raises(ChainMovedError):
        await ended(store, key, settlement_of(session, number=2, charge=5))
    with pytest.raises(BalanceError):
        await ended(store, key, settlement_of(session, number=1, charge=21))
    running = await store.find(key)
    assert running is not None
    assert not running.finished
    settlement = settlement_of(session, number=1, charge=7)
    await ended(store, key, settlement)
    assert await account_of(ledger, session) == Account(deposited=100, authorized=40, spent=7)
    assert await ledger.receipts(session.session_id, after=0, limit=9) == (settlement.receipt,)
    with pytest.raises(LeaseLostError):
        await ledger.extend(key, least=1, most=2)
    with pytest.raises(SettlementError):
        await ended(store, await _unpaid(store), settlement_of(session, number=2, charge=0))


async def _unpaid(store: PayingStore) -> AskKey:
    ask: StoredAsk = running_ask()
    await store.bind(ask, first=ACCEPTED)
    return ask.key


async def test_refunds_of_a_receipt_are_together_no_more_than_its_charge(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    settlement = settlement_of(session, number=1, charge=10)
    await ended(store, await begun(store, session, reserved=20), settlement)
    first = settlement_of(session, number=2, charge=6, refund_of=settlement.receipt.digest).receipt
    assert (await ledger.refund(first)).account.refunded == 6
    with pytest.raises(BalanceError):
        await ledger.refund(replace(first, number=3, digest=NOBODY, charge=5))
    with pytest.raises(ChainMovedError):
        await ledger.refund(replace(first, number=2, charge=1))
    with pytest.raises(SessionMissingError):
        await ledger.refund(replace(first, number=3, refund_of=NOBODY))
    assert (await account_of(ledger, session)).refunded == 6


async def test_a_payout_is_counted_before_it_is_made_and_taken_back_only_if_it_failed(ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    with pytest.raises(BalanceError):
        await ledger.begin_withdrawal(withdrawal_of(session, amount=61))
    payout = await ledger.begin_withdrawal(withdrawal_of(session, amount=60))
    assert await ledger.begin_withdrawal(payout) == payout
    with pytest.raises(TransferConflictError):
        await ledger.begin_withdrawal(replace(payout, amount=1))
    assert (await account_of(ledger, session)).withdrawn == 60
    ids = session.session_id, payout.withdrawal_id
    await ledger.end_withdrawal(*ids, status=TransferStatus.PENDING)
    assert (await account_of(ledger, session)).withdrawn == 60
    await ledger.end_withdrawal(*ids, status=TransferStatus.FAILED)
    later = await ledger.end_withdrawal(*ids, status=TransferStatus.SUCCEEDED)
    assert (later.status, (await account_of(ledger, session)).withdrawn) == (TransferStatus.FAILED, 0)
    assert await ledger.pending_withdrawals() == ()


async def test_a_session_that_is_shut_takes_nothing_and_closes_with_its_last_ask(
    store: PayingStore, ledger: Ledger
) -> None:
    session = await funded(ledger, authorized=40)
    key = await begun(store, session, reserved=20)
    assert (await ledger.close_session(session.session_id)).status is SessionStatus.CLOSING
    with pytest.raises(SessionShutError):
        await ledger.authorize(session.session_id, cumulative=50, voucher=ENVELOPE)
    with pytest.raises(SessionShutError):
        await ledger.begin_deposit(deposit_of(session))
    with pytest.raises(SessionShutError):
        await store.bind(running_ask(), first=ACCEPTED, reservation=reservation_of(session, reserved=1))
    await ended(store, key, settlement_of(session, number=1, charge=5))
    closed = await ledger.close_session(session.session_id)
    assert (closed.status, closed.account) == (SessionStatus.CLOSED, Account(deposited=100, authorized=5, spent=5))
    await ledger.begin_withdrawal(withdrawal_of(session, amount=95))


async def test_the_payers_word_for_the_highest_receipt_counts(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    for number in (1, 2):
        key = await begun(store, session, reserved=5)
        await ended(store, key, settlement_of(session, number=number, charge=1))
    for number, word in ((2, b"two"), (1, b"one")):
        await ledger.acknowledge(session.session_id, number=number, call=type(ENVELOPE)(word))
    assert await ledger.acknowledgement(session.session_id) == b"two"
    with pytest.raises(SessionMissingError):
        await ledger.acknowledge(session.session_id, number=3, call=ENVELOPE)


async def test_asks_at_once_never_overdraw_a_session(store: PayingStore, ledger: Ledger) -> None:
    session = await funded(ledger, authorized=95)
    binds = [
        store.bind(running_ask(), first=ACCEPTED, reservation=reservation_of(session, reserved=10)) for _ in range(50)
    ]
    results = await asyncio.gather(*binds, return_exceptions=True)
    assert results.count(None) == 9
    assert all(isinstance(result, BalanceError) for result in results if result is not None)
    assert (await account_of(ledger, session)).free == 5


async def test_replicas_at_once_never_overdraw_a_session(sqlite: SqliteStore, sibling: SqliteStore) -> None:
    session = await funded(sqlite.ledger, authorized=95)
    binds = [
        replica.bind(
            running_ask(replica=replica.replica), first=ACCEPTED, reservation=reservation_of(session, reserved=10)
        )
        for _ in range(25)
        for replica in (sqlite, sibling)
    ]
    results = await asyncio.gather(*binds, return_exceptions=True)
    assert results.count(None) == 9
    assert await account_of(sibling.ledger, session) == await account_of(sqlite.ledger, session)


async def test_a_file_of_before_ledgers_gets_one_and_keeps_its_answers(path: Path) -> None:
    store = SqliteStore(path)
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    key = await _unpaid(store)
    await store.close()
    with closing(sqlite3.connect(path)) as file, file:
        for table in reversed(LEDGER_TABLES):
            file.execute(f"DROP TABLE {table.name}")
        file.execute("UPDATE store SET schema_version = 1")
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    assert await store.find(key) is not None
    assert (await funded(store.ledger, authorized=1)).account.authorized == 1
    await store.close()


async def test_a_ledger_outlives_its_process(path: Path) -> None:
    first = SqliteStore(path)
    await first.open(replica=REPLICA, lease_until=LEASE_END)
    session = await funded(first.ledger, authorized=40)
    key = await begun(first, session, reserved=20)
    before = await first.ledger.find_session(session.session_id)
    await first.close()
    second = SqliteStore(path)
    await second.open(replica=REPLICA, lease_until=LEASE_END)
    assert await second.ledger.find_session(session.session_id) == before
    reservation = await second.ledger.find_reservation(key)
    assert reservation is not None
    assert reservation.reserved == 20
    await second.close()
