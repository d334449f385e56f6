"""The judges of idempotency are pure: each finds an ask that was carried out twice, or bound when it must not be."""

from __future__ import annotations

import pytest

from conformance.tests.made_transcripts import Found, ask, cut, exchange, found, log, refusal, silent, stream
from consilience_conformance.transcripts import Exchange

EVENTS = log("hello")
OTHERS = log("hello, once more")

REUSE = (
    stream("control-before", EVENTS),
    refusal("defect", "REQUEST_ID_REUSED"),
    refusal("signed-with-another-time", "REQUEST_ID_REUSED"),
    stream("control-after", EVENTS),
    stream("same-id-of-another", OTHERS),
)


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("control-after", EVENTS), []),
        (refusal("control-before", "STALE_CARD"), [("ASK-IDEM-002", "control-before was not accepted")]),
        (stream("defect", OTHERS), [("ASK-IDEM-002", "defect was accepted")]),
        (
            refusal("signed-with-another-time", "CALL_EXPIRED"),
            [("ASK-IDEM-002", "signed-with-another-time was not refused for this reason")],
        ),
        (refusal("control-after", "REQUEST_ID_REUSED"), [("ASK-IDEM-003", "control-after was not accepted")]),
        (stream("control-after", OTHERS), [("ASK-IDEM-003", "two readers of one log read another text")]),
        (
            refusal("same-id-of-another", "REQUEST_ID_REUSED"),
            [("ASK-IDEM-002", "same-id-of-another was not accepted")],
        ),
    ],
)
def test_another_ask_under_a_bound_id_is_refused(spoilt: Exchange, expected: Found) -> None:
    messages = found("another-ask-under-a-bound-id-is-refused", REUSE, spoilt)
    assert set(messages) >= set(expected)
    assert bool(messages) == bool(expected)


COPIES = (*(stream(f"copy-{place}", EVENTS, began=place / 10) for place in range(3)), stream("late-copy", EVENTS))


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("copy-1", EVENTS, began=0.1), []),
        (refusal("copy-1", "REQUEST_ID_REUSED", began=0.1), [("ASK-IDEM-003", "a copy was not accepted")]),
        (silent("late-copy"), [("ASK-IDEM-003", "a copy was not accepted")]),
        (stream("copy-2", OTHERS, began=0.2), [("ASK-IDEM-003", "two readers of one log read another text")]),
        (stream("copy-2", EVENTS[:-1], began=0.2), [("STRM-LOG-003", "the stream ended without a Final")]),
    ],
)
def test_copies_read_one_log(spoilt: Exchange, expected: Found) -> None:
    messages = found("copies-of-an-ask-are-one-execution", COPIES, spoilt)
    assert set(messages) >= set(expected)
    assert bool(messages) == bool(expected)


RETRIED = (
    stream("control-before", EVENTS),
    refusal("refused-0", "STALE_CARD"),
    refusal("refused-again", "STALE_CARD", began=0.1),
    refusal("state", "ANSWER_UNKNOWN"),
    stream("control-after", EVENTS),
)


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("control-after", EVENTS), []),
        (refusal("control-before", "STALE_CARD"), [("ASK-CARD-001", "control-before was not accepted")]),
        (stream("refused-again", EVENTS), [("ASK-CARD-001", "a copy of a bad ask was accepted")]),
        (
            refusal("refused-0", "REQUEST_ID_REUSED"),
            [("ASK-CARD-001", "a copy of a bad ask was not refused for this reason")],
        ),
        (exchange("state", b""), [("ASK-IDEM-005", "state was accepted")]),
        (refusal("control-after", "REQUEST_ID_REUSED"), [("ASK-IDEM-005", "control-after was not accepted")]),
    ],
)
def test_a_refusal_binds_nothing(spoilt: Exchange, expected: Found) -> None:
    assert found("refusal-binds-nothing", RETRIED, spoilt) == expected


EXPIRES = (
    stream("first", EVENTS),
    cut(stream("copy-000", EVENTS[:1])),
    cut(stream("copy-001", EVENTS[:1], began=0.1)),
    refusal("copy-002", "CALL_EXPIRED", began=0.2),
)
BEGUN_ANEW = log("hello", asked=ask(2))


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (stream("first", EVENTS), []),
        (
            stream("copy-001", BEGUN_ANEW, began=0.1),
            [("ASK-IDEM-006", "a copy that is still fresh was begun anew")],
        ),
        (
            stream("copy-002", EVENTS, began=0.2),
            [("SIG-HDR-004", "a copy is still accepted when its header has long expired")],
        ),
        (
            refusal("copy-002", "STALE_CARD", began=0.2),
            [("ASK-IDEM-006", "a copy that is too old was not refused for this reason")],
        ),
    ],
)
def test_an_ask_stays_bound_until_its_header_expires(spoilt: Exchange, expected: Found) -> None:
    assert found("ask-stays-bound-until-its-header-expires", EXPIRES, spoilt) == expected
