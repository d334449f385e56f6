"""What a refusal has to be: its reason and the code of that reason; what does not parse is no reason."""

from __future__ import annotations

from dataclasses import replace

from google.rpc import code_pb2, status_pb2

from conformance.tests.made_transcripts import Found, refusal
from consilience_conformance.rules.refusals import refusal_of, refused, status_findings
from consilience_conformance.transcripts import Exchange

STALE = refusal("defect", "STALE_CARD")


def of(exchange: Exchange, *reasons: str) -> Found:
    return [(one.requirement, one.message) for one in refused(exchange, *reasons, requirement="ASK-CARD-001")]


def with_code_in_details(exchange: Exchange, code: int) -> Exchange:
    status = status_pb2.Status.FromString(exchange.details)
    status.code = code
    return replace(exchange, details=status.SerializeToString())


def test_a_refusal_with_its_reason_and_its_code_is_as_it_has_to_be() -> None:
    assert of(STALE, "STALE_CARD") == []
    assert of(STALE, "GRANT_INVALID", "STALE_CARD") == []


def test_the_code_of_another_reason_is_found_in_the_call_and_in_its_details() -> None:
    expected = [("ERR-STAT-002", "STALE_CARD came with another code")]
    assert of(replace(STALE, code="INTERNAL"), "STALE_CARD") == expected
    assert of(with_code_in_details(STALE, code_pb2.INTERNAL), "STALE_CARD") == expected
    assert of(with_code_in_details(STALE, 99), "STALE_CARD") == expected


def test_another_reason_with_the_code_that_goes_with_it_is_another_reason_alone() -> None:
    assert of(STALE, "SKILL_UNKNOWN") == [("ASK-CARD-001", "defect was not refused for this reason")]


def test_an_error_info_that_does_not_parse_is_no_reason() -> None:
    status = status_pb2.Status.FromString(STALE.details)
    status.details[0].value = b"\xff\xff\xff"
    broken = replace(STALE, details=status.SerializeToString())
    assert refusal_of(broken).reason == ""
    assert of(broken, "STALE_CARD") == [("ASK-CARD-001", "defect was not refused for this reason")]
    assert [one.requirement for one in status_findings(broken)] == ["ERR-STAT-001"]
