"""Registries, as a client calls them: no call is signed, none has a header, and nothing that comes is believed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from consilience._wire import registries as wire
from consilience.client.arguments import check_node
from consilience.client.caller import Caller
from consilience.client.cards import NodeReference
from consilience.client.peers import held_to_protocol
from consilience.envelopes import Envelope
from consilience.errors import ProtocolError, UsageError
from consilience.identity import format_node_id
from consilience.nodes import NodeAddress
from consilience.reviews import NodeQuery, PublishOutcome, Record, RecordQuery
from consilience.units import Digest

PUBLISH = f"{wire.REGISTRY_SERVICE}/PublishRecord"
GET = f"{wire.REGISTRY_SERVICE}/GetRecord"
LIST = f"{wire.REGISTRY_SERVICE}/ListRecords"
FIND = f"{wire.REGISTRY_SERVICE}/FindNodes"

MAX_PAGES = 1000

T = TypeVar("T")
Query = TypeVar("Query", NodeQuery, RecordQuery)

MAX_RECORDS = 10_000
"""What is read of one registry for one question; a registry may go on for ever."""


class Registry:
    """One registry. Every method raises `TransportError` where it cannot be reached, and `RefusedError` by its word.

    Args:
        node: Its address, or its card.
        caller: Whose connections are used. Its key signs nothing here.
    """

    def __init__(self, node: NodeReference, *, caller: Caller) -> None:
        self.node = node
        self._caller = caller

    @property
    def name(self) -> str:
        """What a person knows it by: the address, or the id in its card."""
        node = self.node
        return str(node) if isinstance(node, (str, NodeAddress)) else format_node_id(node.value.node_id)

    async def publish(self, record: Record) -> PublishOutcome:
        """Hands a record in."""
        return wire.decode_outcome(await self._call(PUBLISH, wire.encode_publish(record)))

    async def get(self, digest: Digest) -> Record:
        """Returns a record by its digest, unverified.

        Raises:
            ProtocolError: It has another digest (REG-GET-001).
        """
        received = await self._call(GET, wire.encode_get(digest))
        with held_to_protocol():
            record = wire.decode_record(received)
        if record.digest != digest:
            raise ProtocolError("the registry returned another record than was asked for", requirement="REG-GET-001")
        return record

    async def records(self, query: RecordQuery) -> tuple[Record, ...]:
        """Returns all records that fit, page by page, unverified."""
        return await self._pages(LIST, query, decode=wire.decode_records)

    async def cards(self, query: NodeQuery) -> tuple[Envelope, ...]:
        """Returns the cards of all nodes that fit, page by page, unverified."""
        return await self._pages(FIND, query, decode=wire.decode_cards)

    async def _pages(
        self, method: str, query: Query, *, decode: Callable[[bytes], tuple[tuple[T, ...], bytes]]
    ) -> tuple[T, ...]:
        found: list[T] = []
        token = b""
        for _ in range(MAX_PAGES):
            received = await self._call(method, wire.encode_query(replace(query, page_token=token)))
            with held_to_protocol():
                page, following = decode(received)
            found += page
            if not following or len(found) >= MAX_RECORDS:
                return tuple(found[:MAX_RECORDS])
            if following == token:
                raise ProtocolError("the registry leads from a page to the same page", requirement="REG-LIST-001")
            token = following
        raise ProtocolError(f"the registry has more than {MAX_PAGES} pages", requirement="REG-LIST-001")

    async def _call(self, method: str, request: bytes) -> bytes:
        return await self._caller.unary(method, request, await self._caller.cards.route(self.node))


def opened_registries(nodes: Sequence[NodeReference], *, caller: Caller) -> tuple[Registry, ...]:
    """Returns registries to call, each once.

    Raises:
        UsageError: There is none.
    """
    for node in nodes:
        check_node(node)
    registries = {registry.name: registry for registry in (Registry(node, caller=caller) for node in nodes)}
    if not registries:
        raise UsageError("there is no registry to ask: name one with `registries=`, or `Client(registries=…)`")
    return tuple(registries.values())
