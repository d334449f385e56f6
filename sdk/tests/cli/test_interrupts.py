"""A second Ctrl-C ends a command at once, in whatever task it comes, and shows nobody a stack trace."""

import signal
import subprocess
import sys

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
