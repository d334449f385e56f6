"""What a request says of itself, rightly or wrongly."""

from __future__ import annotations

from dataclasses import dataclass

from consilience_conformance.peers.http2.framing import framed

Header = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A gRPC request made of given bytes. Unless told otherwise it is a proper one.

    Attributes:
        path: `/package.Service/Method`, or anything else.
        body: The bytes of the DATA frames: framed messages, or anything else. One empty message unless given.
        method: The HTTP method.
        content_type: The content type; absent if None.
        te: What `te` says; absent if None.
        metadata: Further headers, sent as they are, in order.
    """

    path: str
    body: bytes = framed(b"")
    method: str = "POST"
    content_type: str | None = "application/grpc"
    te: str | None = "trailers"
    metadata: tuple[Header, ...] = ()

    def headers(self, *, scheme: str, authority: str) -> list[Header]:
        """Returns the header block, pseudo-headers first."""
        block = [(":method", self.method), (":scheme", scheme), (":path", self.path), (":authority", authority)]
        if self.te is not None:
            block.append(("te", self.te))
        if self.content_type is not None:
            block.append(("content-type", self.content_type))
        return [*block, *self.metadata]
