"""Records on the wire: opening what registries keep (spec section 4.4, steps 1 and 2)."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from consilience._wire import convert
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    EnvelopeMalformedError,
    LimitExceeded,
    LimitExceededError,
    PayloadTypeWrongError,
    RefusedError,
)
from consilience.nodes import MAX_CARD_BYTES, KeySuccession, NodeCard
from consilience.reviews import (
    MAX_RECORD_BYTES,
    Advisory,
    Kept,
    OpenRecord,
    Rebuttal,
    Record,
    Retraction,
    Review,
    card_wanted,
)
from consilience.v1 import registry_pb2

RECORD_LIMIT = "record_bytes"
"""The name of the limit on the payload of a record, in the detail of a refusal."""

_TYPES: dict[str, type[Kept]] = {
    convert.full_name(kept): kept for kept in (NodeCard, KeySuccession, Review, Retraction, Rebuttal, Advisory)
}


def open_record(record: Record) -> OpenRecord:
    """Verifies and parses a record, with what is signed in it.

    A card that nothing rests on, or that does not open, is left out: of what rests on it, `place_of` says that nothing
    shows it, and only after what comes before that in section 4.4.

    Raises:
        LimitExceededError: The payload is larger than 64 KiB.
        PayloadTypeWrongError: The object is none that registries keep.
        RefusedError: See `convert.open_envelope`.
    """
    if (size := len(record.object.payload)) > MAX_RECORD_BYTES:
        raise LimitExceededError(
            f"the payload of a record has at most {MAX_RECORD_BYTES} bytes",
            detail=LimitExceeded(limit=RECORD_LIMIT, maximum=MAX_RECORD_BYTES, requested=size),
        )
    kept = _TYPES.get(record.object.payload_type)
    if kept is None:
        raise PayloadTypeWrongError(f"no registry keeps a {record.object.payload_type or 'nameless object'}")
    opened: Signed[Kept] = convert.open_envelope(record.object, kept)
    bare = OpenRecord(object=opened)
    return bare if record.card is None or card_wanted(bare) is None else bare.resting_on(_open_card(record.card))


def _open_card(card: Envelope) -> Signed[NodeCard] | None:
    """Returns a card, or None where it is none."""
    if len(card.payload) > MAX_CARD_BYTES:
        return None
    try:
        return convert.open_envelope(card, NodeCard)
    except RefusedError:
        return None


def to_bytes(record: Record) -> bytes:
    """Returns an encoded Record, for a file or a database."""
    encoded: bytes = convert.to_message(record).SerializeToString(deterministic=True)
    return encoded


def from_bytes(encoded: bytes) -> Record:
    """Reads an encoded Record, unverified.

    Raises:
        EnvelopeMalformedError: The bytes are none, or it holds no object.
    """
    try:
        message = registry_pb2.Record.FromString(encoded)
    except DecodeError as error:
        raise EnvelopeMalformedError("the bytes are not a Record") from error
    return from_message(message)


def from_message(message: registry_pb2.Record) -> Record:
    """Returns the record of a message, unverified.

    Raises:
        EnvelopeMalformedError: It holds no object.
    """
    if not message.HasField("object"):
        raise EnvelopeMalformedError("the record holds no object")
    return convert.from_message(message, Record)
