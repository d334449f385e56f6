"""Where the pieces of one generation wait for their reader."""

from __future__ import annotations

import asyncio
from collections import deque

from consilience_node.engines.errors import EngineError
from consilience_node.engines.interface import Completion, Piece


class Mailbox:
    """An ordered queue with one reader; what a slow reader left lying comes as one piece.

    The generation does not wait for its reader: the limit of its output bounds the queue.
    """

    def __init__(self) -> None:
        self._items: deque[Piece | Completion | EngineError] = deque()
        self._filled = asyncio.Event()

    def put(self, item: Piece | Completion | EngineError) -> None:
        """Adds an item; a `Completion` or an error must be the last."""
        last = self._items[-1] if self._items else None
        if isinstance(last, Piece) and isinstance(item, Piece):
            self._items[-1] = _joined(last, item)
        else:
            self._items.append(item)
        self._filled.set()

    async def take(self) -> Piece | Completion:
        """Waits for the next item.

        Raises:
            EngineError: the generation failed.
        """
        await self._filled.wait()
        item = self._items.popleft()
        if not self._items:
            self._filled.clear()
        if isinstance(item, EngineError):
            raise item
        return item


def _joined(one: Piece, other: Piece) -> Piece:
    unknown = one.logprob is None or other.logprob is None
    return Piece(
        text=one.text + other.text,
        tokens=one.tokens + other.tokens,
        logprob=None if unknown else (one.logprob or 0.0) + (other.logprob or 0.0),
    )
