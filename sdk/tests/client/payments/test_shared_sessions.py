"""Asks that share a session, at a node that does nothing wrong: what was right when it was written stays right."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from consilience.rails.hold import HoldPayer
from sdk.tests.client.payments.scripted_shops import WINDOW, ScriptedShop
from sdk.tests.client.payments.shops import customer, settled
from sdk.tests.client.scripted_nodes import AskCall


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
    assert session.spent == result.cost.value + other.cost.value == 20
