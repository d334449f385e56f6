"""Transcripts: what a check sent and what came back, as plain values that a judge reads and a report keeps.

A judge is a pure function of a transcript, so a verdict can be computed again, on another machine, from the report.
Times are seconds since the transcript began.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


KEPT_REQUEST_BYTES = 64 * 1024
"""Of a request that is abridged, as many bytes are kept."""
LARGE_RESPONSE_BYTES = 4096
"""What is larger is written down compressed: a judge needs all of it, and long texts are much the same throughout."""


MOST_RESPONSE_BYTES = 8 * 1024 * 1024
"""Twice what any message may have, so that one that is too large is read and shown, and none fills the judge."""


class Ended(enum.StrEnum):
    """How a call ended."""

    STATUS = "status"
    """The node ended it with a status."""
    CUT = "cut"
    """The check had seen enough and went away."""
    SILENCE = "silence"
    """Nothing more came within the budget of the check."""
    ENDLESS = "endless"
    """More came than any answer holds, or it went on for longer than the card allows."""
    OVERSIZE = "oversize"
    """A message came that is so large that it was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A message that the node sent.

    Attributes:
        at: When it had arrived.
        data: The encoded message.
    """

    at: float
    data: bytes

    def to_json(self) -> dict[str, JsonValue]:
        """Returns the message as JSON: in hexadecimal, or, where it is large, compressed and in base 64."""
        at = round(self.at, 6)
        if len(self.data) <= LARGE_RESPONSE_BYTES:
            return {"at": at, "data": self.data.hex()}
        return {"at": at, "deflated": base64.b64encode(zlib.compress(self.data)).decode()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Response:
        """Returns the message that `to_json` wrote.

        Raises:
            ValueError: It is larger than any message that was read.
        """
        if "deflated" in value:
            return cls(at=value["at"], data=_inflated(base64.b64decode(value["deflated"])))
        return cls(at=value["at"], data=bytes.fromhex(value["data"]))


def _inflated(data: bytes) -> bytes:
    """Returns what was compressed, and never more than a message holds, whoever wrote the report."""
    inflated = zlib.decompressobj().decompress(data, MOST_RESPONSE_BYTES + 1)
    if len(inflated) > MOST_RESPONSE_BYTES:
        raise ValueError(f"a response in the report is larger than {MOST_RESPONSE_BYTES} bytes: no run wrote it")
    return inflated


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A request of which the transcript keeps the beginning alone.

    Attributes:
        size_bytes: Of all of it.
        sha256: Of all of it, in hexadecimal.
    """

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call.

    Attributes:
        name: What the check calls it, unique in the transcript.
        method: Full name without leading slash: `consilience.v1.AskService/Ask`.
        request: The encoded request message.
        began, ended_at: When it was sent, and when it had ended.
        ended: How.
        responses: The messages that came.
        code: Name of the gRPC code, as `OK`; empty unless the node ended the call.
        message: The message of the status.
        details: The trailer `grpc-status-details-bin`.
        whole: Of a request of which the beginning alone is kept, or None: it is kept whole.
    """

    name: str
    method: str
    request: bytes
    began: float
    ended_at: float
    ended: Ended
    responses: tuple[Response, ...] = ()
    code: str = ""
    message: str = ""
    details: bytes = b""
    whole: Whole | None = None

    def abridged(self) -> Exchange:
        """Returns the exchange with the beginning of its request alone, where that is large."""
        if len(self.request) <= KEPT_REQUEST_BYTES:
            return self
        whole = Whole(size_bytes=len(self.request), sha256=hashlib.sha256(self.request).hexdigest())
        return replace(self, request=self.request[:KEPT_REQUEST_BYTES], whole=whole)

    @property
    def accepted(self) -> bool:
        """Whether the node did what was asked: it sent a message, or ended the call well."""
        return self.code == "OK" or bool(self.responses)

    def to_json(self) -> dict[str, JsonValue]:
        """Returns the exchange as JSON; bytes in hexadecimal."""
        whole: dict[str, JsonValue] = (
            {} if self.whole is None else {"requestBytes": self.whole.size_bytes, "requestSha256": self.whole.sha256}
        )
        return {
            **whole,
            "name": self.name,
            "method": self.method,
            "request": self.request.hex(),
            "began": round(self.began, 6),
            "endedAt": round(self.ended_at, 6),
            "ended": self.ended.value,
            "responses": [response.to_json() for response in self.responses],
            "code": self.code,
            "message": self.message,
            "details": self.details.hex(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Exchange:
        """Returns the exchange that `to_json` wrote."""
        return cls(
            name=value["name"],
            method=value["method"],
            request=bytes.fromhex(value["request"]),
            began=value["began"],
            ended_at=value["endedAt"],
            ended=Ended(value["ended"]),
            responses=tuple(map(Response.from_json, value["responses"])),
            code=value["code"],
            message=value["message"],
            details=bytes.fromhex(value["details"]),
            whole=Whole(size_bytes=value["requestBytes"], sha256=value["requestSha256"])
            if "requestBytes" in value
            else None,
        )


@dataclass(slots=True, kw_only=True)
class Transcript:
    """What one check saw.

    Attributes:
        check: Its name.
        card: The encoded envelope of the card that the check relied on.
        exchanges: The calls, in the order in which they ended.
        notes: What else was observed, by name: facts about certificates, frames of HTTP/2, what the driver chose.
        received_bytes: How much the node has sent so far, over all calls; no part of a report.
    """

    check: str
    card: bytes = b""
    exchanges: list[Exchange] = field(default_factory=list)
    notes: dict[str, JsonValue] = field(default_factory=dict)
    received_bytes: int = field(default=0, compare=False)

    def __getitem__(self, name: str) -> Exchange:
        """Returns the exchange of a name.

        Raises:
            KeyError: There is none: the driver and the judge of the check disagree.
        """
        for exchange in self.exchanges:
            if exchange.name == name:
                return exchange
        raise KeyError(f"{self.check} has no exchange {name!r}")

    def named(self, prefix: str) -> Iterator[Exchange]:
        """Yields the exchanges whose names begin so, in the order of their beginning."""
        yield from sorted(
            (exchange for exchange in self.exchanges if exchange.name.startswith(prefix)), key=lambda one: one.began
        )

    def to_json(self) -> dict[str, JsonValue]:
        """Returns the transcript as JSON; bytes in hexadecimal."""
        return {
            "check": self.check,
            "card": self.card.hex(),
            "exchanges": [exchange.to_json() for exchange in self.exchanges],
            "notes": self.notes,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Transcript:
        """Returns the transcript that `to_json` wrote."""
        return cls(
            check=value["check"],
            card=bytes.fromhex(value["card"]),
            exchanges=[Exchange.from_json(exchange) for exchange in value["exchanges"]],
            notes=dict(value["notes"]),
        )
