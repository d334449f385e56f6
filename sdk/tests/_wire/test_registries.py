"""What each method of RegistryService takes and gives comes back as it was, and nonsense is refused by name."""

from collections.abc import Callable
from typing import Any

import pytest

from consilience import reviews
from consilience._wire import records, registries
from consilience.errors import EnvelopeMalformedError, FieldInvalidError
from consilience.units import Digest
from consilience.v1 import registry_pb2
from sdk.tests._wire.reviews import full_reviews

FULL = full_reviews()
RECORD: reviews.Record = FULL["Record"]
DIGESTS = (Digest(b"d" * 32), Digest(b"e" * 32))


def test_requests_come_back_equal() -> None:
    assert registries.decode_publish(registries.encode_publish(RECORD)) == RECORD
    assert registries.decode_get(registries.encode_get(DIGESTS[0])) == DIGESTS[0]
    assert registries.decode_sync(registries.encode_sync(b"cursor")) == b"cursor"
    asked, listed = FULL["FindNodesRequest"], FULL["ListRecordsRequest"]
    assert registries.decode_node_query(registries.encode_query(asked)) == asked
    assert registries.decode_record_query(registries.encode_query(listed)) == listed


def test_responses_come_back_equal() -> None:
    bare = reviews.Record(object=RECORD.object)
    assert registries.decode_record(registries.encode_record(bare)) == bare
    page = registries.encode_records([RECORD, bare], next_page_token=b"next")
    assert registries.decode_records(page) == ((RECORD, bare), b"next")
    cards = registries.encode_cards([RECORD.object], next_page_token=b"")
    assert registries.decode_cards(cards) == ((RECORD.object,), b"")
    assert registries.decode_digests(registries.encode_digests(DIGESTS, cursor=b"c")) == (DIGESTS, b"c")


@pytest.mark.parametrize("outcome", [outcome for outcome in reviews.PublishOutcome if outcome > 0])
def test_an_outcome_comes_back(outcome: reviews.PublishOutcome) -> None:
    assert registries.decode_outcome(registries.encode_outcome(outcome)) is outcome


def test_an_outcome_of_a_later_version_is_unknown() -> None:
    assert registries.decode_outcome(bytes([8, 99])) is reviews.PublishOutcome.UNKNOWN
    assert registries.decode_outcome(b"") is reviews.PublishOutcome.UNKNOWN


@pytest.mark.parametrize(
    "decode",
    [
        registries.decode_publish,
        registries.decode_outcome,
        registries.decode_get,
        registries.decode_record,
        registries.decode_record_query,
        registries.decode_node_query,
        registries.decode_records,
        registries.decode_cards,
        registries.decode_sync,
        registries.decode_digests,
        records.from_bytes,
    ],
)
def test_bytes_that_are_no_message_are_malformed(decode: Callable[[bytes], Any]) -> None:
    with pytest.raises(EnvelopeMalformedError):
        decode(b"\xff\xff")


@pytest.mark.parametrize("decode", [registries.decode_publish, registries.decode_record, records.from_bytes])
def test_a_record_without_an_object_is_malformed(decode: Callable[[bytes], Any]) -> None:
    with pytest.raises(EnvelopeMalformedError, match="no object"):
        decode(b"")


@pytest.mark.parametrize(
    ("encoded", "field"),
    [(registries.encode_get(Digest(b"short")), "digest"), (registries.encode_sync(b"c" * 257), "cursor")],
)
def test_a_digest_or_cursor_of_a_wrong_size_is_named(encoded: bytes, field: str) -> None:
    decode = registries.decode_get if field == "digest" else registries.decode_sync
    with pytest.raises(FieldInvalidError, match=field):
        decode(encoded)


def test_two_choices_of_a_later_version_are_two_and_one_is_not_there_twice() -> None:
    listed = registry_pb2.ListRecordsRequest(subject=bytes(32), types=[77, 78])  # type: ignore[list-item]
    found = registry_pb2.FindNodesRequest(profiles=[77, 78])  # type: ignore[list-item]
    reviews.check_query(registries.decode_record_query(listed.SerializeToString()))
    reviews.check_query(registries.decode_node_query(found.SerializeToString()))
    for number in (1, 77):
        listed.types[:] = [number, number]  # type: ignore[list-item]
        found.profiles[:] = [number, number]  # type: ignore[list-item]
        with pytest.raises(FieldInvalidError, match="types must be there once each"):
            registries.decode_record_query(listed.SerializeToString())
        with pytest.raises(FieldInvalidError, match="profiles must be there once each"):
            registries.decode_node_query(found.SerializeToString())


def test_a_choice_that_is_unspecified_is_named() -> None:
    with pytest.raises(FieldInvalidError, match="types"):
        registries.decode_record_query(bytes([0x1A, 1, 0]))
    with pytest.raises(FieldInvalidError, match="profiles"):
        registries.decode_node_query(bytes([0x42, 1, 0]))
