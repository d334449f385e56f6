"""Peers: other registries, as a node reaches them. How it does so is said by whoever puts the node together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from consilience.reviews import PublishOutcome, Record
from consilience.units import Digest


class Peer(Protocol):
    """Another registry.

    Every method raises `RefusedError` where it says no, `ProtocolError` where it says what cannot be, and
    `TransportError` where it cannot be reached.
    """

    def digests(self, cursor: bytes) -> AsyncIterator[tuple[tuple[Digest, ...], bytes]]:
        """Yields the digests of what it has taken in from behind a cursor, each time with the cursor behind them."""

    async def record(self, digest: Digest) -> Record:
        """Returns a record, unverified."""

    async def publish(self, record: Record) -> PublishOutcome:
        """Brings it a record."""


Peers = Callable[[str], Peer]
"""Returns the registry at an address, `cn1…@host:port` or `https://host:port`."""
