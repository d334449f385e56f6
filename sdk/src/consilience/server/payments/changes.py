"""Changes: wakes answers that stand still once their session may cover them again (PAY-STOP-001).

Told of in this process alone; what another replica takes in is seen by looking at the ledger again now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from consilience.units import Digest


class Changes:
    """Tells those who wait that an account has changed."""

    def __init__(self) -> None:
        self._waiting: dict[Digest, set[asyncio.Event]] = {}

    def announce(self, session_id: Digest) -> None:
        """Says that a session may have more authority than before."""
        for event in self._waiting.get(session_id, ()):
            event.set()

    @contextmanager
    def watching(self, session_id: Digest) -> Iterator[asyncio.Event]:
        """Gives an event that is set by each change of a session; clear it before you look, and wait for it after."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(session_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting and self._waiting.get(session_id) is waiting:
                del self._waiting[session_id]
