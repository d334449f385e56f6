"""Callers that speak to a node over a socket with raw calls, so that nothing of the client stands between."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, Self

from grpc import aio

from consilience._wire import services
from consilience._wire.envelopes import open_envelope, seal
from consilience._wire.errors import error_from_rpc
from consilience._wire.events import decode_events
from consilience.asks import (
    ASK_METHOD,
    CANCEL_METHOD,
    GET_METHOD,
    RESUME_METHOD,
    AnswerEvent,
    AnswerSnapshot,
    Ask,
    CancelAnswerCall,
    Final,
    GetAnswerCall,
    ResumeAnswerCall,
    Role,
    Transcript,
    Turn,
    check_answer,
)
from consilience.calls import CallHeader, new_header
from consilience.envelopes import Envelope, Signed
from consilience.identity import KeyPair
from consilience.nodes import DataClass, NodeCard
from consilience.units import Digest, PublicKey, RequestId, Sequence, utc_now


@dataclass(frozen=True)
class Reading:
    """A log as one stream brought it, checked against the rules of logs."""

    events: tuple[AnswerEvent, ...]
    transcript: Transcript

    @property
    def text(self) -> str:
        return self.transcript.text

    @property
    def final(self) -> Final:
        assert self.transcript.final is not None
        return self.transcript.final


class AnswerCall:
    """A stream that a test reads at its own pace."""

    def __init__(self, call: aio.UnaryStreamCall[bytes, bytes]) -> None:
        self._call = call
        self._ready: deque[AnswerEvent] = deque()

    async def next(self) -> AnswerEvent | None:
        """Returns the next event, or None at the end."""
        if not self._ready:
            try:
                received = await self._call.read()
            except aio.AioRpcError as error:
                raise error_from_rpc(error) from error
            if not isinstance(received, bytes):
                return None
            self._ready.extend(decode_events(received))
        return self._ready.popleft()

    async def rest(self, *, known: tuple[AnswerEvent, ...] = ()) -> Reading:
        """Reads to the end; `known` was read before, here or by another stream."""
        events, transcript = list(known), Transcript()
        for event in known:
            transcript.append(event)
        while (following := await self.next()) is not None:
            events.append(following)
            transcript.append(following)
        return Reading(tuple(events), transcript)

    def drop(self) -> None:
        """Goes away, as a lost connection does."""
        self._call.cancel()


class Caller:
    """Asks one node, with one key."""

    def __init__(
        self,
        channel: aio.Channel,
        *,
        node_id: PublicKey,
        card_digest: Digest,
        key: KeyPair | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.channel = channel
        self.node_id = node_id
        self.card_digest = card_digest
        self.key = key or KeyPair.generate()
        self.clock = clock

    def stranger(self) -> Self:
        """Returns somebody else on the same connection."""
        return type(self)(self.channel, node_id=self.node_id, card_digest=self.card_digest, clock=self.clock)

    def header(self, method: str = ASK_METHOD, **changes: Any) -> CallHeader:
        header = new_header(method=method, audience=self.node_id, caller=self.key.public_key, now=self.clock())
        return replace(header, **changes)

    def question(self, text: str = "say", *, header: Mapping[str, Any] | None = None, **changes: Any) -> Ask:
        ask = Ask(
            header=self.header(**(header or {})),
            skill_id="echo",
            card_digest=self.card_digest,
            turns=(Turn(role=Role.ASKER, parts=(text,)),),
            data_class=DataClass.PUBLIC,
        )
        return replace(ask, **changes)

    def sign(self, ask: Ask) -> Signed[Ask]:
        return seal(ask, signer=self.key)

    def send(self, envelope: Envelope) -> AnswerCall:
        return self.send_bytes(services.encode_request(envelope))

    def send_bytes(self, request: bytes, method: str = ASK_METHOD) -> AnswerCall:
        stream: aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(f"/{method}")
        return AnswerCall(stream(request))

    def open(self, text: str = "say", **changes: Any) -> tuple[Signed[Ask], AnswerCall]:
        signed = self.sign(self.question(text, **changes))
        return signed, self.send(signed.envelope)

    async def ask(self, text: str = "say", **changes: Any) -> tuple[Signed[Ask], Reading]:
        """Asks, reads to the end, and checks the signed answer."""
        signed, call = self.open(text, **changes)
        reading = await call.rest()
        self.check(signed, reading)
        return signed, reading

    def check(self, signed: Signed[Ask], reading: Reading) -> None:
        check_answer(
            reading.final.answer,
            transcript=reading.transcript,
            ask_digest=signed.digest,
            card_digest=signed.value.card_digest,
            node_id=self.node_id,
        )

    def resume(self, request_id: RequestId, *, after: int = 0, **header: Any) -> AnswerCall:
        call = ResumeAnswerCall(
            header=self.header(RESUME_METHOD, **header), ask_request_id=request_id, after_sequence=Sequence(after)
        )
        return self.send_bytes(services.encode_request(seal(call, signer=self.key).envelope), RESUME_METHOD)

    async def get(self, request_id: RequestId, **header: Any) -> AnswerSnapshot:
        call = GetAnswerCall(header=self.header(GET_METHOD, **header), ask_request_id=request_id)
        request = services.encode_request(seal(call, signer=self.key).envelope)
        return services.decode_snapshot(await self.unary(GET_METHOD, request))

    async def cancel(self, request_id: RequestId, **header: Any) -> Final:
        call = CancelAnswerCall(header=self.header(CANCEL_METHOD, **header), ask_request_id=request_id)
        request = services.encode_request(seal(call, signer=self.key).envelope)
        return services.decode_cancelled(await self.unary(CANCEL_METHOD, request))

    async def card(self) -> Signed[NodeCard]:
        card, _ = await fetch_card(self.channel)
        return card

    async def unary(self, method: str, request: bytes) -> bytes:
        unary: aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(f"/{method}")
        try:
            return await unary(request)
        except aio.AioRpcError as error:
            raise error_from_rpc(error) from error


async def fetch_card(channel: aio.Channel) -> tuple[Signed[NodeCard], tuple[Envelope, ...]]:
    """Fetches the card of whatever node a channel leads to, and its successions."""
    method: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{services.GET_NODE_CARD_METHOD}")
    card, successions = services.decode_card_response(await method(services.encode_card_request()))
    return open_envelope(card, NodeCard), successions


CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    # A connection of its own for each caller, though two may call one port.
    ("grpc.use_local_subchannel_pool", 1),
)


class Port(Protocol):
    """Whatever listens on a port of this machine."""

    @property
    def port(self) -> int: ...


@asynccontextmanager
async def calling(
    running: Port,
    *,
    clock: Callable[[], datetime] = utc_now,
    key: KeyPair | None = None,
    options: tuple[tuple[str, int], ...] = (),
) -> AsyncIterator[Caller]:
    """Connects to a plain node on this machine."""
    target = f"127.0.0.1:{running.port}"
    async with aio.insecure_channel(target, options=(*CHANNEL_OPTIONS, *options)) as channel:
        card, _ = await fetch_card(channel)
        yield Caller(channel, node_id=card.value.node_id, card_digest=card.digest, clock=clock, key=key)
