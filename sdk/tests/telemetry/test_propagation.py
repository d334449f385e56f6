"""Trace contexts as metadata. The examples of traceparent are made after W3C Trace Context, level 1, section 3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags, TraceState

from consilience.telemetry.propagation import MAX_FIELD_CHARACTERS, trace_context, trace_metadata

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_a_context_becomes_the_traceparent_of_the_standard() -> None:
    context = SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), is_remote=False, trace_flags=TraceFlags(1))
    assert trace_metadata(context) == (("traceparent", PARENT),)


def test_a_context_comes_back_with_its_state() -> None:
    state = TraceState([("vendor", "opaque"), ("other", "1")])
    sent = SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(0), trace_state=state)
    read = trace_context(trace_metadata(sent))
    assert read is not None
    assert (read.trace_id, read.span_id, read.trace_flags, read.trace_state) == (7, 9, 0, state)
    assert read.is_remote


def test_no_context_is_no_metadata() -> None:
    assert trace_metadata(INVALID_SPAN_CONTEXT) == ()
    assert trace_context(()) is None


def test_other_keys_are_ignored_and_nothing_else_is_carried() -> None:
    read = trace_context((("user-agent", "x"), ("traceparent", PARENT), ("blob-bin", b"\xff"), ("baggage", "secret=1")))
    assert read is not None
    assert read.trace_id == int(TRACE_ID, 16)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "junk",
        PARENT.upper(),
        PARENT[:-1],
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"{PARENT}-more",
        PARENT.encode(),
        "00-" * MAX_FIELD_CHARACTERS,
    ],
)
def test_what_is_no_traceparent_is_no_context_and_no_line_in_the_log(
    value: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert trace_context((("traceparent", value),)) is None
    assert caplog.records == []


def test_two_parents_are_none() -> None:
    assert trace_context((("traceparent", PARENT), ("traceparent", PARENT))) is None


def test_a_state_that_is_too_long_is_left_out() -> None:
    read = trace_context((("traceparent", PARENT), ("tracestate", "vendor=" + "x" * MAX_FIELD_CHARACTERS)))
    assert read is not None
    assert not read.trace_state


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate"]), st.text() | st.binary()), max_size=4))
def test_no_metadata_of_a_peer_raises(metadata: list[tuple[str, str | bytes]]) -> None:
    trace_context(metadata)
