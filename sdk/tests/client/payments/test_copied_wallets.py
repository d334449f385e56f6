"""A wallet that came back from a copy, or is used on two machines, lacks asks that its key has paid for."""

import shutil
from pathlib import Path

import pytest

from consilience.client.payments.settlements import CLOSED
from consilience.errors import PaidElsewhereError
from consilience.identity import KeyPair
from consilience.payments import SessionStatus, TransferStatus
from sdk.tests.client.payments.shops import COST, Shop, customer, settled

BROUGHT = 1500


async def test_a_copy_that_lacks_asks_is_told_so_and_still_gets_back_what_is_left(tmp_path: Path) -> None:
    key, copy = KeyPair.generate(), tmp_path / "copy"
    copy.mkdir()
    async with Shop().node.serving("127.0.0.1:0") as running:
        async with customer(tmp_path, key=key) as client:
            await client.ask("?", node=running.address, skill="words")
            (session,) = await settled(client)
        shutil.copy(tmp_path / "wallet.sqlite", copy)
        async with customer(tmp_path, key=key) as client:
            await client.ask("?", node=running.address, skill="words")
            await settled(client)
        async with customer(copy, key=key) as client:
            with pytest.raises(PaidElsewhereError, match="not out of this copy of it") as error:
                await client.ask("?", node=running.address, skill="words")
            assert error.value.remedy.startswith("Where this wallet came back from a copy")
            closed = await client.payments.close_session(session.session_id)
            back = await client.payments.withdraw(session.session_id)
            checks = await client.payments.verify(session.session_id)
        async with customer(tmp_path, key=key) as client:
            known = await client.payments.refresh(session.session_id)
    assert (closed.status, "not out of this copy of it" in closed.trouble) == (SessionStatus.CLOSED, True)
    assert (back.status, back.amount) == (TransferStatus.SUCCEEDED, BROUGHT - 2 * COST)
    assert all(check.passed for check in checks)
    assert (known.trouble, known.spent) == (CLOSED, 2 * COST)
