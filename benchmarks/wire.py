"""What the protocol costs on the wire: a signed ask against a bare grpc.aio call, deltas against a bare stream."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc.aio

from benchmarks.pairs import Ratio, in_turn, ratio_of
from benchmarks.processes import Served, serving
from benchmarks.servers import STREAM_METHOD, UNARY_METHOD
from consilience import Client
from consilience.asks import TextDelta

IN_FLIGHT = 32
CALLS = 1500
CALLS_ALONE = 300
STREAMS = 16
DELTAS = 400
ROUNDS = 7

QUESTION = "What is a heisenbug?"

Call = Callable[[], Awaitable[object]]


async def measure_wire() -> list[Ratio]:
    """Measures every ratio of the wire, both servers running side by side."""
    async with (
        serving("benchmarks.servers", "node") as node,
        serving("benchmarks.servers", "raw") as raw,
        Client() as client,
        grpc.aio.insecure_channel(raw.address) as channel,
    ):
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(UNARY_METHOD)

        async def ask() -> None:
            await client.ask(QUESTION, node=node.address, skill="bench.sentence")

        async def call() -> None:
            await unary(QUESTION.encode())

        return [
            *await _throughput_and_cpu(ask, call, node, raw),
            await _latency(ask, call),
            await _deltas(client, channel, node),
        ]


async def _throughput_and_cpu(ask: Call, call: Call, node: Served, raw: Served) -> list[Ratio]:
    cpu: dict[str, list[float]] = {"node": [], "raw": []}

    async def asks_per_second() -> float:
        before = node.cpu_seconds()
        rate = await _rate(ask)
        cpu["node"].append(node.cpu_seconds() - before)
        return rate

    async def calls_per_second() -> float:
        before = raw.cpu_seconds()
        rate = await _rate(call)
        cpu["raw"].append(raw.cpu_seconds() - before)
        return rate

    pairs = await in_turn(asks_per_second, calls_per_second, rounds=ROUNDS)
    cpu_pairs = [(ours / CALLS * 1e6, peer / CALLS * 1e6) for ours, peer in zip(*cpu.values(), strict=True)][1:]
    return [
        ratio_of(pairs, name="ask_vs_raw", unit="calls/s at 32 in flight", goal=0.5, higher_is_better=True),
        ratio_of(
            cpu_pairs, name="ask_server_cpu_vs_raw", unit="µs of server CPU/call", goal=2.2, higher_is_better=False
        ),
    ]


async def _rate(call: Call) -> float:
    """Returns calls per second with a fixed number in flight."""
    numbers = iter(range(CALLS))

    async def worker() -> None:
        for _ in numbers:
            await call()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return CALLS / (time.perf_counter() - started)


async def _latency(ask: Call, call: Call) -> Ratio:
    async def median_of(one: Call) -> float:
        times = []
        for _ in range(CALLS_ALONE):
            started = time.perf_counter()
            await one()
            times.append(time.perf_counter() - started)
        return sorted(times)[CALLS_ALONE // 2] * 1e3

    pairs = await in_turn(lambda: median_of(ask), lambda: median_of(call), rounds=ROUNDS)
    return ratio_of(
        pairs, name="ask_latency_vs_raw", unit="ms, median of one at a time", goal=2.0, higher_is_better=False
    )


async def _deltas(client: Client, channel: grpc.aio.Channel, node: Served) -> Ratio:
    stream_method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(STREAM_METHOD)

    async def read_ours() -> int:
        """Counts the deltas that were produced: a merged one stands for all that it carries."""
        count = 0
        async with client.stream(str(DELTAS), node=node.address, skill="bench.deltas") as stream:
            async for entry in stream.events():
                if isinstance(entry.event, TextDelta):
                    count += entry.sequence - entry.first_sequence + 1
        return count

    async def read_raw() -> int:
        return len([delta async for delta in stream_method(str(DELTAS).encode())])

    async def rate(read: Callable[[], Awaitable[int]]) -> float:
        started = time.perf_counter()
        counts = await asyncio.gather(*(read() for _ in range(STREAMS)))
        if set(counts) != {DELTAS}:
            raise RuntimeError(f"{DELTAS} deltas were produced for each stream, {counts} arrived")
        return sum(counts) / (time.perf_counter() - started)

    pairs = await in_turn(lambda: rate(read_ours), lambda: rate(read_raw), rounds=ROUNDS)
    return ratio_of(pairs, name="deltas_vs_raw", unit="deltas/s at 16 streams", goal=0.8, higher_is_better=True)
