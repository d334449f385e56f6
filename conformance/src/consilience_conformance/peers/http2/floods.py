"""Many streams at once, never more than stated here: the judge shows a weakness, it does not exploit it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from h2.errors import ErrorCodes

from consilience_conformance.peers.http2.connection import Connection
from consilience_conformance.peers.http2.observations import Observation
from consilience_conformance.peers.http2.requests import Request
from consilience_conformance.peers.http2.streams import Stream

MOST_RESETS = 200
"""The most streams that `rapid_resets` opens and resets."""
MOST_STREAMS = 500
"""The most streams that `open_many` and `call_many` open at once."""


async def rapid_resets(
    connection: Connection, request: Request, *, count: int, code: int = ErrorCodes.CANCEL, budget: float
) -> int:
    """Opens streams and resets each at once, without waiting for the peer.

    Args:
        connection: Where.
        request: What each stream asks; only its headers go out.
        count: How many, `MOST_RESETS` at most.
        code: The HTTP/2 error code of the resets.
        budget: How long the peer may hold us up, in seconds in all.

    Returns:
        How many were opened and reset: fewer than `count` if the peer hung up, or took no more bytes in time.

    Raises:
        ValueError: The count is above the bound.
    """
    _check(count, most=MOST_RESETS)
    deadline = asyncio.get_running_loop().time() + budget
    for done in range(count):
        await asyncio.sleep(0)  # what the peer answers is read between the streams
        left = deadline - asyncio.get_running_loop().time()
        if not await connection.wait_written(budget=left) or connection.over:
            return done
        connection.start(request).reset(code=code)
    return count


def open_many(connection: Connection, request: Request, *, count: int) -> tuple[Stream, ...]:
    """Sends the HEADERS of one request on many streams, which stay half open.

    Raises:
        ValueError: The count is above `MOST_STREAMS`.
        PeerClosedError: The connection is over.
        StreamLimitError: The peer takes fewer at once, and our manners heed that.
    """
    _check(count, most=MOST_STREAMS)
    return tuple(connection.start(request) for _ in range(count))


async def call_many(
    connection: Connection, requests: Sequence[Request], *, messages: int | None = None, budget: float
) -> tuple[Observation, ...]:
    """Makes many calls at once on one connection, and returns what was seen of each, in their order.

    Raises:
        ValueError: There are more than `MOST_STREAMS`.
        PeerClosedError: The connection is over.
        StreamLimitError: The peer takes fewer at once, and our manners heed that.
    """
    _check(len(requests), most=MOST_STREAMS)
    started = [(connection.start(request), request.body) for request in requests]
    async with asyncio.TaskGroup() as group:
        exchanges = [
            group.create_task(stream.exchange(body, messages=messages, budget=budget)) for stream, body in started
        ]
    return tuple(exchange.result() for exchange in exchanges)


def _check(count: int, *, most: int) -> None:
    if not 0 <= count <= most:
        raise ValueError(f"{count} streams are not within 0 to {most}")
