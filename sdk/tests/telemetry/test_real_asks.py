"""Asks over real sockets, as client and node tell of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from consilience.client import Client
from consilience.errors import AnswerTimeoutError, DataClassForbiddenError, LimitExceededError
from consilience.identity import KeyPair
from consilience.nodes import DataClass, Limits
from consilience.server import IncomingAsk, Node
from consilience.server.serving import LEASE
from consilience.sync import Client as SynchronousClient
from consilience.sync import background
from sdk.tests.client.scripted_nodes import ScriptedNode
from sdk.tests.client.wires import Proxy
from sdk.tests.server.callers import calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.telemetry.span_recordings import SpanRecording, attributes_of

ANYWHERE = "127.0.0.1:0"
QUESTION = "What is a xyzzy?"
MAX_INPUT_BYTES = 1000
WORDS = ("A plugh", ", or ", "a frotz.")


async def answer(_: IncomingAsk) -> AsyncIterator[str]:
    for word in WORDS:
        yield word
        await asyncio.sleep(0.01)


async def stall(_: IncomingAsk) -> AsyncIterator[str]:
    yield WORDS[0]
    await asyncio.Event().wait()


class Peers:
    """A node and a client, of which each names the other as a peer."""

    def __init__(self, recording: SpanRecording, folder: Path) -> None:
        self.caller, self.root = KeyPair.generate(), KeyPair.generate()
        self.client = Client(
            self.caller, card_file=folder / "cards.sqlite", tracer=recording.tracer(self.root.public_key)
        )
        self.node = self.make_node(recording)

    def make_node(self, recording: SpanRecording) -> Node:
        node = Node(
            "peer",
            key=self.root,
            limits=Limits(max_input_bytes=MAX_INPUT_BYTES),
            tracer=recording.tracer(self.caller.public_key),
        )
        node.skill("answer")(answer)
        node.skill("stall")(stall)
        return node


@pytest.fixture
async def peers(recording: SpanRecording, tmp_path: Path) -> AsyncIterator[Peers]:
    peers = Peers(recording, tmp_path)
    async with peers.client:
        yield peers


async def test_an_ask_to_a_peer_is_one_trace_of_both_sides(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running:
        result = await peers.client.ask(QUESTION, node=running.address, skill="answer")
    server, client = sorted(recording.spans, key=lambda span: span.kind is SpanKind.CLIENT)
    assert (server.kind, client.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert server.context.trace_id == client.context.trace_id
    for span in (server, client):
        attributes = attributes_of(span)
        assert attributes["consilience.request.id"] == result.request_id.hex()
        assert attributes["consilience.outcome"] == "ANSWERED"
        assert attributes["consilience.time_to_accepted"] <= attributes["gen_ai.response.time_to_first_chunk"]
    assert attributes_of(client)["server.port"] == running.port
    assert "consilience.reconnect_count" not in attributes_of(client)


async def test_no_word_of_question_or_answer_leaves_the_process(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running:
        result = await peers.client.ask(QUESTION, node=running.address, skill="answer")
    exported = "".join(span.to_json() for span in recording.spans)
    assert len(recording.spans) == 2
    assert result.text == "".join(WORDS)
    assert [word for word in ("xyzzy", "plugh", "frotz") if word in exported] == []


async def test_a_refused_ask_ends_both_spans_with_the_reason(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running:
        with pytest.raises(LimitExceededError):
            await peers.client.ask("x" * (MAX_INPUT_BYTES + 1), node=running.address)
    server, client = recording.spans
    assert [attributes_of(span)["error.type"] for span in (server, client)] == ["LIMIT_EXCEEDED"] * 2
    assert server.context.trace_id == client.context.trace_id
    # RESOURCE_EXHAUSTED is no fault of the node, and a failure to whoever asked.
    assert (server.status.status_code, client.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


async def test_an_ask_that_is_not_sent_is_no_trace(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running:
        with pytest.raises(DataClassForbiddenError):
            await peers.client.ask(QUESTION, node=running.address, data_class=DataClass.RESTRICTED)
    assert recording.spans == ()


async def test_an_ask_that_is_left_is_cancelled_on_both_sides(recording: SpanRecording, peers: Peers) -> None:
    async with (
        peers.node.serving(ANYWHERE) as running,
        peers.client.stream(QUESTION, node=running.address, skill="stall") as stream,
    ):
        await anext(stream)
    client, server = recording.spans
    assert (client.kind, server.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert attributes_of(client)["rpc.response.status_code"] == "CANCELLED"
    assert attributes_of(server)["consilience.outcome"] == "CANCELLED"
    assert {span.status.status_code for span in recording.spans} == {StatusCode.UNSET}


async def test_an_ask_whose_time_is_up_failed_for_its_asker(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running:
        with pytest.raises(AnswerTimeoutError):
            await peers.client.ask(QUESTION, node=running.address, skill="stall", timeout=2)
    (client,) = recording.of_kind(SpanKind.CLIENT)
    assert attributes_of(client)["error.type"] == "AnswerTimeoutError"


async def test_a_resumed_ask_is_one_span_on_each_side_that_counts_the_connections(
    recording: SpanRecording, peers: Peers
) -> None:
    async with (
        Proxy() as proxy,
        peers.node.serving(ANYWHERE, advertise=[f"127.0.0.1:{proxy.port}"]) as running,
    ):
        proxy.target = running.port
        async with peers.client.stream(QUESTION, node=f"127.0.0.1:{proxy.port}", skill="answer") as stream:
            assert await anext(stream) == WORDS[0]
            proxy.cut()
            await stream.final()
    (client,), (server,) = recording.of_kind(SpanKind.CLIENT), recording.of_kind(SpanKind.SERVER)
    assert attributes_of(client)["consilience.reconnect_count"] == 1
    assert attributes_of(client)["rpc.response.status_code"] == "OK"
    assert server.context.trace_id == client.context.trace_id
    assert proxy.sent.count(b"traceparent") == 2  # with the ask, and to go on


async def test_a_copy_that_attaches_begins_no_trace(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, first = caller.open(skill_id="answer")
        second = caller.send(signed.envelope)
        readings = await asyncio.gather(first.rest(), second.rest())
    assert readings[0].final == readings[1].final
    assert recording.span.kind is SpanKind.SERVER


async def test_an_ask_that_is_signed_again_is_another_trace(recording: SpanRecording, peers: Peers) -> None:
    async with peers.node.serving(ANYWHERE) as running:
        address, port = running.address, running.port
        await peers.client.card(address)
    # The node forgot the card that the client holds, and refuses what relies on it.
    async with peers.make_node(recording).serving(f"127.0.0.1:{port}"):
        await peers.client.ask(QUESTION, node=address, skill="answer")
    refused, answered = recording.of_kind(SpanKind.CLIENT)
    assert attributes_of(refused)["error.type"] == "STALE_CARD"
    assert attributes_of(answered)["rpc.response.status_code"] == "OK"
    assert refused.context.trace_id != answered.context.trace_id


async def test_what_a_node_was_started_in_is_no_part_of_its_asks(recording: SpanRecording, peers: Peers) -> None:
    with recording.provider.get_tracer("tests").start_as_current_span("the start"):
        running = peers.node.serving(ANYWHERE)
        await running.start()
    try:
        async with calling(running) as stranger:
            await stranger.ask(skill_id="answer")
    finally:
        await running.stop(timedelta(0))
    (server,) = recording.of_kind(SpanKind.SERVER)
    assert server.parent is None


def test_an_ask_without_async_belongs_to_the_span_of_its_thread(recording: SpanRecording, tmp_path: Path) -> None:
    loop = background.hold()
    node = ScriptedNode()
    loop.run(node.__aenter__())
    with (
        recording.provider.get_tracer("tests").start_as_current_span("the program") as program,
        SynchronousClient(KeyPair.generate(), card_file=tmp_path / "cards", tracer=recording.tracer()) as client,
    ):
        client.ask(QUESTION, node=node.address)
    loop.run(node.stop())
    background.release(loop)
    (span,) = recording.of_kind(SpanKind.CLIENT)
    assert span.parent == program.get_span_context()


async def test_what_a_handler_asks_belongs_to_what_it_was_asked(recording: SpanRecording, peers: Peers) -> None:
    go_between = Node("between", key=KeyPair.generate(), tracer=recording.tracer(peers.caller.public_key))
    async with peers.node.serving(ANYWHERE) as far:

        async def ask_on(ask: IncomingAsk) -> AsyncIterator[str]:
            yield (await peers.client.ask(ask.text, node=far.address, skill="answer")).text

        go_between.skill("ask")(ask_on)
        async with go_between.serving(ANYWHERE) as near:
            result = await peers.client.ask(QUESTION, node=near.address)
    assert result.text == "".join(WORDS)
    inner_server, inner_client, outer_server, outer_client = recording.spans
    assert inner_client.parent is not None
    assert inner_client.parent.span_id == outer_server.context.span_id
    assert inner_server.context.trace_id == inner_client.context.trace_id
    # The node in between is no peer of the client, which tells it nothing of the trace.
    assert outer_server.context.trace_id != outer_client.context.trace_id


async def test_an_answer_that_another_replica_took_over_is_left(
    recording: SpanRecording, peers: Peers, tmp_path: Path
) -> None:
    clock, store = ManualClock(), f"sqlite:///{tmp_path}/answers.db"
    one, two = (
        Node("twin", key=peers.root, store=store, replica=name, clock=clock, tracer=recording.tracer())
        for name in ("one", "two")
    )
    for node in (one, two):
        node.skill("stall")(stall)
    async with one.serving(ANYWHERE) as first, two.serving(ANYWHERE) as second, calling(first, clock=clock) as caller:
        _, call = caller.open(skill_id="stall")
        opening = await call.next()
        assert opening is not None
        clock.advance(LEASE + timedelta(seconds=1))
        await second.tend()
        await first.tend()
        await call.rest(known=(opening,))
    assert attributes_of(recording.span)["rpc.response.status_code"] == "CANCELLED"
    assert "consilience.outcome" not in attributes_of(recording.span)


async def test_an_ask_that_a_sibling_was_quicker_to_take_is_left(
    recording: SpanRecording, peers: Peers, tmp_path: Path
) -> None:
    arrived, taken = asyncio.Event(), asyncio.Event()

    async def wait(_: IncomingAsk) -> None:
        arrived.set()
        await taken.wait()

    store = f"sqlite:///{tmp_path}/answers.db"
    slow, quick = (Node("twin", key=peers.root, store=store, replica=name, tracer=recording.tracer()) for name in "ab")
    slow.skill("answer", check=wait)(answer)
    quick.skill("answer")(answer)
    async with (
        slow.serving(ANYWHERE) as first,
        quick.serving(ANYWHERE) as second,
        calling(first) as here,
        calling(second) as there,
    ):
        signed, call = here.open(skill_id="answer")
        await arrived.wait()
        await there.send(signed.envelope).rest()
        taken.set()
        await call.rest()
    codes = [attributes_of(span)["rpc.response.status_code"] for span in recording.spans]
    assert codes == ["OK", "CANCELLED"]


async def test_an_ask_whose_caller_goes_before_it_is_accepted_is_left(recording: SpanRecording, peers: Peers) -> None:
    arrived = asyncio.Event()

    async def wait(_: IncomingAsk) -> None:
        arrived.set()
        await asyncio.Event().wait()

    peers.node.skill("checked", check=wait)(answer)
    async with peers.node.serving(ANYWHERE) as running, calling(running) as caller:
        _, call = caller.open(skill_id="checked")
        await arrived.wait()
        call.drop()
        await recording.ended.wait()
    assert attributes_of(recording.span)["rpc.response.status_code"] == "CANCELLED"


class LostKey:
    """A signing key that cannot be reached any more."""

    def __init__(self) -> None:
        self.public_key = KeyPair.generate().public_key

    def sign(self, _: bytes) -> bytes:
        raise ConnectionError("the key store is gone")


async def test_an_answer_that_cannot_be_signed_failed_once_its_node_has_ended(recording: SpanRecording) -> None:
    node = Node("unable", key=KeyPair.generate(), signing_key=LostKey(), tracer=recording.tracer())
    node.skill("answer")(answer)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, call = caller.open(skill_id="answer")
        await call.next()
        assert not recording.spans
        # The node tries again as long as it lives.
    assert recording.span.status.status_code is StatusCode.ERROR
    assert attributes_of(recording.span)["error.type"] == "ConnectionError"
