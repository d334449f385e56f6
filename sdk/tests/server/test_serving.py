import asyncio
import signal
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from consilience.asks import Accepted, Outcome, StopReason
from consilience.errors import NodeDrainingError, RefusedError, SkillUnknownError, UsageError
from consilience.identity import KeyPair
from consilience.server import Node, RunningNode
from consilience.server.observers import SilentObserver
from sdk.tests.server.callers import Caller, calling, fetch_card
from sdk.tests.server.programs import Program
from sdk.tests.server.specimens import Counting, echo

ANYWHERE = "127.0.0.1:0"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ("", "consilience.v1.NodeService", "consilience.v1.AskService")


async def begin_drain(running: RunningNode, *, seconds: float) -> asyncio.Task[None]:
    """Starts to stop a node; from its first step on it takes no new asks."""
    stopping = asyncio.create_task(running.stop(timedelta(seconds=seconds)))
    await asyncio.sleep(0)
    return stopping


async def test_a_draining_node_finishes_what_runs_and_takes_nothing_new(node: Node, counting: Counting) -> None:
    counting.limit, counting.pace = 20, 0.01
    running = node.serving(ANYWHERE)
    await running.start()
    async with calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        stopping = await begin_drain(running, seconds=30)
        with pytest.raises(NodeDrainingError) as refusal:
            await caller.ask("too late")
        # What is there already can be read, seen and attached to.
        copy = caller.send(signed.envelope)
        await caller.get(signed.value.header.request_id)
        readings = await asyncio.gather(call.rest(), copy.rest())
        await stopping
    assert refusal.value.retry_after is not None
    assert refusal.value.retry_after > timedelta(0)
    assert {reading.final.answer.value.outcome for reading in readings} == {Outcome.ANSWERED}
    assert counting.tokens == counting.limit


async def test_what_takes_too_long_for_the_drain_is_ended_and_told(node: Node, counting: Counting) -> None:
    running = node.serving(ANYWHERE)
    await running.start()
    async with calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        stopping = asyncio.create_task(running.stop(timedelta(seconds=0.05)))
        reading = await call.rest()
        await stopping
    caller.check(signed, reading)
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.INTERRUPTED)
    assert counting.stopped == 1
    assert await counting.stands_still()


async def test_leaving_the_block_ends_what_runs_at_once(node: Node, counting: Counting) -> None:
    async with node.serving(ANYWHERE) as running:
        channel = aio.insecure_channel(f"127.0.0.1:{running.port}")
        card, _ = await fetch_card(channel)
        caller = Caller(channel, node_id=running.node_id, card_digest=card.digest)
        _, call = caller.open(skill_id="count")
        opening = await call.next()
    assert opening is not None
    assert isinstance(opening.event, Accepted)
    reading = await call.rest(known=(opening,))
    await channel.close()
    assert reading.final.answer.value.stop_reason is StopReason.INTERRUPTED
    assert await counting.stands_still()


async def test_whoever_hurries_cuts_the_drain_short(node: Node, counting: Counting) -> None:
    running = node.serving(ANYWHERE)
    await running.start()
    async with calling(running) as caller:
        _, call = caller.open(skill_id="count")
        await counting.has_begun()
        stopping = await begin_drain(running, seconds=600)
        running.hurry()
        reading = await call.rest()
        await stopping
    assert reading.final.answer.value.stop_reason is StopReason.INTERRUPTED


async def test_health_is_told_for_the_server_and_each_service_and_ends_with_the_drain(
    node: Node, counting: Counting
) -> None:
    running = node.serving(ANYWHERE)
    await running.start()
    async with calling(running) as caller:
        health: Any = health_pb2_grpc.HealthStub(caller.channel)
        for service in SERVICES:
            assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING
        _, call = caller.open(skill_id="count")
        await counting.has_begun()
        stopping = await begin_drain(running, seconds=600)
        for service in SERVICES:
            assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == NOT_SERVING
        running.hurry()
        await call.rest()
        await stopping


async def test_the_services_can_be_found_by_reflection(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        channel: Any = caller.channel  # the stubs know the channels of threads alone
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest
        asked = [request(list_services=""), request(file_containing_symbol="consilience.v1.AskService")]
        listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    names = {service.name for service in listed.list_services_response.service}
    assert {"consilience.v1.NodeService", "consilience.v1.AskService", "grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


async def test_a_port_that_is_taken_is_told_in_our_words_alone(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"the address {address} is in use: ") as refusal:
            await node.serving(address).start()
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
    assert capfd.readouterr().err == ""


async def test_two_nodes_cannot_share_a_port_by_mistake(node: Node, key: KeyPair) -> None:
    other = Node("other", key=KeyPair.generate())
    other.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running:
        with pytest.raises(UsageError, match="is in use"):
            await other.serving(f"127.0.0.1:{running.port}").start()


async def test_refusals_are_told_to_the_observer_by_reason_alone(key: KeyPair) -> None:
    told: list[tuple[str, str]] = []

    class Refusals(SilentObserver):
        def refused(self, *, method: str, reason: str) -> None:
            told.append((method, reason))

    node = Node("test", key=key, observer=Refusals())
    node.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        with pytest.raises(SkillUnknownError):
            await caller.ask(skill_id="cooking")
        with pytest.raises(RefusedError):
            await caller.get(caller.header().request_id)
    assert told == [
        ("consilience.v1.AskService/Ask", "SKILL_UNKNOWN"),
        ("consilience.v1.AskService/GetAnswer", "ANSWER_UNKNOWN"),
    ]


async def test_a_service_that_no_profile_of_the_node_has_is_unimplemented(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        quote: aio.UnaryUnaryMultiCallable[bytes, bytes] = caller.channel.unary_unary(
            "/consilience.v1.PaymentService/GetQuote"
        )
        with pytest.raises(aio.AioRpcError, match="UNIMPLEMENTED"):
            await quote(b"")


PROGRAM = """
import asyncio
from consilience.server import Node

node = Node("program", key=folder / "root.key")

@node.skill("count")
async def count(ask):
    for number in range(int(ask.text)):
        yield str(number)
        await asyncio.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_a_node_that_runs(tmp_path: Path, number: signal.Signals) -> None:
    program = await Program.start(PROGRAM, folder=tmp_path)
    async with calling(program) as caller:
        _, call = caller.open("30", skill_id="count")
        await call.next()
        program.process.send_signal(number)
        while (event := await call.next()) is not None:
            last = event
    assert await program.end() == (0, b"drained\n")
    assert last.sequence > 30


async def until_draining(caller: Caller) -> None:
    """Asks until the node takes no new asks."""
    while True:
        try:
            await caller.ask("1", skill_id="count")
        except NodeDrainingError:
            return


async def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    program = await Program.start(PROGRAM, folder=tmp_path)
    async with calling(program) as caller:
        _, call = caller.open("1000000", skill_id="count")
        opening = await call.next()
        assert opening is not None
        program.process.send_signal(signal.SIGTERM)
        await until_draining(caller)
        program.process.send_signal(signal.SIGTERM)
        reading = await call.rest(known=(opening,))
    assert await program.end() == (0, b"drained\n")
    assert reading.final.answer.value.stop_reason is StopReason.INTERRUPTED
