"""Backoff: how long to wait before the next attempt, and when to stop trying."""

from __future__ import annotations

import os
import time
from typing import Self

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 5.0
ATTEMPTS_BEFORE_PROGRESS = 5
PATIENCE_SECONDS = 60.0


class Backoff:
    """Counts failures since the last progress. Pauses double, and are shortened by up to a half at random.

    An ask that never brought an event is given up after a few attempts, so that its user hears of a dead node soon. An
    answer that began is worth more patience: the node keeps it, and may be starting again.
    """

    __slots__ = ("_began", "_broken_at", "_told_to_wait_at", "failures")

    def __init__(self) -> None:
        self._began = False
        self.failures = 0
        self._broken_at = 0.0
        self._told_to_wait_at: float | None = None

    def progress(self) -> None:
        """Notes that an event arrived."""
        self._began = True
        self.failures = 0

    def failure(self) -> Self:
        """Notes a failed attempt."""
        if not self.failures:
            self._broken_at = time.monotonic()
        self.failures += 1
        return self

    @property
    def is_hopeless(self) -> bool:
        """Whether to stop trying."""
        if self._began:
            return time.monotonic() - self._broken_at > PATIENCE_SECONDS
        return self.failures >= ATTEMPTS_BEFORE_PROGRESS

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next attempt."""
        longest: float = min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS)
        return longest * (0.5 + os.urandom(1)[0] / 512)

    def may_wait(self, seconds: float) -> bool:
        """Tells whether to wait as long as a node asks for, where the user bounds nothing."""
        now = time.monotonic()
        if self._told_to_wait_at is None:
            self._told_to_wait_at = now
        return now + seconds - self._told_to_wait_at <= PATIENCE_SECONDS
