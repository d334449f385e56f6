"""Units: types that keep apart what would otherwise all be `bytes` and `int`.

Digests, keys and ids are all 32 or 16 bytes; mypy, not luck, keeps a digest out of a key's place.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import NewType

Digest = NewType("Digest", bytes)
"""SHA-256 of something, 32 bytes. Of a signed object: SHA-256(PAE(payload_type, payload))."""

PublicKey = NewType("PublicKey", bytes)
"""An Ed25519 public key, 32 bytes."""

RequestId = NewType("RequestId", bytes)
"""The id of a call, 16 random bytes."""

EncodedAny = NewType("EncodedAny", bytes)
"""An encoded `google.protobuf.Any`: what only a rail or an extension can read."""

EncodedEnvelope = NewType("EncodedEnvelope", bytes)
"""An encoded SignedEnvelope, not verified."""

Sequence = NewType("Sequence", int)
"""The number of an event within the log of one answer, from 1."""

CardSequence = NewType("CardSequence", int)
"""The order of a node's cards: microseconds since the Unix epoch."""


class NamedNumber(enum.IntEnum):
    """A number of the wire that has a name. It counts and compares as the number, and prints as the name."""

    def __str__(self) -> str:
        return self.name

    def __format__(self, format_spec: str) -> str:
        return format(self.name, format_spec)


MAX_AMOUNT_DIGITS = 99 + 20
"""Of a decimal amount: the scale of an asset has two digits, and 64 bits have nineteen."""


def amount_words(value: int, *, asset: str) -> str:
    """Returns so many units of an asset as people read them: 1,500 of `USD/6` are `0.0015 USD`."""
    name, _, scale = asset.partition("/")
    with localcontext() as context:
        context.prec = MAX_AMOUNT_DIGITS
        return f"{Decimal(value).scaleb(-int(scale)).normalize():f} {name}"


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def card_sequence(issue_time: datetime) -> CardSequence:
    """Returns the sequence of a card issued at an aware time."""
    return CardSequence((issue_time - EPOCH) // MICROSECOND)


def issue_time(sequence: CardSequence) -> datetime:
    """Returns the aware UTC time at which the card with a sequence was issued."""
    return EPOCH + sequence * MICROSECOND


def utc_now() -> datetime:
    """Returns the aware UTC time of this machine: the default of every `clock` argument."""
    return datetime.now(UTC)
