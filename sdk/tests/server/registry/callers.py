"""Callers of a registry: raw calls on a socket, with nothing of the client between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from grpc import aio

from consilience._wire import registries
from consilience._wire.envelopes import open_envelope
from consilience._wire.errors import error_from_rpc
from consilience.envelopes import Signed
from consilience.nodes import NodeCard
from consilience.reviews import NodeQuery, OpenRecord, PublishOutcome, Record, RecordQuery
from consilience.units import Digest
from sdk.tests.server.callers import CHANNEL_OPTIONS, Port

SERVICE = registries.REGISTRY_SERVICE
Feed = list[tuple[tuple[Digest, ...], bytes]]


class RegistryCaller:
    """Calls one registry. It is a peer (`server.registry.peers.Peer`) as well."""

    def __init__(self, channel: aio.Channel) -> None:
        self._channel = channel

    async def call(self, method: str, request: bytes) -> bytes:
        unary: aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            return await unary(request)
        except aio.AioRpcError as error:
            raise error_from_rpc(error) from error

    async def publish(self, record: Record) -> PublishOutcome:
        return registries.decode_outcome(await self.call("PublishRecord", registries.encode_publish(record)))

    async def bring(self, records: Iterable[OpenRecord]) -> list[PublishOutcome]:
        return [await self.publish(record.record) for record in records]

    async def record(self, digest: Digest) -> Record:
        return registries.decode_record(await self.call("GetRecord", registries.encode_get(digest)))

    async def records(self, query: RecordQuery) -> tuple[tuple[Record, ...], bytes]:
        return registries.decode_records(await self.call("ListRecords", registries.encode_query(query)))

    async def nodes(self, query: NodeQuery) -> tuple[tuple[Signed[NodeCard], ...], bytes]:
        page, token = registries.decode_cards(await self.call("FindNodes", registries.encode_query(query)))
        return tuple(open_envelope(card, NodeCard) for card in page), token

    async def digests(self, cursor: bytes) -> AsyncIterator[tuple[tuple[Digest, ...], bytes]]:
        stream: aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(f"/{SERVICE}/SyncRecords")
        try:
            async for response in stream(registries.encode_sync(cursor)):
                yield registries.decode_digests(response)
        except aio.AioRpcError as error:
            raise error_from_rpc(error) from error

    async def feed(self, cursor: bytes = b"") -> Feed:
        return [response async for response in self.digests(cursor)]


@asynccontextmanager
async def calling_registry(running: Port) -> AsyncIterator[RegistryCaller]:
    """Connects to a plain registry on this machine."""
    async with aio.insecure_channel(f"127.0.0.1:{running.port}", options=CHANNEL_OPTIONS) as channel:
        yield RegistryCaller(channel)
