"""Rails that answer late, never, or nonsense; and how often they are asked."""

import asyncio
import os
from datetime import timedelta
from itertools import pairwise

import pytest

from consilience.errors import DepositInvalidError
from consilience.identity import KeyPair
from consilience.payments import TransferStatus
from consilience.rails.hold import GRANT_LIFETIME
from consilience.server.payments import polls
from consilience.server.store.ledger import PayingStore, StoredDeposit
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import SimulatedRail, SimulatedWorld
from sdk.tests.server.payments.tellers import Payer, Teller, teller
from sdk.tests.server.specimens import PATIENCE_SECONDS

HEARTBEAT = timedelta(seconds=5)
SUCCEEDED, FAILED, PENDING = TransferStatus.SUCCEEDED, TransferStatus.FAILED, TransferStatus.PENDING


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a heartbeat wait for its round, however busy the machine is."""
    monkeypatch.setattr(polls, "POLL_PATIENCE", timedelta(seconds=PATIENCE_SECONDS))


async def beat(made: Teller, *, times: int = 1) -> None:
    """Lets heartbeats pass."""
    for _ in range(times):
        await made.service.poll(now=made.clock.now)
        made.clock.advance(HEARTBEAT)


async def status_of(made: Teller, deposit: tuple[Digest, bytes]) -> TransferStatus:
    found = await made.store.ledger.find_deposit(*deposit)
    assert found is not None
    return found.status


async def test_a_deposit_that_comes_late_is_credited_once_though_nobody_asks(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    deposit = await payer.order()
    await beat(node_teller)
    assert (await payer.state(deposit[0])).deposited == 0
    world.arrived[deposit] = 100
    await beat(node_teller, times=5)
    assert (await payer.state(deposit[0])).deposited == 100
    await payer.confirm(*deposit)
    await beat(node_teller, times=5)
    assert (await payer.state(deposit[0])).deposited == 100


async def test_a_deposit_of_which_payer_and_node_learn_at_once_is_credited_once(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    deposits = [await payer.order() for _ in range(5)]
    for deposit in deposits:
        world.arrived[deposit] = 100
    confirming = (payer.confirm(*deposit) for deposit in deposits for _ in range(3))
    await asyncio.gather(node_teller.service.poll(now=node_teller.clock.now), *confirming)
    assert [(await payer.state(session_id)).deposited for session_id, _ in deposits] == [100] * 5


async def test_money_that_comes_late_is_there_though_the_session_is_closed(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    deposit = await payer.order()
    await payer.close(deposit[0])
    world.arrived[deposit] = 100
    await beat(node_teller)
    assert (await payer.withdraw(deposit[0], 100))[1] is SUCCEEDED


async def test_a_payout_that_ends_late_is_written_down(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    session_id = await payer.pay_in(world)
    world.held_up = True
    for withdrawal_id in (b"1" * 16, b"2" * 16):
        await payer.withdraw(session_id, 40, withdrawal_id=withdrawal_id)
    await beat(node_teller)
    assert (await payer.state(session_id)).withdrawn == 80
    world.lost.add((session_id, b"2" * 16))
    world.held_up = False
    await beat(node_teller, times=5)
    assert (await payer.state(session_id)).withdrawn == 40
    assert await node_teller.store.ledger.pending_withdrawals() == ()
    assert world.paid == {(session_id, b"1" * 16): [40], (session_id, b"2" * 16): [40]}


async def test_what_stays_pending_for_ever_is_asked_about_less_and_less_often(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    _, deposit_id = deposit = await payer.order()
    at_start = world.asked[deposit_id]
    asked = []
    for _ in range(720):
        await beat(node_teller)
        asked.append(world.asked[deposit_id] - at_start)
    assert asked[0] == 1
    assert asked[12] >= 4
    assert 60 / 5 <= asked[-1] <= 20
    moments = [place for place, (before, after) in enumerate(pairwise(asked)) if after > before]
    assert max(after - before for before, after in pairwise(moments)) * HEARTBEAT == polls.LONGEST_WAIT
    world.arrived[deposit] = 100
    await beat(node_teller, times=61)
    assert (await payer.state(deposit[0])).deposited == 100


async def test_a_heartbeat_reads_what_is_due_or_new_and_nothing_else(
    payer: Payer, node_teller: Teller, world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polls, "PAGE", 2)
    ledger = node_teller.store.ledger
    read, find, find_next = list[bytes](), ledger.find_deposit, ledger.next_pending_deposits

    async def finding(session_id: Digest, deposit_id: bytes) -> StoredDeposit | None:
        read.append(deposit_id)
        return await find(session_id, deposit_id)

    async def finding_next(*, after: int, limit: int) -> tuple[tuple[int, StoredDeposit], ...]:
        page = await find_next(after=after, limit=limit)
        read.extend(deposit.deposit_id for _, deposit in page)
        return page

    def not_whole() -> None:
        raise AssertionError("all that is pending is read")

    monkeypatch.setattr(ledger, "pending_deposits", not_whole)
    monkeypatch.setattr(ledger, "find_deposit", finding)
    monkeypatch.setattr(ledger, "next_pending_deposits", finding_next)
    old = [await payer.order() for _ in range(5)]
    world.asked.clear()
    await node_teller.service.poll(now=node_teller.clock.now)
    assert world.asked == dict.fromkeys((deposit_id for _, deposit_id in old), 1)
    _, new = await payer.order()
    world.asked.clear()
    read.clear()
    await node_teller.service.poll(now=node_teller.clock.now)
    assert set(world.asked) == set(read) == {new}
    read.clear()
    await node_teller.service.poll(now=node_teller.clock.now)
    assert read == []


async def test_a_clock_that_was_set_back_does_not_stop_the_questions(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    deposit = await payer.order()
    await beat(node_teller)
    node_teller.clock.advance(-timedelta(days=3))
    world.arrived[deposit] = 100
    await beat(node_teller)
    assert (await payer.state(deposit[0])).deposited == 100


async def test_a_rail_that_is_silent_stops_neither_the_heartbeat_nor_another_rail(
    store: PayingStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polls, "POLL_PATIENCE", timedelta(seconds=0.01))
    other = SimulatedWorld()
    rails = (SimulatedRail(world), SimulatedRail(other, id="sim.v2"))
    async with teller(store, key=key, clock=clock, rails=rails, patience=timedelta(hours=1)) as made:
        payer = made.payer()
        silent, told = await payer.order(), await payer.order(rail_id="sim.v2")
        world.arrived[silent] = other.arrived[told] = 100
        world.silent = True
        await beat(made)
        await payer.wait_for_money(told[0])
        assert (await payer.state(silent[0])).deposited == 0
        world.answer.set()
        await payer.wait_for_money(silent[0])


async def test_a_rail_that_is_silent_is_asked_about_one_transfer_in_a_round_and_then_about_another(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    deposits = [await payer.order() for _ in range(3)]
    world.asked.clear()
    world.silent = True
    for expected in (1, 2, 3):
        await node_teller.service.poll(now=node_teller.clock.now)
        assert len(world.asked) == expected
        assert set(world.asked.values()) == {1}
    world.silent = False
    for deposit in deposits:
        world.arrived[deposit] = 100
    await beat(node_teller, times=3)
    assert {(await payer.state(session_id)).deposited for session_id, _ in deposits} == {100}


async def test_a_round_goes_on_behind_a_deposit_whose_proof_proved_another(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    world.same_proof = True
    deposits = [await payer.order() for _ in range(3)]
    for deposit in deposits:
        world.arrived[deposit] = 100
    await beat(node_teller)
    assert [(await payer.state(session_id)).deposited for session_id, _ in deposits] == [100, 0, 0]
    assert all(world.asked[deposit_id] == 2 for _, deposit_id in deposits)


async def test_a_deposit_that_nobody_proves_in_its_time_has_failed(
    payer: Payer, node_teller: Teller, clock: ManualClock
) -> None:
    terms, deposit_id = payer.terms(), os.urandom(16)
    _, told = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert told is not None
    deposit = terms.digest, deposit_id
    clock.advance(GRANT_LIFETIME)
    await node_teller.service.poll(now=clock.now)
    assert await status_of(node_teller, deposit) is PENDING
    clock.advance(polls.LONGEST_WAIT)
    await node_teller.service.poll(now=clock.now)
    assert await status_of(node_teller, deposit) is FAILED
    with pytest.raises(DepositInvalidError):
        await payer.confirm(*deposit, told.detail)
    assert await node_teller.store.ledger.pending_deposits() == ()


async def test_a_deposit_that_a_rail_sees_by_itself_does_not_fail_for_its_time_alone(
    payer: Payer, node_teller: Teller, clock: ManualClock
) -> None:
    deposit = await payer.order()
    clock.advance(timedelta(days=30))
    await beat(node_teller)
    assert await status_of(node_teller, deposit) is PENDING


async def test_a_rail_that_proves_nothing_credits_nothing(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = -1
    await beat(node_teller)
    assert await status_of(node_teller, deposit) is PENDING


async def test_a_store_that_is_away_is_tried_again_at_the_next_heartbeat(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    async with teller(sqlite, key=key, clock=clock, rails=(SimulatedRail(world),)) as made:
        payer = made.payer()
        deposit = await payer.order()
        await sqlite.close()
        await beat(made)
        await sqlite.open(replica="http://127.0.0.1:7341", lease_until=clock.now)
        world.arrived[deposit] = 100
        await beat(made)
        assert (await payer.state(deposit[0])).deposited == 100
