import pytest

from consilience.server.store import MemoryStore
from consilience.server.store.contract import LogEntry, StoreFullError
from consilience.server.store.memory_ledger import ROW_BYTES
from consilience.units import Sequence, card_sequence
from sdk.tests.server.store.ledger_specimens import (
    charged,
    funded,
    new_deposit,
    new_digest,
    new_session,
    new_withdrawal,
)
from sdk.tests.server.store.specimens import (
    ACCEPTED,
    FINISH,
    KEEP_END,
    LATER_THAN_ALL,
    LEASE_END,
    NOW,
    REPLICA,
    entry,
    issued_card,
    running_ask,
)


async def test_a_closed_store_keeps_nothing_but_its_last_card_sequence() -> None:
    store = MemoryStore()
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    ask = running_ask()
    await store.bind(ask, first=ACCEPTED)
    await store.remember_card(issued_card(digest=ask.card_digest, expire_time=LATER_THAN_ALL))
    now = await store.reserve_card_sequence(at_least=card_sequence(NOW))
    await store.close()
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    assert await store.find(ask.key) is None
    assert not await store.honours_card(ask.card_digest, now=NOW)
    assert await store.reserve_card_sequence(at_least=now) == now + 1


async def test_a_full_store_binds_no_new_ask_until_the_time_of_an_answer_has_passed() -> None:
    store = MemoryStore(max_bytes=1_000_000)
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    first, second = running_ask(), running_ask()
    await store.bind(first, first=ACCEPTED)
    await store.bind(second, first=ACCEPTED)
    text = "x" * 500_000
    delta = LogEntry(sequence=Sequence(2), data=text.encode(), text=text)
    await store.append(first.key, (delta,), epoch=first.epoch)
    with pytest.raises(StoreFullError) as refusal:
        await store.bind(running_ask(), first=ACCEPTED)
    assert refusal.value.room_time is None
    # What runs gets its end, and what is bound stays bound.
    await store.finish(first.key, (entry(3),), epoch=first.epoch, finish_time=FINISH, keep_until_time=KEEP_END)
    await store.append(second.key, (entry(2),), epoch=second.epoch)
    assert await store.bind(first, first=ACCEPTED) is not None
    with pytest.raises(StoreFullError) as refusal:
        await store.bind(running_ask(), first=ACCEPTED)
    assert refusal.value.room_time == KEEP_END
    await store.forget(now=KEEP_END)
    assert await store.bind(running_ask(), first=ACCEPTED) is None


async def test_sessions_and_deposits_above_the_bound_are_refused_and_what_is_there_goes_on() -> None:
    store = MemoryStore(max_ledger_bytes=4 * ROW_BYTES)
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    session = await funded(store.ledger, authorized=40)
    late = await store.ledger.begin_deposit(new_deposit(session))
    await charged(store, session, charge=5)
    for _ in range(2):
        with pytest.raises(StoreFullError) as refusal:
            await store.ledger.open_session(new_session())
        assert refusal.value.room_time is None
        with pytest.raises(StoreFullError):
            await store.ledger.begin_deposit(new_deposit(session))
    assert (await store.ledger.open_session(session)).account.spent == 5
    assert await store.ledger.begin_deposit(late) == late
    await store.ledger.credit(session.session_id, late.deposit_id, amount=100, reference=new_digest())
    await charged(store, session, charge=5)
    await store.ledger.begin_withdrawal(new_withdrawal(session, amount=150))
    await store.close()
