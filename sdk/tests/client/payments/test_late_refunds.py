"""A refund may come long after the answer, when the card of its price and the keys of that have ended."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consilience.identity import KeyPair
from consilience.server.keys import FixedKey
from consilience.server.payments.books import opened_books
from consilience.server.store.sqlite import SqliteStore
from consilience.units import utc_now
from sdk.tests.client.payments.shops import Shop, customer, settled

ROOT = KeyPair.generate()


def in_forty_days() -> datetime:
    return utc_now() + timedelta(days=40)


@pytest.mark.parametrize(
    ("clock", "signing"), [(in_forty_days, ROOT), (utc_now, KeyPair.generate())], ids=["in forty days", "another key"]
)
async def test_the_receipts_of_a_session_hold_with_a_refund_that_came_later(
    tmp_path: Path, clock: Callable[[], datetime], signing: KeyPair
) -> None:
    file, key = tmp_path / "node.db", KeyPair.generate()
    store = f"sqlite:///{file}"
    async with (
        Shop(key=ROOT, store=store).node.serving("127.0.0.1:0") as running,
        customer(tmp_path, key=key) as client,
    ):
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        (charge,) = await client.payments.receipts(session.session_id)
    later = Shop(key=ROOT, signing_key=signing, store=store, clock=clock).node
    async with later.serving(running.address.rpartition("@")[2]), customer(tmp_path, key=key, clock=clock) as client:
        async with opened_books(SqliteStore(file), root=ROOT, keys=FixedKey(signing), clock=clock) as books:
            await books.refund(session.session_id, charge.digest, amount=2)
        session = await client.payments.refresh(session.session_id)
        checks = await client.payments.verify(session.session_id)
    assert (session.trouble, session.refunded) == ("", 2)
    assert all(check.passed for check in checks), checks
