"""Sessions that are looked for elsewhere than where they were opened, or by somebody else."""

from pathlib import Path

import pytest

from consilience.errors import ProtocolError, UnreachableError, UsageError
from consilience.identity import KeyPair, format_node_id
from consilience.payments import SessionStatus
from consilience.server.store.sqlite import SqliteStore
from sdk.tests.client.payments.shops import Shop, customer


@pytest.mark.parametrize("now", ["nobody", "another node"])
async def test_the_money_of_a_session_comes_back_from_where_its_node_is_now(tmp_path: Path, now: str) -> None:
    payer, payee = KeyPair.generate(), KeyPair.generate()

    def shop() -> Shop:
        return Shop(key=payee, store=SqliteStore(tmp_path / "shop.sqlite"))

    async with shop().node.serving("127.0.0.1:0") as before, customer(tmp_path, key=payer) as client:
        await client.ask("?", node=before.address, skill="words")
        left = before.address.rpartition("@")[2]
    async with (
        Shop().node.serving(left if now == "another node" else "127.0.0.1:0"),
        shop().node.serving("127.0.0.1:0") as after,
        customer(tmp_path, key=payer) as client,
    ):
        (session,) = await client.payments.sessions()
        if now == "another node":
            with pytest.raises(ProtocolError, match="answers in place of"):
                await client.payments.refresh(session.session_id)
        else:
            with pytest.raises(UnreachableError, match="if the node has moved, fetch its card from where it is now"):
                await client.payments.refresh(session.session_id)
        await client.card(after.address)
        session = await client.payments.refresh(session.session_id)
        closed = await client.payments.close_session(session.session_id)
        assert (closed.status, closed.trouble) == (SessionStatus.CLOSED, "")
        withdrawn = await client.payments.withdraw(session.session_id)
        assert withdrawn.amount == closed.room > 0


async def test_a_key_that_is_not_the_payers_is_told_so_and_no_node_is_asked(tmp_path: Path) -> None:
    payer, other = KeyPair.generate(), KeyPair.generate()
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, key=payer) as client:
        await client.ask("?", node=running.address, skill="words")
    async with customer(tmp_path, key=other) as client:
        desk, told = client.payments, f"belongs to the key {format_node_id(payer.public_key)}, and"
        (session,) = await desk.sessions()
        for act in (desk.refresh, desk.withdraw, desk.close_session):
            with pytest.raises(UsageError, match=told):
                await act(session.session_id)
        assert await desk.sessions() == (session,)
