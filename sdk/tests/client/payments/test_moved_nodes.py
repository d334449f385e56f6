"""Nodes that are elsewhere than where their sessions were opened."""

from pathlib import Path

import pytest

from consilience.errors import ProtocolError, UnreachableError
from consilience.identity import KeyPair
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
