"""Watches: how long a user waits for an answer, for its first text and for all of it.

Only waiting counts. What a user does with one event before reading the next is the user's time and not the node's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from consilience.errors import AnswerTimeoutError, FirstTokenTimeoutError, TransportError

LONGEST_CALL_SECONDS = 600.0
"""Bounds one call; a longer answer is read by several, each behind the last. The watch ends a call sooner by itself: a
call's own deadline would count the time of the user as well."""


def _nobody() -> None:
    """Is interrupted where nobody reads."""


class Watch:
    """Tells when the patience of a user ends. Costs two looks at the clock per event; one timer runs at a time.

    Args:
        total_seconds: Until the answer is there, or None.
        first_text_seconds: Until its first text is there, or None.
    """

    def __init__(self, *, total_seconds: float | None, first_text_seconds: float | None) -> None:
        self._total_seconds = total_seconds
        self._first_text_seconds = first_text_seconds
        self._total_at: float | None = None
        self._first_text_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rests_since: float | None = None
        self._rang = False  # while nobody waited
        self._interrupt: Callable[[], None] = _nobody
        self.error: TransportError | None = None

    def start(self, interrupt: Callable[[], None]) -> None:
        """Begins to count. `interrupt` is called once when the patience ends, after `error` was set."""
        now = asyncio.get_running_loop().time()
        self._interrupt = interrupt
        self._total_at = None if self._total_seconds is None else now + self._total_seconds
        self._first_text_at = None if self._first_text_seconds is None else now + self._first_text_seconds
        self._arm()

    def rest(self) -> None:
        """Notes that nobody waits for the node now."""
        self._rests_since = asyncio.get_running_loop().time()

    def go_on(self) -> None:
        """Notes that somebody waits for the node again."""
        if self._rests_since is None:
            return
        rested = asyncio.get_running_loop().time() - self._rests_since
        self._rests_since = None
        if self._total_at is not None:
            self._total_at += rested
        if self._first_text_at is not None:
            self._first_text_at += rested
        if self._rang:
            self._arm()

    def text_came(self) -> None:
        """Notes that there is text: from now on only the whole counts."""
        if self._first_text_at is not None:
            self._first_text_at = None
            self._arm()

    def stop(self) -> None:
        """Ends the watch, and lets go of whom it would have interrupted."""
        self._disarm()
        self._interrupt = _nobody

    @property
    def ends_at(self) -> float | None:
        """When the patience ends, by the clock of the loop."""
        moments = [moment for moment in (self._first_text_at, self._total_at) if moment is not None]
        return min(moments, default=None)

    @property
    def seconds_left(self) -> float | None:
        """How much is left for the whole answer, or None where that is not bounded."""
        if self._total_at is None:
            return None
        return max(self._total_at - asyncio.get_running_loop().time(), 0.0)

    def expired(self) -> TransportError:
        """Returns the error of the patience that ended."""
        if self._first_text_at is not None and self._first_text_at == self.ends_at:
            return FirstTokenTimeoutError(f"no text came within {self._first_text_seconds:g} s of waiting for it")
        return AnswerTimeoutError(f"the answer was not there within {self._total_seconds or 0:g} s of waiting for it")

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._disarm()
        self._rang = False
        if (ends_at := self.ends_at) is not None:
            self._timer = asyncio.get_running_loop().call_at(ends_at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._rests_since is not None:
            self._rang = True
        elif (ends_at := self.ends_at) is not None and ends_at > asyncio.get_running_loop().time():
            self._arm()
        else:
            self._expire()

    def _expire(self) -> None:
        self.error = self.expired()
        self._interrupt()
