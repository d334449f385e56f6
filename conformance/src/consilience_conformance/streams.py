"""Calls over a real connection, written into a transcript as they go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from grpc import aio

from consilience.v1 import ask_pb2
from consilience_conformance.ask_methods import ASK, RESUME
from consilience_conformance.silence import Silence
from consilience_conformance.transcripts import Ended, Exchange, Response, Transcript

DETAILS_TRAILER = "grpc-status-details-bin"

Seen = Callable[[list[ask_pb2.AnswerEvent]], bool]
"""Tells from the events read so far whether a check has seen enough."""

STREAMS = frozenset({ASK, RESUME})
"""The methods whose response is a stream."""

MAX_RESPONSES = 20_000
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""A stream that brings more than either is given up: a node that never comes to an end must not fill the judge."""
MAX_TRANSCRIPT_BYTES = 128 * 1024 * 1024
"""What all streams of a check may bring together, however many it reads at one time."""

_NOT_READ = "received message larger than max"
"""How grpc on this side begins to say that it read no further."""

_PARTS = 10


class Stream:
    """A call whose messages come one after the other; a unary one has one at most.

    Attributes:
        method: Full name without leading slash.
        request: The encoded message, all of it, whatever the transcript keeps.
        events: What was read of a log, in order; messages that do not parse bring none.
        responses: The messages that came.
        ended: How the call ended, or None while it goes on.
    """

    def __init__(
        self,
        channel: aio.Channel,
        *,
        name: str,
        method: str,
        request: bytes,
        transcript: Transcript,
        origin: float,
        longest: float,
        silence: Silence,
        abridged: bool = False,
    ) -> None:
        """Sends the request.

        Args:
            channel: The connection.
            name: Of the exchange.
            method: Full name without leading slash.
            request: The encoded message.
            transcript: Gets the exchange when the call has ended.
            origin: The monotonic time at which the transcript began.
            longest: Seconds after which a call that still brings messages is given up.
            silence: Hears of the time for which nothing came until the call was given up.
            abridged: Whether the judge does without the end of a large request, so that reports stay small.
        """
        self.events: list[ask_pb2.AnswerEvent] = []
        self.ended: Ended | None = None
        self.method = method
        self.request = request
        self.responses: list[Response] = []
        self._name = name
        self._transcript = transcript
        self._origin = origin
        self._began = monotonic() - origin
        self._response_bytes = 0
        self._longest = longest
        self._silence = silence
        self._abridged = abridged
        call: aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{method}")
        self._call = call(request)

    async def until(self, seen: Seen | None = None, *, budget: float) -> bool:
        """Reads on until something was seen, or to the end of the call.

        Args:
            seen: None: read to the end.
            budget: Seconds of silence that are borne.

        Returns:
            Whether it was seen; for None, whether the call ended by itself.
        """
        while seen is None or not seen(self.events):
            if self.ended is not None:
                return seen is None and self.ended is Ended.STATUS
            began = monotonic()
            try:
                data = await self._read(budget)
            except TimeoutError:
                self._silence.borne(began, monotonic())
                self._finish(Ended.SILENCE)
                return False
            except aio.AioRpcError as error:
                self._end_by(
                    error.code().name, message=error.details() or "", details=_details(error.trailing_metadata())
                )
                continue
            if not isinstance(data, bytes):
                await self._conclude()
                continue
            self._take(data)
        return True

    async def _read(self, budget: float) -> object:
        """Returns the next message, or what grpc has for the end.

        The budget is waited for in parts, so that a time in which this process itself stood still counts as one of
        them at most: what arrived meanwhile is read before the next one is over.

        Raises:
            TimeoutError: Nothing came.
        """
        reading = asyncio.ensure_future(self._call.read())
        try:
            for _ in range(_PARTS):
                await asyncio.wait({reading}, timeout=budget / _PARTS)
                if reading.done():
                    return reading.result()
        finally:
            reading.cancel()
        raise TimeoutError

    def cut(self) -> None:
        """Goes away, as a reader does whose network is gone."""
        if self.ended is None:
            self._call.cancel()
            self._finish(Ended.CUT)

    def _take(self, data: bytes) -> None:
        at = monotonic() - self._origin
        self.responses.append(Response(at=at, data=data))
        self._response_bytes += len(data)
        self._transcript.received_bytes += len(data)
        self.events.extend(_events(data))
        too_much = (
            len(self.responses) > MAX_RESPONSES
            or self._response_bytes > MAX_RESPONSE_BYTES
            or self._transcript.received_bytes > MAX_TRANSCRIPT_BYTES
        )
        if too_much or at - self._began > self._longest:
            self._finish(Ended.ENDLESS)

    async def _conclude(self) -> None:
        code = await self._call.code()
        self._end_by(
            code.name,
            message=await self._call.details() or "",
            details=_details(await self._call.trailing_metadata()),
        )

    def _end_by(self, code: str, *, message: str, details: bytes) -> None:
        """Ends by a status: that of the node, or of grpc on this side where a message was too large to be read."""
        if code == "RESOURCE_EXHAUSTED" and _NOT_READ in message.lower():
            self._finish(Ended.OVERSIZE)
        else:
            self._finish(Ended.STATUS, code=code, message=message, details=details)

    def _finish(self, ended: Ended, *, code: str = "", message: str = "", details: bytes = b"") -> None:
        self.ended = ended
        if ended in {Ended.SILENCE, Ended.ENDLESS}:
            self._call.cancel()
        exchange = Exchange(
            name=self._name,
            method=self.method,
            request=self.request,
            began=self._began,
            ended_at=monotonic() - self._origin,
            ended=ended,
            responses=tuple(self.responses),
            code=code,
            message=message,
            details=details,
        )
        self._transcript.exchanges.append(exchange.abridged() if self._abridged else exchange)


def _events(data: bytes) -> list[ask_pb2.AnswerEvent]:
    try:
        return list(ask_pb2.AskResponse.FromString(data).events)
    except Exception:  # noqa: BLE001 - protobuf's exceptions differ by version; the judge says what is wrong with it
        return []


def _details(trailers: aio.Metadata | None) -> bytes:
    return next((value for key, value in trailers or () if key == DETAILS_TRAILER and isinstance(value, bytes)), b"")
