"""What every ledger keeps to, in memory and in SQLite alike: what asks are paid out of, receipts and refunds."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from consilience.payments import Account, SessionStatus
from consilience.server.store.contract import AskReservation, LeaseLostError, LogOrderError, StoreError
from consilience.server.store.ledger import (
    BalanceError,
    ChainMovedError,
    PayingStore,
    QuoteUsedUpError,
    SessionMissingError,
    SessionShutError,
    SettlementError,
)
from consilience.server.store.ledger_steps import QUOTE_USE_LIFETIME
from consilience.units import EncodedEnvelope, Sequence
from sdk.tests.server.store.ledger_specimens import (
    Paid,
    bind,
    charged,
    finish,
    funded,
    new_digest,
    new_reservation,
    new_session,
    receipt,
    receipt_digest,
    state,
)
from sdk.tests.server.store.specimens import ACCEPTED, LATER_THAN_ALL, NOW, entries, new_key, running_ask


async def test_what_is_set_aside_for_an_ask_is_there_while_it_runs(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=40)
    paid = await bind(store, new_reservation(session, reserved=10))
    assert await store.ledger.find_reservation(paid.ask.key) == paid.reservation
    assert (await state(store.ledger, session)).account == replace(session.account, reserved=10)
    await finish(store, paid, receipt(session.session_id, 1, charge=7))
    assert await store.ledger.find_reservation(paid.ask.key) is None
    left = await state(store.ledger, session)
    assert left.account == replace(session.account, spent=7)
    assert (left.receipt_count, left.last_receipt_digest) == (1, receipt_digest(session.session_id, 1))


async def test_an_ask_that_costs_nothing_has_no_reservation(store: PayingStore) -> None:
    ask = running_ask()
    assert await store.bind(ask, first=ACCEPTED) is None
    assert await store.ledger.find_reservation(ask.key) is None
    assert await store.ledger.find_reservation(new_key()) is None
    with pytest.raises(LeaseLostError):
        await store.ledger.extend(ask.key, least=1, most=1)


async def test_an_ask_whose_session_does_not_allow_it_is_not_bound_for_the_first_reason_that_holds(
    store: PayingStore,
) -> None:
    poor, closed = await funded(store.ledger, authorized=9), await funded(store.ledger)
    await store.ledger.close_session(closed.session_id)
    asked = new_reservation(poor, reserved=10, ceiling=50)
    used_up = replace(asked, max_asks=0)
    refused: tuple[tuple[type[StoreError], AskReservation], ...] = (
        (SessionMissingError, replace(used_up, session_id=new_digest())),
        (SessionShutError, replace(used_up, session_id=closed.session_id)),
        (QuoteUsedUpError, used_up),
        (QuoteUsedUpError, replace(asked, total_max_charge=49)),
        (BalanceError, asked),
        (BalanceError, replace(asked, reserved=-1)),
    )
    for error, reservation in refused:
        ask = running_ask()
        with pytest.raises(error):
            await store.bind(ask, first=ACCEPTED, reservation=reservation)
        assert await store.find(ask.key) is None
        assert await store.ledger.find_reservation(ask.key) is None
        assert await state(store.ledger, poor) == poor


async def test_a_refused_ask_does_not_count_under_its_quote(store: PayingStore) -> None:
    session, quote = await funded(store.ledger, authorized=20), new_digest()
    with pytest.raises(BalanceError) as refusal:
        await bind(store, new_reservation(session, reserved=21, quote_digest=quote, max_asks=1))
    assert refusal.value.session == session
    await bind(store, new_reservation(session, reserved=20, quote_digest=quote, max_asks=1))


async def test_a_key_that_is_bound_reserves_nothing_more(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=40)
    paid = await bind(store, new_reservation(session, reserved=10))
    impossible = new_reservation(new_session(), reserved=10**6)
    assert await store.bind(running_ask(key=paid.ask.key), first=ACCEPTED, reservation=impossible) == paid.ask
    again = new_reservation(session, reserved=10)
    assert await store.bind(running_ask(key=paid.ask.key), first=ACCEPTED, reservation=again) == paid.ask
    assert (await state(store.ledger, session)).account.reserved == 10
    assert await store.ledger.find_reservation(paid.ask.key) == paid.reservation


async def test_asks_at_once_never_reserve_more_than_is_authorized(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=45)
    binds = (bind(store, new_reservation(session, reserved=10)) for _ in range(20))
    results = await asyncio.gather(*binds, return_exceptions=True)
    assert sum(isinstance(result, Paid) for result in results) == 4
    assert sum(isinstance(result, BalanceError) for result in results) == 16
    assert (await state(store.ledger, session)).account.reserved == 40


async def test_a_quote_allows_so_many_asks_ended_or_running_in_whatever_sessions(store: PayingStore) -> None:
    session, other = [await funded(store.ledger, authorized=99) for _ in range(2)]
    quote = new_digest()
    first = await bind(store, new_reservation(session, quote_digest=quote, max_asks=2))
    await finish(store, first, receipt(session.session_id, 1, charge=0))
    await bind(store, new_reservation(other, quote_digest=quote, max_asks=2))
    with pytest.raises(QuoteUsedUpError):
        await bind(store, new_reservation(session, quote_digest=quote, max_asks=2))
    await bind(store, new_reservation(session, quote_digest=new_digest(), max_asks=2))


async def test_under_a_quote_ceilings_count_while_asks_run_and_charges_once_they_have_ended(
    store: PayingStore,
) -> None:
    session, quote = await funded(store.ledger, authorized=99), new_digest()
    asked = new_reservation(session, reserved=10, ceiling=50, quote_digest=quote, total_max_charge=104)
    first, _second = await bind(store, asked), await bind(store, asked)
    with pytest.raises(QuoteUsedUpError):
        await bind(store, replace(asked, ceiling=5, reserved=5))
    await bind(store, replace(asked, ceiling=4, reserved=4))
    await finish(store, first, receipt(session.session_id, 1, charge=9))  # 9 + 50 + 4 of 104
    with pytest.raises(QuoteUsedUpError):
        await bind(store, replace(asked, ceiling=42))
    await bind(store, replace(asked, ceiling=41))


async def test_the_use_of_a_quote_is_forgotten_two_hours_on_and_never_while_an_ask_runs_under_it(
    store: PayingStore,
) -> None:
    session, quote = await funded(store.ledger, authorized=99), new_digest()
    asked = new_reservation(session, quote_digest=quote, max_asks=1)
    paid = await bind(store, asked)
    await store.forget(now=LATER_THAN_ALL)
    with pytest.raises(QuoteUsedUpError):
        await bind(store, asked)
    await finish(store, paid, receipt(session.session_id, 1, charge=3))
    await store.forget(now=NOW + QUOTE_USE_LIFETIME - timedelta(microseconds=1))
    with pytest.raises(QuoteUsedUpError):
        await bind(store, asked)
    await store.forget(now=NOW + QUOTE_USE_LIFETIME)
    await bind(store, asked)


@pytest.mark.parametrize(
    ("least", "most", "reached"),
    [
        (20, 30, 30),  # all of it
        (35, 50, 40),  # as far as the session allows
        (40, 40, 40),
        (41, 50, 10),  # not far enough
        (10, 10, 10),
        (1, 5, 10),  # never down
        (0, 1000, 40),
    ],
)
async def test_a_reservation_rises_as_far_as_the_session_allows_or_not_at_all(
    store: PayingStore, least: int, most: int, reached: int
) -> None:
    session = await funded(store.ledger, authorized=45)
    await bind(store, new_reservation(session, reserved=5))
    paid = await bind(store, new_reservation(session, reserved=10, ceiling=50))
    reservation, left = await store.ledger.extend(paid.ask.key, least=least, most=most)
    assert reservation == replace(paid.reservation, reserved=reached)
    assert await store.ledger.find_reservation(paid.ask.key) == reservation
    assert left.account == replace(session.account, reserved=5 + reached)
    assert await state(store.ledger, session) == left


async def test_a_reservation_never_rises_above_the_ceiling_of_its_ask(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=100)
    paid = await bind(store, new_reservation(session, reserved=10, ceiling=25))
    assert (await store.ledger.extend(paid.ask.key, least=26, most=60))[0].reserved == 10
    assert (await store.ledger.extend(paid.ask.key, least=20, most=60))[0].reserved == 25


async def test_what_runs_goes_on_with_what_is_authorized_while_its_session_closes(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=30)
    paid = await bind(store, new_reservation(session, reserved=10))
    await store.ledger.close_session(session.session_id)
    assert (await store.ledger.extend(paid.ask.key, least=11, most=50))[0].reserved == 30


async def test_of_reservations_that_rise_at_once_none_takes_what_another_has(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=100)
    asks = [await bind(store, new_reservation(session, reserved=5)) for _ in range(5)]
    rises = (store.ledger.extend(paid.ask.key, least=6, most=most) for most in range(10, 50, 4) for paid in asks)
    await asyncio.gather(*rises)
    held = [await store.ledger.find_reservation(paid.ask.key) for paid in asks]
    total = sum(reservation.reserved for reservation in held if reservation is not None)
    assert (await state(store.ledger, session)).account.reserved == total
    assert total == 100


async def test_an_ask_that_has_ended_raises_nothing(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=30)
    paid = await bind(store, new_reservation(session))
    await finish(store, paid, receipt(session.session_id, 1, charge=1))
    before = await state(store.ledger, session)
    with pytest.raises(LeaseLostError):
        await store.ledger.extend(paid.ask.key, least=1, most=20)
    assert await state(store.ledger, session) == before


async def test_an_end_that_does_not_fit_leaves_ask_and_session_as_they_were(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=40)
    await charged(store, session, charge=2)
    before = await state(store.ledger, session)
    paid = await bind(store, new_reservation(session, reserved=10))
    running = await state(store.ledger, session)
    right = receipt(session.session_id, 2, charge=10)
    wrong = (
        (ChainMovedError, replace(right, number=1)),
        (ChainMovedError, replace(right, number=3)),
        (BalanceError, replace(right, charge=11)),
        (BalanceError, replace(right, charge=-1)),
        (SettlementError, replace(right, session_id=new_digest())),
        (SettlementError, replace(right, refund_of=receipt_digest(session.session_id, 1))),
        (SettlementError, None),
    )
    for error, settled in wrong:
        with pytest.raises(error):
            await finish(store, paid, settled)
        assert await state(store.ledger, session) == running
        assert await store.find(paid.ask.key) == paid.ask
        assert await store.ledger.find_reservation(paid.ask.key) == paid.reservation
        assert await store.read(paid.ask.key, after=Sequence(0), limit=9) == (ACCEPTED,)
    with pytest.raises(LeaseLostError):
        await finish(store, paid, right, epoch=paid.ask.epoch + 1)
    assert await state(store.ledger, session) == running
    await finish(store, paid, right)
    with pytest.raises(LeaseLostError):
        await finish(store, paid, replace(right, number=3))
    assert (await state(store.ledger, session)).account == replace(before.account, spent=12)


async def test_a_log_that_does_not_go_on_settles_nothing(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=40)
    paid = await bind(store, new_reservation(session, reserved=10))
    await store.append(paid.ask.key, entries(2, 3), epoch=1)
    with pytest.raises(LogOrderError):
        await finish(store, paid, receipt(session.session_id, 1, charge=1))
    assert (await state(store.ledger, session)).receipt_count == 0
    assert await store.ledger.find_reservation(paid.ask.key) == paid.reservation


async def test_an_ask_that_nothing_is_reserved_for_ends_without_a_receipt_alone(store: PayingStore) -> None:
    session, ask = await funded(store.ledger, authorized=40), running_ask()
    await store.bind(ask, first=ACCEPTED)
    free = Paid(ask=ask, reservation=new_reservation(session))
    with pytest.raises(SettlementError):
        await finish(store, free, receipt(session.session_id, 1, charge=0))
    assert await state(store.ledger, session) == session
    await finish(store, free, None)


async def test_receipts_are_numbered_without_holes_whatever_ends_at_once(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=100)
    asks = [await bind(store, new_reservation(session, reserved=5)) for _ in range(20)]

    async def end(paid: Paid) -> None:
        while True:
            number = (await state(store.ledger, session)).receipt_count + 1
            try:
                return await finish(store, paid, receipt(session.session_id, number, charge=5))
            except ChainMovedError:
                await asyncio.sleep(0)

    await asyncio.gather(*map(end, asks))
    kept = await store.ledger.receipts(session.session_id, after=0, limit=100)
    assert kept == tuple(receipt(session.session_id, number, charge=5) for number in range(1, 21))
    left = await state(store.ledger, session)
    assert (left.account.spent, left.account.reserved, left.receipt_count) == (100, 0, 20)


async def test_receipts_are_listed_from_behind_a_number_and_found_by_their_digest(store: PayingStore) -> None:
    session, other = [await funded(store.ledger, authorized=100) for _ in range(2)]
    kept = [await charged(store, session, charge=number) for number in range(1, 6)]
    await charged(store, other, charge=9)
    for after in range(7):
        for limit in (1, 2, 100):
            window = await store.ledger.receipts(session.session_id, after=after, limit=limit)
            assert window == tuple(kept[after : after + limit])
    assert await store.ledger.find_receipt(session.session_id, kept[2].digest) == kept[2]
    assert await store.ledger.find_receipt(other.session_id, kept[2].digest) is None
    assert await store.ledger.receipts(new_digest(), after=0, limit=9) == ()


async def test_receipts_outlive_the_answers_that_they_are_for(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=100)
    kept = await charged(store, session, charge=4)
    assert await store.forget(now=LATER_THAN_ALL) == 1
    assert await store.ledger.find_receipt(session.session_id, kept.digest) == kept
    assert (await state(store.ledger, session)).account.spent == 4


@pytest.mark.parametrize("closed", [False, True])
async def test_refunds_give_back_a_charge_and_no_more(store: PayingStore, closed: bool) -> None:  # noqa: FBT001
    session = await funded(store.ledger, authorized=40)
    of = (await charged(store, session, charge=10)).digest
    await charged(store, session, charge=20)
    if closed:
        await store.ledger.close_session(session.session_id)
    after = await store.ledger.refund(receipt(session.session_id, 3, charge=6, refund_of=of))
    assert (after.account.spent, after.account.refunded, after.receipt_count) == (30, 6, 3)
    with pytest.raises(BalanceError) as refusal:
        await store.ledger.refund(receipt(session.session_id, 4, charge=5, refund_of=of))
    assert refusal.value.session == after
    last = receipt(session.session_id, 4, charge=4, refund_of=of)
    assert (await store.ledger.refund(last)).account.refunded == 10
    with pytest.raises(BalanceError):
        await store.ledger.refund(receipt(session.session_id, 5, charge=1, refund_of=of))
    assert await store.ledger.find_receipt(session.session_id, last.digest) == last
    left = await state(store.ledger, session)
    assert left.status is (SessionStatus.CLOSED if closed else SessionStatus.OPEN)
    assert left.account == Account(deposited=100, authorized=30 if closed else 40, spent=30, refunded=10)


async def test_a_refund_that_does_not_fit_changes_nothing(store: PayingStore) -> None:
    session, other = [await funded(store.ledger, authorized=40) for _ in range(2)]
    first, foreign = await charged(store, session, charge=10), await charged(store, other, charge=10)
    second = receipt(session.session_id, 2, charge=3, refund_of=first.digest)
    before = await store.ledger.refund(second)
    right = receipt(session.session_id, 3, charge=3, refund_of=first.digest)
    wrong = (
        (SessionMissingError, replace(right, session_id=new_digest())),
        (SessionMissingError, replace(right, refund_of=new_digest())),
        (SessionMissingError, replace(right, refund_of=foreign.digest)),
        (SessionMissingError, replace(right, refund_of=second.digest)),
        (SessionMissingError, replace(right, refund_of=b"")),
        (ChainMovedError, second),
        (ChainMovedError, replace(right, number=4)),
        (BalanceError, replace(right, charge=0)),
        (BalanceError, replace(right, charge=-1)),
        (BalanceError, replace(right, charge=8)),
    )
    for error, refund in wrong:
        with pytest.raises(error):
            await store.ledger.refund(refund)
        assert await state(store.ledger, session) == before
        assert len(await store.ledger.receipts(session.session_id, after=0, limit=9)) == 2
    await store.ledger.refund(right)


async def test_of_acknowledgements_that_for_the_highest_receipt_counts(store: PayingStore) -> None:
    session = await funded(store.ledger, authorized=40)
    of, calls = session.session_id, {number: EncodedEnvelope(b"receipt %d is right" % number) for number in (1, 2, 3)}
    for number, call in calls.items():
        with pytest.raises(SessionMissingError):
            await store.ledger.acknowledge(of, number=number, call=call)
        await charged(store, session, charge=number)
    assert await store.ledger.acknowledgement(of) is None
    before = await state(store.ledger, session)
    for number, highest in ((2, 2), (1, 2), (3, 3), (2, 3)):
        await store.ledger.acknowledge(of, number=number, call=calls[number])
        assert await store.ledger.acknowledgement(of) == calls[highest]
    for number in (0, -1, 4):
        with pytest.raises(SessionMissingError):
            await store.ledger.acknowledge(of, number=number, call=calls[1])
    with pytest.raises(SessionMissingError):
        await store.ledger.acknowledge(new_digest(), number=1, call=calls[1])
    assert await store.ledger.acknowledgement(new_digest()) is None
    assert await state(store.ledger, session) == before
