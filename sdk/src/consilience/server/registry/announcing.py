"""Announcing: a node brings what registries shall hold of it to those that its card names.

That is each card that it issues and, where its root key is not its first, the successions that led to it; they come
first, since a registry that holds the card of the old key can compare.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from consilience.errors import ConsilienceError, RefusedError
from consilience.reviews import Record
from consilience.server.faults import log_fault
from consilience.server.registry.contract import passes
from consilience.server.registry.peers import Peer
from consilience.units import Digest

INTERVAL_SECONDS = 5.0
"""How often it is looked whether something is new, or still to be brought."""

_LOGGER = logging.getLogger(__name__)


class Announcer:
    """Brings records to registries, each time that there is a new one."""

    def __init__(self, registries: Mapping[str, Peer], *, records: Callable[[], Sequence[Record]]) -> None:
        """Has announced nothing yet.

        Args:
            registries: By address.
            records: Returns those of the present, in the order in which they are brought.
        """
        self._registries = registries
        self._records = records
        self._announced: dict[str, set[Digest]] = {address: set() for address in registries}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to bring them, now and whenever there is a new one."""
        if self._registries:
            self._task = asyncio.create_task(self._keep_announcing())

    async def close(self) -> None:
        """Stops; a second call does nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def announce(self) -> None:
        """Brings every registry what it does not have yet; who cannot be reached is tried again."""
        records = self._records()
        await asyncio.gather(*(self._bring(records, address) for address in self._registries))

    async def _bring(self, records: Sequence[Record], address: str) -> None:
        announced = self._announced[address]
        announced &= {record.digest for record in records}
        for record in records:
            if record.digest in announced:
                continue
            what = record.object.payload_type.rpartition(".")[2]
            try:
                outcome = await self._registries[address].publish(record)
            except RefusedError as error:
                if passes(error):
                    _LOGGER.info("the registry %s does not take the %s of this node yet: %s", address, what, error)
                    return
                _LOGGER.warning("the registry %s does not take the %s of this node: %s", address, what, error)
            except ConsilienceError as error:
                _LOGGER.info("the registry %s has not got the %s of this node yet: %s", address, what, error)
                return
            else:
                _LOGGER.info("the %s of this node is at %s: %s", what, address, outcome)
            announced.add(record.digest)

    async def _keep_announcing(self) -> None:
        while True:
            try:
                await self.announce()
            except Exception as error:  # noqa: BLE001 - the next time it may go well
                log_fault(_LOGGER, "this node could not be announced", error=error)
            await asyncio.sleep(INTERVAL_SECONDS)
