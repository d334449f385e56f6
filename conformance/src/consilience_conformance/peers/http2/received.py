"""What has come on one stream so far; the wire writes it, observations are drawn from it."""

from __future__ import annotations

from consilience_conformance.peers.http2.framing import MessageReader
from consilience_conformance.peers.http2.observations import Observation, StreamEnd
from consilience_conformance.peers.http2.requests import Header


class Received:
    """What has come on one stream so far. Its first end is its end."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.body = MessageReader()
        self.sent_bytes = 0
        self.headers: tuple[Header, ...] = ()
        self._trailers: tuple[Header, ...] = ()
        self._end = StreamEnd.OPEN
        self._error_code: int | None = None
        self._ends_with_headers = False

    @property
    def over(self) -> bool:
        """Whether the stream has ended."""
        return self._end is not StreamEnd.OPEN

    def take_headers(self, block: tuple[Header, ...]) -> None:
        """Takes the first block of headers, or the trailers."""
        self.headers = self.headers or block
        self._trailers = block
        self._ends_with_headers = True

    def take_data(self, data: bytes) -> None:
        """Takes the body of a DATA frame."""
        self.body.feed(data)
        self._ends_with_headers = False

    def end_stream(self) -> None:
        """Notes END_STREAM on the frame that came last."""
        self.finish(StreamEnd.TRAILERS if self._ends_with_headers else StreamEnd.DATA)

    def finish(self, end: StreamEnd, *, error_code: int | None = None) -> None:
        """Notes the end of the stream, unless it has ended before."""
        if not self.over:
            self._end, self._error_code = end, error_code

    def observation(self) -> Observation:
        """Returns what is known by now."""
        return Observation(
            stream_id=self.stream_id,
            end=self._end,
            error_code=self._error_code,
            headers=self.headers,
            messages=tuple(self.body.messages),
            rest=self.body.rest,
            trailers=self._trailers if self._end is StreamEnd.TRAILERS else (),
            sent_bytes=self.sent_bytes,
        )
