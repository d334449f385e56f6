"""Raw connections: what a check does with a node that no gRPC library would do, and what is written down of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.message import Message

from consilience_conformance.peers.http2 import Connection, Manners, Observation, Request, connect, framed
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import JsonValue


@asynccontextmanager
async def raw_connection(stage: Stage, *, manners: Manners | None = None) -> AsyncIterator[Connection]:
    """Opens a connection to the node of a stage, over the transport that its calls take; closes it with the block.

    Args:
        stage: Of the check.
        manners: How windows and limits are treated; well if absent.

    Raises:
        PeerError: The node takes no connection, or does not greet it within the budget of the stage.
    """
    transport = stage.target.transport
    async with connect(
        transport.host,
        port=transport.port,
        tls=transport.ssl_context(),
        server_name=transport.server_name or None,
        manners=manners,
        budget=stage.budget,
    ) as connection:
        yield connection


def request_of(method: str, message: bytes | Message) -> Request:
    """Returns a proper request; `method` is a full name without leading slash."""
    data = message if isinstance(message, bytes) else message.SerializeToString(deterministic=True)
    return Request(path=f"/{method}", body=framed(data))


def told(observation: Observation) -> JsonValue:
    """Returns what was seen of a stream, for the notes of a transcript."""
    status = observation.status
    return {
        "end": observation.end.value,
        "errorCode": observation.error_code,
        "httpStatus": observation.http_status,
        "grpcStatus": None if status is None else status.code,
        "grpcMessage": None if status is None else status.message,
        "messages": [message.payload.hex() for message in observation.messages],
        "restBytes": len(observation.rest),
        "sentBytes": observation.sent_bytes,
    }
