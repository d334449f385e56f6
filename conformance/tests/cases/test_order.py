"""The judge of the order of the checks is pure: each defect that is told before its turn is found."""

from __future__ import annotations

import pytest

from conformance.tests.made_transcripts import exchange, found, log, refusal, stream
from consilience_conformance.transcripts import Exchange

CHECK = "first-check-that-fails-is-the-refusal"
REASONS = {
    "size": "LIMIT_EXCEEDED",
    "type": "PAYLOAD_TYPE_WRONG",
    "key": "ENVELOPE_MALFORMED",
    "no-signature": "SIGNATURE_MISSING",
    "signature": "SIGNATURE_INVALID",
    "nonsense": "ENVELOPE_MALFORMED",
    "signer": "SIGNER_WRONG",
    "fields": "FIELD_INVALID",
    "method": "METHOD_WRONG",
    "audience": "AUDIENCE_WRONG",
    "extension": "EXTENSION_UNSUPPORTED",
    "reuse": "REQUEST_ID_REUSED",
    "freshness": "CALL_EXPIRED",
    "card": "STALE_CARD",
    "skill": "SKILL_UNKNOWN",
    "model": "MODEL_UNKNOWN",
    "media-type": "MEDIA_TYPE_UNSUPPORTED",
    "schema": "ANSWER_SCHEMA_UNSUPPORTED",
    "data-class": "DATA_CLASS_REFUSED",
    "deadline": "DEADLINE_PASSED",
    "limits": "LIMIT_EXCEEDED",
}
"""The table of the specification, from its first step to its last; each is broken together with all behind it."""

EVENTS = log("hello")
GOOD = (
    stream("bound", EVENTS),
    *(refusal(f"from-{name}-on", reason) for name, reason in REASONS.items()),
    refusal("state", "ANSWER_UNKNOWN"),
    stream("control-after", EVENTS),
)


def test_a_node_that_keeps_to_the_table_is_found_nothing_of() -> None:
    assert found(CHECK, GOOD) == []


@pytest.mark.parametrize("left_out", ["size", "data-class", "limits"])
def test_what_a_node_does_not_offer_is_not_asked_of_it(left_out: str) -> None:
    assert found(CHECK, [one for one in GOOD if one.name != f"from-{left_out}-on"]) == []


@pytest.mark.parametrize("name", list(REASONS))
def test_a_defect_that_is_told_out_of_turn_is_found(name: str) -> None:
    """The node tells the defect of the next step that refuses for another reason; behind the last stands the first."""
    places = [*REASONS, *REASONS]
    behind = places[places.index(name) :]
    other = next(REASONS[one] for one in behind if REASONS[one] != REASONS[name])
    spoilt = refusal(f"from-{name}-on", other)
    assert found(CHECK, GOOD, spoilt) == [("ASK-IDEM-004", f"from-{name}-on was not refused for this reason")]


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (refusal("bound", "STALE_CARD"), ("ASK-IDEM-004", "bound was not accepted")),
        (stream("from-card-on", EVENTS), ("ASK-IDEM-004", "from-card-on was accepted")),
        (exchange("state", b""), ("ASK-IDEM-005", "state was accepted")),
        (refusal("control-after", "REQUEST_ID_REUSED"), ("ASK-IDEM-005", "control-after was not accepted")),
    ],
)
def test_each_oracle_sees_what_is_wrong(spoilt: Exchange, expected: tuple[str, str]) -> None:
    assert found(CHECK, GOOD, spoilt) == [expected]
