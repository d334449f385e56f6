"""Who takes part in the vectors and in the examples of the specification, and when: all of it fixed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from consilience_conformance import edwards

NOON = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
"""The time at which everything in the vectors happens."""


class Actor:
    """A key with a name. The seed is a hash of the name, so it is no secret and never to be used for anything else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seed = hashlib.sha256(b"consilience vectors: " + name.encode()).digest()
        self.public_key = edwards.public_key(self.seed)


NODE = Actor("root key of the node")
NEXT_ROOT = Actor("next root key of the node")
SIGNING_KEY = Actor("signing key of the node")
OTHER_NODE = Actor("root key of another node")
ASKER = Actor("key of the asker")
STRANGER = Actor("key of a stranger")


def fixed_bytes(name: str, *, size: int) -> bytes:
    """Returns bytes that stand for random ones.

    Args:
        name: What they are for.
        size: At most 32.
    """
    return hashlib.sha256(b"consilience vectors: " + name.encode()).digest()[:size]


def timestamp(time: datetime) -> Timestamp:
    """Returns the message of an aware time."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def microseconds(time: datetime) -> int:
    """Returns an aware time as microseconds since the Unix epoch."""
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def rfc3339(time: datetime) -> str:
    """Returns an aware UTC time as text, with as many digits as it needs."""
    return time.isoformat().replace("+00:00", "Z")
