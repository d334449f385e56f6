"""A stage leaves no work behind, bears silence for so long and no longer, and keeps of large requests the beginning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from conformance.tests.judged_nodes import talking_node, write_grant
from consilience.identity import KeyPair
from consilience.testing.nodes import serving_in_thread
from consilience.v1 import ask_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.planning import Order, prepare
from consilience_conformance.rules.endings import ending_of, snapshot_of
from consilience_conformance.runner import Plan
from consilience_conformance.stage import LEAST_BUDGET_SECONDS, PATIENCE_BUDGETS, Stage, accepted, token, wait
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import KEPT_REQUEST_BYTES, Exchange, Transcript


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Order]:
    """Yields how a node with scripts is to be judged."""
    key = KeyPair.generate()
    with serving_in_thread(talking_node(key=key, conformance=True)) as running:
        tester_key, grant = write_grant(tmp_path, key=key)
        yield Order(address=running.address, tester_key=tester_key, grant=grant)


@asynccontextmanager
async def staged(plan: Plan, *, callers: tuple[Caller, ...], budget: float = 10.0) -> AsyncIterator[Stage]:
    subject = plan.scripted or plan.live
    assert subject is not None
    stage = Stage(
        target=plan.target,
        subject=subject,
        callers=callers,
        grant=plan.grant,
        random=Random(1),  # noqa: S311 - nothing is kept secret by it
        budget=budget,
        transcript=Transcript(check="a-check"),
        surroundings=Surroundings(),
    )
    try:
        yield stage
    finally:
        await stage.close()


async def ending(plan: Plan, ask: ask_pb2.Ask, *, caller: Caller) -> str:
    """Returns how an answer has ended, as its caller finds it later."""
    async with staged(plan, callers=(caller,)) as stage:
        snapshot = snapshot_of(await stage.get("get", ask))
    assert snapshot is not None
    return ending_of(ask_pb2.Answer.FromString(snapshot.final.answer.payload)) if snapshot.HasField("final") else "runs"


@pytest.mark.parametrize("which", [0, 1])
async def test_what_a_check_leaves_at_a_gate_is_stopped_in_the_name_of_its_caller(orders: Order, which: int) -> None:
    plan = await prepare(orders)
    callers = tuple(plan.testers[:2])
    async with staged(plan, callers=callers) as stage:
        ask = stage.ask(token("so far"), wait(stage.gate()), caller=callers[which])
        await stage.send("ask", ask, caller=callers[which], until=accepted)
    assert await ending(plan, ask, caller=callers[which]) == "CANCELLED CANCELLED"
    assert [exchange.name for exchange in stage.transcript.exchanges] == ["ask"]


async def test_what_was_seen_to_its_end_is_left_alone(orders: Order) -> None:
    plan = await prepare(orders)
    async with staged(plan, callers=(plan.testers[0],)) as stage:
        ask = stage.ask(token("all of it"))
        await stage.send("ask", ask)
        await stage.let_go()
    assert await ending(plan, ask, caller=plan.testers[0]) == "ANSWERED COMPLETE"


async def test_a_check_that_lets_go_may_ask_again(orders: Order) -> None:
    plan = await prepare(orders)
    async with staged(plan, callers=(plan.testers[0],)) as stage:
        first = stage.ask(wait(stage.gate()))
        await stage.send("first", first, until=accepted)
        await stage.let_go()
        meanwhile = snapshot_of(await stage.get("get", first))
        assert meanwhile is not None
        assert meanwhile.HasField("final")
        assert (await stage.send("second", stage.ask())).accepted


async def test_a_node_that_hangs_is_let_go_of_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience_conformance.departures.LET_GO_SECONDS", 0.2)
    async with DEGENERATE["card-and-hang"].serving() as address:
        plan = await prepare(Order(address=address, tester_key=Path("unused")))
        async with staged(plan, callers=(Caller.new(),), budget=0.2) as stage:
            await stage.send("ask", stage.ask())
        assert [exchange.name for exchange in stage.transcript.exchanges] == ["ask"]


async def test_silence_that_was_borne_shortens_what_is_borne_later() -> None:
    async with DEGENERATE["card-and-hang"].serving() as address:
        plan = await prepare(Order(address=address, tester_key=Path("unused")))
        async with staged(plan, callers=(Caller.new(),), budget=2 * LEAST_BUDGET_SECONDS) as stage:
            assert stage.budget == 2 * LEAST_BUDGET_SECONDS
            for index in range(PATIENCE_BUDGETS):
                await stage.get(f"get-{index}", bytes(16))
            assert stage.budget == LEAST_BUDGET_SECONDS


@pytest.mark.parametrize(("size", "kept"), [(KEPT_REQUEST_BYTES, False), (KEPT_REQUEST_BYTES + 1, True)])
async def test_of_a_large_request_the_beginning_its_size_and_its_digest_are_kept(
    orders: Order, *, size: int, kept: bool
) -> None:
    plan = await prepare(orders)
    request = b"\xc2\x3e" + bytes([0x80 | (size - 5) & 0x7F, 0x80 | (size - 5) >> 7 & 0x7F, (size - 5) >> 14])
    request += b"x" * (size - 5)
    async with staged(plan, callers=(plan.testers[0],)) as stage:
        exchange = await stage.call("card", GET_NODE_CARD, request, abridged=True)
        whole = await stage.call("whole", GET_NODE_CARD, request)
    assert exchange.accepted
    assert whole.request == request
    assert exchange.request == request[:KEPT_REQUEST_BYTES]
    assert (exchange.whole is not None) == kept
    if exchange.whole is not None:
        assert exchange.whole.size_bytes == size
        assert exchange.whole.sha256 == hashlib.sha256(request).hexdigest()
    again = Exchange.from_json(json.loads(json.dumps(exchange.to_json())))
    assert again == replace(exchange, **{name: getattr(again, name) for name in ("began", "ended_at", "responses")})
