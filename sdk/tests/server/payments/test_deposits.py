"""Deposits by promises, and by a simulated world that can be slow, silent and broken."""

import asyncio
import os
from datetime import timedelta
from typing import Any

import pytest

from consilience.errors import (
    DepositInvalidError,
    NodeFaultError,
    SessionClosedError,
    SessionUnknownError,
)
from consilience.identity import KeyPair
from consilience.payments import TransferStatus
from consilience.rails.hold import GRANT_LIFETIME
from consilience.server.store.ledger import StoredDeposit
from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest, EncodedAny
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import WRONG, SimulatedRail, SimulatedWorld
from sdk.tests.server.payments.tellers import Payer, Teller, teller

SUCCEEDED, FAILED, PENDING = TransferStatus.SUCCEEDED, TransferStatus.FAILED, TransferStatus.PENDING
HOME = EncodedAny(b"\n\x04home")
MOST = 2**63 - 1


# Deposits by promises.


async def test_a_deposit_is_credited_once_however_often_its_proof_comes(payer: Payer, clock: ManualClock) -> None:
    terms, deposit_id = payer.terms(), os.urandom(16)
    _, told = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert told is not None
    for _ in range(2):
        shown = await asyncio.gather(*(payer.confirm(terms.digest, deposit_id, told.detail) for _ in range(6)))
        assert {(state.deposited, status) for state, status in shown} == {(100, SUCCEEDED)}
    clock.advance(2 * GRANT_LIFETIME)
    state, status = await payer.confirm(terms.digest, deposit_id, told.detail)
    assert (state.deposited, status) == (100, SUCCEEDED)


async def test_what_proves_one_deposit_proves_no_other(payer: Payer) -> None:
    first, second = payer.terms(), payer.terms()
    _, told = await payer.open(first, deposit_id=b"1" * 16, deposit=100)
    assert told is not None
    await payer.open(first, deposit_id=b"2" * 16, deposit=100)
    await payer.open(second, deposit_id=b"1" * 16, deposit=100)
    for session_id, deposit_id in ((first.digest, b"2" * 16), (second.digest, b"1" * 16)):
        with pytest.raises(DepositInvalidError):
            await payer.confirm(session_id, deposit_id, told.detail)
        assert (await payer.state(session_id)).deposited == 0


async def test_a_proof_that_does_not_hold_is_refused_though_the_deposit_is_credited(payer: Payer) -> None:
    terms, deposit_id = payer.terms(), os.urandom(16)
    _, told = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert told is not None
    await payer.confirm(terms.digest, deposit_id, told.detail)
    for proof in (None, WRONG):
        with pytest.raises(DepositInvalidError):
            await payer.confirm(terms.digest, deposit_id, proof)
    assert (await payer.state(terms.digest)).deposited == 100


async def test_a_hold_that_has_expired_credits_nothing(payer: Payer, clock: ManualClock) -> None:
    terms, deposit_id = payer.terms(), os.urandom(16)
    _, told = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert told is not None
    clock.advance(GRANT_LIFETIME + timedelta(microseconds=1))
    with pytest.raises(DepositInvalidError):
        await payer.confirm(terms.digest, deposit_id, told.detail)
    assert (await payer.state(terms.digest)).deposited == 0


async def test_confirming_looks_at_the_session_then_whether_it_is_open_then_at_deposit_and_proof(payer: Payer) -> None:
    terms = payer.terms()
    await payer.funded(100, terms)
    with pytest.raises(SessionUnknownError):
        await payer.confirm(Digest(bytes(32)), b"?" * 16, WRONG)
    with pytest.raises(DepositInvalidError, match="no such deposit"):
        await payer.confirm(terms.digest, b"?" * 16, WRONG)
    await payer.close(terms.digest)
    with pytest.raises(SessionClosedError):
        await payer.confirm(terms.digest, b"?" * 16, WRONG)


# Deposits of a world.


async def test_a_deposit_of_which_nothing_is_known_stays_pending_until_it_has_come(
    payer: Payer, world: SimulatedWorld
) -> None:
    deposit = await payer.order()
    state, status = await payer.confirm(*deposit)
    assert (state.deposited, status) == (0, PENDING)
    world.arrived[deposit] = 100
    state, status = await payer.confirm(*deposit)
    assert (state.deposited, status) == (100, SUCCEEDED)


async def test_who_is_told_that_a_deposit_has_arrived_is_told_of_it_in_the_session(
    payer: Payer, node_teller: Teller, world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node itself learns of it while the payer asks."""
    terms, deposit_id = payer.terms(rail_id="sim.v1"), os.urandom(16)
    _, instruction = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert instruction is not None
    world.arrived[terms.digest, deposit_id] = 100
    ledger, find = node_teller.store.ledger, node_teller.store.ledger.find_deposit

    async def find_later(*names: Any) -> StoredDeposit | None:
        monkeypatch.setattr(ledger, "find_deposit", find)
        await payer.confirm(terms.digest, deposit_id)
        return await find(*names)

    monkeypatch.setattr(ledger, "find_deposit", find_later)
    state, instruction = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert (state.deposited, instruction) == (100, None)


async def test_what_really_came_is_credited(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = 97
    assert (await payer.confirm(*deposit))[0].deposited == 97


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_a_rail_that_says_nothing_leaves_a_deposit_pending(
    payer: Payer, world: SimulatedWorld, mood: str
) -> None:
    deposit = await payer.order()
    setattr(world, mood, True)
    state, status = await payer.confirm(*deposit)
    assert (state.deposited, status) == (0, PENDING)
    setattr(world, mood, False)
    world.arrived[deposit] = 100
    assert (await payer.confirm(*deposit))[1] is SUCCEEDED
    setattr(world, mood, True)
    state, status = await payer.confirm(*deposit)
    assert (state.deposited, status) == (100, SUCCEEDED)


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_a_deposit_that_the_rail_does_not_start_may_be_asked_for_again(
    payer: Payer, world: SimulatedWorld, mood: str
) -> None:
    terms, deposit_id = payer.terms(rail_id="sim.v1"), os.urandom(16)
    setattr(world, mood, True)
    with pytest.raises(NodeFaultError) as refused:
        await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert refused.value.retry_after is not None
    with pytest.raises(SessionUnknownError):
        await payer.state(terms.digest)
    setattr(world, mood, False)
    _, instruction = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert instruction is not None


async def test_a_proof_that_does_not_hold_says_nothing_of_the_deposit(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = 100
    with pytest.raises(DepositInvalidError):
        await payer.confirm(*deposit, WRONG)
    assert (await payer.state(deposit[0])).deposited == 0
    assert (await payer.confirm(*deposit))[1] is SUCCEEDED


async def test_proofs_that_come_at_once_are_looked_at_each_for_itself(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = 100
    told = await asyncio.gather(
        *(payer.confirm(*deposit, proof) for proof in (WRONG, None, WRONG)), return_exceptions=True
    )
    assert [isinstance(one, DepositInvalidError) for one in told] == [True, False, True]
    assert (await payer.state(deposit[0])).deposited == 100


async def test_a_deposit_that_has_failed_is_not_credited_any_more(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await payer.order()
    world.lost.add(deposit)
    assert (await payer.confirm(*deposit))[1] is FAILED
    world.lost.clear()
    assert (await payer.confirm(*deposit))[1] is FAILED
    world.arrived[deposit] = 100
    with pytest.raises(DepositInvalidError):
        await payer.confirm(*deposit)
    assert (await payer.state(deposit[0])).deposited == 0


async def test_a_deposit_that_was_credited_does_not_fail_any_more(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = 100
    await payer.confirm(*deposit)
    world.lost.add(deposit)
    state, status = await payer.confirm(*deposit)
    assert (state.deposited, status) == (100, SUCCEEDED)


async def test_one_proof_counts_once_over_all_sessions(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    world.same_proof = True
    other = node_teller.payer()
    first, second = await payer.order(), await other.order()
    for deposit in (first, second):
        world.arrived[deposit] = 100
    assert (await payer.confirm(*first))[1] is SUCCEEDED
    with pytest.raises(DepositInvalidError):
        await other.confirm(*second)
    assert (await other.state(second[0])).deposited == 0


@pytest.mark.parametrize("amount", [0, -5])
async def test_a_rail_that_says_no_amount_credits_nothing(payer: Payer, world: SimulatedWorld, amount: int) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = amount
    state, status = await payer.confirm(*deposit)
    assert (state.deposited, status) == (0, PENDING)


async def test_a_deposit_beyond_what_can_be_counted_is_refused(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await payer.order()
    world.arrived[deposit] = MOST + 1
    with pytest.raises(DepositInvalidError):
        await payer.confirm(*deposit)


async def test_what_a_rail_says_to_a_payer_that_has_gone_is_written_down_all_the_same(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    patience = timedelta(seconds=20)
    async with teller(sqlite, key=key, clock=clock, rails=(SimulatedRail(world),), patience=patience) as made:
        payer = made.payer()
        deposit = await payer.order()
        world.arrived[deposit] = 100
        world.waiting.clear()
        world.silent = True
        confirming = asyncio.create_task(payer.confirm(*deposit))
        await world.waiting.wait()
        confirming.cancel()
        await asyncio.wait({confirming})
        assert confirming.cancelled()
        world.answer.set()
        await payer.wait_for_money(deposit[0])


async def test_a_deposit_that_came_while_the_node_was_down_is_credited_at_its_start(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    rails = (SimulatedRail(world),)
    async with teller(sqlite, key=key, clock=clock, rails=rails) as before:
        payer = before.payer()
        deposit = await payer.order()
    world.arrived[deposit] = 100
    async with teller(sqlite, key=key, clock=clock, rails=rails) as after:
        await after.service.poll(now=clock.now)
        assert (await after.payer(payer.key).state(deposit[0])).deposited == 100
