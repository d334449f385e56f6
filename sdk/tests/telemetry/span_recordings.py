"""Spans as the OpenTelemetry SDK exports them."""

import asyncio
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from consilience.telemetry.open_telemetry import OpenTelemetryTracer
from consilience.units import PublicKey


class SpanRecording:
    """A tracer, and the spans that it has exported, in the order in which they ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.ended = asyncio.Event()
        self.provider = TracerProvider()
        self.provider.add_span_processor(_Announcing(self.exporter, ended=self.ended))

    def tracer(self, *peers: PublicKey) -> OpenTelemetryTracer:
        return OpenTelemetryTracer(provider=self.provider, peers=frozenset(peers))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    def of_kind(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.spans if span.kind is kind]


class _Announcing(SimpleSpanProcessor):
    """Wakes whoever waits for a span that has ended."""

    def __init__(self, exporter: SpanExporter, *, ended: asyncio.Event) -> None:
        super().__init__(exporter)
        self._ended = ended

    def on_end(self, span: ReadableSpan) -> None:
        super().on_end(span)
        self._ended.set()


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
