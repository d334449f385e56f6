"""The client and the server toolkit together, over real sockets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.asks import Confidence, Outcome, StopReason
from consilience.client import Client
from consilience.errors import AnswerTimeoutError, AnswerUnknownError, LimitExceededError
from consilience.identity import KeyPair
from consilience.nodes import Limits, TlsMode
from consilience.server import Conclusion, IncomingAsk, Node, Tls
from sdk.tests.client.wires import Proxy

WORDS = [f"größe{number} " for number in range(60)]


class Skills:
    """A node with a skill for each thing that a client has to live with."""

    def __init__(self, *, key: KeyPair | None = None, tls: Tls | None = None, limits: Limits | None = None) -> None:
        self.stopped = asyncio.Event()
        self.node = Node("tests", key=key or KeyPair.generate(), tls=tls, limits=limits)
        self.node.skill("words")(self.words)
        self.node.skill("stall")(self.stall)
        self.node.skill("sure")(self.sure)

    async def words(self, _: IncomingAsk) -> AsyncIterator[str]:
        for word in WORDS:
            yield word
            await asyncio.sleep(0.01)

    async def stall(self, _: IncomingAsk) -> AsyncIterator[str]:
        yield "Well, "
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()

    async def sure(self, _: IncomingAsk) -> AsyncIterator[str | Conclusion]:
        yield "42"
        yield Conclusion(confidence=Confidence(method="exact", p_correct=1.0))


async def test_an_answer_comes_with_all_that_is_known_about_it(client: Client) -> None:
    async with Skills().node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address, skill="sure")
    assert (result.text, result.outcome) == ("42", Outcome.ANSWERED)
    assert result.confidence == Confidence(method="exact", p_correct=1.0)
    assert all(check.passed for check in result.exchange.verify())


async def test_a_pinned_node_is_asked(client: Client, tmp_path: Path) -> None:
    async with Skills(tls=Tls.pinned(tmp_path / "node.pem")).node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address)
    assert result.text == "".join(WORDS)
    assert result.node.value.endpoints[0].tls_mode is TlsMode.PINNED


async def test_twenty_copies_of_a_resumed_answer_are_equal(client: Client) -> None:
    async with Skills().node.serving("127.0.0.1:0") as running:
        async with client.stream("?", node=running.address) as stream:
            request_id = stream.detach()

        async def read() -> bytes:
            async with client.resume(request_id, node=running.address) as copy:
                return (await copy.final()).answer.digest

        assert len(set(await asyncio.gather(*(read() for _ in range(20))))) == 1


@pytest.mark.parametrize("every", [1, 7])
async def test_cuts_in_mid_stream_change_nothing_about_the_answer(client: Client, every: int) -> None:
    async with (
        Proxy() as proxy,
        Skills().node.serving("127.0.0.1:0", advertise=[f"127.0.0.1:{proxy.port}"]) as running,
    ):
        proxy.target = running.port
        texts = []
        async with client.stream("?", node=f"127.0.0.1:{proxy.port}") as stream:
            async for text in stream:
                texts.append(text)
                if len(texts) % every == 0:
                    proxy.cut()
            result = await stream.final()
    assert proxy.connections > len(texts) // every // 2
    assert "".join(texts) == result.text == "".join(WORDS)
    assert result.answer.value.transcript_digest == hashlib.sha256("".join(WORDS).encode()).digest()
    assert all(check.passed for check in result.exchange.verify())


async def test_leaving_the_block_stops_the_work(client: Client) -> None:
    skills = Skills()
    async with skills.node.serving("127.0.0.1:0") as running:
        async with client.stream("?", node=running.address, skill="stall") as stream:
            assert await anext(stream) == "Well, "
        await asyncio.wait_for(skills.stopped.wait(), 10)
        snapshot = await client.get(stream.request_id, node=running.address)
    assert snapshot.final is not None
    assert snapshot.final.answer.value.stop_reason is StopReason.CANCELLED


async def test_a_time_out_stops_the_work(client: Client) -> None:
    skills = Skills()
    async with skills.node.serving("127.0.0.1:0") as running:
        with pytest.raises(AnswerTimeoutError):
            await client.ask("?", node=running.address, skill="stall", timeout=2)
        await asyncio.wait_for(skills.stopped.wait(), 10)


async def test_a_stranger_finds_nothing(client: Client, tmp_path: Path) -> None:
    async with Skills().node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address, skill="sure")
        async with Client(KeyPair.generate(), card_file=tmp_path / "stranger.sqlite") as stranger:
            with pytest.raises(AnswerUnknownError):
                await stranger.get(result.request_id, node=running.address)
            with pytest.raises(AnswerUnknownError):
                await stranger.cancel(result.request_id, node=running.address)


async def test_a_node_that_was_started_again_is_asked_with_its_new_card(client: Client) -> None:
    key = KeyPair.generate()
    async with Skills(key=key).node.serving("127.0.0.1:0") as running:
        first = await client.ask("?", node=running.address, skill="sure")
        address, port = running.address, running.port
    async with Skills(key=key).node.serving(f"127.0.0.1:{port}"):
        second = await client.ask("?", node=address, skill="sure")
    assert second.text == "42"
    assert second.node.value.sequence > first.node.value.sequence


async def test_a_limit_that_is_passed_comes_with_its_name(client: Client) -> None:
    async with Skills(limits=Limits(max_input_bytes=10)).node.serving("127.0.0.1:0") as running:
        with pytest.raises(LimitExceededError) as error:
            await client.ask("a question that is too long", node=running.address)
    assert "max_input_bytes" in str(error.value.detail)


async def test_a_node_that_is_busy_says_with_what(client: Client) -> None:
    async with Skills(limits=Limits(max_running_asks=1)).node.serving("127.0.0.1:0") as running:
        async with client.stream("?", node=running.address, skill="stall"):
            with pytest.raises(LimitExceededError) as error:
                await client.ask("?", node=running.address, skill="sure")
        assert (await client.ask("?", node=running.address, skill="sure")).text == "42"
    assert "max_running_asks" in str(error.value.detail)
