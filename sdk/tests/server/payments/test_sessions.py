import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience._wire.envelopes import seal
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    DepositInvalidError,
    LimitExceeded,
    LimitExceededError,
    NodeFaultError,
    RefusedError,
    SessionClosedError,
    SessionUnknownError,
    Supported,
    TermsRefusedError,
)
from consilience.identity import KeyPair, format_node_id
from consilience.payments import SessionStatus, SessionTerms, TransferStatus
from consilience.rails.hold import HoldRail
from consilience.server.payments.states import ROOM_WAIT
from consilience.server.store import MemoryStore
from consilience.server.store.ledger import PayingStore
from consilience.tariffs import Backing
from consilience.units import Digest
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import SimulatedRail, SimulatedWorld
from sdk.tests.server.payments.tellers import HOLD, ISSUER, Payer, Teller, carries_voucher, teller
from sdk.tests.server.specimens import PATIENCE_SECONDS
from sdk.tests.server.store import ledger_specimens as specimens

STRANGER = KeyPair(b"x" * 32)
MOST = 2**63 - 1


# To open a session.


async def test_terms_that_the_card_offers_open_a_session_in_which_nothing_is_counted(payer: Payer) -> None:
    for backing, limit in ((Backing.PREPAID, 0), (Backing.CREDIT, 50), (Backing.ESCROW, 0)):
        terms = payer.terms(backing)
        state, instruction = await payer.open(terms)
        assert instruction is None
        assert (state.session_id, state.status) == (terms.digest, SessionStatus.OPEN)
        assert (state.credit_limit, state.deposited, state.authorized, state.receipt_count) == (limit, 0, 0, 0)
        assert await payer.state(terms.digest) == state


async def test_the_same_terms_are_one_session_as_it_stands(payer: Payer) -> None:
    terms = payer.terms()
    await payer.funded(100, terms)
    await payer.submit(payer.voucher(terms.digest, 30))
    found = await asyncio.gather(*(payer.open(terms) for _ in range(5)))
    assert {(state.deposited, state.authorized) for state, _ in found} == {(100, 30)}


async def test_a_session_is_told_as_it_stands_once_the_rail_has_started_a_deposit(
    store: PayingStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    first, second = os.urandom(16), os.urandom(16)
    patience = timedelta(seconds=PATIENCE_SECONDS)
    async with teller(store, key=key, clock=clock, rails=(SimulatedRail(world),), patience=patience) as made:
        payer = made.payer()
        terms = payer.terms(rail_id="sim.v1")
        await payer.open(terms, deposit_id=first, deposit=100)
        world.silent, world.waiting = True, asyncio.Event()
        opening = asyncio.create_task(payer.open(terms, deposit_id=second, deposit=50))
        await world.waiting.wait()
        world.silent, world.arrived[terms.digest, first] = False, 100
        await payer.confirm(terms.digest, first)
        world.answer.set()
        state, _ = await opening
    assert state.deposited == 100


async def test_terms_lead_to_their_session_though_the_card_does_not_offer_them_any_more(
    store: PayingStore, key: KeyPair, clock: ManualClock, world: SimulatedWorld
) -> None:
    async with teller(store, key=key, clock=clock) as before:
        payer = before.payer()
        terms = payer.terms(Backing.CREDIT)
        await payer.open(terms)
    async with teller(store, key=key, clock=clock, rails=(SimulatedRail(world),)) as after:
        payer = after.payer(payer.key)
        state, _ = await payer.open(terms)
        assert state.credit_limit == 50
        with pytest.raises(TermsRefusedError):
            await payer.open(payer.terms(Backing.CREDIT))
        with pytest.raises(DepositInvalidError):
            await payer.open(terms, deposit_id=os.urandom(16), deposit=20)


@pytest.mark.parametrize(
    ("backing", "changes", "field", "offered"),
    [
        (Backing.PREPAID, {"rail_id": "no.rail"}, "rail_id", ("hold.v1", "sim.v1")),
        (Backing.PREPAID, {"network": "home"}, "network", ("test",)),
        (Backing.PREPAID, {"asset": "USD/6"}, "asset", ("TEST/0",)),
        (Backing.CREDIT, {"rail_id": "sim.v1"}, "backing", ("BACKING_PREPAID",)),
        (Backing.ESCROW, {"issuer": STRANGER.public_key}, "issuer", (format_node_id(ISSUER.public_key),)),
        (Backing.CREDIT, {"credit_limit": 51}, "credit_limit", ("50",)),
        (Backing.CREDIT, {"credit_limit": MOST}, "credit_limit", ("50",)),
    ],
)
async def test_terms_that_the_card_does_not_offer_open_nothing(
    payer: Payer, backing: Backing, changes: dict[str, Any], field: str, offered: tuple[str, ...]
) -> None:
    terms = payer.terms(backing, **changes)
    with pytest.raises(TermsRefusedError) as refused:
        await payer.open(terms)
    assert refused.value.detail == Supported(field=field, values=offered)
    assert await payer.teller.store.ledger.find_session(terms.digest) is None


Spoil = Callable[[Signed[SessionTerms], Payer], Envelope]


def _changed(**changes: Any) -> Spoil:
    return lambda terms, payer: seal(replace(terms.value, **changes), signer=payer.key).envelope


def _strange(terms: Signed[SessionTerms], _: Payer) -> Envelope:
    return seal(replace(terms.value, payer=STRANGER.public_key), signer=STRANGER).envelope


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda terms, _: replace(terms.envelope, payload_type="consilience.v1.Voucher"), "PAYLOAD_TYPE_WRONG"),
        (lambda terms, _: replace(terms.envelope, signature=b""), "SIGNATURE_MISSING"),
        (lambda terms, _: replace(terms.envelope, signature=bytes(64)), "SIGNATURE_INVALID"),
        (lambda terms, _: seal(terms.value, signer=STRANGER).envelope, "SIGNER_WRONG"),
        (_changed(salt=b"short"), "FIELD_INVALID"),
        (_changed(issuer=STRANGER.public_key), "FIELD_INVALID"),
        (_changed(credit_limit=1), "FIELD_INVALID"),
        (_strange, "SIGNER_WRONG"),
        (_changed(payee=STRANGER.public_key, issuer=STRANGER.public_key), "AUDIENCE_WRONG"),
    ],
)
async def test_terms_that_are_none_open_nothing(payer: Payer, spoil: Spoil, reason: str) -> None:
    good = payer.terms()
    spoilt = spoil(good, payer)
    with pytest.raises(RefusedError) as refused:
        await payer.call(payer.service.open_session, payer.opening(spoilt))
    assert refused.value.reason == reason
    assert await payer.teller.store.ledger.find_session(spoilt.digest) is None
    await payer.open(good)


async def test_of_several_defects_the_one_that_comes_first_is_told(payer: Payer) -> None:
    """Breaks one step after the other, from the last to the first: each time the reason is that of the new one."""

    async def reason(terms: Envelope, **header: Any) -> str:
        call = payer.opening(terms, deposit_id=b"d" * 16, deposit=5, **header)
        with pytest.raises(RefusedError) as refused:
            await payer.call(payer.service.open_session, call)
        return refused.value.reason

    terms = payer.terms(Backing.CREDIT)
    assert await reason(terms.envelope) == "DEPOSIT_INVALID"
    terms = payer.terms(Backing.CREDIT, credit_limit=51)
    assert await reason(terms.envelope) == "TERMS_REFUSED"
    terms = payer.terms(Backing.CREDIT, credit_limit=51, payee=STRANGER.public_key)
    assert await reason(terms.envelope) == "AUDIENCE_WRONG"
    foreign = replace(terms.value, payer=STRANGER.public_key, issuer=STRANGER.public_key)
    assert await reason(seal(foreign, signer=STRANGER).envelope) == "SIGNER_WRONG"
    broken = replace(foreign, salt=b"")
    assert await reason(seal(broken, signer=STRANGER).envelope) == "FIELD_INVALID"
    wrongly_signed = seal(broken, signer=payer.key).envelope
    assert await reason(wrongly_signed) == "SIGNER_WRONG"
    unsigned = replace(wrongly_signed, signature=b"")
    assert await reason(unsigned) == "SIGNATURE_MISSING"
    assert await reason(replace(unsigned, payload_type="nothing")) == "PAYLOAD_TYPE_WRONG"
    late = timedelta(hours=1)
    old = {"issue_time": payer.teller.clock.now - 2 * late, "expire_time": payer.teller.clock.now - 2 * late + late / 6}
    assert await reason(unsigned, **old) == "CALL_EXPIRED"
    assert await reason(unsigned, **old, audience=STRANGER.public_key) == "AUDIENCE_WRONG"


# Deposits that are asked for.


async def test_a_deposit_that_is_asked_for_again_is_the_same_one(payer: Payer, clock: ManualClock) -> None:
    terms, deposit_id = payer.terms(), os.urandom(16)
    _, told = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert told is not None
    assert (told.deposit_id, told.amount) == (deposit_id, 100)
    clock.advance(timedelta(minutes=1))
    again = await asyncio.gather(*(payer.open(terms, deposit_id=deposit_id, deposit=100) for _ in range(5)))
    assert [instruction for _, instruction in again] == [told] * 5
    with pytest.raises(DepositInvalidError):
        await payer.open(terms, deposit_id=deposit_id, deposit=101)
    await payer.confirm(terms.digest, deposit_id, told.detail)
    state, instruction = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert (state.deposited, instruction) == (100, None)
    with pytest.raises(DepositInvalidError):
        await payer.open(terms, deposit_id=deposit_id, deposit=99)


async def test_deposits_that_come_at_once_under_one_id_are_one(payer: Payer) -> None:
    terms, deposit_id = payer.terms(), os.urandom(16)
    found = await asyncio.gather(*(payer.open(terms, deposit_id=deposit_id, deposit=100) for _ in range(6)))
    assert len({instruction for _, instruction in found}) == 1


@pytest.mark.parametrize("amount", [9, 1001, MOST])
async def test_a_deposit_outside_the_bounds_of_the_rail_leaves_nothing_behind(payer: Payer, amount: int) -> None:
    terms = payer.terms()
    with pytest.raises(DepositInvalidError):
        await payer.open(terms, deposit_id=os.urandom(16), deposit=amount)
    with pytest.raises(SessionUnknownError):
        await payer.state(terms.digest)


@pytest.mark.parametrize("amount", [10, 1000])
async def test_a_deposit_at_the_bounds_of_the_rail_is_taken(payer: Payer, amount: int) -> None:
    assert (await payer.state(await payer.funded(amount))).deposited == amount


async def test_nothing_is_deposited_on_credit(payer: Payer) -> None:
    with pytest.raises(DepositInvalidError, match="credit"):
        await payer.open(payer.terms(Backing.CREDIT), deposit_id=os.urandom(16), deposit=20)


async def test_no_deposit_brings_a_session_beyond_what_can_be_counted(
    store: PayingStore, key: KeyPair, clock: ManualClock
) -> None:
    async with teller(store, key=key, clock=clock, rails=(HoldRail(max_deposit=0),)) as unbounded:
        payer = unbounded.payer()
        terms = payer.terms()
        await payer.funded(MOST - 5, terms)
        with pytest.raises(DepositInvalidError):
            await payer.open(terms, deposit_id=os.urandom(16), deposit=6)
        await payer.funded(5, terms)
        assert (await payer.state(terms.digest)).deposited == MOST


async def test_a_session_that_is_closed_takes_no_deposit_and_tells_the_payers_last_word(payer: Payer) -> None:
    terms = payer.terms()
    session_id = await payer.funded(100, terms)
    voucher = payer.voucher(session_id, 30)
    await payer.submit(voucher)
    await payer.close(session_id)
    for amount in (20, MOST):
        with pytest.raises(SessionClosedError) as refused:
            await payer.open(terms, deposit_id=os.urandom(16), deposit=amount)
        carries_voucher(refused.value, voucher, available=100)
    state, _ = await payer.open(terms)
    assert state.status is SessionStatus.CLOSED


# Bounds.


async def test_a_caller_that_opens_too_many_sessions_has_to_wait(
    store: PayingStore, key: KeyPair, clock: ManualClock
) -> None:
    async with teller(store, key=key, clock=clock, sessions_per_minute=2) as strict:
        payer = strict.payer()
        first, second = payer.terms(), payer.terms()
        await payer.open(first)
        await payer.open(second, deposit_id=b"d" * 16, deposit=20)
        for deposit_id, deposit in ((b"", 0), (b"e" * 16, 20)):
            with pytest.raises(LimitExceededError) as refused:
                await payer.open(payer.terms(), deposit_id=deposit_id, deposit=deposit)
            assert refused.value.detail == LimitExceeded(limit="max_sessions_per_minute", maximum=2, requested=3)
            assert refused.value.retry_after == timedelta(minutes=1)
        with pytest.raises(LimitExceededError):
            await payer.open(first, deposit_id=b"e" * 16, deposit=20)
        await payer.open(first)
        await payer.open(second, deposit_id=b"d" * 16, deposit=20)
        other = strict.payer()
        await other.open(other.terms())
        clock.advance(timedelta(minutes=1))
        await payer.open(payer.terms())


async def test_a_node_that_keeps_no_more_sessions_says_when_to_come_again(key: KeyPair, clock: ManualClock) -> None:
    store = MemoryStore(max_ledger_bytes=1)
    await store.open(replica="http://127.0.0.1:7341", lease_until=clock.now)
    async with teller(store, key=key, clock=clock) as full:
        payer = full.payer()
        terms = payer.terms()
        await payer.open(terms)
        with pytest.raises(NodeFaultError) as refused:
            await payer.open(payer.terms())
        assert refused.value.retry_after == ROOM_WAIT
        with pytest.raises(NodeFaultError):
            await payer.open(terms, deposit_id=os.urandom(16), deposit=20)
        await payer.open(terms)
    await store.close()


# Closing.


async def test_closing_charges_nothing_and_gives_back_what_was_authorized(payer: Payer) -> None:
    session_id = await payer.funded(100)
    await payer.submit(payer.voucher(session_id, 60))
    closed = await payer.close(session_id)
    assert (closed.status, closed.spent, closed.deposited) == (SessionStatus.CLOSED, 0, 100)
    assert await payer.close(session_id) == closed
    _, status, _ = await payer.withdraw(session_id, 100)
    assert status is TransferStatus.SUCCEEDED
    again = await payer.close(session_id)
    assert (again.status, again.spent, again.deposited, again.withdrawn) == (SessionStatus.CLOSED, 0, 100, 100)


async def test_a_session_closes_once_its_running_asks_have_ended(payer: Payer, node_teller: Teller) -> None:
    session_id = await payer.funded(100)
    voucher = payer.voucher(session_id, 60)
    await payer.submit(voucher)
    stored = await node_teller.store.ledger.find_session(session_id)
    assert stored is not None
    running = await specimens.bind(node_teller.store, specimens.new_reservation(stored, reserved=10))
    assert (await payer.close(session_id)).status is SessionStatus.CLOSING
    for refused in (payer.submit(payer.voucher(session_id, 61)), payer.confirm(session_id, b"d" * 16)):
        with pytest.raises(SessionClosedError) as told:
            await refused
        carries_voucher(told.value, voucher, available=100)
    assert (await payer.close(session_id)).status is SessionStatus.CLOSING
    await specimens.finish(node_teller.store, running, specimens.receipt(session_id, 1, charge=7))
    last = await payer.close(session_id)
    assert (last.status, last.spent, last.reserved) == (SessionStatus.CLOSED, 7, 0)


# Whose business it is.


async def test_a_stranger_learns_the_same_of_a_session_as_of_none(payer: Payer, node_teller: Teller) -> None:
    session_id = await payer.funded(100)
    before = await payer.state(session_id)
    stranger = node_teller.payer()
    told = set()
    for wanted in (session_id, Digest(bytes(32))):
        for call in (
            stranger.state(wanted),
            stranger.confirm(wanted, b"d" * 16),
            stranger.submit(stranger.voucher(wanted, 10)),
            stranger.withdraw(wanted, 10),
            stranger.close(wanted),
            stranger.receipts(wanted),
            stranger.acknowledge(wanted, Digest(bytes(32)), 0),
        ):
            with pytest.raises(SessionUnknownError) as refused:
                await call
            told.add((str(refused.value), refused.value.detail, refused.value.retry_after))
    assert len(told) == 1
    assert await payer.state(session_id) == before


def test_the_hold_rail_of_these_tests_offers_every_backing() -> None:
    assert HOLD.offered == (Backing.PREPAID, Backing.CREDIT, Backing.ESCROW)
