import asyncio
import gc

import pytest

from consilience.server.gates import REMEMBERED_GATES, Gates

GATE = bytes(16)


def name(number: int) -> bytes:
    return number.to_bytes(16)


async def is_open(gates: Gates, gate: bytes) -> bool:
    try:
        await asyncio.wait_for(gates.opened(gate), timeout=0.01)
    except TimeoutError:
        return False
    return True


async def test_a_gate_is_closed_until_it_is_opened_and_open_from_then_on() -> None:
    gates = Gates()
    assert not await is_open(gates, GATE)
    gates.open(GATE)
    assert await is_open(gates, GATE)
    assert await is_open(gates, GATE)
    assert not await is_open(gates, name(1))


async def test_whoever_waits_goes_on_though_the_gate_is_forgotten_at_once() -> None:
    gates = Gates()
    waiting = asyncio.create_task(gates.opened(GATE))
    await asyncio.sleep(0)
    for number in range(REMEMBERED_GATES + 1):
        gates.open(name(number))
    await asyncio.wait_for(waiting, timeout=1)
    assert not await is_open(gates, GATE)


async def test_the_gates_that_were_opened_last_are_remembered() -> None:
    gates = Gates()
    assert REMEMBERED_GATES >= 1024
    for number in range(REMEMBERED_GATES):
        gates.open(name(number))
    gates.open(name(0))  # once more, so it is now the last
    gates.open(name(REMEMBERED_GATES))
    assert await is_open(gates, name(0))
    assert not await is_open(gates, name(1))
    assert await is_open(gates, name(2))


@pytest.mark.parametrize("waiters", [1, 3])
async def test_a_gate_that_nobody_waits_for_any_more_takes_no_room(waiters: int) -> None:
    gates = Gates()
    waiting = [asyncio.create_task(gates.opened(GATE)) for _ in range(waiters)]
    await asyncio.sleep(0)
    assert len(gates._awaited) == 1
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    waiting.clear()
    del task
    gc.collect()
    assert len(gates._awaited) == 0
