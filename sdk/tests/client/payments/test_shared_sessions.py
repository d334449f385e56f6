"""What shares a session, or a wallet, at a node that does nothing wrong: nobody is accused, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from consilience.asks import Ask
from consilience.client.payments.paid_asks import PaidAsk
from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.payments import Amount
from consilience.rails.hold import HoldPayer
from sdk.tests.client.payments.scripted_shops import WINDOW, ScriptedShop
from sdk.tests.client.payments.shops import COST, Shop, customer, settled, wallet_in
from sdk.tests.client.scripted_nodes import AskCall

TEST = "TEST/0"


async def test_a_meter_that_is_read_after_the_end_of_another_ask_is_no_breach(tmp_path: Path) -> None:
    """It was written while a window was reserved for the other, which came to cost less."""
    asked, reserved, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def sell(call: AskCall) -> AsyncIterator[bytes]:
        assert isinstance(call.log.node, ScriptedShop)
        purchase, first = call.log.node.asked(call), not asked.is_set()
        asked.set()
        yield call.log.accepted()
        yield call.log.text("ten bytes.")
        if first:
            await reserved.wait()
            meter = purchase.meter(required_cumulative=WINDOW + purchase.charge + WINDOW)
            await ended.wait()  # it is on its way meanwhile
            yield meter
        reserved.set()
        yield purchase.final()

    async with (
        ScriptedShop(on_ask=sell) as shop,
        customer(tmp_path, rails=[HoldPayer(max_credit=1_000_000)]) as client,
    ):
        metered = asyncio.create_task(client.ask("?", node=shop.address))
        await asked.wait()
        other = await client.ask("?", node=shop.address)
        await settled(client)
        ended.set()
        result = await metered
        (session,) = await settled(client)
    assert session.trouble == ""
    assert (result.cost, other.cost) == (Amount(10, TEST), Amount(10, TEST))
    assert session.spent == 20


async def test_an_ask_that_another_program_has_let_go_of_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still, between the note of what it may cost and its signature, for longer than it could be taken."""
    bind = PaidAsk.bind
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path) as client:
        await client.ask("?", node=running.address, skill="words")
        (before,) = await settled(client)

        async def stand_still(paid: PaidAsk, ask: Signed[Ask]) -> None:
            with closing(wallet_in(tmp_path)) as another:
                another.release(ask.value.header.request_id)
            await bind(paid, ask)

        monkeypatch.setattr(PaidAsk, "bind", stand_still)
        with pytest.raises(UsageError, match="has let go of it; nothing was sent: ask again"):
            await client.ask("?", node=running.address, skill="words")
        monkeypatch.undo()
        again = await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        refreshed = await client.payments.refresh(session.session_id)
    assert session.trouble == refreshed.trouble == ""
    assert again.cost == Amount(COST, TEST)
    assert refreshed.spent == before.spent + COST
