"""Routes: a node whose card was verified, and the endpoint on which it is being reached."""

from __future__ import annotations

import asyncio
import time

from consilience.client.connections import Connection, Connections
from consilience.envelopes import Signed
from consilience.errors import Redirect, TransportError, UnreachableError, WrongReplicaError
from consilience.nodes import Endpoint, NodeCard


class Route:
    """The way to a node. Every stream to the node shares it, and so what one finds out about the way helps all.

    Attributes:
        card: The verified card.
        card_digest: Its digest, which every ask names and nobody needs to compute each time.
        fetched_at: When the card was had, by the monotonic clock.
        connection: The one in use.
    """

    def __init__(
        self,
        card: Signed[NodeCard],
        *,
        connections: Connections,
        endpoints: tuple[Endpoint, ...],
        connection: Connection,
    ) -> None:
        self.card = card
        self.card_digest = card.digest
        self.fetched_at = time.monotonic()
        self.connection = connection
        self._connections = connections
        self._endpoints = endpoints
        self._recovering = asyncio.Lock()

    @classmethod
    async def to(cls, card: Signed[NodeCard], *, connections: Connections, endpoints: tuple[Endpoint, ...]) -> Route:
        """Returns the way to a node over the first endpoint that can be opened.

        Raises:
            UnreachableError: There is none.
            ProtocolError: A certificate is not the one that the card pins.
        """
        failure = UnreachableError("the card of the node names no endpoint that is open from here")
        for endpoint in endpoints:
            try:
                connection = await connections.open(endpoint, node_id=card.value.node_id)
            except UnreachableError as error:
                failure = error
            else:
                return cls(card, connections=connections, endpoints=endpoints, connection=connection)
        raise failure

    def renewed(self, card: Signed[NodeCard]) -> Route:
        """Returns the same way with a newer card of the node."""
        return Route(card, connections=self._connections, endpoints=self._endpoints, connection=self.connection)

    async def call(self, method: str, request: bytes, *, seconds: float) -> bytes:
        """Makes a call, and makes it once more where another endpoint of the node is the one to ask.

        Raises:
            RefusedError: The node said no.
            TransportError: It did not answer; whether it acted is not known.
        """
        connection = self.connection
        try:
            return await connection.call(method, request, seconds=seconds)
        except WrongReplicaError as error:
            replica = await self.redirected(error)
        except TransportError:
            await self.recover(connection)
            replica = self.connection
        return await replica.call(method, request, seconds=seconds)

    async def redirected(self, error: WrongReplicaError) -> Connection:
        """Returns the connection to the replica that a refusal names, if that is an endpoint of the card.

        Raises:
            WrongReplicaError: The refusal itself, where it is none.
            UnreachableError, ProtocolError: It cannot be opened.
        """
        uri = error.detail.uri if isinstance(error.detail, Redirect) else ""
        for endpoint in self.card.value.endpoints:
            if endpoint.uri == uri:
                return await self._connections.open(endpoint, node_id=self.card.value.node_id)
        raise error

    async def recover(self, failed: Connection) -> None:
        """Finds another connection after one failed, unless somebody did so meanwhile.

        The next endpoint is tried first, the failed one last, with its certificate read again. Where none opens, the
        failed one stays in use: the caller waits and comes again.

        Raises:
            ProtocolError: A certificate is not one that the card pins.
        """
        async with self._recovering:
            if self.connection is not failed:
                return
            for endpoint in self._after(failed.endpoint):
                try:
                    self.connection = await self._connections.reopen(endpoint, node_id=self.card.value.node_id)
                except UnreachableError:
                    continue
                return

    def _after(self, endpoint: Endpoint) -> tuple[Endpoint, ...]:
        """Returns all endpoints, beginning behind one and ending with it."""
        at = self._endpoints.index(endpoint) + 1 if endpoint in self._endpoints else 0
        return (*self._endpoints[at:], *self._endpoints[:at])
