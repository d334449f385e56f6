"""Processes that are measured: started, watched, and ended by their id."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 60.0
LAST_WORDS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server process and where it is reached."""

    address: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Returns the processor time that the process has used, user and system."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextlib.asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[Served]:
    """Runs `python -m <arguments> <ready file>` until the block is left.

    Raises:
        RuntimeError: The process ended, or wrote no address in time.
    """
    with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
        ready, output = Path(folder) / "ready", Path(folder) / "output"
        with output.open("wb") as said:
            command = [sys.executable, "-m", *arguments, str(ready)]
            process = subprocess.Popen(command, stdout=said, stderr=said)  # noqa: ASYNC220 - once, at the start
        try:
            async with asyncio.timeout(START_SECONDS):
                while not ready.exists():
                    if process.poll() is not None:
                        raise RuntimeError(f"{' '.join(arguments)} ended: {output.read_text()[-LAST_WORDS:]}")
                    await asyncio.sleep(0.02)
            yield Served(address=ready.read_text(), process=psutil.Process(process.pid))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
