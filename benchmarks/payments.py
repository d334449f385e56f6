"""What it costs to be paid: paid asks against free ones, and how often a paid answer stands still."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.pairs import Ratio, in_turn, ratio_of
from benchmarks.processes import Served, serving
from benchmarks.servers import CREDIT
from benchmarks.signatures import measure_signatures
from consilience import Budget, Client
from consilience.asks import PaymentNeeded, TextDelta
from consilience.client.payments import Wallet
from consilience.identity import KeyPair
from consilience.rails.hold import HoldPayer

IN_FLIGHT = 32
ASKS = 600
STREAMS = 16
DELTAS = 250
ROUNDS = 7
STALL_ROUNDS = 3

QUESTION = "What is a heisenbug?"


async def measure_payments() -> list[Ratio]:
    """Measures every ratio of paid asks, by the real client at a node process that keeps its books in memory."""
    async with serving("benchmarks.servers", "shop") as shop:
        async with _customer(Wallet.in_memory()) as client:
            ratios = [await _paid_vs_free(client, shop, name="paid_vs_free", goal=0.5), await _stalls(client, shop)]
            (session,) = await client.payments.sessions()
            receipts = await client.payments.receipts(session.session_id)
        with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
            async with _customer(Path(folder) / "wallet.sqlite") as client:
                ratios.append(await _paid_vs_free(client, shop, name="paid_vs_free on disk", goal=None))
    return [*ratios, *await measure_signatures(receipts)]


@asynccontextmanager
async def _customer(wallet: Wallet | Path) -> AsyncIterator[Client]:
    """Pays on credit, so that no deposit is among what is measured."""
    budget = Budget(per_ask="5000 TEST/0", per_day=f"{CREDIT} TEST/0")
    rails = [HoldPayer(max_credit=CREDIT, prepaid=False)]
    async with Client(KeyPair.generate(), budget=budget, wallet=wallet, rails=rails) as client:
        yield client


async def _paid_vs_free(client: Client, shop: Served, *, name: str, goal: float | None) -> Ratio:
    async def rate(skill: str) -> float:
        """Returns asks per second with a fixed number in flight."""
        numbers = iter(range(ASKS))

        async def worker() -> None:
            for _ in numbers:
                await client.ask(QUESTION, node=shop.address, skill=skill)

        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        return ASKS / (time.perf_counter() - started)

    pairs = await in_turn(lambda: rate("paid.sentence"), lambda: rate("free.sentence"), rounds=ROUNDS)
    return ratio_of(pairs, name=name, unit=f"asks/s at {IN_FLIGHT} in flight", goal=goal, higher_is_better=True)


async def _stalls(client: Client, shop: Served) -> Ratio:
    """Counts how often answers wait for vouchers of a client that follows the Meters, as a model writes."""

    async def read() -> tuple[int, int]:
        stalls = deltas = 0
        async with client.stream(str(DELTAS), node=shop.address, skill="paid.deltas") as stream:
            async for entry in stream.events():
                match entry.event:
                    case PaymentNeeded():
                        stalls += 1
                    case TextDelta():
                        deltas += entry.sequence - entry.first_sequence + 1
        return stalls, deltas

    pairs = []
    for _ in range(STALL_ROUNDS):
        counts = await asyncio.gather(*(read() for _ in range(STREAMS)))
        pairs.append((float(sum(stalls for stalls, _ in counts)), sum(deltas for _, deltas in counts) / 1000))
    return ratio_of(
        pairs,
        name="stalls",
        unit=f"PaymentNeeded (thousands of deltas), {STREAMS} streams",
        goal=0.0,
        higher_is_better=False,
    )
