"""Surroundings: what is lent to a run is given back as it was, however the run ends."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from conformance.tests.judged_nodes import talking_node
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import reach


async def _read(pipe: int) -> bytes:
    """Returns what a pipe brings, or nothing where nobody can write into it any more."""
    while True:
        with suppress(BlockingIOError):
            return os.read(pipe, 100)
        await asyncio.sleep(0.01)


async def test_a_restart_that_is_given_up_leaves_nothing_running(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    surroundings = Surroundings(restart_command=f"exec 3>{pipe}; echo begun >&3; sleep 600; true")
    try:
        with serving_in_thread(talking_node()) as running:
            restarting = asyncio.create_task(surroundings.restart(await reach(running.address)))
            said = b""
            async with asyncio.timeout(20):
                while not said:
                    said = await _read(reading)
                    await asyncio.sleep(0.01)
            restarting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await restarting
        async with asyncio.timeout(20):
            assert await _read(reading) == b""
    finally:
        os.close(reading)
