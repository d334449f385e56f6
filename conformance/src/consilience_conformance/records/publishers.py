"""Publishers: what the driver of a check brings to a registry and reads there, all written into the transcript.

No call of a registry has a caller, so whoever publishes is whoever signs. A registry may bound how often one address
calls (REG-OPEN-001): a call that is to be made later, by a refusal that says when, is made later, and the transcript
has the last try alone.

Example::

    async def drive(stage: Stage) -> None:
        publisher = Publisher(stage)
        await publisher.publish("card", record_of(node.sealed_card()))
        await publisher.listed("cards", author=node.node_id)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from google.protobuf.message import Message

from consilience.v1 import registry_pb2
from consilience_conformance.patience import patiently
from consilience_conformance.records.made_up import name_of
from consilience_conformance.registry_methods import FIND_NODES, GET_RECORD, LIST_RECORDS, PUBLISH, SYNC_RECORDS
from consilience_conformance.rules.registries import STORED, fate_of, next_page_of
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange

AT_ONCE = 16
"""Calls that one publisher makes at one time: a server may bear no more of one connection than some hundred."""
MOST_PAGES = 200
"""A listing that goes on for longer is left: no author of a check has published so much."""

Brought = registry_pb2.Record | bytes
"""A record, or the bytes of a whole request."""


class Publisher:
    """Whoever calls a registry.

    Attributes:
        stage: To act with.
    """

    def __init__(self, stage: Stage) -> None:
        """Nothing is called yet."""
        self.stage = stage
        self._places = asyncio.Semaphore(AT_ONCE)

    async def publish(self, name: str, record: registry_pb2.Record | Callable[[], Brought]) -> Exchange:
        """Publishes a record.

        Args:
            name: Of the exchange.
            record: The record, or what makes it, or the bytes of a whole request; it is made anew for each try, so that
                what it says of the time is right.

        Raises:
            UntestableError: The registry lets it wait for too long, as any of these calls.
        """
        return await self.call(name, PUBLISH, lambda: _request_of(record() if callable(record) else record))

    async def publish_all(self, name: str, records: Sequence[registry_pb2.Record]) -> None:
        """Publishes many records; the transcript has how many there were, and those that were not taken in."""

        async def bring(number: int, record: registry_pb2.Record) -> None:
            exchange = await self.publish(f"{name} {number}", record)
            if fate_of(exchange) == STORED:
                self.stage.transcript.exchanges.remove(exchange)

        await asyncio.gather(*(bring(number, record) for number, record in enumerate(records, start=1)))
        self.stage.note(name, len(records))

    async def get(self, name: str, record: registry_pb2.Record | bytes) -> Exchange:
        """Fetches a record by its digest, which may be given instead of it."""
        request = registry_pb2.GetRecordRequest(digest=record if isinstance(record, bytes) else name_of(record))
        return await self.call(name, GET_RECORD, lambda: request)

    async def list(self, name: str, **query: object) -> Exchange:
        """Fetches one page of the records that a `ListRecordsRequest` with these fields asks for."""
        request = registry_pb2.ListRecordsRequest(**query)  # type: ignore[arg-type]
        return await self.call(name, LIST_RECORDS, lambda: request)

    async def listed(self, name: str, **query: object) -> None:
        """Fetches all pages of a listing, as exchanges `name`, `name 2`, `name 3`; see `rules.registries.listed`."""
        await self._paged(name, LIST_RECORDS, registry_pb2.ListRecordsRequest(**query))  # type: ignore[arg-type]

    async def find(self, name: str, **query: object) -> Exchange:
        """Fetches one page of the cards that a `FindNodesRequest` with these fields asks for."""
        request = registry_pb2.FindNodesRequest(**query)  # type: ignore[arg-type]
        return await self.call(name, FIND_NODES, lambda: request)

    async def found(self, name: str, **query: object) -> None:
        """Fetches all pages of cards, as exchanges `name`, `name 2`, `name 3`; see `rules.registries.found`."""
        await self._paged(name, FIND_NODES, registry_pb2.FindNodesRequest(**query))  # type: ignore[arg-type]

    async def sync(self, name: str, *, cursor: bytes = b"") -> Exchange:
        """Reads the digests of all that was taken in, from behind a cursor, to the end of the stream."""
        return await self.call(name, SYNC_RECORDS, lambda: registry_pb2.SyncRecordsRequest(cursor=cursor))

    async def call(self, name: str, method: str, make: Callable[[], bytes | Message]) -> Exchange:
        """Makes a call, and makes it again after the time for which a registry that is called too often puts it off.

        Args:
            name: Of the exchange.
            method: Full name without leading slash.
            make: Returns the request; it is asked before each try.

        Raises:
            UntestableError: It is put off for too long.
        """
        return await patiently(self.stage, name, method, make, places=self._places)

    async def _paged(
        self,
        name: str,
        method: str,
        request: registry_pb2.ListRecordsRequest | registry_pb2.FindNodesRequest,
    ) -> None:
        exchange = await self.call(name, method, lambda: request)
        for number in range(2, MOST_PAGES):
            request.page_token = next_page_of(exchange)
            if not request.page_token:
                return
            exchange = await self.call(f"{name} {number}", method, lambda: request)


def _request_of(brought: Brought) -> bytes | Message:
    return brought if isinstance(brought, bytes) else registry_pb2.PublishRecordRequest(record=brought)
