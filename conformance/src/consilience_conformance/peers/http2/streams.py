"""One stream: what can be sent on it, and how long one looks at what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from h2.errors import ErrorCodes

from consilience_conformance.peers.http2.observations import Observation, StreamEnd
from consilience_conformance.peers.http2.received import Received
from consilience_conformance.peers.http2.wire import Wire

MOST_FRAMES = 10_000
"""The most DATA frames into which one `send` cuts what it is given."""


class Stream:
    """One stream whose HEADERS have been sent."""

    def __init__(self, wire: Wire, *, received: Received, open_for_sending: bool) -> None:
        self._wire = wire
        self._received = received
        self._open_for_sending = open_for_sending

    @property
    def stream_id(self) -> int:
        """The number of the stream."""
        return self._received.stream_id

    @property
    def observed(self) -> Observation:
        """What is known by now."""
        return self._received.observation()

    async def send(self, data: bytes, *, end: bool = False, chunk_bytes: int | None = None, budget: float) -> int:
        """Sends DATA frames, as far as the peer's windows let it.

        Args:
            data: Bytes of the body, whole messages or not.
            end: Whether the last frame carries END_STREAM. Without data it is an empty frame.
            chunk_bytes: The most bytes in one frame; what the peer allows if absent.
            budget: How long to wait for windows, in seconds.

        Returns:
            How many bytes went out: fewer than given if the stream or the budget ended first.

        Raises:
            ValueError: More than `MOST_FRAMES` frames would be needed, or the sending side was ended before.
        """
        if not self._open_for_sending:
            raise ValueError("the sending side of this stream was ended before; start another stream")
        if chunk_bytes is not None and len(data) > MOST_FRAMES * chunk_bytes:
            raise ValueError(
                f"at most {MOST_FRAMES} frames go out at once; take larger chunks than {chunk_bytes} bytes"
            )
        deadline = asyncio.get_running_loop().time() + budget
        sent = 0
        while sent < len(data):
            if not await self._wire.until(lambda: self._over or self._room > 0, deadline=deadline) or self._over:
                return sent
            piece = data[sent : sent + min(self._room, chunk_bytes or len(data))]
            sent += len(piece)
            self._put(piece, end=end and sent == len(data))
        if end and not data and not self._over:
            self._put(b"", end=True)
        return sent

    async def exchange(
        self,
        body: bytes,
        *,
        end: bool = True,
        chunk_bytes: int | None = None,
        messages: int | None = None,
        budget: float,
    ) -> Observation:
        """Sends a body and reads what comes: `send`, then `read`, within one budget."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + budget
        await self.send(body, end=end, chunk_bytes=chunk_bytes, budget=budget)
        return await self.read(messages=messages, budget=deadline - clock())

    async def read(self, *, messages: int | None = None, budget: float) -> Observation:
        """Waits until the stream has ended, or until so many messages have come.

        Args:
            messages: How many messages suffice; only the end suffices if absent.
            budget: How long to wait, in seconds.

        Returns:
            What is known then. If the budget ended first, `end` is OPEN.
        """
        return await self._read_until(
            lambda: messages is not None and len(self._received.body.messages) >= messages, budget=budget
        )

    async def read_headers(self, *, budget: float) -> Observation:
        """Waits until the first block of headers has come, or the stream has ended, for `budget` seconds at most."""
        return await self._read_until(lambda: bool(self._received.headers), budget=budget)

    async def read_bytes(self, count: int, *, budget: float) -> Observation:
        """Waits until so many bytes of the body have come, or the stream has ended, for `budget` seconds at most."""
        return await self._read_until(lambda: self._received.body.fed_bytes >= count, budget=budget)

    def grant(self, count: int) -> bool:
        """Lets the peer send so many bytes more on this stream; the connection has its own window.

        Returns:
            False if the stream was over, and nothing was sent.
        """
        if self._over:
            return False
        self._wire.h2.increment_flow_control_window(count, self.stream_id)
        self._wire.flush()
        return True

    def reset(self, *, code: int = ErrorCodes.CANCEL) -> bool:
        """Sends RST_STREAM.

        Returns:
            False if the stream was over, and nothing was sent.
        """
        if self._over:
            return False
        self._wire.h2.reset_stream(self.stream_id, error_code=code)
        self._wire.flush()
        self._received.finish(StreamEnd.ABANDONED)
        return True

    @property
    def _over(self) -> bool:
        return self._received.over or self._wire.over

    @property
    def _room(self) -> int:
        """How many bytes may go out now, in one frame."""
        if not self._wire.writable:
            return 0
        window = self._wire.h2.local_flow_control_window(self.stream_id)
        return min(window, self._wire.h2.max_outbound_frame_size)

    def _put(self, piece: bytes, *, end: bool) -> None:
        self._wire.h2.send_data(self.stream_id, piece, end_stream=end)
        self._wire.flush()
        self._received.sent_bytes += len(piece)
        self._open_for_sending = not end

    async def _read_until(self, reached: Callable[[], bool], *, budget: float) -> Observation:
        deadline = asyncio.get_running_loop().time() + budget
        await self._wire.until(lambda: self._received.over or reached(), deadline=deadline)
        return self.observed
