"""The judge of refused cancellations is pure: it finds work that stopped, and calls that were not refused."""

from __future__ import annotations

import pytest

from conformance.tests.made_transcripts import CANCELLED, Found, cancellation, found, log, refusal, stream
from consilience.v1 import ask_pb2
from consilience_conformance.cases.refused_cancels import REFUSED
from consilience_conformance.transcripts import Exchange

WHOLE = log("so far", " and on")
STOPPED = log("so far", ending=CANCELLED)
REFUSALS = tuple(refusal(defect.name, defect.reason) for defect in REFUSED)


def around(events: list[ask_pb2.AnswerEvent]) -> tuple[Exchange, ...]:
    return (*REFUSALS, stream("ask", events), cancellation("control-after", events))


def test_work_that_goes_on_is_found_nothing_of() -> None:
    assert found("a-refused-cancel-stops-nothing", around(WHOLE)) == []


def test_work_that_stopped_is_found_though_each_call_was_refused() -> None:
    assert found("a-refused-cancel-stops-nothing", around(STOPPED)) == [
        ("ASK-STOP-001", "the answer did not end as it has to"),
        ("ASK-STOP-001", "the text is not that of the script"),
    ]


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (
            cancellation("for-another-node", WHOLE),
            [("SIG-HDR-002", "for-another-node was accepted")],
        ),
        (
            refusal("no-signature", "SIGNATURE_INVALID"),
            [("SIG-ENV-003", "no-signature was not refused for this reason")],
        ),
        (
            refusal("control-after", "ANSWER_UNKNOWN"),
            [("ASK-STOP-001", "CancelAnswer did not return the Final")],
        ),
    ],
)
def test_each_call_and_the_control_are_looked_at(spoilt: Exchange, expected: Found) -> None:
    assert found("a-refused-cancel-stops-nothing", around(WHOLE), spoilt) == expected
