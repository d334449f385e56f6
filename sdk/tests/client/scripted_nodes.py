"""Nodes over real sockets that do what a test writes: also what no real node would ever do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import grpc

from consilience._wire.envelopes import open_envelope, seal
from consilience._wire.errors import trailer_of
from consilience._wire.events import encode_event
from consilience._wire.services import (
    GET_NODE_CARD_METHOD,
    ReceivedAsk,
    decode_ask,
    decode_request,
    encode_cancelled,
    encode_card_response,
    encode_snapshot,
)
from consilience.asks import (
    ASK_METHOD,
    CANCEL_METHOD,
    GET_METHOD,
    RESUME_METHOD,
    Accepted,
    Answer,
    AnswerEvent,
    AnswerSnapshot,
    Ask,
    CancelAnswerCall,
    Event,
    Final,
    GetAnswerCall,
    Outcome,
    ResumeAnswerCall,
    StopReason,
    TextDelta,
    Transcript,
    Usage,
)
from consilience.envelopes import Envelope, Signed
from consilience.errors import AnswerUnknownError, RefusedError
from consilience.identity import KeyPair, format_node_id
from consilience.nodes import (
    DataClass,
    DataPolicy,
    Endpoint,
    Limits,
    NodeCard,
    SigningKey,
    Skill,
    TlsMode,
)
from consilience.units import RequestId, Sequence, card_sequence, utc_now

LIMITS = Limits(
    max_message_bytes=65536,
    max_turns=32,
    max_input_bytes=32768,
    max_running_asks=64,
    max_running_asks_per_caller=64,
    max_run_time=timedelta(minutes=10),
    answer_retention=timedelta(hours=1),
    max_readers_per_answer=16,
)


class LogBuilder:
    """Writes the log of one answer as an honest node would; a test bends what it returns."""

    def __init__(self, node: ScriptedNode, ask: Signed[Ask]) -> None:
        self.node = node
        self.ask = ask
        self.transcript = Transcript()
        self.entries: list[tuple[int, bytes]] = []
        self.final_answer: Signed[Answer] | None = None
        self.ended = asyncio.Event()

    def add(self, event: Event) -> bytes:
        """Appends an event and returns it encoded."""
        sequence = Sequence(self.transcript.last_sequence + 1)
        entry = AnswerEvent(sequence=sequence, event=event)
        self.transcript.append(entry)
        encoded = encode_event(entry)
        self.entries.append((sequence, encoded))
        return encoded

    def accepted(self) -> bytes:
        return self.add(Accepted(ask_digest=self.ask.digest, accept_time=utc_now()))

    def text(self, text: str) -> bytes:
        return self.add(TextDelta(first_sequence=Sequence(self.transcript.last_sequence + 1), text=text))

    def answer(self, **changes: Any) -> Answer:
        """Returns the answer to what was written so far, with changes."""
        now = utc_now()
        answer = Answer(
            node_id=self.node.root.public_key,
            signing_key=self.node.signing.public_key,
            card_digest=self.ask.value.card_digest,
            ask_digest=self.ask.digest,
            outcome=Outcome.ANSWERED,
            stop_reason=StopReason.COMPLETE,
            transcript_digest=self.transcript.digest,
            transcript_bytes=self.transcript.size_bytes,
            final_sequence=Sequence(self.transcript.last_sequence + 1),
            usage=Usage(output_bytes=self.transcript.size_bytes),
            accept_time=now,
            finish_time=now,
            citations=tuple(self.transcript.citations),
        )
        return replace(answer, **changes)

    def final(self, *, signer: KeyPair | None = None, **changes: Any) -> bytes:
        self.final_answer = seal(self.answer(**changes), signer=signer or self.node.signing)
        self.ended.set()
        return self.add(Final(answer=self.final_answer))

    def after(self, sequence: int) -> list[bytes]:
        return [encoded for number, encoded in self.entries if number > sequence]


@dataclass
class Call:
    """One call as it reached the node."""

    method: str
    envelope: Envelope | None
    peer: str
    request: bytes = field(default=b"", kw_only=True)


@dataclass
class AskCall(Call):
    """An ask, and the log to answer it with."""

    ask: Signed[Ask]
    log: LogBuilder
    received: ReceivedAsk


AskScript = Callable[[AskCall], AsyncIterator[bytes]]


async def greet(call: AskCall) -> AsyncIterator[bytes]:
    """Answers like any honest node."""
    yield call.log.accepted()
    yield call.log.text("Hello, ")
    yield call.log.text("world.")
    yield call.log.final()


@dataclass
class ScriptedNode:
    """A node whose every method is a function of the test. It is honest until told otherwise."""

    root: KeyPair = field(default_factory=KeyPair.generate)
    signing: KeyPair = field(default_factory=KeyPair.generate)
    skills: tuple[Skill, ...] = (Skill(id="greet"), Skill(id="other"))
    max_data_class: DataClass = DataClass.PUBLIC
    limits: Limits = LIMITS
    next_root_digest: bytes = b""
    issue_time: datetime = field(default_factory=utc_now)
    lifetime: timedelta = timedelta(hours=1)
    endpoints: tuple[Endpoint, ...] = ()
    successions: tuple[Envelope, ...] = ()
    on_ask: AskScript = greet
    on_resume: Callable[[Signed[ResumeAnswerCall]], AsyncIterator[bytes]] | None = None
    on_cancel: Callable[[Signed[CancelAnswerCall]], Awaitable[bytes]] | None = None
    on_card: Callable[[], Awaitable[bytes]] | None = None
    credentials: grpc.ServerCredentials | None = None
    calls: list[Call] = field(default_factory=list)
    logs: dict[RequestId, LogBuilder] = field(default_factory=dict)
    port: int = 0
    called: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        address = f"127.0.0.1:{self.port}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self.credentials)
        if not self.endpoints:
            self.endpoints = (Endpoint(uri=f"http://127.0.0.1:{self.port}", tls_mode=TlsMode.LOOPBACK_PLAIN),)
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        await self._server.stop(grace=None)

    @property
    def unary(self) -> dict[str, Callable[[Call], Any]]:
        """More methods, for nodes that serve more than asks."""
        return {}

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def node_id(self) -> str:
        return format_node_id(self.root.public_key)

    @property
    def address(self) -> str:
        return f"{self.node_id}@{self.authority}"

    def note(self, call: Call) -> None:
        """Notes a call, and wakes who waits for one of its method."""
        self.calls.append(call)
        self.called[call.method.rpartition("/")[2]].set()

    @property
    def methods(self) -> list[str]:
        """The short names of the methods that were called, in order."""
        return [call.method.rpartition("/")[2] for call in self.calls]

    def card_value(self) -> NodeCard:
        return NodeCard(
            node_id=self.root.public_key,
            sequence=card_sequence(self.issue_time),
            expire_time=self.issue_time + self.lifetime,
            signing_keys=(SigningKey(public_key=self.signing.public_key, expire_time=self.issue_time + self.lifetime),),
            endpoints=self.endpoints,
            skills=self.skills,
            limits=self.limits,
            data_policy=DataPolicy(max_data_class=self.max_data_class),
            next_root_digest=self.next_root_digest,
        )

    def card(self) -> Signed[NodeCard]:
        return seal(self.card_value(), signer=self.root)

    def publish(self, **changes: Any) -> None:
        """Issues a newer card with changes."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.issue_time = max(datetime.now(UTC), self.issue_time + timedelta(microseconds=1))

    def answer_unknown(self) -> RefusedError:
        return AnswerUnknownError("there is no such answer of yours")

    async def _card(self) -> bytes:
        if self.on_card is not None:
            return await self.on_card()
        return encode_card_response(self.card().envelope, successions=self.successions)

    async def _ask(self, call: Call) -> AsyncIterator[bytes]:
        assert call.envelope is not None
        ask = open_envelope(call.envelope, Ask)
        bound = self.logs.get(ask.value.header.request_id)
        log = LogBuilder(self, ask)
        if bound is not None and bound.ask.digest == ask.digest:
            for encoded in bound.after(0):
                yield encoded
            return
        self.logs[ask.value.header.request_id] = log
        try:
            received = decode_ask(call.request)
            async for encoded in self.on_ask(AskCall(call.method, call.envelope, call.peer, ask, log, received)):
                yield encoded
        except RefusedError:
            del self.logs[ask.value.header.request_id]  # a refusal binds nothing
            raise

    async def _resume(self, call: Call) -> AsyncIterator[bytes]:
        assert call.envelope is not None
        resume = open_envelope(call.envelope, ResumeAnswerCall)
        if self.on_resume is not None:
            async for encoded in self.on_resume(resume):
                yield encoded
            return
        log = self.logs.get(resume.value.ask_request_id)
        if log is None:
            raise self.answer_unknown()
        for encoded in log.after(resume.value.after_sequence):
            yield encoded

    async def _get(self, call: Call) -> bytes:
        assert call.envelope is not None
        log = self.logs.get(open_envelope(call.envelope, GetAnswerCall).value.ask_request_id)
        if log is None:
            raise self.answer_unknown()
        transcript = log.transcript
        return encode_snapshot(
            AnswerSnapshot(last_sequence=transcript.last_sequence, text=transcript.text, final=transcript.final)
        )

    async def _cancel(self, call: Call) -> bytes:
        assert call.envelope is not None
        cancel = open_envelope(call.envelope, CancelAnswerCall)
        if self.on_cancel is not None:
            return await self.on_cancel(cancel)
        log = self.logs.get(cancel.value.ask_request_id)
        if log is None:
            raise self.answer_unknown()
        if log.final_answer is None:
            log.final(outcome=Outcome.CANCELLED, stop_reason=StopReason.CANCELLED)
        assert log.final_answer is not None
        return encode_cancelled(Final(answer=log.final_answer))


class _Handlers(grpc.GenericRpcHandler):
    """Leads bytes to the script, and refusals to statuses."""

    def __init__(self, node: ScriptedNode) -> None:
        self._node = node
        self._streams = {ASK_METHOD: node._ask, RESUME_METHOD: node._resume}
        self._unary = {GET_METHOD: node._get, CANCEL_METHOD: node._cancel} | node.unary

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = details.method.lstrip("/")
        if method == GET_NODE_CARD_METHOD:
            return grpc.unary_unary_rpc_method_handler(self._card)
        if method in self._streams:
            return grpc.unary_stream_rpc_method_handler(self._streaming(method))
        return grpc.unary_unary_rpc_method_handler(self._calling(method)) if method in self._unary else None

    async def _card(self, _: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self._node.note(Call(GET_NODE_CARD_METHOD, None, context.peer()))
        return await self._node._card()

    def _streaming(self, method: str) -> Any:
        async def handle(request: bytes, context: Any) -> AsyncIterator[bytes]:
            call = Call(method, decode_request(request), context.peer(), request=request)
            self._node.note(call)
            try:
                async for encoded in self._streams[method](call):
                    yield encoded
            except RefusedError as error:
                await _refuse(context, error)

        return handle

    def _calling(self, method: str) -> Any:
        async def handle(request: bytes, context: Any) -> bytes:
            call = Call(method, decode_request(request), context.peer())
            self._node.note(call)
            try:
                return await self._unary[method](call)
            except RefusedError as error:
                await _refuse(context, error)
                raise AssertionError("unreachable") from error

        return handle


async def _refuse(context: Any, error: RefusedError) -> None:
    code, message, trailer = trailer_of(error)
    await context.abort(code, message, trailer)
