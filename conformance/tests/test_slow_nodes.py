"""A node that is right, slow and small passes: no check needs a node that is quick, or works on many asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from consilience.identity import KeyPair
from consilience.nodes import Limits
from consilience.server import IncomingAsk, Node
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.planning import Order, prepare
from consilience_conformance.trial import Trial
from consilience_conformance.verdicts import Exit, RunResult, Verdict

PAUSE_SECONDS = 0.1
"""Three of them make an answer."""


HEALTHY = {Verdict.PASS, Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE}


def slow_node() -> Node:
    """Returns a node that takes its time, and works on two asks, of two callers."""
    limits = Limits(
        max_running_asks=2,
        max_running_asks_per_caller=1,
        max_readers_per_answer=2,
        max_message_bytes=64 * 1024,
        max_input_bytes=16 * 1024,
        max_run_time=timedelta(minutes=2),
    )
    node = Node("slow", key=KeyPair.generate(), limits=limits)

    @node.skill("say", domains=["talk"])
    async def say(_ask: IncomingAsk) -> AsyncIterator[str]:
        for word in ("one ", "at a ", "time"):
            await asyncio.sleep(PAUSE_SECONDS)
            yield word

    return node


def test_a_slow_node_that_works_on_one_ask_of_a_caller_passes_live() -> None:
    with serving_in_thread(slow_node()) as running:
        order = Order(address=running.address, tester_key=Path("unused"), mode="live", seed=1)
        run = asyncio.run(judged(order))
    told = {result.check: result.findings or result.because for result in run.results if result.verdict not in HEALTHY}
    assert told == {}
    assert run.exit is Exit.PASS


async def judged(order: Order) -> RunResult:
    return await Trial(await prepare(order)).run()
