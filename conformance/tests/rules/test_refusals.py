"""What a refusal has to be: its reason and the code of that reason; what does not parse is no reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.rpc import code_pb2, status_pb2

from conformance.tests.made_transcripts import Found, refusal
from consilience.v1 import ask_pb2
from consilience_conformance.rules.refusals import refusal_of, refused, status_findings, was_accepted
from consilience_conformance.transcripts import Ended, Exchange, Response

ASK, GET = "consilience.v1.AskService/Ask", "consilience.v1.AskService/GetAnswer"
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


@pytest.mark.parametrize(
    ("method", "responses"),
    [(ASK, ()), (ASK, (b"",)), (ASK, (b"\xff",)), (GET, ()), (GET, (b"\xff",))],
)
def test_an_end_without_an_error_and_without_an_answer_is_no_control(
    *, method: str, responses: tuple[bytes, ...]
) -> None:
    (finding,) = was_accepted(answered(method, *responses), requirement="ASK-CARD-001")
    assert finding.message == "ask was accepted without an answer"


@pytest.mark.parametrize("method", [ASK, GET])
def test_one_message_that_parses_is_an_answer(method: str) -> None:
    event = ask_pb2.AskResponse(events=[ask_pb2.AnswerEvent(sequence=1)]).SerializeToString()
    assert not list(was_accepted(answered(method, event if method == ASK else b""), requirement="ASK-CARD-001"))


def test_nothing_comes_from_behind_the_end_of_a_log() -> None:
    assert not list(was_accepted(answered("consilience.v1.AskService/ResumeAnswer"), requirement="STRM-CUR-003"))


def answered(method: str, *responses: bytes) -> Exchange:
    return Exchange(
        name="ask",
        method=method,
        request=b"",
        began=0.0,
        ended_at=1.0,
        ended=Ended.STATUS,
        code="OK",
        responses=tuple(Response(at=0.5, data=data) for data in responses),
    )
