"""What becomes of an ask that is on its way to acceptance when the node begins to drain."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consilience.errors import NodeDrainingError
from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Node
from sdk.tests.server.callers import calling


@pytest.mark.parametrize("store", [None, "sqlite"])
async def test_an_ask_that_is_being_checked_when_the_drain_begins_is_refused_and_not_dropped(
    store: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = None if store is None else f"sqlite:///{tmp_path_factory.mktemp('store') / 'answers.db'}"
    node = Node("test", key=KeyPair.generate(), store=place)
    checking, checked = asyncio.Event(), asyncio.Event()

    async def look_long(_ask: IncomingAsk) -> None:
        checking.set()
        await checked.wait()

    @node.skill("echo", check=look_long)
    async def answer(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "too late"

    running = node.serving("127.0.0.1:0")
    await running.start()
    async with calling(running) as caller:
        asking = asyncio.create_task(caller.ask())
        await checking.wait()
        stopping = asyncio.create_task(running.stop(timedelta(seconds=30)))
        done, _ = await asyncio.wait({stopping}, timeout=0.1)
        assert not done, "the node ended while an ask was on its way"
        checked.set()
        with pytest.raises(NodeDrainingError):
            await asking
        await stopping
    assert running.running_asks == 0
