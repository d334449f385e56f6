"""What calls a registry while it is measured: bytes on a socket, with nothing of the client between."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from grpc import aio

from benchmarks.registry.questions import Kind
from consilience._wire import registries
from consilience.reviews import PublishOutcome, Record
from consilience.units import Digest

S = TypeVar("S")
T = TypeVar("T")
IN_FLIGHT = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls one registry."""

    channel: aio.Channel

    async def find(self, kind: Kind, *, count: int, chance: random.Random) -> list[float]:
        """Asks questions of a kind, one at a time, and returns how many milliseconds each took, without decoding."""
        return [await self._timed(kind, chance=chance) for _ in range(count)]

    async def publish(self, records: Iterable[Record]) -> list[PublishOutcome]:
        """Brings records, many in flight, and returns what became of them."""

        async def bring(record: Record) -> PublishOutcome:
            return registries.decode_outcome(await self._call("PublishRecord", registries.encode_publish(record)))

        return await _all(bring, list(records))

    async def records(self, digests: Sequence[Digest]) -> list[Record]:
        """Returns records, many in flight."""

        async def fetch(digest: Digest) -> Record:
            return registries.decode_record(await self._call("GetRecord", registries.encode_get(digest)))

        return await _all(fetch, digests)

    async def digests(self, count: int) -> list[Digest]:
        """Returns the first digests of the feed."""
        found: list[Digest] = []
        call: aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(
            f"/{registries.REGISTRY_SERVICE}/SyncRecords"
        )
        feed = call(registries.encode_sync(b""))
        async for response in feed:
            found += registries.decode_digests(response)[0]
            if len(found) >= count:
                feed.cancel()
                break
        return found[:count]

    async def _timed(self, kind: Kind, *, chance: random.Random) -> float:
        query, milliseconds, token = kind.ask(chance), 0.0, b""
        for page in range(kind.page):
            request = registries.encode_query(replace(query, page_token=token))
            began = time.perf_counter()
            response = await self._call("FindNodes", request)
            milliseconds = 1000 * (time.perf_counter() - began)
            _, token = registries.decode_cards(response)
            if not token and page + 1 < kind.page:
                break
        return milliseconds

    async def _call(self, method: str, request: bytes) -> bytes:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(
            f"/{registries.REGISTRY_SERVICE}/{method}"
        )
        return await call(request)


@asynccontextmanager
async def calling(address: str) -> AsyncIterator[Caller]:
    """Connects to a registry on this machine."""
    async with aio.insecure_channel(address.rpartition("@")[2]) as channel:
        yield Caller(channel)


async def _all(call: Callable[[S], Awaitable[T]], over: Sequence[S]) -> list[T]:
    """Makes a call for each of some things, with a fixed number in flight, and returns the results in their order."""
    results: dict[int, T] = {}
    numbers = iter(range(len(over)))

    async def worker() -> None:
        for number in numbers:
            results[number] = await call(over[number])

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return [results[number] for number in range(len(over))]
