"""Announcing: a node brings what registries shall hold of it to those that its card names.

That is each card that it issues and, where its root key is not its first, the successions that led to it; they come
first, since a registry that holds the card of the old key can compare. From time to time all of it is brought again: a
registry that has lost its records, or had a clock by which they had ended, would know nothing of the node until its
next card.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence

from consilience.errors import ConsilienceError, RefusedError
from consilience.reviews import PublishOutcome, Record
from consilience.server.faults import log_fault
from consilience.server.registry.contract import passes
from consilience.server.registry.peers import Peer
from consilience.units import Digest

INTERVAL_SECONDS = 5.0
"""How often it is looked whether something is new, or still to be brought."""

AGAIN_SECONDS = 900.0
"""How often a registry is brought what it has taken already, or refused."""

_LOGGER = logging.getLogger(__name__)


class Announcer:
    """Brings records to registries, each time that there is a new one."""

    def __init__(
        self,
        registries: Mapping[str, Peer],
        *,
        records: Callable[[], Sequence[Record]],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Has announced nothing yet.

        Args:
            registries: By address.
            records: Returns those of the present, in the order in which they are brought.
            elapsed: Tells the seconds since some moment.
        """
        self._registries = registries
        self._records = records
        self._elapsed = elapsed
        self._announced: dict[str, dict[Digest, float]] = {address: {} for address in registries}
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
        """Brings every registry what it may not have; who cannot be reached is tried again."""
        records = self._records()
        await asyncio.gather(*(self._bring(records, address) for address in self._registries))

    async def _bring(self, records: Sequence[Record], address: str) -> None:
        now, announced = self._elapsed(), self._announced[address]
        for gone in announced.keys() - {record.digest for record in records}:
            del announced[gone]
        for record in records:
            if now - announced.get(record.digest, -math.inf) < AGAIN_SECONDS:
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
                if outcome is not PublishOutcome.KNOWN or record.digest not in announced:
                    _LOGGER.info("the %s of this node is at %s: %s", what, address, outcome)
            announced[record.digest] = now

    async def _keep_announcing(self) -> None:
        while True:
            try:
                await self.announce()
            except Exception as error:  # noqa: BLE001 - the next time it may go well
                log_fault(_LOGGER, "this node could not be announced", error=error)
            await asyncio.sleep(INTERVAL_SECONDS)
