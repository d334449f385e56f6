"""Turns: what many publishers bring at one time goes into the store in one transaction, and waits for one disk.

While one transaction runs, those who come meanwhile gather for the next. A store takes each record by itself in any
case; and where it breaks at one, by a defect of ours, what others brought is brought again without it. So nobody's
records fail for those of another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass

from consilience.reviews import Placed
from consilience.server.registry.contract import Admission
from consilience.server.store.contract import StoreError

MAX_TOGETHER = 256
"""Records of one transaction, so that the first does not wait for ever new ones; a publisher's stay together."""

Admit = Callable[[Sequence[Placed]], Coroutine[None, None, tuple[Admission, ...]]]


@dataclass(slots=True, eq=False)
class _Brought:
    """What one publisher brings, and what became of it."""

    records: Sequence[Placed]
    outcomes: tuple[Admission, ...] = ()
    error: Exception | None = None
    is_done: bool = False


class Turns:
    """Brings records to a store, those of all who wait together."""

    def __init__(self, admit: Admit) -> None:
        """Brings nothing yet.

        Args:
            admit: Takes records in, one after the other, and tells what became of each.
        """
        self._admit = admit
        self._turn = asyncio.Lock()
        self._waiting: list[_Brought] = []

    async def bring(self, records: Sequence[Placed]) -> tuple[Admission, ...]:
        """Brings records when it is their turn, and tells what became of each.

        Whoever gives up while it brings those of others leaves them to the next in turn, which brings them again.

        Raises:
            Exception: Whatever the store raised.
        """
        mine = _Brought(records)
        self._waiting.append(mine)
        try:
            async with self._turn:
                if not mine.is_done:
                    await self._bring_those_who_wait()
        finally:
            with suppress(ValueError):  # it was brought, and so waits no more
                self._waiting.remove(mine)
        if mine.error is not None:
            raise mine.error
        return mine.outcomes

    async def _bring_those_who_wait(self) -> None:
        group = self._next_group()
        try:
            if not await self._is_brought(group):
                for brought in group:
                    await self._is_brought([brought])
        finally:
            self._waiting = [brought for brought in self._waiting if not brought.is_done]

    async def _is_brought(self, group: Sequence[_Brought]) -> bool:
        """Brings records in one transaction; False: it broke at those of one of several, and none are in the store."""
        try:
            outcomes = await self._admit([placed for brought in group for placed in brought.records])
        except Exception as error:  # noqa: BLE001 - all whose records were among them hear of it
            if len(group) > 1 and not isinstance(error, StoreError):
                return False
            for brought in group:
                brought.error, brought.is_done = error, True
            return True
        start = 0
        for brought in group:
            end = start + len(brought.records)
            brought.outcomes, brought.is_done, start = outcomes[start:end], True, end
        return True

    def _next_group(self) -> list[_Brought]:
        group = self._waiting[:1]
        count = len(group[0].records)
        for brought in self._waiting[1:]:
            count += len(brought.records)
            if count > MAX_TOGETHER:
                break
            group.append(brought)
        return group
