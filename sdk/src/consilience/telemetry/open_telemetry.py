"""OpenTelemetry: a span for each ask, on the asker's side and on the node's (extra `[otel]`).

Names follow the semantic conventions for gRPC and for generative AI where they have one, and begin with `consilience.`
where they have none. No attribute holds text of a question, an answer or an error message.
"""

from __future__ import annotations

import time
from collections.abc import Container
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
    use_span,
)
from opentelemetry.util.types import AttributeValue

import consilience
from consilience.asks import ASK_METHOD, Answer, Outcome
from consilience.errors import ProtocolError, RefusedError
from consilience.identity import format_node_id
from consilience.telemetry.propagation import trace_context, trace_metadata
from consilience.telemetry.traces import AskTrace, Metadata, ReceivedMetadata, TracedAsk
from consilience.units import PublicKey

Attributes = dict[str, AttributeValue]

FAULTS_OF_A_SERVER = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""The codes that are errors in the span of a gRPC server; with any other the caller was at fault."""


class OpenTelemetryTracer:
    """Makes spans with OpenTelemetry.

    A trace id links what an asker asks of several nodes, even under several keys. So nobody is told one, and nobody's
    is taken over, but peers that are named.

    Args:
        provider: Makes the spans; the global provider, unless you say.
        peers: The keys of the nodes that are told of the trace that an ask is part of, and of the callers whose traces
            are gone on with. The trace of another caller who sends one is linked, not joined.
    """

    def __init__(self, *, provider: TracerProvider | None = None, peers: Container[PublicKey] = ()) -> None:
        self._tracer = get_tracer("consilience", consilience.__version__, provider)
        self._peers = peers

    def asking(self, ask: TracedAsk, *, authority: str) -> AskTrace:
        """Begins a client span, a child of the present one."""
        address = urlsplit(f"//{authority}")
        attributes = _attributes_of(ask) | {"server.address": address.hostname or ""}
        if address.port is not None:
            attributes["server.port"] = address.port
        span = self._tracer.start_span(ASK_METHOD, kind=SpanKind.CLIENT, attributes=attributes)
        metadata = trace_metadata(span.get_span_context()) if ask.node_id in self._peers else ()
        return _SpanTrace(span, kind=SpanKind.CLIENT, metadata=metadata)

    def answering(self, ask: TracedAsk, *, metadata: ReceivedMetadata) -> AskTrace:
        """Begins a server span: a child of the caller's span, or one with a link to it."""
        callers = trace_context(metadata)
        joined = callers if ask.caller in self._peers else None
        span = self._tracer.start_span(
            ASK_METHOD,
            context=_context_in(joined),
            kind=SpanKind.SERVER,
            attributes=_attributes_of(ask),
            links=(Link(callers),) if callers is not None and joined is None else (),
        )
        return _SpanTrace(span, kind=SpanKind.SERVER, metadata=())


class _SpanTrace:
    """One ask as a span."""

    def __init__(self, span: Span, *, kind: SpanKind, metadata: Metadata) -> None:
        self.metadata = metadata
        self._span = span
        self._kind = kind
        self._start = time.perf_counter()
        self._reconnects = 0
        self._ended = False

    def active(self) -> AbstractContextManager[object]:
        return use_span(self._span, record_exception=False, set_status_on_exception=False)

    def accepted(self) -> None:
        self._tell({"consilience.time_to_accepted": self._seconds()})

    def first_text(self) -> None:
        self._tell({"gen_ai.response.time_to_first_chunk": self._seconds()})

    def reconnected(self) -> None:
        self._reconnects += 1
        self._tell({"consilience.reconnect_count": self._reconnects})

    def finished(self, answer: Answer) -> None:
        told = _attributes_of_answer(answer) | {"rpc.response.status_code": "OK"}
        if answer.outcome is Outcome.FAILED:
            self._end(told | {"error.type": answer.stop_reason.name}, is_error=True)
        else:
            self._end(told)

    def failed(self, error: Exception) -> None:
        match error:
            case RefusedError(reason=reason, code=code):
                is_error = self._kind is SpanKind.CLIENT or code in FAULTS_OF_A_SERVER
                self._end({"rpc.response.status_code": code, "error.type": reason}, is_error=is_error)
            case ProtocolError(requirement=requirement):
                self._end({"error.type": type(error).__name__, "consilience.requirement": requirement}, is_error=True)
            case _:
                self._end({"error.type": type(error).__name__}, is_error=True)

    def abandoned(self) -> None:
        self._end({"rpc.response.status_code": "CANCELLED"})

    def _tell(self, attributes: Attributes) -> None:
        if not self._ended:
            self._span.set_attributes(attributes)

    def _end(self, attributes: Attributes, *, is_error: bool = False) -> None:
        if self._ended:
            return
        self._ended = True
        self._span.set_attributes(attributes)
        if is_error:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def _seconds(self) -> float:
        return time.perf_counter() - self._start


def _context_in(parent: SpanContext | None) -> Context:
    """Returns a context whose present span is a peer's, or none.

    It begins empty: the task in which an ask arrives remembers only what the server was started in.
    """
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def _attributes_of(ask: TracedAsk) -> Attributes:
    attributes: Attributes = {
        "rpc.system.name": "grpc",
        "rpc.method": ASK_METHOD,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "consilience",
        "gen_ai.request.stream": True,
        "consilience.node.id": format_node_id(ask.node_id),
        "consilience.request.id": ask.request_id.hex(),
        "consilience.skill.id": ask.skill_id,
    }
    if ask.model_id:
        attributes["gen_ai.request.model"] = ask.model_id
    if ask.max_output_tokens:
        attributes["gen_ai.request.max_tokens"] = ask.max_output_tokens
    return attributes


def _attributes_of_answer(answer: Answer) -> Attributes:
    usage = answer.usage
    attributes: Attributes = {
        "gen_ai.response.finish_reasons": (answer.stop_reason.name.lower(),),
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.hidden_tokens,
        "consilience.outcome": answer.outcome.name,
        "consilience.answer.size_bytes": answer.transcript_bytes,
        "consilience.answer.citation_count": len(answer.citations),
    }
    if answer.model is not None:
        attributes["gen_ai.response.model"] = answer.model.id
    if answer.confidence is not None and answer.confidence.p_correct is not None:
        attributes["consilience.confidence.p_correct"] = answer.confidence.p_correct
    return attributes
