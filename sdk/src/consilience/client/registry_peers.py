"""Registry peers: other registries, as one that follows them or a node that announces its card reaches them (4.7).

A node of the server toolkit does not know how to call anybody; it is given this.

>>> async with RegistryPeers() as peers:
...     Node("desk", registries=["cn1…@registry.example:7341"], peers=peers).run("127.0.0.1:7341")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import grpc

from consilience._wire import registries as wire
from consilience._wire.errors import error_from_rpc
from consilience.client.card_memory import CardMemory, default_card_file
from consilience.client.cards import Cards
from consilience.client.connections import Connection, Connections
from consilience.client.peers import held_to_protocol
from consilience.errors import ProtocolError, TransportError
from consilience.nodes import NodeAddress
from consilience.reviews import PublishOutcome, Record
from consilience.units import Digest, utc_now

CALL_SECONDS = 10.0
STREAM_SECONDS = 600.0
"""A feed that takes longer is broken off, and goes on behind its last cursor."""

CARD_MAX_AGE = timedelta(minutes=5)
DIGEST_BYTES = 32
MAX_DIGESTS = 1000
MAX_CURSOR_BYTES = 256


class RegistryPeers:
    """Reaches registries by their addresses, over connections that it shares among them and closes at the end.

    Args:
        card_file: Where the cards seen are remembered, against roll-back; the user's state folder, unless you say.
        clock: Tells the aware UTC time.
    """

    def __init__(self, *, card_file: Path | None = None, clock: Callable[[], datetime] = utc_now) -> None:
        self._connections = Connections(connect_seconds=CALL_SECONDS)
        self._cards = Cards(
            self._connections,
            memory=CardMemory(card_file or default_card_file()),
            clock=clock,
            max_age_seconds=CARD_MAX_AGE.total_seconds(),
            fetch_seconds=CALL_SECONDS,
        )

    def __call__(self, address: str) -> RegistryPeer:
        """Returns the registry at an address, which is not called yet.

        Raises:
            AddressInvalidError: It is none.
        """
        return RegistryPeer(NodeAddress.parse(address), cards=self._cards)

    async def close(self) -> None:
        """Closes the connections."""
        await self._cards.close()
        await self._connections.close()

    async def __aenter__(self) -> Self:
        """Returns itself; connections are made at their first use."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.close()


class RegistryPeer:
    """One registry. Made by `RegistryPeers`.

    Every method raises `RefusedError` where the registry says no, `ProtocolError` where it says what cannot be, and
    `TransportError` where it cannot be reached.
    """

    def __init__(self, address: NodeAddress, *, cards: Cards) -> None:
        """Names the registry."""
        self._address = address
        self._cards = cards
        self._lost = False

    async def digests(self, cursor: bytes) -> AsyncIterator[tuple[tuple[Digest, ...], bytes]]:
        """Yields the digests of what it has taken in from behind a cursor, each time with the cursor behind them."""
        connection = await self._connection()
        stream = connection.stream(_method("SyncRecords"), wire.encode_sync(cursor), seconds=STREAM_SECONDS)
        try:
            async for response in stream:
                with held_to_protocol():
                    digests, behind = wire.decode_digests(response)
                _check_digests(digests, behind=behind)
                yield digests, behind
        except grpc.RpcError as error:
            failure = error_from_rpc(error)
            self._lost = isinstance(failure, TransportError)
            raise failure from error
        finally:
            stream.cancel()

    async def record(self, digest: Digest) -> Record:
        """Returns a record, unverified."""
        response = await self._call("GetRecord", wire.encode_get(digest))
        with held_to_protocol():
            return wire.decode_record(response)

    async def publish(self, record: Record) -> PublishOutcome:
        """Brings it a record."""
        response = await self._call("PublishRecord", wire.encode_publish(record))
        with held_to_protocol():
            return wire.decode_outcome(response)

    async def _call(self, method: str, request: bytes) -> bytes:
        connection = await self._connection()
        try:
            return await connection.call(_method(method), request, seconds=CALL_SECONDS)
        except TransportError:
            self._lost = True
            raise

    async def _connection(self) -> Connection:
        """Returns the connection that is there, or after a failure another look at the registry."""
        route = await (self._cards.refreshed(self._address) if self._lost else self._cards.route(self._address))
        self._lost = False
        return route.connection


def _method(name: str) -> str:
    return f"{wire.REGISTRY_SERVICE}/{name}"


def _check_digests(digests: tuple[Digest, ...], *, behind: bytes) -> None:
    """Checks the declared constraints of a response.

    Raises:
        ProtocolError: It breaks one.
    """
    sized = 1 <= len(digests) <= MAX_DIGESTS and 1 <= len(behind) <= MAX_CURSOR_BYTES
    if not sized or any(len(digest) != DIGEST_BYTES for digest in digests):
        raise ProtocolError("the registry sent digests or a cursor that break their rules", requirement="ERR-FLD-001")
