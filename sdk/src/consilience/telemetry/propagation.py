"""Propagation: the context of a trace as gRPC metadata, after W3C Trace Context (the keys traceparent, tracestate)."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from consilience.telemetry.traces import Metadata, ReceivedMetadata

MAX_FIELD_CHARACTERS = 512
"""Longer fields from a peer are not read."""

_FORMAT = TraceContextTextMapPropagator()


def trace_metadata(context: SpanContext) -> Metadata:
    """Returns the pairs that tell a peer about a span; none for a context that is not valid."""
    pairs: dict[str, str] = {}
    _FORMAT.inject(pairs, set_span_in_context(NonRecordingSpan(context), Context()))
    return tuple(pairs.items())


def trace_context(metadata: ReceivedMetadata) -> SpanContext | None:
    """Returns the span that the metadata of a call tell about, or None where they tell none that can be read.

    Args:
        metadata: Pairs from a peer, so of any content; other keys are ignored.
    """
    fields: dict[str, list[str]] = {}
    for key, value in metadata:
        if key in _FORMAT.fields and isinstance(value, str) and len(value) <= MAX_FIELD_CHARACTERS:
            fields.setdefault(key, []).append(value)
    if len(fields.get("traceparent", ())) != 1:
        return None
    context = get_current_span(_FORMAT.extract(fields, Context())).get_span_context()
    return context if context.is_valid else None
