"""Load: processes that keep every processor busy, so that a judge which is in a hurry is found out.

Each ends with the block, and with this process, however that ends: it spins until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from consilience_conformance.selftest.specimens import end

_SPIN = """
import os, sys, threading

def end_with_the_parent():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end_with_the_parent, daemon=True).start()
while True:
    pass
"""


@asynccontextmanager
async def loaded(processors: int) -> AsyncIterator[None]:
    """Keeps so many processors busy while the block runs."""
    async with AsyncExitStack() as stack:
        for _ in range(processors):
            await stack.enter_async_context(_spinning())
        yield


@asynccontextmanager
async def _spinning() -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SPIN, stdin=PIPE)
    try:
        yield
    finally:
        await end(process)
