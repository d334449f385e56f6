"""The spans that an ask becomes, told step by step."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc import aio
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, rpc_attributes
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.trace import SpanKind, StatusCode

from consilience.asks import Outcome, StopReason
from consilience.errors import (
    NodeFaultError,
    ProtocolError,
    SkillUnknownError,
    UnreachableError,
)
from consilience.identity import format_node_id
from consilience.telemetry import AskTrace, TracedAsk
from consilience.telemetry.open_telemetry import FAULTS_OF_A_SERVER, OpenTelemetryTracer
from sdk.tests._wire.chains import Chain, make_chain
from sdk.tests.telemetry.span_recordings import SpanRecording, attributes_of

AUTHORITY = "127.0.0.1:7341"


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain()


@pytest.fixture
def told(chain: Chain) -> TracedAsk:
    return TracedAsk.of(chain.ask.value)


def test_an_ask_is_a_client_span_that_lasts_until_its_final(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    trace = recording.tracer().asking(told, authority=AUTHORITY)
    trace.accepted()
    trace.first_text()
    assert recording.spans == ()
    trace.finished(chain.answer.value)
    span, attributes, answer = recording.span, attributes_of(recording.span), chain.answer.value
    assert (span.name, span.kind) == ("consilience.v1.AskService/Ask", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes.pop("consilience.time_to_accepted") >= 0
    assert attributes.pop("gen_ai.response.time_to_first_chunk") >= 0
    assert answer.model is not None
    assert answer.confidence is not None
    assert attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "consilience.v1.AskService/Ask",
        "rpc.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": 7341,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "consilience",
        "gen_ai.request.model": told.model_id,
        "gen_ai.request.max_tokens": told.max_output_tokens,
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": (answer.stop_reason.name.lower(),),
        "gen_ai.response.model": answer.model.id,
        "gen_ai.usage.input_tokens": answer.usage.input_tokens,
        "gen_ai.usage.cache_read.input_tokens": answer.usage.cached_input_tokens,
        "gen_ai.usage.output_tokens": answer.usage.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": answer.usage.hidden_tokens,
        "consilience.node.id": format_node_id(told.node_id),
        "consilience.request.id": told.request_id.hex(),
        "consilience.skill.id": told.skill_id,
        "consilience.outcome": answer.outcome.name,
        "consilience.answer.size_bytes": answer.transcript_bytes,
        "consilience.answer.citation_count": len(answer.citations),
        "consilience.confidence.p_correct": answer.confidence.p_correct,
    }


def test_what_is_not_asked_for_or_not_disclosed_is_left_out(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    told = replace(told, model_id="", max_output_tokens=0)
    trace = recording.tracer().answering(told, metadata=())
    trace.finished(replace(chain.answer.value, model=None, confidence=None))
    assert not {
        "gen_ai.request.model",
        "gen_ai.request.max_tokens",
        "gen_ai.response.model",
        "gen_ai.response.time_to_first_chunk",
        "consilience.confidence.p_correct",
        "consilience.reconnect_count",
        "server.address",
    } & set(attributes_of(recording.span))


def test_the_names_are_those_of_the_conventions_that_are_installed(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    trace = recording.tracer().asking(told, authority=AUTHORITY)
    trace.first_text()
    trace.finished(chain.answer.value)
    recording.tracer().asking(told, authority=AUTHORITY).failed(UnreachableError(""))
    conventions = {
        value
        for module in (gen_ai_attributes, rpc_attributes, error_attributes, server_attributes)
        for name, value in vars(module).items()
        if name.isupper()
    }
    names = {name for span in recording.spans for name in attributes_of(span)}
    assert {name for name in names if not name.startswith("consilience.")} <= conventions


def test_no_word_of_question_answer_source_or_error_is_in_a_span(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    message = "xyzzy"
    answer = replace(chain.answer.value, detail=message, outcome=Outcome.FAILED, stop_reason=StopReason.ENGINE_FAILURE)
    endings: list[Callable[[AskTrace], None]] = [
        lambda trace: trace.finished(answer),
        lambda trace: trace.failed(SkillUnknownError(message)),
        lambda trace: trace.failed(ProtocolError(message, requirement="STRM-LOG-001")),
        lambda trace: trace.failed(ValueError(message)),
    ]
    for end in endings:
        end(recording.tracer().asking(told, authority=AUTHORITY))
        end(recording.tracer().answering(told, metadata=()))
    exported = "".join(span.to_json() for span in recording.spans)
    ask = chain.ask.value
    words = [message, ask.answer_schema, *(turn.text for turn in ask.turns)]
    words += [source.quote for source in _documents(chain)]
    assert len(recording.spans) == 2 * len(endings)
    assert all(words)
    assert [word for word in words if json.dumps(word)[1:-1] in exported] == []


def _documents(chain: Chain) -> list[Any]:
    return [citation.origin for citation in chain.answer.value.citations if not isinstance(citation.origin, bytes)]


@pytest.mark.parametrize("kind", ["asking", "answering"])
def test_an_answer_that_failed_is_an_error_on_both_sides_of_a_call_that_went_well(
    recording: SpanRecording, told: TracedAsk, chain: Chain, kind: str
) -> None:
    failed = replace(chain.answer.value, outcome=Outcome.FAILED, stop_reason=StopReason.ENGINE_FAILURE)
    begin(recording.tracer(), kind, told).finished(failed)
    attributes = attributes_of(recording.span)
    assert recording.span.status.status_code is StatusCode.ERROR
    assert attributes["error.type"] == "ENGINE_FAILURE"
    assert attributes["rpc.response.status_code"] == "OK"


@pytest.mark.parametrize(("kind", "status"), [("asking", StatusCode.ERROR), ("answering", StatusCode.UNSET)])
def test_a_refusal_for_the_callers_fault_is_an_error_to_the_caller_alone(
    recording: SpanRecording, told: TracedAsk, kind: str, status: StatusCode
) -> None:
    begin(recording.tracer(), kind, told).failed(SkillUnknownError("no"))
    attributes = attributes_of(recording.span)
    assert recording.span.status.status_code is status
    assert attributes["error.type"] == "SKILL_UNKNOWN"
    assert attributes["rpc.response.status_code"] == "NOT_FOUND"


@pytest.mark.parametrize("kind", ["asking", "answering"])
def test_a_fault_of_the_node_is_an_error_to_both(recording: SpanRecording, told: TracedAsk, kind: str) -> None:
    begin(recording.tracer(), kind, told).failed(NodeFaultError("no"))
    assert NodeFaultError.code in FAULTS_OF_A_SERVER
    assert recording.span.status.status_code is StatusCode.ERROR


def test_a_broken_rule_is_told_with_its_requirement(recording: SpanRecording, told: TracedAsk) -> None:
    recording.tracer().asking(told, authority=AUTHORITY).failed(ProtocolError("no", requirement="STRM-LOG-001"))
    attributes = attributes_of(recording.span)
    assert attributes["error.type"] == "ProtocolError"
    assert attributes["consilience.requirement"] == "STRM-LOG-001"
    assert recording.span.status.status_code is StatusCode.ERROR


def test_an_ask_that_is_left_is_cancelled_and_no_error(recording: SpanRecording, told: TracedAsk) -> None:
    recording.tracer().asking(told, authority=AUTHORITY).abandoned()
    assert attributes_of(recording.span)["rpc.response.status_code"] == "CANCELLED"
    assert recording.span.status.status_code is StatusCode.UNSET


def test_reconnections_are_counted(recording: SpanRecording, told: TracedAsk, chain: Chain) -> None:
    trace = recording.tracer().asking(told, authority=AUTHORITY)
    for _ in range(3):
        trace.reconnected()
    trace.finished(chain.answer.value)
    assert attributes_of(recording.span)["consilience.reconnect_count"] == 3


def test_what_is_told_after_the_end_is_ignored(
    recording: SpanRecording, told: TracedAsk, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    trace = recording.tracer().asking(told, authority=AUTHORITY)
    trace.abandoned()
    before = recording.span.to_json()
    trace.first_text()
    trace.reconnected()
    trace.finished(chain.answer.value)
    trace.failed(ValueError())
    trace.abandoned()
    assert recording.span.to_json() == before
    assert caplog.records == []


def test_an_ask_made_while_another_is_answered_is_its_child(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    tracer = recording.tracer()
    outer = tracer.answering(told, metadata=())
    with outer.active():
        inner = tracer.asking(told, authority=AUTHORITY)
    beside = tracer.asking(told, authority=AUTHORITY)
    for trace in (inner, beside, outer):
        trace.finished(chain.answer.value)
    inner_span, beside_span, outer_span = recording.spans
    assert inner_span.parent is not None
    assert inner_span.parent.span_id == outer_span.context.span_id
    assert beside_span.parent is None


def test_an_error_within_an_active_ask_is_told_by_nobody_else(recording: SpanRecording, told: TracedAsk) -> None:
    trace = recording.tracer().answering(told, metadata=())
    with pytest.raises(ValueError, match="xyzzy"), trace.active():
        raise ValueError("xyzzy")
    assert recording.spans == ()
    trace.abandoned()
    assert recording.span.events == ()
    assert recording.span.status.status_code is StatusCode.UNSET


def test_a_stranger_is_told_nothing_of_the_trace(recording: SpanRecording, told: TracedAsk) -> None:
    assert recording.tracer().asking(told, authority=AUTHORITY).metadata == ()
    assert recording.tracer(told.caller).asking(told, authority=AUTHORITY).metadata == ()


async def test_a_trace_goes_from_peer_to_peer_over_a_real_call(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    asker, node = recording.tracer(told.node_id), recording.tracer(told.caller)
    outgoing = asker.asking(told, authority=AUTHORITY)
    incoming = await carried(outgoing, to=node, told=told)
    incoming.finished(chain.answer.value)
    outgoing.finished(chain.answer.value)
    server, client = recording.spans
    assert server.kind is SpanKind.SERVER
    assert server.parent is not None
    assert (server.parent.span_id, server.parent.is_remote) == (client.context.span_id, True)
    assert server.context.trace_id == client.context.trace_id
    assert server.links == ()


async def test_the_trace_of_a_stranger_is_linked_and_not_joined(
    recording: SpanRecording, told: TracedAsk, chain: Chain
) -> None:
    outgoing = recording.tracer(told.node_id).asking(told, authority=AUTHORITY)
    incoming = await carried(outgoing, to=recording.tracer(), told=told)
    incoming.finished(chain.answer.value)
    outgoing.finished(chain.answer.value)
    server, client = recording.spans
    assert server.parent is None
    assert server.context.trace_id != client.context.trace_id
    assert [link.context.span_id for link in server.links] == [client.context.span_id]


def begin(tracer: OpenTelemetryTracer, kind: str, told: TracedAsk) -> AskTrace:
    if kind == "asking":
        return tracer.asking(told, authority=AUTHORITY)
    return tracer.answering(told, metadata=())


async def carried(outgoing: AskTrace, *, to: OpenTelemetryTracer, told: TracedAsk) -> AskTrace:
    """Sends the metadata of a trace through gRPC, and returns the trace that the far side begins."""
    arrived: asyncio.Future[AskTrace] = asyncio.get_running_loop().create_future()

    async def handle(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        arrived.set_result(to.answering(told, metadata=context.invocation_metadata() or ()))
        return request

    server = aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(handle)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Echo": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/test.Echo/Echo")
        await call(b"", metadata=outgoing.metadata)
    await server.stop(None)
    return await arrived
