import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.events import encode_event
from consilience.asks import AnswerEvent, ResumeAnswerCall, TextDelta
from consilience.client import Client
from consilience.client.backoff import ATTEMPTS_BEFORE_PROGRESS
from consilience.envelopes import Signed
from consilience.errors import (
    AnswerTimeoutError,
    AnswerUnknownError,
    ConnectionLostError,
    NodeDrainingError,
    ProtocolError,
    StaleCardError,
    UnreachableError,
)
from consilience.identity import KeyPair
from consilience.nodes import SigningKey
from consilience.units import Digest, Sequence, utc_now
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode, greet
from sdk.tests.client.wires import proxied


def merged(sequence: int, words: str, *, first: int) -> bytes:
    """Returns one delta that stands for several."""
    delta = TextDelta(first_sequence=Sequence(first), text=words)
    return encode_event(AnswerEvent(sequence=Sequence(sequence), event=delta))


async def test_merged_deltas_give_the_same_text_and_digest(client: Client, node: ScriptedNode) -> None:
    async def merging(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        for word in ("a", "b", "c"):
            log.text(word)
        yield merged(4, "abc", first=2)
        yield log.final()

    node.on_ask = merging
    assert (await client.ask("Hello?", node=node.address)).text == "abc"


async def test_events_that_come_together_are_read_one_by_one(client: Client, node: ScriptedNode) -> None:
    async def at_once(call: AskCall) -> AsyncIterator[bytes]:
        yield b"".join([encoded async for encoded in greet(call)])

    node.on_ask = at_once
    async with client.stream("Hello?", node=node.address) as stream:
        assert [entry.sequence async for entry in stream.events()] == [1, 2, 3, 4]
        assert (await stream.final()).text == "Hello, world."


async def test_no_text_is_given_out_of_a_response_with_a_breach(client: Client, node: ScriptedNode) -> None:
    async def at_once(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield b"".join([call.log.text("all is well"), call.log.final(transcript_digest=Digest(bytes(32)))])

    node.on_ask = at_once
    async with client.stream("Hello?", node=node.address) as stream:
        with pytest.raises(ProtocolError):
            await anext(stream)


async def test_an_event_of_an_unknown_kind_is_skipped(client: Client, node: ScriptedNode) -> None:
    async def modern(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        unknown = encode_event(AnswerEvent(sequence=Sequence(2), event=TextDelta(first_sequence=Sequence(2), text="")))
        log.text("")
        # Field 14 of AnswerEvent, which this version does not have, in place of field 3.
        yield unknown.replace(b"\x1a\x02\x08\x02", b"\x72\x02\x08\x02")
        yield log.text("words")
        yield log.final()

    node.on_ask = modern
    assert (await client.ask("Hello?", node=node.address)).text == "words"


async def test_a_node_that_leaves_the_stream_open_after_final_holds_nobody_up(
    client: Client, node: ScriptedNode
) -> None:
    async def lingering(call: AskCall) -> AsyncIterator[bytes]:
        async for encoded in greet(call):
            yield encoded
        await asyncio.Event().wait()

    node.on_ask = lingering
    async with asyncio.timeout(20):
        assert (await client.ask("Hello?", node=node.address)).text == "Hello, world."


@pytest.mark.parametrize("cut_after", range(4))
async def test_a_cut_at_any_event_leaves_the_answer_unbroken(
    client: Client, node: ScriptedNode, cut_after: int
) -> None:
    """The node writes on while nobody is connected, as after every cut."""

    async def steady(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        for number, encoded in enumerate((log.accepted(), log.text("Hello, "), log.text("world."), log.final())):
            if number == cut_after:
                proxy.cut()
                await asyncio.sleep(0.05)
            yield encoded

    node.on_ask = steady
    async with proxied(node) as proxy, client.stream("Hello?", node=proxy.address) as stream:
        result = await stream.final()
    assert result.text == "Hello, world."
    assert all(check.passed for check in result.exchange.verify())
    assert len(node.logs) == 1


async def test_a_cut_after_every_event_that_is_read_leaves_the_answer_unbroken(
    client: Client, node: ScriptedNode
) -> None:
    words = [f"word{number} " for number in range(12)]

    async def slow(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        for word in words:
            call.log.text(word)
        call.log.final()
        for encoded in call.log.after(1):
            await asyncio.sleep(0.01)
            yield encoded

    async def slow_resume(call: Signed[ResumeAnswerCall]) -> AsyncIterator[bytes]:
        for encoded in node.logs[call.value.ask_request_id].after(call.value.after_sequence):
            yield encoded
            await asyncio.sleep(0.05)

    node.on_ask, node.on_resume = slow, slow_resume
    async with proxied(node) as proxy, client.stream("Hello?", node=proxy.address) as stream:
        got = []
        async for word in stream:
            got.append(word)
            proxy.cut()
        result = await stream.final()
    assert got == words
    assert result.text == "".join(words)
    assert node.methods.count("Ask") == 1
    assert node.methods.count("ResumeAnswer") >= len(words) // 2
    assert proxy.connections > len(words) // 2


async def test_a_cut_before_the_first_event_sends_the_very_same_bytes_again(client: Client, node: ScriptedNode) -> None:
    async def cut_once(call: AskCall) -> AsyncIterator[bytes]:
        log = [call.log.accepted(), call.log.text("Here."), call.log.final()]
        proxy.cut()
        for encoded in log:
            yield encoded

    node.on_ask = cut_once
    async with proxied(node) as proxy:
        result = await client.ask("Hello?", node=proxy.address)
    asks = [call.envelope for call in node.calls if call.method.endswith("/Ask")]
    assert result.text == "Here."
    assert len(asks) >= 2
    assert all(ask == asks[0] for ask in asks)


async def test_a_stream_that_the_node_ends_too_soon_is_resumed(client: Client, node: ScriptedNode) -> None:
    async def short(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        call.log.text("Here.")
        call.log.final()

    node.on_ask = short
    assert (await client.ask("Hello?", node=node.address)).text == "Here."
    assert node.methods[-1] == "ResumeAnswer"


async def test_a_node_that_always_ends_the_stream_too_soon_breaks_the_log(client: Client, node: ScriptedNode) -> None:
    async def short(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()

    node.on_ask = short
    with pytest.raises(ProtocolError) as error:
        await client.ask("Hello?", node=node.address)
    assert error.value.requirement == "STRM-LOG-003"


async def test_a_node_that_is_gone_is_given_up_and_nothing_was_sent(client: Client, node: ScriptedNode) -> None:
    card = node.card()
    await node.stop()
    with pytest.raises(UnreachableError, match="not sent"):
        await client.ask("Hello?", node=card)


async def begin_and_stall(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield call.log.text("Well, ")
    await asyncio.Event().wait()


async def test_a_node_that_went_away_in_mid_answer_is_what_the_error_tells(client: Client, node: ScriptedNode) -> None:
    node.on_ask = begin_and_stall
    async with client.stream("Hello?", node=node.address, timeout=2) as stream:
        await anext(stream)
        await node.stop()
        with pytest.raises(ConnectionLostError, match=f"did not come back.*{stream.request_id.hex()}"):
            await stream.final()


async def test_a_node_that_came_back_and_is_late_is_late(client: Client, node: ScriptedNode) -> None:
    async def stall(call: Signed[ResumeAnswerCall]) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    node.on_ask, node.on_resume = begin_and_stall, stall
    async with proxied(node) as proxy, client.stream("Hello?", node=proxy.address, timeout=3) as stream:
        await anext(stream)
        proxy.cut()
        with pytest.raises(AnswerTimeoutError):
            await stream.final()
    assert "ResumeAnswer" in node.methods


async def test_a_node_that_lost_an_answer_it_had_begun_is_what_the_error_tells(
    client: Client, node: ScriptedNode
) -> None:
    node.on_ask = begin_and_stall
    async with proxied(node) as proxy, client.stream("Hello?", node=proxy.address) as stream:
        await anext(stream)
        node.logs.clear()
        proxy.cut()
        with pytest.raises(AnswerUnknownError, match=f"lost the answer.*{stream.request_id.hex()}") as error:
            await stream.final()
    assert error.value.remedy.startswith("Ask again")
    assert "CancelAnswer" not in node.methods


async def test_a_node_that_said_it_stops_and_then_did_is_what_the_error_tells(
    client: Client, node: ScriptedNode
) -> None:
    async def drain(call: AskCall) -> AsyncIterator[bytes]:
        stopping.append(asyncio.create_task(node.stop()))
        raise NodeDrainingError("the node stops", retry_after=timedelta(seconds=0.2))
        yield b""

    stopping: list[asyncio.Task[None]] = []
    node.on_ask = drain
    with pytest.raises(NodeDrainingError):
        await client.ask("Hello?", node=node.address)
    await asyncio.gather(*stopping)


async def test_a_node_that_comes_back_soon_is_not_noticed(client: Client) -> None:
    async with ScriptedNode() as first:
        await client.card(first.address)
    task = asyncio.create_task(client.ask("Hello?", node=first.address))
    await asyncio.sleep(0.1)
    async with ScriptedNode(root=first.root, signing=first.signing, port=first.port, issue_time=first.issue_time):
        assert (await task).text == "Hello, world."


async def test_a_connection_that_breaks_each_time_is_lost_and_names_the_ask(client: Client, node: ScriptedNode) -> None:
    async def cut(call: AskCall) -> AsyncIterator[bytes]:
        proxy.cut()
        await asyncio.Event().wait()
        yield b""

    node.on_ask = cut
    async with proxied(node) as proxy:
        stream = client.stream("Hello?", node=proxy.address)
        with pytest.raises(ConnectionLostError, match=stream.request_id.hex()):
            await stream.__aenter__()
    assert node.methods.count("Ask") <= ATTEMPTS_BEFORE_PROGRESS


async def test_after_its_expiry_an_ask_is_looked_for_and_signed_anew_if_nothing_was_bound(
    card_file: Path, node: ScriptedNode
) -> None:
    late = timedelta(0)

    async def cut_and_forget(call: AskCall) -> AsyncIterator[bytes]:
        nonlocal late
        if not late:
            late = timedelta(minutes=5)
            del node.logs[call.ask.value.header.request_id]
            proxy.cut()
            await asyncio.Event().wait()
        async for encoded in greet(call):
            yield encoded

    node.on_ask = cut_and_forget
    async with (
        proxied(node) as proxy,
        Client(KeyPair.generate(), card_file=card_file, clock=lambda: utc_now() + late) as client,
    ):
        result = await client.ask("Hello?", node=proxy.address)
    first, second = [call.envelope for call in node.calls if call.method.endswith("/Ask")]
    assert result.text == "Hello, world."
    assert node.methods == ["GetNodeCard", "Ask", "ResumeAnswer", "Ask"]
    assert first is not None
    assert second is not None
    assert first.digest != second.digest
    assert list(node.logs) == [result.request_id]


async def test_after_its_expiry_an_ask_that_was_bound_is_read_and_not_asked_again(
    card_file: Path, node: ScriptedNode
) -> None:
    late = timedelta(0)

    async def cut(call: AskCall) -> AsyncIterator[bytes]:
        nonlocal late
        late = timedelta(minutes=5)
        proxy.cut()
        call.log.accepted()
        call.log.text("Here.")
        call.log.final()
        await asyncio.Event().wait()
        yield b""

    node.on_ask = cut
    async with (
        proxied(node) as proxy,
        Client(KeyPair.generate(), card_file=card_file, clock=lambda: utc_now() + late) as client,
    ):
        result = await client.ask("Hello?", node=proxy.address)
    assert result.text == "Here."
    assert node.methods == ["GetNodeCard", "Ask", "ResumeAnswer"]


async def test_an_answer_of_another_process_is_read_from_its_beginning(client: Client, node: ScriptedNode) -> None:
    result = await client.ask("Hello?", node=node.address)
    async with client.resume(result.request_id, node=node.address) as stream:
        resumed = await stream.final()
    assert resumed.answer.digest == result.answer.digest
    assert resumed.exchange.ask is None
    assert [check.name for check in resumed.exchange.verify() if not check.passed] == ["the question is there"]


async def test_a_signing_key_of_a_new_card_counts_for_a_new_ask(client: Client, node: ScriptedNode) -> None:
    await client.ask("Hello?", node=node.address)
    node.signing = KeyPair.generate()

    async def stale_once(call: AskCall) -> AsyncIterator[bytes]:
        if call.ask.value.card_digest != node.card().digest:
            raise StaleCardError("renewed")
        async for encoded in greet(call):
            yield encoded

    node.on_ask = stale_once
    node.publish()
    result = await client.ask("Hello?", node=node.address)
    assert result.node.value.signing_keys == (
        SigningKey(public_key=node.signing.public_key, expire_time=result.node.value.signing_keys[0].expire_time),
    )
