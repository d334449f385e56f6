"""Payouts of promises, and of a simulated world that can be slow, silent and broken."""

import asyncio

import pytest

from consilience._wire.envelopes import open_envelope
from consilience._wire.payments import unpack_envelope
from consilience.errors import (
    SessionBalance,
    WithdrawalInvalidError,
)
from consilience.identity import KeyPair
from consilience.payments import HoldRelease, SessionStatus, TransferStatus
from consilience.server.store.sqlite import SqliteStore
from consilience.tariffs import Backing
from consilience.units import EncodedAny
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import SimulatedRail, SimulatedWorld
from sdk.tests.server.payments.tellers import Payer, Teller, teller
from sdk.tests.server.store import ledger_specimens as specimens

SUCCEEDED, FAILED, PENDING = TransferStatus.SUCCEEDED, TransferStatus.FAILED, TransferStatus.PENDING
HOME = EncodedAny(b"\n\x04home")
MOST = 2**63 - 1


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
    session_id = await payer.pay_in(world)
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
    session_id = await payer.pay_in(world)
    setattr(world, mood, True)
    for _ in range(2):
        state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
        assert (state.withdrawn, status) == (40, PENDING)
    setattr(world, mood, False)
    state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
    assert (state.withdrawn, status) == (40, SUCCEEDED)
    assert world.paid == {(session_id, b"w" * 16): [40]}


async def test_payouts_that_are_asked_for_at_once_are_one(payer: Payer, world: SimulatedWorld) -> None:
    session_id = await payer.pay_in(world)
    await asyncio.gather(*(payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16) for _ in range(8)))
    assert world.paid == {(session_id, b"w" * 16): [40]}
    assert world.asked[b"w" * 16] < 8


async def test_a_payout_that_failed_is_the_payers_again_and_stays_failed(payer: Payer, world: SimulatedWorld) -> None:
    session_id = await payer.pay_in(world)
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


@pytest.mark.parametrize("mood", ["silent", "broken"])
async def test_a_payout_that_a_crash_interrupted_is_paid_once_in_the_next_life(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld, mood: str
) -> None:
    rails = (SimulatedRail(world),)
    async with teller(sqlite, key=key, clock=clock, rails=rails) as before:
        payer = before.payer()
        session_id = await payer.pay_in(world)
        setattr(world, mood, True)
        await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
    setattr(world, mood, False)
    async with teller(sqlite, key=key, clock=clock, rails=rails) as after:
        payer = after.payer(payer.key)
        await after.service.poll(now=clock.now)
        state, status, _ = await payer.withdraw(session_id, 40, withdrawal_id=b"w" * 16)
        assert (state.withdrawn, status) == (40, SUCCEEDED)
    assert world.paid == {(session_id, b"w" * 16): [40]}


async def test_a_rail_that_the_node_has_no_more_leaves_its_transfers_pending(
    sqlite: SqliteStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    async with teller(sqlite, key=key, clock=clock, rails=(SimulatedRail(world),)) as before:
        payer = before.payer()
        session_id = await payer.pay_in(world)
        deposit = await payer.order()
    async with teller(sqlite, key=key, clock=clock) as after:
        payer = after.payer(payer.key)
        assert (await payer.confirm(*deposit))[1] is PENDING
        state, status, _ = await payer.withdraw(session_id, 40)
        assert (state.withdrawn, status) == (40, PENDING)
        await after.service.poll(now=clock.now)
    assert world.paid == {}
