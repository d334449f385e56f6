"""What every store keeps to, in memory and in SQLite alike."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from consilience.errors import UsageError
from consilience.server.store.contract import (
    AnswerForgottenError,
    AnswerStore,
    AskKey,
    LeaseLostError,
    LogEntry,
    LogOrderError,
    StoredAsk,
    StoreUnavailableError,
)
from consilience.units import CardSequence, Digest, Sequence, card_sequence
from sdk.tests.server.store.specimens import (
    ACCEPTED,
    CARD,
    FINISH,
    KEEP_END,
    LATER_THAN_ALL,
    LEASE_END,
    NOW,
    REPLICA,
    entries,
    entry,
    issued_card,
    new_key,
    running_ask,
)

START = Sequence(0)


async def bound(store: AnswerStore, *, length: int = 1) -> StoredAsk:
    ask = running_ask()
    assert await store.bind(ask, first=ACCEPTED) is None
    await store.append(ask.key, entries(2, length), epoch=ask.epoch)
    return ask


async def finished(store: AnswerStore, *, keep_until_time: datetime = KEEP_END, length: int = 3) -> StoredAsk:
    ask = await bound(store, length=length - 1)
    last = (entry(length),)
    await store.finish(ask.key, last, epoch=ask.epoch, finish_time=FINISH, keep_until_time=keep_until_time)
    return replace(ask, last_sequence=Sequence(length), finish_time=FINISH, keep_until_time=keep_until_time)


async def log_of(store: AnswerStore, key: AskKey) -> tuple[LogEntry, ...]:
    return await store.read(key, after=START, limit=1000)


def test_each_store_has_what_the_contract_names(closed_store: AnswerStore) -> None:
    assert isinstance(closed_store, AnswerStore)
    assert closed_store.replica == ""


async def test_a_bound_ask_is_found_as_it_was_bound_and_its_log_begins_with_accepted(store: AnswerStore) -> None:
    ask = await bound(store)
    assert await store.find(ask.key) == ask
    assert await log_of(store, ask.key) == (ACCEPTED,)


async def test_nothing_is_found_under_a_key_that_differs_in_caller_or_request_id(store: AnswerStore) -> None:
    ask = await bound(store)
    assert await store.find(replace(ask.key, caller=new_key().caller)) is None
    assert await store.find(replace(ask.key, request_id=new_key().request_id)) is None


async def test_of_twenty_binds_of_one_key_at_once_exactly_one_binds(store: AnswerStore) -> None:
    key = new_key()
    asks = [running_ask(key=key) for _ in range(20)]
    results = await asyncio.gather(*(store.bind(ask, first=ACCEPTED) for ask in asks))
    (winner,) = (ask for ask, result in zip(asks, results, strict=True) if result is None)
    assert [result for result in results if result is not None] == [winner] * 19
    assert await store.find(key) == winner
    assert await log_of(store, key) == (ACCEPTED,)


async def test_a_key_stays_bound_once_its_answer_is_finished(store: AnswerStore) -> None:
    ask = await finished(store)
    assert await store.bind(running_ask(key=ask.key), first=ACCEPTED) == ask


async def test_the_tokens_of_a_delta_are_read_back_with_it(store: AnswerStore) -> None:
    ask = await bound(store)
    written = replace(entry(2), output_tokens=7)
    await store.append(ask.key, (written,), epoch=ask.epoch)
    assert await log_of(store, ask.key) == (ACCEPTED, written)


async def test_appended_entries_are_read_back_to_the_byte(store: AnswerStore) -> None:
    ask = await bound(store)
    await store.append(ask.key, entries(2, 4), epoch=ask.epoch)
    await store.append(ask.key, entries(5, 5), epoch=ask.epoch)
    assert await log_of(store, ask.key) == entries(1, 5)
    assert await store.find(ask.key) == replace(ask, last_sequence=Sequence(5))


@pytest.mark.parametrize("wrong", [entries(2, 2), entries(3, 3), entries(5, 5), (entry(4), entry(6)), (entry(4),) * 2])
async def test_entries_that_do_not_continue_the_log_are_refused_whole(
    store: AnswerStore, wrong: tuple[LogEntry, ...]
) -> None:
    ask = await bound(store, length=3)
    with pytest.raises(LogOrderError):
        await store.append(ask.key, wrong, epoch=ask.epoch)
    with pytest.raises(LogOrderError):
        await store.finish(ask.key, wrong, epoch=ask.epoch, finish_time=FINISH, keep_until_time=KEEP_END)
    assert await log_of(store, ask.key) == entries(1, 3)
    assert await store.find(ask.key) == replace(ask, last_sequence=Sequence(3))


@pytest.mark.parametrize("change", [-1, 1])
async def test_a_writer_of_another_epoch_is_fenced(store: AnswerStore, change: int) -> None:
    ask = await bound(store)
    with pytest.raises(LeaseLostError):
        await store.append(ask.key, entries(2, 2), epoch=ask.epoch + change)
    with pytest.raises(LeaseLostError):
        await store.append(ask.key, (), epoch=ask.epoch + change)
    with pytest.raises(LeaseLostError):
        await store.finish(
            ask.key, entries(2, 2), epoch=ask.epoch + change, finish_time=FINISH, keep_until_time=KEEP_END
        )
    assert await store.find(ask.key) == ask
    assert await log_of(store, ask.key) == (ACCEPTED,)


async def test_a_finished_answer_has_its_final_and_its_times(store: AnswerStore) -> None:
    ask = await finished(store, length=4)
    found = await store.find(ask.key)
    assert found == ask
    assert found is not None
    assert found.finished
    assert await log_of(store, ask.key) == entries(1, 4)


async def test_a_finished_log_takes_no_more(store: AnswerStore) -> None:
    ask = await finished(store, length=3)
    with pytest.raises(LeaseLostError):
        await store.append(ask.key, entries(4, 4), epoch=ask.epoch)
    with pytest.raises(LeaseLostError):
        await store.finish(
            ask.key, entries(4, 4), epoch=ask.epoch, finish_time=LATER_THAN_ALL, keep_until_time=LATER_THAN_ALL
        )
    assert await store.find(ask.key) == ask
    assert await log_of(store, ask.key) == entries(1, 3)


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_a_window_of_the_log_begins_behind_the_cursor_and_has_at_most_its_limit(
    store: AnswerStore, after: int, limit: int
) -> None:
    ask = await bound(store, length=7)
    window = await store.read(ask.key, after=Sequence(after), limit=limit)
    assert window == entries(after + 1, min(after + limit, 7))


async def test_what_is_not_in_the_store_cannot_be_read_or_written(store: AnswerStore) -> None:
    with pytest.raises(AnswerForgottenError):
        await store.read(new_key(), after=START, limit=1)
    with pytest.raises(LeaseLostError):
        await store.append(new_key(), entries(2, 2), epoch=1)


async def test_many_answers_grow_at_once_without_loss(store: AnswerStore) -> None:
    async def grow() -> AskKey:
        ask = await bound(store)
        for sequence in range(2, 31):
            await store.append(ask.key, (entry(sequence),), epoch=ask.epoch)
        return ask.key

    keys = await asyncio.gather(*(grow() for _ in range(20)))
    for key in keys:
        assert await log_of(store, key) == entries(1, 30)


async def test_appends_begun_in_order_land_in_order_without_waiting_for_each_other(store: AnswerStore) -> None:
    ask = await bound(store)
    await asyncio.gather(*(store.append(ask.key, (entry(n),), epoch=ask.epoch) for n in range(2, 50)))
    assert await log_of(store, ask.key) == entries(1, 49)


async def test_one_refused_write_among_many_spoils_no_other(store: AnswerStore) -> None:
    asks = [await bound(store) for _ in range(10)]
    writes = [store.append(ask.key, entries(2, 3), epoch=1 + number % 2) for number, ask in enumerate(asks)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LeaseLostError] * 5
    for number, ask in enumerate(asks):
        assert await log_of(store, ask.key) == entries(1, 1 if number % 2 else 3)


async def test_times_of_another_zone_come_back_as_the_same_moment(store: AnswerStore) -> None:
    ask = running_ask(accept_time=NOW.astimezone(timezone(timedelta(hours=5, minutes=30))))
    await store.bind(ask, first=ACCEPTED)
    found = await store.find(ask.key)
    assert found is not None
    assert found.accept_time == NOW


async def test_a_replica_never_claims_what_it_runs_itself(store: AnswerStore) -> None:
    await bound(store)
    assert await store.claim_abandoned(now=LATER_THAN_ALL) == ()
    await store.renew(until=LATER_THAN_ALL)
    assert await store.claim_abandoned(now=NOW) == ()


async def test_only_finished_answers_whose_time_has_passed_are_forgotten(store: AnswerStore) -> None:
    running = await bound(store)
    kept = await finished(store, keep_until_time=KEEP_END + timedelta(microseconds=1))
    passed = await finished(store, keep_until_time=KEEP_END)
    assert await store.forget(now=KEEP_END) == 1
    assert await store.find(passed.key) is None
    with pytest.raises(AnswerForgottenError):
        await store.read(passed.key, after=Sequence(3), limit=1)
    assert await log_of(store, kept.key) == entries(1, 3)
    assert await store.find(running.key) == running
    assert await store.forget(now=KEEP_END) == 0


async def test_a_forgotten_key_can_be_bound_anew(store: AnswerStore) -> None:
    ask = await finished(store)
    await store.forget(now=KEEP_END)
    again = running_ask(key=ask.key)
    assert await store.bind(again, first=ACCEPTED) is None
    assert await log_of(store, ask.key) == (ACCEPTED,)


async def test_a_card_is_honoured_until_it_expires(store: AnswerStore) -> None:
    await store.remember_card(issued_card())
    await store.remember_card(issued_card())
    assert await store.honours_card(CARD, now=NOW)
    assert await store.honours_card(CARD, now=KEEP_END - timedelta(microseconds=1))
    assert not await store.honours_card(CARD, now=KEEP_END)
    assert not await store.honours_card(Digest(b"\x08" * 32), now=NOW)


async def test_an_expired_card_is_forgotten_and_no_other(store: AnswerStore) -> None:
    other = Digest(b"\x08" * 32)
    await store.remember_card(issued_card())
    await store.remember_card(issued_card(digest=other, expire_time=LATER_THAN_ALL))
    await store.forget(now=KEEP_END)
    assert not await store.honours_card(CARD, now=NOW)
    assert await store.honours_card(other, now=NOW)


async def test_the_newest_card_is_told_to_whoever_has_an_earlier_one(store: AnswerStore) -> None:
    assert await store.newer_card(than=CardSequence(0)) is None
    first, second = (issued_card(digest=Digest(bytes([number]) * 32), sequence=number) for number in (5, 9))
    for card in (second, first):  # whoever took the lower sequence may come to keep its card later
        await store.remember_card(card)
    assert await store.newer_card(than=CardSequence(0)) == second
    assert await store.newer_card(than=CardSequence(5)) == second
    assert await store.newer_card(than=CardSequence(9)) is None


async def test_card_sequences_rise_even_where_the_clock_falls(store: AnswerStore) -> None:
    now = card_sequence(NOW)
    assert await store.reserve_card_sequence(at_least=now) == now
    assert await store.reserve_card_sequence(at_least=CardSequence(now - 1000)) == now + 1
    assert await store.reserve_card_sequence(at_least=CardSequence(now + 1)) == now + 2
    assert await store.reserve_card_sequence(at_least=CardSequence(now + 1000)) == now + 1000


async def test_card_sequences_reserved_at_once_differ(store: AnswerStore) -> None:
    at_once = (store.reserve_card_sequence(at_least=card_sequence(NOW)) for _ in range(20))
    assert len(set(await asyncio.gather(*at_once))) == 20


async def test_an_open_store_knows_its_replica_and_is_not_opened_again(store: AnswerStore) -> None:
    assert store.replica == REPLICA
    with pytest.raises(UsageError):
        await store.open(replica=REPLICA, lease_until=LEASE_END)
    assert store.replica == REPLICA


CALLS: dict[str, Callable[[AnswerStore], Awaitable[object]]] = {
    "bind": lambda store: store.bind(running_ask(), first=ACCEPTED),
    "find": lambda store: store.find(new_key()),
    "append": lambda store: store.append(new_key(), (), epoch=1),
    "finish": lambda store: store.finish(new_key(), (), epoch=1, finish_time=FINISH, keep_until_time=KEEP_END),
    "read": lambda store: store.read(new_key(), after=START, limit=1),
    "renew": lambda store: store.renew(until=LEASE_END),
    "claim_abandoned": lambda store: store.claim_abandoned(now=NOW),
    "forget": lambda store: store.forget(now=NOW),
    "reserve_card_sequence": lambda store: store.reserve_card_sequence(at_least=card_sequence(NOW)),
    "remember_card": lambda store: store.remember_card(issued_card()),
    "newer_card": lambda store: store.newer_card(than=CardSequence(0)),
    "honours_card": lambda store: store.honours_card(CARD, now=NOW),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_store_that_is_not_open_says_so(
    closed_store: AnswerStore, call: Callable[[AnswerStore], Awaitable[object]]
) -> None:
    with pytest.raises(StoreUnavailableError, match="not open"):
        await call(closed_store)
    await closed_store.open(replica=REPLICA, lease_until=LEASE_END)
    await closed_store.close()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await call(closed_store)


async def test_a_store_can_be_closed_twice_and_opened_again(store: AnswerStore) -> None:
    await store.close()
    await store.close()
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    assert await store.bind(running_ask(), first=ACCEPTED) is None
