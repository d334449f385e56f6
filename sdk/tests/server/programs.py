"""Nodes in processes of their own, to be signalled and killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Self

_START = """
from pathlib import Path
import sys
folder = Path(sys.argv[1])
exec(compile(sys.argv[2], "program", "exec"))
node.run("127.0.0.1:0", ready=lambda running: print(running.port, flush=True))
print("drained", flush=True)
"""


class Program:
    """A process that runs a node; whoever starts it ends it."""

    def __init__(self, process: asyncio.subprocess.Process, output: asyncio.StreamReader, port: int) -> None:
        self.process = process
        self.port = port
        self._output = output

    @classmethod
    async def start(cls, body: str, *, folder: Path) -> Self:
        """Starts a program.

        Args:
            body: Python that makes `node`; `folder` is at hand.
            folder: Holds what the node keeps.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _START, str(folder), body, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        return cls(process, process.stdout, int(await process.stdout.readline()))

    async def end(self) -> tuple[int, bytes]:
        """Waits for the end, and returns the exit code and what was printed after the port."""
        rest = await self._output.read()
        return await self.process.wait(), rest

    async def kill(self) -> None:
        """Ends it as a power cut does."""
        self.process.kill()
        await self.end()
