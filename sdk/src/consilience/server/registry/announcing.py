"""Announcing: a node brings each card that it issues to the registries that the card names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from consilience.envelopes import Signed
from consilience.errors import ConsilienceError, RefusedError
from consilience.nodes import NodeCard
from consilience.reviews import Record
from consilience.server.faults import log_fault
from consilience.server.registry.peers import Peer
from consilience.units import Digest

INTERVAL_SECONDS = 5.0
"""How often it is looked whether there is a new card, or one that is still to be brought."""

_LOGGER = logging.getLogger(__name__)


class Announcer:
    """Brings the present card to registries, each time that there is a new one."""

    def __init__(self, registries: Mapping[str, Peer], *, card: Callable[[], Signed[NodeCard]]) -> None:
        """Has announced nothing yet.

        Args:
            registries: By address.
            card: Returns the present card.
        """
        self._registries = registries
        self._card = card
        self._announced: dict[str, Digest] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to bring cards, now and whenever there is a new one."""
        if self._registries:
            self._task = asyncio.create_task(self._keep_announcing())

    async def close(self) -> None:
        """Stops; a second call does nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def announce(self) -> None:
        """Brings the card to every registry that does not have it yet; who cannot be reached is tried again."""
        card = self._card()
        waiting = [address for address in self._registries if self._announced.get(address) != card.digest]
        await asyncio.gather(*(self._bring(card, address) for address in waiting))

    async def _bring(self, card: Signed[NodeCard], address: str) -> None:
        try:
            outcome = await self._registries[address].publish(Record(object=card.envelope))
        except RefusedError as error:
            if error.retry_after is not None:
                return
            _LOGGER.warning("the registry %s does not take the card of this node: %s", address, error)
        except ConsilienceError as error:
            _LOGGER.info("the registry %s has not got the card of this node yet: %s", address, error)
            return
        else:
            _LOGGER.info("the card of this node is at %s: %s", address, outcome)
        self._announced[address] = card.digest

    async def _keep_announcing(self) -> None:
        while True:
            try:
                await self.announce()
            except Exception as error:  # noqa: BLE001 - the next time it may go well
                log_fault(_LOGGER, "the card could not be announced", error=error)
            await asyncio.sleep(INTERVAL_SECONDS)
