"""SIGTERM as Ctrl-C: whoever ends a self-test ends all that it started."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

Value = TypeVar("Value")


async def until_told_to_end(work: Coroutine[None, None, Value]) -> Value:
    """Returns what some work returns.

    Raises:
        KeyboardInterrupt: A signal came; the work was cancelled and has cleared up.
    """
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
