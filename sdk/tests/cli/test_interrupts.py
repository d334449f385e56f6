"""A second Ctrl-C ends a command at once, in whatever task it comes, and shows nobody a stack trace."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consilience.testing import serving_in_thread
from sdk.tests.client.payments.shops import Shop

PROGRAM = """
import asyncio, signal, sys
from consilience.cli.interrupts import Interrupts

async def beside():
    try:
        await asyncio.sleep(60)
    finally:
        signal.raise_signal(signal.SIGINT)

async def main():
    task = asyncio.create_task(beside())
    await asyncio.sleep(0)
    signal.raise_signal(signal.SIGINT)
    try:
        await asyncio.sleep(60)
    finally:
        task.cancel()
        await asyncio.sleep(60)

if "heeding" in sys.argv:
    Interrupts().heed()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("ended")
"""


def ended(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_a_second_interrupt_in_a_task_beside_shows_no_stack_trace() -> None:
    heeding, heedless = ended("heeding"), ended()
    assert (heeding.stdout, heeding.stderr) == ("ended\n", "")
    assert "KeyboardInterrupt" in heedless.stderr, "asyncio says nothing of it any more: the filter can go"


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_of_a_paid_ask_says_what_it_may_have_cost(
    environment: dict[str, str], tmp_path: Path, times: int
) -> None:
    command = [str(Path(sys.executable).parent / "consilience"), "ask", "?", "--skill", "stall"]
    with serving_in_thread(Shop().node) as running:
        process = subprocess.Popen(
            [*command, "--node", running.address, "--budget", "500 TEST/0"],
            env=environment | {"PYTHONUNBUFFERED": "1"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.read(6) == "word00"
        for _ in range(times):
            os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    told, interrupted = filter(None, stderr.splitlines())
    assert told.startswith("the ask was left; the node may charge up to ")
    assert " TEST for it, and has counted " in told
    assert interrupted == "interrupted"
