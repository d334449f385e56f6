from dataclasses import replace
from typing import Any

import pytest

from consilience.asks import (
    ByteSpan,
    Citation,
    Confidence,
    DocumentSource,
    DroppedSide,
    Intake,
    Outcome,
    Progress,
    RetrievedChunk,
    StopReason,
    Usage,
)
from consilience.errors import UsageError
from consilience.nodes import Model
from consilience.server import Conclusion
from consilience.server.conclusions import check_event
from consilience.units import Digest, utc_now

DOCUMENT = DocumentSource(uri="file:atlas.md", digest=bytes(32), retrieval_time=utc_now())


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": Outcome.UNKNOWN},
        {"stop_reason": StopReason.UNKNOWN},
        {"detail": "x" * 1025},
        {"confidence": Confidence(method="")},
        {"confidence": Confidence(method="m" * 129)},
        {"confidence": Confidence(method="m", p_correct=1.5)},
        {"confidence": Confidence(method="m", lower=0.5)},
        {"confidence": Confidence(method="m", lower=0.5, upper=0.25)},
        {"confidence": Confidence(method="m", sample_count=-1)},
        {"confidence": Confidence(method="m", calibration_digest=b"short")},
        {"model": Model(id="")},
        {"model": Model(id="m", parameter_count=-1)},
        {"model": Model(id="m", weights_digest=b"short")},
        {"intake": Intake(prompt_tokens_received=3, prompt_tokens_used=1, prompt_tokens_dropped=1)},
        {"intake": Intake(prompt_tokens_received=-1, prompt_tokens_used=-1)},
        {"intake": Intake(dropped_side=DroppedSide.UNKNOWN)},
        {"intake": Intake(retrieval_strategy="x" * 129)},
        {"intake": Intake(chunks=(RetrievedChunk(document=replace(DOCUMENT, digest=b"")),))},
        {"intake": Intake(chunks=(RetrievedChunk(document=DOCUMENT),) * 257)},
        {"usage": Usage(output_tokens=-1)},
    ],
)
def test_a_conclusion_that_no_asker_would_accept_cannot_be_made(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Conclusion(**fields)


@pytest.mark.parametrize(
    "event",
    [
        Progress(message=""),
        Progress(message="x" * 513),
        Progress(message="going", done_milli=1001),
        Progress(message="going", done_milli=-1),
        Citation(origin=Digest(b"")),
        Citation(origin=replace(DOCUMENT, digest=b"short")),
        Citation(origin=replace(DOCUMENT, uri="")),
        Citation(origin=replace(DOCUMENT, uri="x" * 2049)),
        Citation(origin=replace(DOCUMENT, title="x" * 513)),
        Citation(origin=replace(DOCUMENT, quote="x" * 16_385)),
        Citation(origin=replace(DOCUMENT, place=ByteSpan(start_byte=2, end_byte=1))),
        Citation(origin=DOCUMENT, answer_span=ByteSpan(start_byte=-1, end_byte=1)),
    ],
)
def test_an_event_that_no_asker_would_accept_is_found(event: Citation | Progress) -> None:
    with pytest.raises(UsageError):
        check_event(event)


def test_whoever_writes_a_handler_is_told_the_rule_by_which_an_asker_would_refuse() -> None:
    confidence = Confidence(method="m", p_correct=1.5)
    with pytest.raises(UsageError, match=r"^confidence\.p_correct must lie between 0 and 1$"):
        Conclusion(confidence=confidence)


def test_what_the_rules_allow_passes() -> None:
    span = ByteSpan(start_byte=0, end_byte=0)
    check_event(Progress(message="x" * 512, done_milli=1000))
    check_event(Citation(origin=replace(DOCUMENT, quote="x" * 16_384, place=span), answer_span=span))
    check_event(Citation(origin=Digest(bytes(32))))
    Conclusion(
        detail="x" * 1024,
        confidence=Confidence(method="m", p_correct=0.0, lower=0.0, upper=1.0, calibration_digest=bytes(32)),
        intake=Intake(prompt_tokens_received=3, prompt_tokens_used=1, prompt_tokens_dropped=2),
    )
