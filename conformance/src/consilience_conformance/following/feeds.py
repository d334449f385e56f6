"""Feeds: the judge plays a registry that the node follows, and what it announces and gives is as checks want it.

The operator of the node puts the address of the feed among the registries that the node follows. What one check has
announced is gone when the next one begins, so a node that came to a halt at one of them is judged anew by the others.
"""

from __future__ import annotations

import asyncio
import enum
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import grpc

from consilience.v1 import registry_pb2
from consilience_conformance.client_side.nodes import Identity
from consilience_conformance.client_side.registries import Registry
from consilience_conformance.peers.hostile import HostileServer, StatusError
from consilience_conformance.peers.places import PlaceError, port_of
from consilience_conformance.peers.refusals import refusal
from consilience_conformance.records.made_up import name_of
from consilience_conformance.registry_methods import GET_RECORD, SYNC_RECORDS
from consilience_conformance.transcripts import Exchange, Transcript

SILENT_SECONDS = 2.0
"""How long a stream says nothing before its connection is cut."""
CALLED = "feed/"
"""How the names of exchanges begin in which the node called the feed."""

_NAME_BYTES = 16
_POSITION_BYTES = 8


class CutError(Exception):
    """Raised by what gives a record: the connection is cut instead."""


Give = Callable[[], bytes]
"""Returns an encoded GetRecordResponse, or raises StatusError or CutError."""


class Then(enum.Enum):
    """What a stream does behind a page, the first time that it comes there."""

    GO_ON = enum.auto()
    END = enum.auto()
    """It ends well, though more was taken in."""
    RESET = enum.auto()
    """It ends with a status that says nothing."""
    CUT = enum.auto()
    """Its connection is gone, with all calls on it."""
    FALL_SILENT = enum.auto()
    """It says nothing for a while; then its connection is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A digest that is announced, and what comes for it.

    Attributes:
        digest: 32 bytes.
        gives: Answers GetRecord, one after the other; the last one for ever.
    """

    digest: bytes
    gives: tuple[Give, ...]


def offered(record: registry_pb2.Record, *before: Give, named: bytes = b"") -> Offer:
    """Returns the offer of a record.

    Args:
        record: What is given.
        before: What comes of the first calls instead.
        named: The digest under which it is announced; empty: its own.
    """
    given = registry_pb2.GetRecordResponse(record=record).SerializeToString()
    return Offer(digest=named or name_of(record), gives=(*before, lambda: given))


def failing(give: Give) -> Offer:
    """Returns the offer of a record that there is not."""
    return Offer(digest=secrets.token_bytes(32), gives=(give,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One response of SyncRecords.

    Attributes:
        offers: In their order, one at least.
        then: What the stream does behind it.
        moves: Whether its cursor leads on; else it is the one from before the page.
    """

    offers: tuple[Offer, ...]
    then: Then = Then.GO_ON
    moves: bool = True


@dataclass(slots=True, kw_only=True)
class Feed(Registry):
    """The registry that the node follows.

    Attributes:
        rounds: How often SyncRecords was called.
        longest_pause: The longest time in seconds for which the node made no call before it called SyncRecords again.
    """

    rounds: int = 0
    longest_pause: float = 0.0
    _name: bytes = field(default_factory=lambda: secrets.token_bytes(_NAME_BYTES))
    _pages: dict[int, Page] = field(default_factory=dict)
    _next: int = 0
    _spent: set[int] = field(default_factory=set)
    _offers: dict[bytes, list[Give]] = field(default_factory=dict)
    _transcript: Transcript | None = None
    _calls: int = 0
    _open: int = 0
    _last: float = field(default_factory=monotonic)
    _cutting: asyncio.Task[None] | None = None

    @property
    def pause(self) -> float:
        """For how many seconds the node has made no call, and none goes on."""
        return 0.0 if self._open else monotonic() - self._last

    def attend(self, transcript: Transcript) -> None:
        """Forgets all that was announced, and writes down from now on what the node asks for.

        Args:
            transcript: Of a check that begins; it gets the calls that brought something, as exchanges `feed/1`.
        """
        self._pages, self._spent, self._offers = {}, set(), {}
        self._transcript, self._calls, self.server.origin = transcript, 0, monotonic()

    def announce(self, pages: Sequence[Page]) -> None:
        """Takes pages in, behind those that are there."""
        for page in pages:
            self._pages[self._next] = page
            self._next += 1
            self._offers |= {offer.digest: list(offer.gives) for offer in page.offers}

    async def respond(self, method: str, request: bytes) -> AsyncIterator[bytes]:
        """Answers a call."""
        if method == SYNC_RECORDS:
            self.rounds += 1
            self.longest_pause = max(self.longest_pause, self.pause)
        self._open += 1
        try:
            async for data in self._answered_to(method, request):
                yield data
        except CutError:
            self._cutting = self._cutting or asyncio.create_task(self._cut())
            await asyncio.Event().wait()
        finally:
            self._open -= 1
            self._last = monotonic()

    async def close(self) -> None:
        """Serves no more."""
        if self._cutting is not None:
            await self._cutting
        await self.server.stop()

    def name(self) -> str:
        """Names an exchange."""
        self._calls += 1
        return f"{CALLED}{self._calls}"

    def record(self, exchange: Exchange) -> None:
        """Writes an exchange down, if there is anything to it: nodes ask for what is new again and again."""
        told = exchange.method == GET_RECORD or (exchange.method == SYNC_RECORDS and exchange.responses)
        if told and self._transcript is not None:
            self._transcript.exchanges.append(exchange)

    async def _answered_to(self, method: str, request: bytes) -> AsyncIterator[bytes]:
        if method == GET_RECORD:
            yield self._given(registry_pb2.GetRecordRequest.FromString(request).digest)
        elif method == SYNC_RECORDS:
            cursor = registry_pb2.SyncRecordsRequest.FromString(request).cursor
            async for response in self._streamed(cursor):
                yield response.SerializeToString()
        else:
            async for data in Registry.respond(self, method, request):
                yield data

    async def _streamed(self, cursor: bytes) -> AsyncIterator[registry_pb2.SyncRecordsResponse]:
        position = self._position(cursor)
        while position < self._next:
            number, position = position, position + 1
            page = self._pages.get(number)
            if page is None:
                continue  # of a check that is over
            behind = self._cursor(position if page.moves else number)
            yield registry_pb2.SyncRecordsResponse(digests=[offer.digest for offer in page.offers], cursor=behind)
            if number not in self._spent:
                self._spent.add(number)
                if page.then is Then.END:
                    return
                await _do(page.then)

    def _given(self, digest: bytes) -> bytes:
        gives = self._offers.get(digest)
        if gives is None:
            raise refusal("RECORD_UNKNOWN")
        return (gives.pop(0) if len(gives) > 1 else gives[0])()

    def _cursor(self, position: int) -> bytes:
        return self._name + position.to_bytes(_POSITION_BYTES)

    def _position(self, cursor: bytes) -> int:
        """Returns where a stream begins: behind a cursor, or, with one of another run or with none, at the first."""
        told = cursor.startswith(self._name) and len(cursor) == _NAME_BYTES + _POSITION_BYTES
        return int.from_bytes(cursor[_NAME_BYTES:]) if told else 0

    async def _cut(self) -> None:
        """Cuts all connections, and listens again."""
        port = self.server.port
        await self.server.stop()
        await self.server.start(port=port)
        self._cutting = None


async def _do(then: Then) -> None:
    """Does what a stream does behind a page, and returns where it goes on."""
    match then:
        case Then.RESET:
            raise StatusError(grpc.StatusCode.INTERNAL, "")
        case Then.FALL_SILENT:
            await asyncio.sleep(SILENT_SECONDS)
            raise CutError
        case Then.CUT:
            raise CutError
        case _:
            return


@asynccontextmanager
async def served_feed(address: str) -> AsyncIterator[Feed]:
    """Serves a registry while the block runs.

    Args:
        address: `HOST:PORT`, on this machine.

    Raises:
        PlaceError: Nothing can be served there.
    """
    server = HostileServer(
        # The feed is made once the server is there to be its own.
        lambda method, request: feed.respond(method, request),  # noqa: PLW0108
        name=lambda: feed.name(),  # noqa: PLW0108
        record=lambda exchange: feed.record(exchange),  # noqa: PLW0108
        origin=monotonic(),
    )
    feed = Feed(identity=Identity.new(), server=server, text="")
    try:
        await server.start(port=port_of(address))
    except RuntimeError as error:
        raise PlaceError(f"no registry can be served at {address}, where the node is to follow one: {error}") from error
    try:
        feed.show(feed.registering(feed.identity.card(feed.plain_endpoint())))
        yield feed
    finally:
        await feed.close()
