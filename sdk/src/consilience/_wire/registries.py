"""Registries on the wire: what each method of RegistryService takes and gives, as bytes.

The calls have no header and no envelope of their own: a record speaks for itself (REG-OPEN-001).
"""

from __future__ import annotations

from collections.abc import Sequence

from consilience._wire import convert, records
from consilience._wire.services import parse
from consilience.envelopes import Envelope
from consilience.errors import FieldInvalidError, FieldViolation, FieldViolations
from consilience.reviews import NodeQuery, PublishOutcome, Record, RecordQuery
from consilience.units import Digest
from consilience.v1 import registry_pb2

REGISTRY_SERVICE = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name
DIGEST_BYTES = 32
MAX_CURSOR_BYTES = 256


def encode_publish(record: Record) -> bytes:
    """Returns the encoded PublishRecordRequest."""
    return registry_pb2.PublishRecordRequest(record=convert.to_message(record)).SerializeToString()


def decode_publish(encoded: bytes) -> Record:
    """Returns the record that is to be kept, unverified.

    Raises:
        EnvelopeMalformedError: The bytes are no request, or it carries no record.
    """
    return records.from_message(parse(encoded, registry_pb2.PublishRecordRequest).record)


def encode_outcome(outcome: PublishOutcome) -> bytes:
    """Returns the encoded PublishRecordResponse."""
    response = registry_pb2.PublishRecordResponse()
    response.outcome = int(outcome)  # type: ignore[assignment]  # the stub wants the name of the number
    return response.SerializeToString()


def decode_outcome(encoded: bytes) -> PublishOutcome:
    """Returns what became of a record; a value of a later version is UNKNOWN."""
    number = int(parse(encoded, registry_pb2.PublishRecordResponse).outcome)
    return next((outcome for outcome in PublishOutcome if outcome == number > 0), PublishOutcome.UNKNOWN)


def encode_get(digest: Digest) -> bytes:
    """Returns the encoded GetRecordRequest."""
    return registry_pb2.GetRecordRequest(digest=digest).SerializeToString()


def decode_get(encoded: bytes) -> Digest:
    """Returns the digest of the record that is wanted.

    Raises:
        EnvelopeMalformedError: The bytes are no request.
        FieldInvalidError: It is no digest.
    """
    digest = parse(encoded, registry_pb2.GetRecordRequest).digest
    if len(digest) != DIGEST_BYTES:
        raise _violation("digest", f"must be {DIGEST_BYTES} bytes")
    return Digest(digest)


def encode_record(record: Record) -> bytes:
    """Returns the encoded GetRecordResponse."""
    return registry_pb2.GetRecordResponse(record=convert.to_message(record)).SerializeToString()


def decode_record(encoded: bytes) -> Record:
    """Returns the record, unverified; raises as `decode_publish`."""
    return records.from_message(parse(encoded, registry_pb2.GetRecordResponse).record)


def encode_query(query: RecordQuery | NodeQuery) -> bytes:
    """Returns the encoded ListRecordsRequest or FindNodesRequest."""
    encoded: bytes = convert.to_message(query).SerializeToString()
    return encoded


def decode_record_query(encoded: bytes) -> RecordQuery:
    """Returns whose records are wanted; its other rules are for `reviews.check_query`.

    Raises:
        EnvelopeMalformedError: The bytes are no request.
        FieldInvalidError: A type is unspecified, or there twice, which values cannot tell of those of a later version.
    """
    _check_choices(parse(encoded, registry_pb2.ListRecordsRequest).types, field="types")
    return convert.parse(encoded, RecordQuery)


def decode_node_query(encoded: bytes) -> NodeQuery:
    """Returns what is asked of nodes; its other rules are for `reviews.check_query`.

    Raises:
        EnvelopeMalformedError: The bytes are no request.
        FieldInvalidError: A profile is unspecified, or there twice.
    """
    _check_choices(parse(encoded, registry_pb2.FindNodesRequest).profiles, field="profiles")
    return convert.parse(encoded, NodeQuery)


def encode_records(page: Sequence[Record], *, next_page_token: bytes) -> bytes:
    """Returns the encoded ListRecordsResponse."""
    return registry_pb2.ListRecordsResponse(
        records=[convert.to_message(record) for record in page], next_page_token=next_page_token
    ).SerializeToString()


def decode_records(encoded: bytes) -> tuple[tuple[Record, ...], bytes]:
    """Returns the records, unverified, and the token of the next page.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or a record of it holds no object.
    """
    response = parse(encoded, registry_pb2.ListRecordsResponse)
    return tuple(map(records.from_message, response.records)), response.next_page_token


def encode_cards(page: Sequence[Envelope], *, next_page_token: bytes) -> bytes:
    """Returns the encoded FindNodesResponse."""
    return registry_pb2.FindNodesResponse(
        cards=[convert.envelope_to_message(card) for card in page], next_page_token=next_page_token
    ).SerializeToString()


def decode_cards(encoded: bytes) -> tuple[tuple[Envelope, ...], bytes]:
    """Returns the cards, unverified, and the token of the next page.

    Raises:
        EnvelopeMalformedError: The bytes are no response.
    """
    response = parse(encoded, registry_pb2.FindNodesResponse)
    return tuple(map(convert.envelope_from_message, response.cards)), response.next_page_token


def encode_sync(cursor: bytes) -> bytes:
    """Returns the encoded SyncRecordsRequest."""
    return registry_pb2.SyncRecordsRequest(cursor=cursor).SerializeToString()


def decode_sync(encoded: bytes) -> bytes:
    """Returns the cursor to go on from.

    Raises:
        EnvelopeMalformedError: The bytes are no request.
        FieldInvalidError: It is no cursor of anybody.
    """
    cursor = parse(encoded, registry_pb2.SyncRecordsRequest).cursor
    if len(cursor) > MAX_CURSOR_BYTES:
        raise _violation("cursor", f"must have at most {MAX_CURSOR_BYTES} bytes")
    return cursor


def encode_digests(digests: Sequence[Digest], *, cursor: bytes) -> bytes:
    """Returns an encoded SyncRecordsResponse."""
    return registry_pb2.SyncRecordsResponse(digests=digests, cursor=cursor).SerializeToString()


def decode_digests(encoded: bytes) -> tuple[tuple[Digest, ...], bytes]:
    """Returns digests of records, and the cursor behind them.

    Raises:
        EnvelopeMalformedError: The bytes are no response.
    """
    response = parse(encoded, registry_pb2.SyncRecordsResponse)
    return tuple(map(Digest, response.digests)), response.cursor


def _check_choices(numbers: Sequence[int], *, field: str) -> None:
    """Checks numbers of an enum as they came: what is of a later version is one value afterwards, whatever it was."""
    if 0 in numbers:
        raise _violation(field, "must not be unspecified")
    if len(set(numbers)) != len(numbers):
        raise _violation(field, "must be there once each")


def _violation(field: str, description: str) -> FieldInvalidError:
    violation = FieldViolation(field=field, description=description)
    return FieldInvalidError(f"{field} {description}", detail=FieldViolations(violations=(violation,)))
