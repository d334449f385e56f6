from consilience.server.store import MemoryStore
from consilience.units import card_sequence
from sdk.tests.server.store.specimens import ACCEPTED, LATER_THAN_ALL, LEASE_END, NOW, REPLICA, running_ask


async def test_a_closed_store_keeps_nothing_but_its_last_card_sequence() -> None:
    store = MemoryStore()
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    ask = running_ask()
    await store.bind(ask, first=ACCEPTED)
    await store.remember_card(ask.card_digest, expire_time=LATER_THAN_ALL)
    now = await store.reserve_card_sequence(at_least=card_sequence(NOW))
    await store.close()
    await store.open(replica=REPLICA, lease_until=LEASE_END)
    assert await store.find(ask.key) is None
    assert not await store.honours_card(ask.card_digest, now=NOW)
    assert await store.reserve_card_sequence(at_least=now) == now + 1
