"""Telemetry: follows an ask from its asker to the node that answers, and tells how long each part took.

Client and server tell a `Tracer` what happens to an ask, and nothing of what is asked or answered. The default tells
nobody. With the extra `[otel]`, `consilience.telemetry.open_telemetry` makes a span of each ask on each side.

>>> from consilience.telemetry.open_telemetry import OpenTelemetryTracer
>>> tracer = OpenTelemetryTracer(peers={node_id})
"""

from __future__ import annotations

from consilience.telemetry.traces import (
    SILENT,
    SILENT_TRACE,
    AskTrace,
    Metadata,
    ReceivedMetadata,
    SilentTracer,
    TracedAsk,
    Tracer,
)

__all__ = ["SILENT", "SILENT_TRACE", "AskTrace", "Metadata", "ReceivedMetadata", "SilentTracer", "TracedAsk", "Tracer"]
