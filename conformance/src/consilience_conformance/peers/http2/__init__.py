"""A small gRPC client on bare HTTP/2 that can misbehave, in bounded ways, and tells exactly what came back.

A gRPC library sends no broken message and opens no window by halves. This client speaks gRPC by hand: its `Manners` say
how it treats windows and limits, a `Request` says what it sends, the framing says how its messages are made. What comes
back is an `Observation` of plain values. Every wait takes a `budget` in seconds.

Abilities are made of few parts:

* a broken message: `framed(b"abc", declared_bytes=100)`, `framed(b"", compressed=True)`, `framed(a) + framed(b)`, `b""`
* a wrong request: `Request(path=..., method="GET", content_type="text/plain", te=None)`
* tiny frames: `connection.call(request, chunk_bytes=1, budget=2)`
* a slow reader: `Manners(initial_window_bytes=16)`, with `refills_windows=False` and `stream.grant(...)` by hand;
  `connection.pause_reading()` leaves the bytes in the socket
* half open: `stream = connection.start(request)`, perhaps `await stream.send(part, budget=1)`, and no end
* a reset at a chosen moment: `await stream.read(messages=1, budget=2)`, then `stream.reset()`
* a vanished peer: `await connection.drop()`; with `hard=True` the socket is reset
* many at once: `rapid_resets`, `open_many`, `call_many`; beyond the peer's limit with `heeds_stream_limit=False`

Example:
    >>> async def card_bytes(port: int) -> bytes:
    ...     async with connect("127.0.0.1", port=port, budget=2) as connection:
    ...         request = Request(path="/consilience.v1.NodeService/GetNodeCard")
    ...         observed = await connection.call(request, budget=2)
    ...     return observed.messages[0].payload
"""

from h2.errors import ErrorCodes

from consilience_conformance.peers.http2.connection import Connection, connect
from consilience_conformance.peers.http2.errors import (
    PeerClosedError,
    PeerError,
    PeerTimeoutError,
    PeerUnreachableError,
    StreamLimitError,
)
from consilience_conformance.peers.http2.floods import MOST_RESETS, MOST_STREAMS, call_many, open_many, rapid_resets
from consilience_conformance.peers.http2.framing import Message, framed
from consilience_conformance.peers.http2.manners import Manners
from consilience_conformance.peers.http2.observations import (
    ConnectionEnd,
    ConnectionObservation,
    GoAway,
    GrpcStatus,
    Observation,
    StreamEnd,
)
from consilience_conformance.peers.http2.requests import Request
from consilience_conformance.peers.http2.streams import Stream

__all__ = [
    "MOST_RESETS",
    "MOST_STREAMS",
    "Connection",
    "ConnectionEnd",
    "ConnectionObservation",
    "ErrorCodes",
    "GoAway",
    "GrpcStatus",
    "Manners",
    "Message",
    "Observation",
    "PeerClosedError",
    "PeerError",
    "PeerTimeoutError",
    "PeerUnreachableError",
    "Request",
    "Stream",
    "StreamEnd",
    "StreamLimitError",
    "call_many",
    "connect",
    "framed",
    "open_many",
    "rapid_resets",
]
