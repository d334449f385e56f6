"""The servers that are measured, each in a process of its own: a node, a node that is paid, and grpc.aio alone."""

import argparse
import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio

ANSWER = "A heisenbug is a bug that disappears or alters its behaviour when one attempts to probe it."
DELTA = "heisenbug "
UNARY_METHOD = "/benchmark.Raw/Unary"
STREAM_METHOD = "/benchmark.Raw/Stream"

CREDIT = 10**9
PAID_WINDOW = 500
PAID_MAX_CHARGE = 100_000
DELTA_SECONDS = 0.02
"""Between two deltas of a paid answer: a model that writes 50 tokens a second, of which a window is the text of one."""


async def serve_raw(ready: Path) -> None:
    """Serves bytes for bytes: a unary call that answers a sentence, and a stream of as many deltas as it is told."""

    async def unary(_request: bytes, _context: object) -> bytes:
        return ANSWER.encode()

    async def stream(request: bytes, _context: object) -> AsyncIterator[bytes]:
        delta = DELTA.encode()
        for _ in range(int(request)):
            yield delta
            await asyncio.sleep(0)

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Unary": grpc.unary_unary_rpc_method_handler(unary)}
    handlers["Stream"] = grpc.unary_stream_rpc_method_handler(stream)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmark.Raw", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    announce(ready, f"127.0.0.1:{port}")
    await server.wait_for_termination()


async def serve_node(ready: Path) -> None:
    """Serves a node with the same two: a skill that answers the sentence, and one that streams deltas."""
    from consilience.nodes import DataClass, DataPolicy  # noqa: PLC0415 - the raw server loads nothing of ours
    from consilience.server import DEFAULT_LIMITS, IncomingAsk, Node  # noqa: PLC0415

    limits = dataclasses.replace(DEFAULT_LIMITS, max_running_asks=1024, max_running_asks_per_caller=1024)
    node = Node(name="benchmark", limits=limits, data_policy=DataPolicy(max_data_class=DataClass.PUBLIC))

    @node.skill("bench.sentence")
    async def sentence(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield ANSWER

    @node.skill("bench.deltas")
    async def deltas(ask: IncomingAsk) -> AsyncIterator[str]:
        for _ in range(int(ask.text)):
            yield DELTA
            await asyncio.sleep(0)

    async with node.serving("127.0.0.1:0") as running:
        announce(ready, running.address)
        await asyncio.Event().wait()


async def serve_shop(ready: Path) -> None:
    """Serves a node on which the same two skills are free and paid."""
    from consilience.nodes import DataClass, DataPolicy  # noqa: PLC0415 - the raw server loads nothing of ours
    from consilience.rails.hold import HoldRail  # noqa: PLC0415
    from consilience.server import DEFAULT_LIMITS, IncomingAsk, Node  # noqa: PLC0415
    from consilience.server.payments import Offer, Payments  # noqa: PLC0415
    from consilience.tariffs import PricedUnit, Tariff, UnitPrice  # noqa: PLC0415

    limits = dataclasses.replace(DEFAULT_LIMITS, max_running_asks=1024, max_running_asks_per_caller=1024)
    payments = Payments(
        rails=(HoldRail(max_credit=1_000_000_000),),
        quotes_per_minute=100_000,
        sessions_per_minute=10_000,
        transfers_per_minute=100_000,
    )
    node = Node(name="shop", limits=limits, payments=payments, data_policy=DataPolicy(max_data_class=DataClass.PUBLIC))
    prices = (UnitPrice(unit=PricedUnit.REQUEST, price=5), UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1))
    tariff = Tariff(id="bytes", asset="TEST/0", prices=prices)
    offer = Offer(tariff=tariff, window=PAID_WINDOW, max_charge=PAID_MAX_CHARGE, max_asks=1_000_000)

    async def sentence(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield ANSWER

    async def deltas(ask: IncomingAsk) -> AsyncIterator[str]:
        for _ in range(int(ask.text)):
            yield DELTA
            await asyncio.sleep(DELTA_SECONDS)

    node.skill("free.sentence")(sentence)
    node.skill("paid.sentence", offers=[offer])(sentence)
    node.skill("paid.deltas", offers=[offer])(deltas)
    async with node.serving("127.0.0.1:0") as running:
        announce(ready, running.address)
        await asyncio.Event().wait()


def announce(ready: Path, address: str) -> None:
    """Writes the address, whole or not at all."""
    temporary = ready.with_suffix(".new")
    temporary.write_text(address)
    temporary.rename(ready)


SERVERS = {"raw": serve_raw, "node": serve_node, "shop": serve_shop}


def main() -> None:
    """Runs one of the servers until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(SERVERS))
    parser.add_argument("ready", type=Path, help="where to write the address")
    arguments = parser.parse_args()
    asyncio.run(SERVERS[arguments.kind](arguments.ready))


if __name__ == "__main__":
    main()
