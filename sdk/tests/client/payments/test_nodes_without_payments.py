"""A node that was paid takes no payments any more: nobody is accused, and the payer is told what lies there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.payments.desk import FORGOTTEN
from consilience.errors import PaymentsOffError
from consilience.identity import KeyPair
from consilience.payments import SessionStatus
from consilience.server import IncomingAsk, Node
from sdk.tests.client.payments.shops import COST, Shop, customer, settled

BROUGHT = 1500


async def words(_: IncomingAsk) -> AsyncIterator[str]:
    yield "free"


@asynccontextmanager
async def served(node: Node, client: Client, *, port: int = 0) -> AsyncIterator[int]:
    async with node.serving(f"127.0.0.1:{port}") as running:
        assert (await client.ask("?", node=running.address, skill="words")).text
        await settled(client)
        yield running.port


async def test_a_node_that_takes_no_payments_any_more_is_not_accused_and_what_lies_there_is_told(
    tmp_path: Path,
) -> None:
    key, payer, store = KeyPair.generate(), KeyPair.generate(), f"sqlite:///{tmp_path}/node.db"
    free = Node("shop", key=key, store=store)
    free.skill("words")(words)
    async with customer(tmp_path, key=payer) as client, served(Shop(key=key, store=store).node, client) as port:
        (session,) = await client.payments.sessions()
    async with customer(tmp_path, key=payer) as client, served(free, client, port=port):
        desk, session_id = client.payments, session.session_id
        for call in (desk.refresh, desk.close_session, desk.withdraw):
            with pytest.raises(PaymentsOffError, match=f"{BROUGHT - COST} TEST are left in the session") as error:
                await call(session_id)
            assert f"`consilience sessions close {session_id.hex()[:12]} --forget`" in str(error.value)
        ended = await desk.close_session(session_id, forget=True)
        assert (ended.trouble, (await desk.spent_today("TEST/0")).value) == (FORGOTTEN, BROUGHT)
    async with customer(tmp_path, key=payer) as client, served(Shop(key=key, store=store).node, client, port=port):
        closed, back = await client.payments.close_session(session_id), await client.payments.withdraw(session_id)
    assert (closed.status, back.amount) == (SessionStatus.CLOSED, BROUGHT - COST)
