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

from google.protobuf.message import Message

from consilience.v1 import registry_pb2
from consilience_conformance.checks import UntestableError
from consilience_conformance.records import name_of
from consilience_conformance.registry_methods import FIND_NODES, GET_RECORD, LIST_RECORDS, PUBLISH, SYNC_RECORDS
from consilience_conformance.rules.refusals import retry_after
from consilience_conformance.rules.registries import next_page_of
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript

MOST_WAIT_SECONDS = 150.0
"""A registry that counts by the minute has room again before."""
LEAST_WAIT_SECONDS = 0.1
MOST_PAGES = 200
"""A listing that goes on for longer is left: no author of a check has published so much."""


class Publisher:
    """Whoever calls a registry.

    Attributes:
        stage: To act with.
    """

    def __init__(self, stage: Stage) -> None:
        """Nothing is called yet."""
        self.stage = stage

    async def publish(self, name: str, record: registry_pb2.Record | bytes) -> Exchange:
        """Publishes a record, or as many bytes as the request.

        Raises:
            UntestableError: The registry lets it wait for too long, as any of these calls.
        """
        request = record if isinstance(record, bytes) else registry_pb2.PublishRecordRequest(record=record)
        return await self.call(name, PUBLISH, request)

    async def get(self, name: str, record: registry_pb2.Record | bytes) -> Exchange:
        """Fetches a record by its digest, which may be given instead of it."""
        digest = record if isinstance(record, bytes) else name_of(record)
        return await self.call(name, GET_RECORD, registry_pb2.GetRecordRequest(digest=digest))

    async def list(self, name: str, **query: object) -> Exchange:
        """Fetches one page of the records that a `ListRecordsRequest` with these fields asks for."""
        return await self.call(name, LIST_RECORDS, registry_pb2.ListRecordsRequest(**query))  # type: ignore[arg-type]

    async def listed(self, name: str, **query: object) -> None:
        """Fetches all pages of a listing, as exchanges `name`, `name 2`, `name 3`; see `rules.registries.listed`."""
        await self._paged(name, LIST_RECORDS, registry_pb2.ListRecordsRequest(**query))  # type: ignore[arg-type]

    async def find(self, name: str, **query: object) -> Exchange:
        """Fetches one page of the cards that a `FindNodesRequest` with these fields asks for."""
        return await self.call(name, FIND_NODES, registry_pb2.FindNodesRequest(**query))  # type: ignore[arg-type]

    async def found(self, name: str, **query: object) -> None:
        """Fetches all pages of cards, as exchanges `name`, `name 2`, `name 3`; see `rules.registries.found`."""
        await self._paged(name, FIND_NODES, registry_pb2.FindNodesRequest(**query))  # type: ignore[arg-type]

    async def sync(self, name: str, *, cursor: bytes = b"") -> Exchange:
        """Reads the digests of all that was taken in, from behind a cursor, to the end of the stream."""
        return await self.call(name, SYNC_RECORDS, registry_pb2.SyncRecordsRequest(cursor=cursor))

    async def call(self, name: str, method: str, request: bytes | Message) -> Exchange:
        """Makes a call, and makes it again after the time for which a registry that is called too often puts it off."""
        waited = 0.0
        while True:
            tried = Transcript(check=self.stage.transcript.check)
            stream = self.stage.open(name, method, request, into=tried)
            await stream.until(budget=self.stage.budget)
            seconds = retry_after(tried[name])
            if seconds is None:
                self.stage.transcript.exchanges.append(tried[name])
                self.stage.transcript.received_bytes += tried.received_bytes
                return tried[name]
            seconds = max(seconds, LEAST_WAIT_SECONDS)
            waited += seconds
            if waited > MOST_WAIT_SECONDS:
                raise UntestableError(
                    f"the registry puts calls of one address off for more than {MOST_WAIT_SECONDS:g} s: let this one "
                    "call more often, for the time of a run"
                )
            await asyncio.sleep(seconds)

    async def _paged(
        self,
        name: str,
        method: str,
        request: registry_pb2.ListRecordsRequest | registry_pb2.FindNodesRequest,
    ) -> None:
        exchange = await self.call(name, method, request)
        for number in range(2, MOST_PAGES):
            request.page_token = next_page_of(exchange)
            if not request.page_token:
                return
            exchange = await self.call(f"{name} {number}", method, request)
