"""What keeps the next event away is told while the stream goes on trying, and not a moment longer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from consilience.client import AnswerStream, Client
from consilience.client.backoff import PATIENCE_SECONDS
from consilience.client.outages import Setback
from consilience.errors import LimitExceededError, TransportError
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode, greet
from sdk.tests.client.wires import proxied, silent_port


async def set_back(stream: AnswerStream, *, until: Callable[[Setback | None], bool]) -> Setback | None:
    """Waits until something is told of what keeps the next event away, for half a minute at most."""
    async with asyncio.timeout(30):
        while not until(stream.setback):  # noqa: ASYNC110 - as whoever shows it looks
            await asyncio.sleep(0.01)
    return stream.setback


def is_there(setback: Setback | None) -> bool:
    return setback is not None


async def test_a_node_that_goes_away_is_a_setback_until_it_is_back(client: Client, node: ScriptedNode) -> None:
    async def begin(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text("Hello, ")
        call.log.text("world.")
        call.log.final()
        await asyncio.Event().wait()

    node.on_ask = begin
    async with proxied(node) as proxy, client.stream("Hello?", node=proxy.address, timeout=3600) as stream:
        await anext(stream)
        assert stream.setback is None
        port, proxy.target = proxy.target, 1
        proxy.cut()
        rest = asyncio.create_task(stream.final())
        setback = await set_back(stream, until=is_there)
        assert setback is not None
        assert isinstance(setback.cause, TransportError)
        assert setback.seconds_left is not None
        assert 0 < setback.seconds_left <= PATIENCE_SECONDS, "sooner than its user would give it up"
        proxy.target = port
        assert (await rest).text == "Hello, world."
        assert stream.setback is None


async def test_a_node_that_asks_to_come_again_later_is_a_setback(client: Client, node: ScriptedNode) -> None:
    async def busy(call: AskCall) -> AsyncIterator[bytes]:
        if node.methods.count("Ask") == 1:
            raise LimitExceededError("busy", retry_after=timedelta(seconds=2))
        async for encoded in greet(call):
            yield encoded

    node.on_ask = busy
    stream = client.stream("Hello?", node=node.address, timeout=60)
    assert stream.setback is None
    entering = asyncio.create_task(stream.__aenter__())
    setback = await set_back(stream, until=lambda seen: seen is not None and seen.cause is not None)
    assert setback is not None
    assert isinstance(setback.cause, LimitExceededError)
    assert setback.seconds_left is not None
    assert setback.seconds_left > PATIENCE_SECONDS / 2, "the patience of the user bounds the wait"
    await entering
    assert stream.setback is None
    await stream.__aexit__(None, None, None)


async def test_a_card_that_does_not_come_is_a_setback_until_the_call_is_given_up(client: Client) -> None:
    async with silent_port() as port:
        stream = client.stream("Hello?", node=f"127.0.0.1:{port}", timeout=5)
        entering = asyncio.create_task(stream.__aenter__())
        setback = await set_back(stream, until=is_there)
        assert setback is not None
        assert setback.cause is None
        await asyncio.wait([entering])
        assert isinstance(entering.exception(), TransportError)
        assert stream.setback is None
