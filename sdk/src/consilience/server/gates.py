"""Gates: what scripted answers wait for and open, by names of 16 random bytes (spec section 7.1).

Whoever knows the name of a gate may open it, before anyone waits there or after. The gates are those of one replica.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

REMEMBERED_GATES = 4096
"""How many open gates are remembered, those that were opened last. The specification asks for 1024."""


class Gates:
    """The gates of a node."""

    def __init__(self) -> None:
        self._open: dict[bytes, None] = {}
        # Kept alive by those who wait, so a gate that nobody waits for any more is forgotten.
        self._awaited: WeakValueDictionary[bytes, asyncio.Event] = WeakValueDictionary()

    def open(self, gate: bytes) -> None:
        """Opens a gate for whoever waits there, and for those who will."""
        self._open.pop(gate, None)
        self._open[gate] = None
        if len(self._open) > REMEMBERED_GATES:
            del self._open[next(iter(self._open))]
        if (event := self._awaited.get(gate)) is not None:
            event.set()

    async def opened(self, gate: bytes) -> None:
        """Returns when a gate is open."""
        if gate in self._open:
            return
        event = self._awaited.get(gate)
        if event is None:
            event = self._awaited[gate] = asyncio.Event()
        await event.wait()
