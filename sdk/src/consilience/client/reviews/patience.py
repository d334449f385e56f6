"""Patience: how long one question waits for one registry in all, however often that is called for it.

A registry may answer in time, one page after the other, for ever; no bound of a single call ends that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consilience.errors import AnswerTimeoutError

CALLS_WAITED_FOR = 3
"""How many times the bound of a call one question waits for one registry: to read it, and to hand in what it lacks."""


class Patience:
    """What is left of the time of one question for one registry. Time in which it is not waited for costs nothing.

    Args:
        seconds: All of it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = seconds

    @property
    def left(self) -> float:
        """What is left, in seconds."""
        return max(self._left, 0.0)

    @asynccontextmanager
    async def spent(self) -> AsyncIterator[None]:
        """Counts what is waited for within, and breaks it off where nothing is left.

        Raises:
            AnswerTimeoutError: It was broken off.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.left):
                yield
        except TimeoutError as error:
            raise AnswerTimeoutError(
                f"the registry took more than the {self._seconds:g} s that one question waits for it in all"
            ) from error
        finally:
            self._left -= time.monotonic() - began
