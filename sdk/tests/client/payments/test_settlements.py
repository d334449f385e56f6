"""What is agreed before an ask, and what is done after it."""

import asyncio
import gc
import weakref

import pytest

from consilience.client import Client
from consilience.client.payments.calls import PaymentCalls
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.payments import Receipt, SessionState
from sdk.tests.client.payments.shops import Shop, settled


async def test_receipts_that_come_during_an_acknowledgement_go_together_with_the_next(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, numbers = asyncio.Event(), list[int]()

    async def acknowledge(calls: PaymentCalls, receipt: Signed[Receipt], *, route: Route) -> Signed[SessionState]:
        numbers.append(receipt.value.number)
        await go_on.wait()
        return await real(calls, receipt, route=route)

    real = PaymentCalls.acknowledge
    monkeypatch.setattr(PaymentCalls, "acknowledge", acknowledge)
    async with Shop().node.serving("127.0.0.1:0") as running:
        for _ in range(4):
            await client.ask("?", node=running.address, skill="words")
        go_on.set()
        (session,) = await settled(client)
    assert numbers == [1, 4]
    assert session.acknowledged == 4


async def test_a_price_that_was_asked_for_is_what_the_next_ask_is_paid_by(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        quotes = [await client.payments.quote("words", node=running.address) for _ in range(2)]
        result = await client.ask("?", node=running.address, skill="words")
    assert result.receipt is not None
    assert result.receipt.value.quote_digest == quotes[-1].digest


@pytest.mark.parametrize("skill", ["greet", "words"])
async def test_what_read_an_answer_is_gone_without_the_garbage_collector(client: Client, skill: str) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        gc.disable()
        try:
            stream = client.stream("?", node=running.address, skill=skill)
            async with stream:
                await stream.final()
            reader = weakref.ref(stream._reader)
            del stream
            await settled(client)
            assert reader() is None
        finally:
            gc.enable()
