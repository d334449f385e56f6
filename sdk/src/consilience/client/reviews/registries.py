"""Registries, as a client calls them: no call is signed, none has a header, and nothing that comes is believed here.

A node of the server toolkit does not know how to call anybody; to follow registries, and to bring its card to them, it
is given `Registries`.

>>> async with Registries() as peers:
...     Node("desk", registries=["cn1…@registry.example:7341"], peers=peers).run("127.0.0.1:7341")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, Self, TypeVar

import grpc

from consilience._wire import registries as wire
from consilience._wire.errors import error_from_rpc
from consilience.client.arguments import check_node
from consilience.client.caller import Caller
from consilience.client.card_memory import CardMemory, default_card_file
from consilience.client.cards import Cards, NodeReference, read_address
from consilience.client.connections import Connections
from consilience.client.late_peers import LatePeers
from consilience.client.peers import held_to_protocol
from consilience.client.reviews.patience import CALLS_WAITED_FOR, Patience
from consilience.envelopes import Envelope
from consilience.errors import (
    ConsilienceError,
    LimitExceededError,
    NoRegistryError,
    ProtocolError,
    RefusedError,
    TransportError,
    UsageError,
)
from consilience.identity import format_node_id
from consilience.nodes import NodeAddress, NodeCard, Profile
from consilience.reviews import NodeQuery, PublishOutcome, Record, RecordQuery
from consilience.units import Digest, utc_now

CALL_SECONDS = 10.0
FEED_SECONDS = 600.0
"""A feed that takes longer is broken off, and goes on behind its last cursor."""

SHORTEST_WAIT_SECONDS = 0.05
CARD_MAX_AGE = timedelta(minutes=5)
MAX_DIGESTS = 1000
MAX_PAGES = 1000
"""What is read of one registry for one question; a registry may go on for ever. A page may be empty."""

MAX_RECORDS = 10_000
"""The same, in records."""

MAX_BYTES = 64 * 1024 * 1024
"""The same, in bytes of the pages as they came."""

FAILURES = (TransportError, ProtocolError, RefusedError, NoRegistryError)
"""It cannot be reached, breaks the protocol, says no, or is none; a question goes on with the others."""

T = TypeVar("T")
Query = TypeVar("Query", NodeQuery, RecordQuery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """What was read of a registry for one question.

    Attributes:
        items: In the order in which they came, unverified.
        is_whole: Whether it was read to its end; else nobody can tell what it lacks.
        why: What ended the reading before, for people.
    """

    items: tuple[T, ...]
    is_whole: bool
    why: str = "it goes on"


class Registry:
    """One registry. Every method may raise any of `FAILURES`.

    Args:
        node: Its address, or its card.
        cards: Where the way to it comes from.
        seconds: Bounds a call, and how long a question waits where calls come too often.
        patience: Bounds all calls together; None: nothing does.
        late: Where it is noted that this one is waited for; None: nowhere.
    """

    def __init__(
        self,
        node: NodeReference,
        *,
        cards: Cards,
        seconds: float,
        patience: Patience | None = None,
        late: LatePeers | None = None,
    ) -> None:
        self.node = node
        self._cards = cards
        self._seconds = seconds
        self._patience = patience
        self._late = late or LatePeers()

    @property
    def name(self) -> str:
        """What a person knows it by: the address, or the id in its card."""
        node = self.node
        return str(node) if isinstance(node, (str, NodeAddress)) else format_node_id(node.value.node_id)

    def for_one_question(self) -> Registry:
        """Returns the same registry, for whose calls one question waits three times as long as for one, and no longer.

        What is waited for beyond is broken off with an `AnswerTimeoutError`; of pages, those are returned that came.
        """
        patience = Patience(CALLS_WAITED_FOR * self._seconds)
        return Registry(self.node, cards=self._cards, seconds=self._seconds, patience=patience, late=self._late)

    async def publish(self, record: Record) -> PublishOutcome:
        """Hands a record in."""
        received = await self._call("PublishRecord", wire.encode_publish(record))
        with held_to_protocol():
            return wire.decode_outcome(received)

    async def record(self, digest: Digest) -> Record:
        """Returns a record by its digest, unverified.

        Raises:
            ProtocolError: It has another digest (REG-GET-001).
        """
        received = await self._read("GetRecord", wire.encode_get(digest), until=self._last_try())
        with held_to_protocol():
            record = wire.decode_record(received)
        if record.digest != digest:
            raise ProtocolError("the registry returned another record than was asked for", requirement="REG-GET-001")
        return record

    async def records(self, query: RecordQuery) -> Reading[Record]:
        """Returns the records that fit, page by page, up to 10,000 of them, to 64 MiB, and to where it breaks off."""
        return await self._pages("ListRecords", query, decode=wire.decode_records)

    async def cards(self, query: NodeQuery) -> Reading[Envelope]:
        """Returns the cards of the nodes that fit, as `records`."""
        return await self._pages("FindNodes", query, decode=wire.decode_cards)

    async def digests(self, cursor: bytes) -> AsyncIterator[tuple[tuple[Digest, ...], bytes]]:
        """Yields the digests of what it has taken in from behind a cursor, each time with the cursor behind them."""
        route = await self._cards.route(self.node)
        connection = route.connection
        feed = connection.stream(_method("SyncRecords"), wire.encode_sync(cursor), seconds=FEED_SECONDS)
        try:
            async for response in feed:
                with held_to_protocol():
                    digests, behind = wire.decode_digests(response)
                _check_digests(digests, behind=behind)
                yield digests, behind
        except grpc.RpcError as error:
            failure = error_from_rpc(error)
            if isinstance(failure, TransportError):
                await route.recover(connection)
            raise self._meant(failure, card=route.card.value) from error
        finally:
            feed.cancel()

    async def _pages(
        self, method: str, query: Query, *, decode: Callable[[bytes], tuple[tuple[T, ...], bytes]]
    ) -> Reading[T]:
        found: list[T] = []
        token, size, until = b"", 0, self._last_try()
        for _ in range(MAX_PAGES):
            try:
                received = await self._read(method, wire.encode_query(replace(query, page_token=token)), until=until)
            except TransportError as error:
                if not token:
                    raise
                return Reading(items=tuple(found), is_whole=False, why=str(error))
            size += len(received)
            if size > MAX_BYTES:
                break
            with held_to_protocol():
                page, following = decode(received)
            found += page
            if len(found) > MAX_RECORDS or (following and len(found) == MAX_RECORDS):
                break
            if not following:
                return Reading(items=tuple(found), is_whole=True)
            if following == token:
                raise ProtocolError("the registry leads from a page to the same page", requirement="REG-LIST-001")
            token = following
        return Reading(items=tuple(found[:MAX_RECORDS]), is_whole=False)

    async def _read(self, method: str, request: bytes, *, until: float) -> bytes:
        """Makes a call that changes nothing; where it comes too often, once more as soon as the registry likes.

        Args:
            method: Its short name.
            request: Encoded.
            until: For how long, by the monotonic clock.
        """
        while True:
            try:
                return await self._call(method, request)
            except LimitExceededError as error:
                wait = None if error.retry_after is None else error.retry_after.total_seconds()
                if wait is None or time.monotonic() + wait > until or (self._patience and wait > self._patience.left):
                    raise
                busy = error
            async with self._waiting():
                with self._late.waiting_for(self.name, refusal=busy):
                    await asyncio.sleep(max(wait, SHORTEST_WAIT_SECONDS))

    def _last_try(self) -> float:
        """Returns until when a registry that is asked too often is asked once more."""
        return time.monotonic() + self._seconds

    async def _call(self, method: str, request: bytes) -> bytes:
        async with self._waiting():
            with self._late.waiting_for(self.name):
                route = await self._cards.route(self.node)
                try:
                    return await route.call(_method(method), request, seconds=self._seconds)
                except ProtocolError as error:
                    raise self._meant(error, card=route.card.value) from error

    def _waiting(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._patience is None else self._patience.spent()

    def _meant(self, failure: ConsilienceError, *, card: NodeCard) -> ConsilienceError:
        """Returns what a failed call means: who does not serve what its card does not declare breaks no rule."""
        unserved = isinstance(failure, ProtocolError) and failure.requirement == "NODE-PROF-001"
        if unserved and Profile.REGISTRY not in card.profiles:
            return NoRegistryError(f"the node at {self.name} is no registry")
        return failure


Ask = Callable[[Registry], Awaitable[Reading[Record]]]
"""A question, put to a registry; it raises any of `FAILURES`."""


async def answer_of(registry: Registry, ask: Ask) -> Reading[Record] | ConsilienceError:
    """Returns what a registry serves for a question, or why it serves nothing."""
    try:
        return await ask(registry)
    except FAILURES as error:
        return error


class Registries:
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

    def __call__(self, address: str) -> Registry:
        """Returns the registry at an address, which is not called yet.

        Raises:
            AddressInvalidError: It is none.
        """
        return Registry(read_address(address), cards=self._cards, seconds=CALL_SECONDS)

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


def opened_registries(nodes: Sequence[NodeReference], *, caller: Caller) -> tuple[Registry, ...]:
    """Returns registries to call, each once.

    Raises:
        UsageError: There is none.
    """
    for node in nodes:
        check_node(node)
    seconds, late = caller.call_seconds, caller.late_registries
    opened = [Registry(node, cards=caller.cards, seconds=seconds, late=late) for node in nodes]
    if not opened:
        raise UsageError("there is no registry to ask: name one with `registries=`, or `Client(registries=…)`")
    return tuple({registry.name: registry for registry in opened}.values())


def _method(name: str) -> str:
    return f"{wire.REGISTRY_SERVICE}/{name}"


def _check_digests(digests: tuple[Digest, ...], *, behind: bytes) -> None:
    """Checks the declared constraints of a response.

    Raises:
        ProtocolError: It breaks one.
    """
    sized = 1 <= len(digests) <= MAX_DIGESTS and 1 <= len(behind) <= wire.MAX_CURSOR_BYTES
    if not sized or any(len(digest) != wire.DIGEST_BYTES for digest in digests):
        raise ProtocolError("the registry sent digests or a cursor that break their rules", requirement="ERR-FLD-001")
