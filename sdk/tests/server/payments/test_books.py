"""The books of a node, opened beside it and without it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience._wire import envelopes
from consilience._wire.payments import pack_envelope
from consilience.envelopes import Signed
from consilience.errors import DepositInvalidError
from consilience.identity import KeyPair
from consilience.payments import Amount, Hold, Receipt, TransferStatus, check_refund
from consilience.rails.hold import DEPOSIT_TIME, HoldRail
from consilience.server.keys import FixedKey
from consilience.server.payments import books as rooms
from consilience.server.payments.books import Books, BooksError, Earnings, opened_books
from consilience.server.serving import RunningNode
from consilience.server.store.contract import StoreLockedError
from consilience.server.store.sqlite import SqliteStore
from consilience.tariffs import Backing
from consilience.units import Digest
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.payers import Payer, paying
from sdk.tests.server.payments.shops import Shop, shop_node
from sdk.tests.server.payments.tellers import teller

NOTHING = Digest(bytes(32))
DEPOSIT = b"d" * 16


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.db"


@pytest.fixture
async def running(key: KeyPair, file: Path) -> AsyncIterator[RunningNode]:
    async with shop_node(key, Shop(), store=f"sqlite:///{file}").serving("127.0.0.1:0") as running:
        yield running


@pytest.fixture
async def payer(running: RunningNode) -> AsyncIterator[Payer]:
    async with paying(running) as payer:
        yield payer


def opened(file: Path, key: KeyPair, **how: Any) -> AbstractAsyncContextManager[Books]:
    return opened_books(SqliteStore(file), root=key, keys=FixedKey(key), **how)


async def charged(payer: Payer, text: str) -> Signed[Receipt]:
    _, reading = await payer.ask(text, pays=(await payer.state()).authorized + 20)
    envelope = reading.final.receipt
    assert envelope is not None
    return envelopes.open_envelope(envelope, Receipt)


async def test_a_node_that_runs_lets_its_operator_see_what_it_earned(
    running: RunningNode, payer: Payer, file: Path, key: KeyPair
) -> None:
    first, second = await charged(payer, "one two"), await charged(payer, "three")
    async with paying(running) as other:
        await charged(other, "four")
    async with opened(file, key) as books:
        (row,) = await books.earnings()
        sessions = [session async for session in books.sessions()]
        receipts = [receipt async for receipt in books.receipts(payer.terms.digest)]
    assert (row.asset, row.backing, row.sessions, row.receipts) == ("TEST/0", Backing.CREDIT, 2, 3)
    assert (row.spent, row.refunded, row.earned) == (9 + 7 + 6, 0, 22)
    assert {session.terms.payer for session in sessions} == {payer.caller.key.public_key, other.caller.key.public_key}
    assert sorted(session.account.spent for session in sessions) == [6, 16]
    assert [receipt.digest for receipt in receipts] == [first.digest, second.digest]


async def test_a_refund_reaches_the_payer_while_the_node_runs(
    running: RunningNode, payer: Payer, file: Path, key: KeyPair
) -> None:
    charge = await charged(payer, "one two")
    async with opened(file, key) as books:
        refund = await books.refund(payer.terms.digest, charge.digest, amount=4)
        (row,) = await books.earnings()
    first, last = await payer.receipts()
    assert (first.digest, last.digest) == (charge.digest, refund.digest)
    assert (last.value.charge, last.value.refund_of) == (4, charge.digest)
    check_refund(last, earlier=[charge])
    assert (row.refunded, row.earned) == (4, 5)
    assert (await payer.state()).refunded == 4
    assert (await charged(payer, "three")).value.session_refunded == 4, "the chain goes on behind it"


async def test_a_node_that_does_not_run_has_books_as_well(key: KeyPair, file: Path) -> None:
    async with (
        shop_node(key, Shop(), store=f"sqlite:///{file}").serving("127.0.0.1:0") as running,
        paying(running) as payer,
    ):
        charge = await charged(payer, "one two")
    async with opened(file, key) as books:
        await books.refund(payer.terms.digest, charge.digest, amount=9)
        (row,) = await books.earnings()
    assert (row.spent, row.earned) == (9, 0)


@pytest.mark.parametrize("amount", [0, -1, 10])
async def test_no_more_is_given_back_than_was_charged(payer: Payer, file: Path, key: KeyPair, amount: int) -> None:
    charge = await charged(payer, "one two")
    async with opened(file, key) as books:
        with pytest.raises(BooksError):
            await books.refund(payer.terms.digest, charge.digest, amount=amount)
        (row,) = await books.earnings()
    assert row.refunded == 0


async def test_what_the_books_do_not_have_is_said(payer: Payer, file: Path, key: KeyPair) -> None:
    async with opened(file, key) as books:
        with pytest.raises(BooksError, match="there is no session 0000"):
            await books.session(NOTHING)
        with pytest.raises(BooksError, match="no such receipt"):
            await books.refund(payer.terms.digest, NOTHING, amount=1)
        with pytest.raises(BooksError, match="makes no promises"):
            await books.hold(payer.terms.digest, lifetime=timedelta(hours=1))


async def test_sessions_of_another_kind_are_not_summed(key: KeyPair, clock: ManualClock, file: Path) -> None:
    store = SqliteStore(file)
    await store.open(replica="node", lease_until=clock.now + timedelta(days=1))
    async with teller(store, key=key, clock=clock) as made:
        payer = made.payer()
        await payer.funded(100)
        await payer.funded(50)
        await payer.open(payer.terms(Backing.CREDIT))
    await store.close()
    async with opened(file, key) as books:
        rows = await books.earnings()
    prepaid = Earnings(asset="TEST/0", rail_id="hold.v1", network="test", backing=Backing.PREPAID)
    assert rows == (
        replace(prepaid, sessions=2, deposited=150),
        replace(prepaid, sessions=1, backing=Backing.CREDIT),
    )


async def test_a_hold_that_the_operator_hands_out_is_credited(key: KeyPair, clock: ManualClock, file: Path) -> None:
    store = SqliteStore(file)
    await store.open(replica="node", lease_until=clock.now + timedelta(days=1))
    async with teller(store, key=key, clock=clock, rails=(HoldRail(grants=False),)) as made:
        payer = made.payer()
        terms = payer.terms()
        _, instruction = await payer.open(terms, deposit_id=DEPOSIT, deposit=70)
        assert instruction is not None
        assert instruction.detail is None
        with pytest.raises(DepositInvalidError):
            await payer.confirm(terms.digest, DEPOSIT)
        async with opened(file, key, clock=clock) as books:
            (session,) = [session async for session in books.sessions()]
            hold = await books.hold(terms.digest, lifetime=timedelta(hours=1))
        assert [(each.deposit_id, each.amount) for each in session.awaited] == [(DEPOSIT, 70)]
        assert (hold.payer, hold.amount) == (payer.key.public_key, Amount(70, "TEST/0"))
        proof = pack_envelope(envelopes.from_bytes(hold.encoded))
        state, status = await payer.confirm(terms.digest, DEPOSIT, proof)
    assert (status, state.deposited) == (TransferStatus.SUCCEEDED, 70)
    await store.close()


async def test_no_promise_outlives_the_time_of_its_deposit(key: KeyPair, clock: ManualClock, file: Path) -> None:
    store = SqliteStore(file)
    await store.open(replica="node", lease_until=clock.now + timedelta(days=7))
    began = clock.now
    async with teller(store, key=key, clock=clock, rails=(HoldRail(grants=False),)) as made:
        payer = made.payer()
        terms = payer.terms()
        await payer.open(terms, deposit_id=DEPOSIT, deposit=70)
        clock.advance(timedelta(hours=20))
        async with opened(file, key, clock=clock) as books:
            short = await books.hold(terms.digest, lifetime=timedelta(hours=1))
            long = await books.hold(terms.digest, lifetime=timedelta(hours=24))
        assert short.expire_time == clock.now + timedelta(hours=1)
        assert long.expire_time == began + DEPOSIT_TIME
        hold = envelopes.open_envelope(envelopes.from_bytes(long.encoded), Hold)
        assert hold.value.expire_time == long.expire_time

        clock.now = began + DEPOSIT_TIME  # the last moment at which it is credited
        await made.service.poll(now=clock.now)
        with pytest.raises(BooksError, match="had time for the deposit until"):
            async with opened(file, key, clock=clock) as books:
                await books.hold(terms.digest, lifetime=timedelta(hours=1))
        state, status = await payer.confirm(terms.digest, DEPOSIT, pack_envelope(hold.envelope))
    assert (status, state.deposited) == (TransferStatus.SUCCEEDED, 70)
    await store.close()


async def test_a_session_that_waits_for_several_deposits_needs_the_one_named(
    key: KeyPair, clock: ManualClock, file: Path
) -> None:
    store = SqliteStore(file)
    await store.open(replica="node", lease_until=clock.now + timedelta(days=1))
    async with teller(store, key=key, clock=clock, rails=(HoldRail(grants=False),)) as made:
        payer = made.payer()
        terms = payer.terms()
        for deposit_id in (DEPOSIT, b"e" * 16):
            await payer.open(terms, deposit_id=deposit_id, deposit=70)
    await store.close()
    async with opened(file, key, clock=clock) as books:
        with pytest.raises(BooksError, match="waits for 2 such deposits"):
            await books.hold(terms.digest, lifetime=timedelta(hours=1))
        with pytest.raises(BooksError, match="waits for 0 such deposits"):
            await books.hold(terms.digest, NOTHING[:16], lifetime=timedelta(hours=1))
        assert (await books.hold(terms.digest, DEPOSIT, lifetime=timedelta(hours=1))).amount.value == 70


async def test_books_on_which_somebody_else_works_are_not_opened(
    key: KeyPair, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "PATIENCE_SECONDS", 0.0)
    async with opened(file, key):
        with pytest.raises(StoreLockedError):
            async with opened(file, key):
                pass
    async with opened(file, key) as books:
        assert await books.earnings() == ()
