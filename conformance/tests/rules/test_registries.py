"""The rules of registries find what became of a record, and each way in which a listing is not what it was to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from conformance.tests.made_transcripts import exchange, refusal
from consilience.v1 import registry_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.records.made_up import advisory, record_of
from consilience_conformance.registry_methods import GET_RECORD, LIST_RECORDS, PUBLISH
from consilience_conformance.rules import registries
from consilience_conformance.rules.registries import STORED, SUPERSEDED
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

RULE = "REC-ADM-001"


def record() -> registry_pb2.Record:
    return record_of((author := Caller.new()).seal(advisory(author)))


ONE, OTHER = record(), record()


def publishing(outcome: int) -> Exchange:
    request = registry_pb2.PublishRecordRequest(record=ONE).SerializeToString()
    response = registry_pb2.PublishRecordResponse(outcome=outcome)  # type: ignore[arg-type]
    return replace(exchange("publish", response.SerializeToString(), request=request), method=PUBLISH)


def page(name: str, *records: registry_pb2.Record, token: bytes = b"") -> Exchange:
    response = registry_pb2.ListRecordsResponse(records=records, next_page_token=token)
    return replace(exchange(name, response.SerializeToString()), method=LIST_RECORDS)


def fetched(*records: registry_pb2.Record) -> Exchange:
    responses = [registry_pb2.GetRecordResponse(record=one).SerializeToString() for one in records]
    return replace(exchange("fetched", *responses), method=GET_RECORD)


def seen(*exchanges: Exchange) -> Transcript:
    return Transcript(check="any", exchanges=list(exchanges))


def messages(findings: Iterator[Finding]) -> list[str]:
    return [finding.message for finding in findings]


@pytest.mark.parametrize(
    ("call", "fate"),
    [
        (publishing(1), "STORED"),
        (publishing(2), "KNOWN"),
        (publishing(3), "SUPERSEDED"),
        (publishing(77), "77"),
        (refusal("publish", "TICKET_USED"), "refused TICKET_USED"),
    ],
)
def test_what_became_of_a_record_is_its_outcome_or_the_refusal(call: Exchange, fate: str) -> None:
    assert registries.fate_of(call) == fate
    allowed = registries.came_to(call, STORED, SUPERSEDED, requirement=RULE)
    wrong = [] if fate in {STORED, SUPERSEDED} else ["publish did not come to STORED or SUPERSEDED"]
    assert messages(allowed) == wrong


def test_a_response_that_does_not_parse_is_no_outcome() -> None:
    broken = replace(exchange("publish", b"\xff\xff"), method=PUBLISH)
    assert messages(registries.came_to(broken, STORED, requirement=RULE)) == ["publish did not come to STORED"]


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (fetched(ONE), []),
        (fetched(OTHER), ["fetched brought another record"]),
        (refusal("fetched", "RECORD_UNKNOWN"), ["fetched was not accepted"]),
    ],
)
def test_a_record_that_is_served_is_the_one_that_was_asked_for(call: Exchange, found: list[str]) -> None:
    assert messages(registries.serves(call, ONE, requirement=RULE)) == found
    assert bool(messages(registries.serves_not(call, requirement=RULE))) is call.accepted


def test_a_listing_goes_over_all_of_its_pages() -> None:
    transcript = seen(page("all", ONE, token=b"more"), page("all 2", OTHER), page("other", ONE))
    assert registries.listed(registries.pages(transcript, "all")) == [ONE, OTHER]
    assert registries.next_page_of(transcript["all"]) == b"more"
    assert not messages(registries.holds(transcript, "all", OTHER, ONE, requirement=RULE, message="other ones"))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: page("all"),
        lambda _: page("all", OTHER),
        lambda _: page("all", ONE, ONE),
        lambda one: page("all", registry_pb2.Record(object=one.object, card=OTHER.object)),
    ],
)
def test_a_listing_with_others_is_told(change: Callable[[registry_pb2.Record], Exchange]) -> None:
    transcript = seen(page("before", ONE), change(ONE))
    assert messages(registries.holds(transcript, "all", ONE, requirement=RULE, message="others")) == ["others"]
    assert messages(registries.unchanged(transcript, "before", "all", requirement=RULE)) == [
        "what was refused left something behind"
    ]


def test_a_listing_that_was_refused_is_told_as_such() -> None:
    transcript = seen(page("before", ONE), refusal("all", "LIMIT_EXCEEDED"))
    assert messages(registries.holds(transcript, "all", ONE, requirement=RULE, message="others")) == [
        "all was not accepted"
    ]
    assert messages(registries.unchanged(transcript, "before", "all", requirement=RULE)) == ["all was not accepted"]


def test_the_order_of_a_listing_is_part_of_what_is_left_behind() -> None:
    transcript = seen(page("before", ONE, OTHER), page("after", OTHER, ONE))
    assert messages(registries.unchanged(transcript, "before", "after", requirement=RULE))
