"""What was seen of a peer: plain frozen values, ready for a transcript."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from consilience_conformance.peers.http2.framing import Message
from consilience_conformance.peers.http2.requests import Header


class StreamEnd(StrEnum):
    """How a stream ended, as far as it was seen."""

    OPEN = "open"
    """It had not ended when it was looked at."""
    TRAILERS = "trailers"
    """The peer ended it with a block of headers: trailers, or a response without a body."""
    DATA = "data"
    """The peer ended it with a DATA frame and told no status."""
    RESET = "reset"
    """The peer sent RST_STREAM."""
    GOAWAY = "goaway"
    """The peer sent GOAWAY and will not, or did not, finish the stream."""
    CLOSED = "closed"
    """The connection closed without GOAWAY."""
    BROKEN = "broken"
    """The peer broke the rules of HTTP/2 on the stream or on its connection."""
    ABANDONED = "abandoned"
    """We reset the stream, or left the connection."""


class ConnectionEnd(StrEnum):
    """How a connection ended, as far as it was seen."""

    OPEN = "open"
    CLOSED = "closed"
    """The peer closed the socket."""
    RESET = "reset"
    """The peer reset the socket, or it failed."""
    BROKEN = "broken"
    """The peer broke the rules of HTTP/2, and we hung up."""
    TOO_MUCH = "too_much"
    """More bytes came than our manners take, and we hung up."""
    LEFT = "left"
    """We left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAway:
    """The last GOAWAY of a peer: its error code, the last stream it handles, and what it says for debugging."""

    code: int
    last_stream_id: int
    debug: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcStatus:
    """A gRPC status.

    Attributes:
        code: `grpc-status`.
        message: `grpc-message`, decoded; empty if absent.
        details: `grpc-status-details-bin`, decoded: an encoded `google.rpc.Status`. None if absent or no base64.
    """

    code: int
    message: str = ""
    details: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one stream.

    Attributes:
        stream_id: The number of the stream.
        end: How it ended.
        error_code: The HTTP/2 error code of the RST_STREAM or GOAWAY that ended it; with BROKEN, of ours.
        headers: The first block of headers, pseudo-headers included; empty if none came.
        messages: The messages that came whole.
        rest: The bytes of a message that did not come whole.
        trailers: The last block of headers. A response without a body has the same in `headers`.
        sent_bytes: The bytes of the body that went out.
    """

    stream_id: int
    end: StreamEnd
    error_code: int | None = None
    headers: tuple[Header, ...] = ()
    messages: tuple[Message, ...] = ()
    rest: bytes = b""
    trailers: tuple[Header, ...] = ()
    sent_bytes: int = 0

    @property
    def http_status(self) -> int | None:
        """The status of the HTTP response, if headers came."""
        return _number(_value(self.headers, ":status"))

    @property
    def status(self) -> GrpcStatus | None:
        """The gRPC status, if the peer told one."""
        code = _number(_value(self.trailers, "grpc-status"))
        if code is None:
            return None
        message = unquote(_value(self.trailers, "grpc-message") or "", errors="replace")
        details = _from_base64(_value(self.trailers, "grpc-status-details-bin"))
        return GrpcStatus(code=code, message=message, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionObservation:
    """What was seen of one connection.

    Attributes:
        end: How it ended.
        fault: What the peer broke, in words of the HTTP/2 library; empty unless `end` is BROKEN.
        goaway: The last GOAWAY, if one came.
        settings: The numbers and values of the peer's SETTINGS, by number.
        received_bytes: The bytes that came in all, frames included.
    """

    end: ConnectionEnd
    fault: str = ""
    goaway: GoAway | None = None
    settings: tuple[tuple[int, int], ...] = ()
    received_bytes: int = 0


def _value(headers: tuple[Header, ...], name: str) -> str | None:
    return next((value for key, value in headers if key == name), None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _from_base64(text: str | None) -> bytes | None:
    """Decodes base64 whose padding gRPC leaves out."""
    if text is None:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
