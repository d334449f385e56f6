"""What every ledger keeps to, in memory and in SQLite alike: sessions, deposits, vouchers, payouts."""

import asyncio
from dataclasses import replace

import pytest

from consilience.payments import MAX_AMOUNT, Account, SessionStatus, TransferStatus, funding_commitment
from consilience.server.store.contract import StoreUnavailableError
from consilience.server.store.ledger import (
    BalanceError,
    Ledger,
    PayingStore,
    SessionMissingError,
    SessionShutError,
    StoredSession,
    TransferConflictError,
)
from consilience.units import EncodedAny, EncodedEnvelope
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
    status_of,
)

HIGHER = EncodedEnvelope(b"a higher voucher")


@pytest.fixture
def ledger(store: PayingStore) -> Ledger:
    return store.ledger


async def shut(store: PayingStore, status: SessionStatus) -> StoredSession:
    """Returns a session of 100 that is closing, over an ask with 10 reserved, or closed."""
    session = await funded(store.ledger, authorized=40)
    if status is SessionStatus.CLOSING:
        await bind(store, new_reservation(session, reserved=10))
    closed = await store.ledger.close_session(session.session_id)
    assert closed.status is status
    return closed


def test_each_store_keeps_a_ledger(closed_store: PayingStore) -> None:
    assert isinstance(closed_store, PayingStore)


async def test_a_ledger_is_of_no_use_while_its_store_is_closed(closed_store: PayingStore) -> None:
    with pytest.raises(StoreUnavailableError):
        await closed_store.ledger.open_session(new_session())
    with pytest.raises(StoreUnavailableError):
        await closed_store.ledger.find_session(new_digest())


async def test_a_session_is_found_as_it_was_opened(ledger: Ledger) -> None:
    session = new_session(credit_limit=30)
    assert await ledger.open_session(session) == session
    assert await ledger.find_session(session.session_id) == session
    assert await ledger.find_session(new_digest()) is None


async def test_sessions_are_listed_in_the_order_of_their_ids_page_by_page(ledger: Ledger) -> None:
    opened = sorted([await funded(ledger, authorized=40) for _ in range(5)], key=lambda session: session.session_id)
    first = await ledger.sessions(limit=2)
    rest = await ledger.sessions(after=first[-1].session_id, limit=10)
    assert [*first, *rest] == opened
    assert len(first) == 2
    assert await ledger.sessions(after=opened[-1].session_id, limit=10) == ()


async def test_a_session_that_is_opened_again_comes_back_as_it_stands(ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    assert await ledger.open_session(replace(new_session(), session_id=session.session_id)) == session
    await ledger.close_session(session.session_id)
    again = await ledger.open_session(replace(new_session(), session_id=session.session_id))
    assert again.status is SessionStatus.CLOSED


async def test_of_twenty_openings_of_one_session_at_once_one_is_kept(ledger: Ledger) -> None:
    sessions = [replace(new_session(), terms=EncodedEnvelope(b"%d" % number)) for number in range(20)]
    of_one = [replace(session, session_id=sessions[0].session_id) for session in sessions]
    opened = await asyncio.gather(*map(ledger.open_session, of_one))
    assert len({session.terms for session in opened}) == 1


async def test_a_deposit_that_is_begun_again_is_the_same_and_another_amount_is_refused(ledger: Ledger) -> None:
    session = await ledger.open_session(new_session())
    deposit = new_deposit(session)
    assert await ledger.begin_deposit(deposit) == deposit
    again = replace(deposit, rail_ref=b"another", instruction=b"another")
    assert await ledger.begin_deposit(again) == deposit
    assert await ledger.find_deposit(session.session_id, deposit.deposit_id) == deposit
    with pytest.raises(TransferConflictError):
        await ledger.begin_deposit(replace(deposit, amount=101))
    assert await ledger.pending_deposits() == (deposit,)


async def test_a_deposit_begins_for_an_open_session_alone_but_an_earlier_one_is_still_told(ledger: Ledger) -> None:
    session = await ledger.open_session(new_session())
    with pytest.raises(SessionMissingError):
        await ledger.begin_deposit(new_deposit(new_session()))
    earlier = await ledger.begin_deposit(new_deposit(session))
    await ledger.close_session(session.session_id)
    with pytest.raises(SessionShutError) as refusal:
        await ledger.begin_deposit(new_deposit(session))
    assert refusal.value.session == await ledger.find_session(session.session_id)
    assert await ledger.begin_deposit(earlier) == earlier


async def test_a_rail_knows_no_two_deposits_by_one_name_in_whatever_sessions(ledger: Ledger) -> None:
    first = await ledger.begin_deposit(new_deposit(await ledger.open_session(new_session())))
    other = await ledger.open_session(new_session())
    with pytest.raises(TransferConflictError):
        await ledger.begin_deposit(replace(new_deposit(other), rail_ref=first.rail_ref))
    assert await ledger.pending_deposits() == (first,)


async def test_a_deposit_id_of_one_session_is_free_in_another(ledger: Ledger) -> None:
    first = await ledger.begin_deposit(new_deposit(await ledger.open_session(new_session())))
    other = await ledger.open_session(new_session())
    second = replace(new_deposit(other, amount=7), deposit_id=first.deposit_id)
    assert await ledger.begin_deposit(second) == second
    assert await ledger.find_deposit(first.session_id, first.deposit_id) == first
    assert await ledger.find_deposit(new_digest(), first.deposit_id) is None


async def test_a_deposit_is_credited_once_however_often_and_with_whatever_proof(ledger: Ledger) -> None:
    session = await ledger.open_session(new_session())
    deposit, reference = await ledger.begin_deposit(new_deposit(session)), new_digest()
    of = session.session_id, deposit.deposit_id
    for credited in await asyncio.gather(*(ledger.credit(*of, amount=99, reference=reference) for _ in range(20))):
        assert credited.account.deposited == 99
        assert credited.funding_commitment == funding_commitment([reference])
    assert await ledger.credit(*of, amount=1, reference=new_digest()) == await state(ledger, session)
    found = await ledger.find_deposit(*of)
    assert found == replace(deposit, status=TransferStatus.SUCCEEDED, reference=reference)
    assert await ledger.pending_deposits() == ()
    assert (await state(ledger, session)).account == Account(deposited=99)


async def test_what_proved_one_deposit_proves_no_other_of_any_session(ledger: Ledger) -> None:
    session, other = [await ledger.open_session(new_session()) for _ in range(2)]
    first, reference = await ledger.begin_deposit(new_deposit(session)), new_digest()
    await ledger.credit(session.session_id, first.deposit_id, amount=100, reference=reference)
    for owner in (session, other):
        second = await ledger.begin_deposit(new_deposit(owner))
        before = await state(ledger, owner)
        with pytest.raises(TransferConflictError):
            await ledger.credit(owner.session_id, second.deposit_id, amount=100, reference=reference)
        assert await state(ledger, owner) == before
        assert await status_of(ledger, second) is TransferStatus.PENDING


async def test_the_commitment_of_a_session_covers_its_deposits_in_the_order_of_crediting(ledger: Ledger) -> None:
    session = await ledger.open_session(new_session())
    first, second = [await ledger.begin_deposit(new_deposit(session)) for _ in range(2)]
    references = [new_digest(), new_digest()]
    await ledger.credit(session.session_id, second.deposit_id, amount=1, reference=references[0])
    credited = await ledger.credit(session.session_id, first.deposit_id, amount=2, reference=references[1])
    assert credited.funding_commitment == funding_commitment(references)


@pytest.mark.parametrize("status", [SessionStatus.CLOSING, SessionStatus.CLOSED])
async def test_money_that_comes_late_is_credited_to_a_session_that_is_shut(
    store: PayingStore, status: SessionStatus
) -> None:
    session = await funded(store.ledger, authorized=40)
    late = await store.ledger.begin_deposit(new_deposit(session, amount=5))
    if status is SessionStatus.CLOSING:
        await bind(store, new_reservation(session))
    await store.ledger.close_session(session.session_id)
    credited = await store.ledger.credit(session.session_id, late.deposit_id, amount=5, reference=new_digest())
    assert (credited.status, credited.account.deposited) == (status, 105)


async def test_what_is_not_there_cannot_be_credited_or_fail(ledger: Ledger) -> None:
    session = await ledger.open_session(new_session())
    for session_id in (session.session_id, new_digest()):
        with pytest.raises(SessionMissingError):
            await ledger.credit(session_id, bytes(16), amount=1, reference=new_digest())
        with pytest.raises(SessionMissingError):
            await ledger.fail_deposit(session_id, bytes(16))
    assert await state(ledger, session) == session


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT])
async def test_what_a_session_cannot_hold_is_not_credited(ledger: Ledger, amount: int) -> None:
    session = await funded(ledger)
    deposit = await ledger.begin_deposit(new_deposit(session))
    with pytest.raises(BalanceError):
        await ledger.credit(session.session_id, deposit.deposit_id, amount=amount, reference=new_digest())
    assert await state(ledger, session) == session
    assert await status_of(ledger, deposit) is TransferStatus.PENDING


async def test_a_deposit_that_failed_is_never_credited_and_one_that_was_credited_never_fails(ledger: Ledger) -> None:
    session = await funded(ledger)
    failed, credited = [await ledger.begin_deposit(new_deposit(session)) for _ in range(2)]
    for _ in range(2):
        await ledger.fail_deposit(session.session_id, failed.deposit_id)
    with pytest.raises(TransferConflictError):
        await ledger.credit(session.session_id, failed.deposit_id, amount=100, reference=new_digest())
    await ledger.credit(session.session_id, credited.deposit_id, amount=100, reference=new_digest())
    await ledger.fail_deposit(session.session_id, credited.deposit_id)
    assert await status_of(ledger, failed) is TransferStatus.FAILED
    assert await status_of(ledger, credited) is TransferStatus.SUCCEEDED
    assert (await state(ledger, session)).account.deposited == 200


async def test_pending_deposits_and_payouts_are_listed_oldest_first(ledger: Ledger) -> None:
    sessions = [await funded(ledger) for _ in range(3)]
    deposits = [await ledger.begin_deposit(new_deposit(session)) for session in (*sessions, *reversed(sessions))]
    payouts = [await ledger.begin_withdrawal(new_withdrawal(session, amount=9)) for session in reversed(sessions)]
    assert await ledger.pending_deposits() == tuple(deposits)
    assert await ledger.pending_withdrawals() == tuple(payouts)


async def test_pending_deposits_are_read_page_by_page(ledger: Ledger) -> None:
    session = await funded(ledger)
    deposits = [await ledger.begin_deposit(new_deposit(session)) for _ in range(5)]
    await ledger.fail_deposit(session.session_id, deposits.pop(2).deposit_id)
    first = await ledger.next_pending_deposits(after=0, limit=3)
    second = await ledger.next_pending_deposits(after=first[-1][0], limit=3)
    assert [deposit for _, deposit in first] == deposits[:3]
    assert [deposit for _, deposit in second] == deposits[3:]
    assert await ledger.next_pending_deposits(after=second[-1][0], limit=3) == ()
    later = await ledger.begin_deposit(new_deposit(session))
    third = await ledger.next_pending_deposits(after=second[-1][0], limit=3)
    assert [deposit for _, deposit in third] == [later]


async def test_only_a_higher_voucher_changes_anything(ledger: Ledger) -> None:
    session = await funded(ledger)
    of = session.session_id
    authorized = await ledger.authorize(of, cumulative=60, voucher=HIGHER)
    assert authorized == replace(session, account=replace(session.account, authorized=60), voucher=HIGHER)
    for cumulative in (60, 59, 0):
        assert await ledger.authorize(of, cumulative=cumulative, voucher=VOUCHER) == authorized
    assert await state(ledger, session) == authorized


async def test_of_vouchers_that_come_in_any_order_the_highest_stays(ledger: Ledger) -> None:
    session = await funded(ledger)
    order = [(number * 37) % 101 for number in range(101)]
    vouchers = {number: EncodedEnvelope(b"voucher %d" % number) for number in order}
    of = session.session_id
    await asyncio.gather(*(ledger.authorize(of, cumulative=each, voucher=vouchers[each]) for each in order))
    left = await state(ledger, session)
    assert (left.account.authorized, left.voucher) == (100, vouchers[100])


@pytest.mark.parametrize("cumulative", [101, MAX_AMOUNT, -1])
async def test_a_voucher_above_what_is_available_is_refused_with_the_session_as_it_stands(
    ledger: Ledger, cumulative: int
) -> None:
    session = await funded(ledger, authorized=20)
    with pytest.raises(BalanceError) as refusal:
        await ledger.authorize(session.session_id, cumulative=cumulative, voucher=HIGHER)
    assert refusal.value.session == session
    assert refusal.value.session.voucher == VOUCHER
    assert await state(ledger, session) == session


async def test_credit_counts_as_available(ledger: Ledger) -> None:
    session = await ledger.open_session(new_session(credit_limit=30))
    authorized = await ledger.authorize(session.session_id, cumulative=30, voucher=VOUCHER)
    assert authorized.account == Account(credit_limit=30, authorized=30)
    with pytest.raises(BalanceError):
        await ledger.authorize(session.session_id, cumulative=31, voucher=VOUCHER)
    with pytest.raises(BalanceError):
        await ledger.begin_withdrawal(new_withdrawal(session, amount=1))


@pytest.mark.parametrize("status", [SessionStatus.CLOSING, SessionStatus.CLOSED])
async def test_a_session_that_is_shut_takes_no_voucher(store: PayingStore, status: SessionStatus) -> None:
    session = await shut(store, status)
    for cumulative in (30, 90, 1000):
        with pytest.raises(SessionShutError) as refusal:
            await store.ledger.authorize(session.session_id, cumulative=cumulative, voucher=HIGHER)
        assert refusal.value.session == session
        assert refusal.value.session.voucher == VOUCHER
    with pytest.raises(SessionMissingError):
        await store.ledger.authorize(new_digest(), cumulative=1, voucher=HIGHER)


async def test_a_payout_counts_as_withdrawn_once_however_often_it_is_begun(ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    payout = replace(new_withdrawal(session, amount=25), destination=EncodedAny(b"where to \x00\xff"))
    for begun in await asyncio.gather(*(ledger.begin_withdrawal(payout) for _ in range(20))):
        assert begun == payout
    assert (await state(ledger, session)).account.withdrawn == 25
    assert await ledger.pending_withdrawals() == (payout,)
    with pytest.raises(TransferConflictError):
        await ledger.begin_withdrawal(replace(payout, amount=26))
    assert (await state(ledger, session)).account.withdrawn == 25


@pytest.mark.parametrize("amount", [61, 0, -1, MAX_AMOUNT])
async def test_no_more_is_paid_out_than_is_not_promised(ledger: Ledger, amount: int) -> None:
    session = await funded(ledger, authorized=40)
    with pytest.raises(BalanceError) as refusal:
        await ledger.begin_withdrawal(new_withdrawal(session, amount=amount))
    assert refusal.value.session == session
    assert await state(ledger, session) == session
    assert await ledger.pending_withdrawals() == ()
    with pytest.raises(SessionMissingError):
        await ledger.begin_withdrawal(new_withdrawal(new_session(), amount=1))
    await ledger.begin_withdrawal(new_withdrawal(session, amount=60))


async def test_payouts_at_once_never_pay_more_than_there_is(ledger: Ledger) -> None:
    session = await funded(ledger, authorized=40)
    begun = (ledger.begin_withdrawal(new_withdrawal(session, amount=7)) for _ in range(20))
    results = await asyncio.gather(*begun, return_exceptions=True)
    assert sum(isinstance(result, BalanceError) for result in results) == 12
    assert (await state(ledger, session)).account.withdrawn == 56


async def test_the_first_end_of_a_payout_counts_and_pending_is_none(ledger: Ledger) -> None:
    session = await funded(ledger)
    payout, detail = await ledger.begin_withdrawal(new_withdrawal(session, amount=30)), EncodedAny(b"paid \x00\xff")
    of = session.session_id, payout.withdrawal_id
    for status in (TransferStatus.PENDING, TransferStatus.UNKNOWN):
        assert await ledger.end_withdrawal(*of, status=status, detail=detail) == payout
    paid = replace(payout, status=TransferStatus.SUCCEEDED, detail=detail)
    assert await ledger.end_withdrawal(*of, status=TransferStatus.SUCCEEDED, detail=detail) == paid
    for status in (TransferStatus.FAILED, TransferStatus.SUCCEEDED, TransferStatus.PENDING):
        assert await ledger.end_withdrawal(*of, status=status) == paid
    assert await ledger.begin_withdrawal(payout) == paid
    assert await ledger.pending_withdrawals() == ()
    assert (await state(ledger, session)).account.withdrawn == 30


async def test_a_payout_that_failed_is_taken_back_once(ledger: Ledger) -> None:
    session = await funded(ledger)
    payout = await ledger.begin_withdrawal(new_withdrawal(session, amount=30))
    for _ in range(3):
        failed = await ledger.end_withdrawal(session.session_id, payout.withdrawal_id, status=TransferStatus.FAILED)
        assert failed.status is TransferStatus.FAILED
    assert (await state(ledger, session)).account.withdrawn == 0
    assert (await ledger.begin_withdrawal(payout)).status is TransferStatus.FAILED
    assert (await state(ledger, session)).account.withdrawn == 0


async def test_a_payout_that_is_not_there_cannot_end(ledger: Ledger) -> None:
    session = await funded(ledger)
    for session_id in (session.session_id, new_digest()):
        with pytest.raises(SessionMissingError):
            await ledger.end_withdrawal(session_id, bytes(16), status=TransferStatus.SUCCEEDED)


async def test_a_session_closes_at_once_where_nothing_is_reserved_and_what_is_not_spent_can_be_paid_out(
    store: PayingStore,
) -> None:
    session = await funded(store.ledger, authorized=40)
    await charged(store, session, charge=15)
    closed = await store.ledger.close_session(session.session_id)
    assert closed.status is SessionStatus.CLOSED
    assert closed.account == Account(deposited=100, authorized=15, spent=15)
    assert await store.ledger.close_session(session.session_id) == closed
    with pytest.raises(BalanceError):
        await store.ledger.begin_withdrawal(new_withdrawal(session, amount=86))
    await store.ledger.begin_withdrawal(new_withdrawal(session, amount=85))
    with pytest.raises(SessionMissingError):
        await store.ledger.close_session(new_digest())


async def test_a_session_closes_with_the_last_of_its_asks(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=40)
    first, second = [await bind(store, new_reservation(session, reserved=10)) for _ in range(2)]
    closing = await store.ledger.close_session(session.session_id)
    assert closing.status is SessionStatus.CLOSING
    assert closing.account == Account(deposited=100, authorized=40, reserved=20)
    assert await store.ledger.close_session(session.session_id) == closing
    await finish(store, first, receipt(session.session_id, 1, charge=10))
    assert (await state(store.ledger, session)).status is SessionStatus.CLOSING
    with pytest.raises(BalanceError):
        await store.ledger.begin_withdrawal(new_withdrawal(session, amount=61))
    await finish(store, second, receipt(session.session_id, 2, charge=3))
    closed = await state(store.ledger, session)
    assert closed.status is SessionStatus.CLOSED
    assert closed.account == Account(deposited=100, authorized=13, spent=13)
