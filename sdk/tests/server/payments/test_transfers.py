"""Deposits and payouts over a rail of promises, and over a simulated world that can be slow, silent and broken."""

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta

import pytest

from consilience._wire.envelopes import open_envelope
from consilience._wire.payments import unpack_envelope
from consilience.errors import (
    DepositInvalidError,
    NodeFaultError,
    SessionBalance,
    SessionClosedError,
    SessionUnknownError,
    WithdrawalInvalidError,
)
from consilience.identity import KeyPair
from consilience.payments import HoldRelease, SessionState, SessionStatus, TransferStatus
from consilience.rails.hold import GRANT_LIFETIME
from consilience.server.store.sqlite import SqliteStore
from consilience.tariffs import Backing
from consilience.units import Digest, EncodedAny
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import WRONG, SimulatedRail, SimulatedWorld
from sdk.tests.server.payments.tellers import Payer, Teller, teller
from sdk.tests.server.store import ledger_specimens as specimens

SUCCEEDED, FAILED, PENDING = TransferStatus.SUCCEEDED, TransferStatus.FAILED, TransferStatus.PENDING
HOME = EncodedAny(b"\n\x04home")
MOST = 2**63 - 1


@dataclass(frozen=True)
class Ordered:
    """A deposit by the simulated rail that was asked for."""

    payer: Payer
    session_id: Digest
    deposit_id: bytes

    @property
    def name(self) -> tuple[Digest, bytes]:
        return self.session_id, self.deposit_id

    async def confirm(self, proof: EncodedAny | None = None) -> tuple[SessionState, TransferStatus]:
        return await self.payer.confirm(self.session_id, self.deposit_id, proof)


async def ordered(payer: Payer, amount: int = 100) -> Ordered:
    terms, deposit_id = payer.terms(rail_id="sim.v1"), os.urandom(16)
    await payer.open(terms, deposit_id=deposit_id, deposit=amount)
    return Ordered(payer, terms.digest, deposit_id)


async def rich(payer: Payer, world: SimulatedWorld, amount: int = 100) -> Digest:
    """Returns a session with money of the simulated world in it."""
    deposit = await ordered(payer, amount)
    world.arrived[deposit.name] = amount
    await deposit.confirm()
    return deposit.session_id


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
    deposit = await ordered(payer)
    state, status = await deposit.confirm()
    assert (state.deposited, status) == (0, PENDING)
    world.arrived[deposit.name] = 100
    state, status = await deposit.confirm()
    assert (state.deposited, status) == (100, SUCCEEDED)


async def test_what_really_came_is_credited(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await ordered(payer, 100)
    world.arrived[deposit.name] = 97
    assert (await deposit.confirm())[0].deposited == 97


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_a_rail_that_says_nothing_leaves_a_deposit_pending(
    payer: Payer, world: SimulatedWorld, mood: str
) -> None:
    deposit = await ordered(payer)
    setattr(world, mood, True)
    state, status = await deposit.confirm()
    assert (state.deposited, status) == (0, PENDING)
    setattr(world, mood, False)
    world.arrived[deposit.name] = 100
    assert (await deposit.confirm())[1] is SUCCEEDED
    setattr(world, mood, True)
    state, status = await deposit.confirm()
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
    deposit = await ordered(payer)
    world.arrived[deposit.name] = 100
    with pytest.raises(DepositInvalidError):
        await deposit.confirm(WRONG)
    assert (await payer.state(deposit.session_id)).deposited == 0
    assert (await deposit.confirm())[1] is SUCCEEDED


async def test_proofs_that_come_at_once_are_looked_at_each_for_itself(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await ordered(payer)
    world.arrived[deposit.name] = 100
    told = await asyncio.gather(*(deposit.confirm(proof) for proof in (WRONG, None, WRONG)), return_exceptions=True)
    assert [isinstance(one, DepositInvalidError) for one in told] == [True, False, True]
    assert (await payer.state(deposit.session_id)).deposited == 100


async def test_a_deposit_that_has_failed_is_not_credited_any_more(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await ordered(payer)
    world.lost.add(deposit.name)
    assert (await deposit.confirm())[1] is FAILED
    world.lost.clear()
    assert (await deposit.confirm())[1] is FAILED
    world.arrived[deposit.name] = 100
    with pytest.raises(DepositInvalidError):
        await deposit.confirm()
    assert (await payer.state(deposit.session_id)).deposited == 0


async def test_a_deposit_that_was_credited_does_not_fail_any_more(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await ordered(payer)
    world.arrived[deposit.name] = 100
    await deposit.confirm()
    world.lost.add(deposit.name)
    state, status = await deposit.confirm()
    assert (state.deposited, status) == (100, SUCCEEDED)


async def test_one_proof_counts_once_over_all_sessions(
    payer: Payer, node_teller: Teller, world: SimulatedWorld
) -> None:
    world.same_proof = True
    first, second = await ordered(payer), await ordered(node_teller.payer())
    for deposit in (first, second):
        world.arrived[deposit.name] = 100
    assert (await first.confirm())[1] is SUCCEEDED
    with pytest.raises(DepositInvalidError):
        await second.confirm()
    assert (await second.payer.state(second.session_id)).deposited == 0


@pytest.mark.parametrize("amount", [0, -5])
async def test_a_rail_that_says_no_amount_credits_nothing(payer: Payer, world: SimulatedWorld, amount: int) -> None:
    deposit = await ordered(payer)
    world.arrived[deposit.name] = amount
    state, status = await deposit.confirm()
    assert (state.deposited, status) == (0, PENDING)


async def test_a_deposit_beyond_what_can_be_counted_is_refused(payer: Payer, world: SimulatedWorld) -> None:
    deposit = await ordered(payer)
    world.arrived[deposit.name] = MOST + 1
    with pytest.raises(DepositInvalidError):
        await deposit.confirm()


async def test_what_a_rail_says_to_a_payer_that_has_gone_is_written_down_all_the_same(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    patience = timedelta(seconds=20)
    async with teller(sqlite, key=key, clock=clock, rails=(SimulatedRail(world),), patience=patience) as made:
        payer = made.payer()
        deposit = await ordered(payer)
        world.arrived[deposit.name] = 100
        world.waiting.clear()
        world.silent = True
        confirming = asyncio.create_task(deposit.confirm())
        await world.waiting.wait()
        confirming.cancel()
        await asyncio.wait({confirming})
        assert confirming.cancelled()
        world.answer.set()
        await payer.wait_for_money(deposit.session_id)


# Payouts.


async def test_a_payout_releases_promises_and_is_one_however_often_it_is_asked_for(payer: Payer) -> None:
    session_id = await payer.funded(100)
    shown = await asyncio.gather(*(payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16) for _ in range(6)))
    assert {(state.withdrawn, status) for state, status, _ in shown} == {(40, SUCCEEDED)}
    (detail,) = {detail for _, _, detail in shown}
    assert detail is not None
    release = open_envelope(unpack_envelope(detail), HoldRelease).value
    assert (release.session_id, release.withdrawal_id, release.amount) == (session_id, b"w" * 16, 40)
    assert (await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16))[2] == detail


async def test_no_more_is_paid_out_than_is_not_promised_to_the_node(payer: Payer) -> None:
    session_id = await payer.funded(100)
    voucher = payer.voucher(session_id, 60)
    await payer.submit(voucher)
    for amount in (41, MOST):
        with pytest.raises(WithdrawalInvalidError) as refused:
            await payer.withdraw(session_id, amount)
        assert isinstance(refused.value.detail, SessionBalance)
        assert (refused.value.detail.available, refused.value.detail.required_cumulative) == (100, amount)
        assert refused.value.detail.voucher is not None
    assert (await payer.withdraw(session_id, 40))[1] is SUCCEEDED
    with pytest.raises(WithdrawalInvalidError):
        await payer.withdraw(session_id, 1)
    await payer.close(session_id)
    assert (await payer.withdraw(session_id, 60))[0].withdrawn == 100


async def test_another_amount_under_the_id_of_a_payout_is_refused(payer: Payer) -> None:
    session_id = await payer.funded(100)
    await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
    with pytest.raises(WithdrawalInvalidError) as refused:
        await payer.withdraw(session_id, 41, withdrawal_id=b"w" * 16)
    assert isinstance(refused.value.detail, SessionBalance)
    assert (await payer.state(session_id)).withdrawn == 40


async def test_credit_is_never_paid_out(payer: Payer) -> None:
    terms = payer.terms(Backing.CREDIT)
    await payer.open(terms)
    with pytest.raises(WithdrawalInvalidError):
        await payer.withdraw(terms.digest, 1)


async def test_a_payout_goes_where_the_payer_says_and_counts_before_the_rail_pays(
    payer: Payer, world: SimulatedWorld
) -> None:
    session_id = await rich(payer, world)
    world.held_up = True
    state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16, to=HOME)
    assert (state.withdrawn, status) == (40, PENDING)
    with pytest.raises(WithdrawalInvalidError):
        await payer.withdraw(session_id, 61)
    world.held_up = False
    state, status, detail = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16, to=HOME)
    assert (state.withdrawn, status, detail) == (40, SUCCEEDED, HOME)
    assert world.paid == {(session_id, b"w" * 16): [40]}


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_a_rail_that_says_nothing_leaves_a_payout_pending_and_pays_once(
    payer: Payer, world: SimulatedWorld, mood: str
) -> None:
    session_id = await rich(payer, world)
    setattr(world, mood, True)
    for _ in range(2):
        state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
        assert (state.withdrawn, status) == (40, PENDING)
    setattr(world, mood, False)
    state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
    assert (state.withdrawn, status) == (40, SUCCEEDED)
    assert world.paid == {(session_id, b"w" * 16): [40]}


async def test_payouts_that_are_asked_for_at_once_are_one(payer: Payer, world: SimulatedWorld) -> None:
    session_id = await rich(payer, world)
    await asyncio.gather(*(payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16) for _ in range(8)))
    assert world.paid == {(session_id, b"w" * 16): [40]}
    assert world.asked[b"w" * 16] < 8


async def test_a_payout_that_failed_is_the_payers_again_and_stays_failed(payer: Payer, world: SimulatedWorld) -> None:
    session_id = await rich(payer, world)
    world.lost.add((session_id, b"w" * 16))
    for _ in range(2):
        state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
        assert (state.withdrawn, status) == (0, FAILED)
    world.lost.clear()
    assert (await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16))[1] is FAILED
    assert (await payer.withdraw(session_id, 100))[1] is SUCCEEDED


async def test_what_is_left_in_a_closed_session_is_paid_out(payer: Payer, node_teller: Teller) -> None:
    session_id = await payer.funded(100)
    await payer.submit(payer.voucher(session_id, 60))
    stored = await node_teller.store.ledger.find_session(session_id)
    assert stored is not None
    await specimens.charged(node_teller.store, stored, charge=25)
    assert (await payer.close(session_id)).status is SessionStatus.CLOSED
    with pytest.raises(WithdrawalInvalidError):
        await payer.withdraw(session_id, 76)
    assert (await payer.withdraw(session_id, 75))[0].withdrawn == 75


# Crashes.


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_a_payout_that_a_crash_interrupted_is_paid_once_in_the_next_life(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld, mood: str
) -> None:
    rails = (SimulatedRail(world),)
    async with teller(sqlite, key=key, clock=clock, rails=rails) as before:
        payer = before.payer()
        session_id = await rich(payer, world)
        setattr(world, mood, True)
        await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
    setattr(world, mood, False)
    async with teller(sqlite, key=key, clock=clock, rails=rails) as after:
        payer = after.payer(payer.key)
        await after.service.poll(now=clock.now)
        state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
        assert (state.withdrawn, status) == (40, SUCCEEDED)
    assert world.paid == {(session_id, b"w" * 16): [40]}


async def test_a_deposit_that_came_while_the_node_was_down_is_credited_at_its_start(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    rails = (SimulatedRail(world),)
    async with teller(sqlite, key=key, clock=clock, rails=rails) as before:
        payer = before.payer()
        deposit = await ordered(payer)
    world.arrived[deposit.name] = 100
    async with teller(sqlite, key=key, clock=clock, rails=rails) as after:
        await after.service.poll(now=clock.now)
        assert (await after.payer(payer.key).state(deposit.session_id)).deposited == 100


async def test_a_rail_that_the_node_has_no_more_leaves_its_transfers_pending(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    async with teller(sqlite, key=key, clock=clock, rails=(SimulatedRail(world),)) as before:
        payer = before.payer()
        session_id = await rich(payer, world)
        deposit = await ordered(payer)
    async with teller(sqlite, key=key, clock=clock) as after:
        payer = after.payer(payer.key)
        assert (await payer.confirm(deposit.session_id, deposit.deposit_id))[1] is PENDING
        state, status, _ = await payer.withdraw(session_id, 40)
        assert (state.withdrawn, status) == (40, PENDING)
        await after.service.poll(now=clock.now)
    assert world.paid == {}
