"""Impostors: how degenerate nodes answer calls. They show a proper card, so that they die of what they are made for."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1 import error_details_pb2 as details_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, signatures
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.peers.refusals import refusal
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.wire_values import timestamp

SKILL = "chat"
_TEXT = "Yes."
_SEED_BYTES = 32
_CARD_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Impostor:
    """Whoever serves: a root key that also signs answers, and a card by the rules.

    Attributes:
        seed: The secret, 32 bytes.
        card: Signed.
    """

    seed: bytes
    card: SignedEnvelope

    @classmethod
    def at(cls, address: str) -> Impostor:
        """Returns a new one that serves on `host:port`, a loopback address."""
        seed = secrets.token_bytes(_SEED_BYTES)
        return cls(seed=seed, card=envelopes.seal(_card(signatures.public_key(seed), address=address), seed=seed))

    @property
    def node_id(self) -> bytes:
        """The root key, 32 bytes."""
        return signatures.public_key(self.seed)

    def accepted(self, ask: SignedEnvelope) -> ask_pb2.AnswerEvent:
        """Returns the first event of the log of an ask."""
        return ask_pb2.AnswerEvent(
            sequence=1,
            accepted=ask_pb2.Accepted(
                ask_digest=envelopes.envelope_digest(ask), accept_time=timestamp(datetime.now(UTC))
            ),
        )

    def final(self, ask: SignedEnvelope) -> ask_pb2.Final:
        """Returns the end of a log of three events, with a signed answer."""
        now, text = timestamp(datetime.now(UTC)), _TEXT.encode()
        answer = ask_pb2.Answer(
            node_id=self.node_id,
            signing_key=self.node_id,
            card_digest=envelopes.envelope_digest(self.card),
            ask_digest=envelopes.envelope_digest(ask),
            outcome=ask_pb2.OUTCOME_ANSWERED,
            stop_reason=ask_pb2.STOP_REASON_COMPLETE,
            transcript_digest=hashlib.sha256(text).digest(),
            transcript_bytes=len(text),
            final_sequence=3,
            usage=ask_pb2.Usage(output_bytes=len(text), duration=Duration()),
            accept_time=now,
            finish_time=now,
        )
        return ask_pb2.Final(answer=envelopes.seal(answer, seed=self.seed))


Manner = Callable[[Impostor, str, bytes], AsyncIterator[bytes]]
"""Answers a call, given the full name of its method and the encoded request; raises StatusError."""


async def accepts_all(impostor: Impostor, method: str, request: bytes) -> AsyncIterator[bytes]:
    """Answers everything as if all were well."""
    if method == GET_NODE_CARD:
        yield _shown(impostor)
        return
    ask = _ask_of(request)
    final = impostor.final(ask)
    messages: dict[str, Message] = {
        GET: ask_pb2.GetAnswerResponse(last_sequence=3, text=_TEXT, final=final),
        CANCEL: ask_pb2.CancelAnswerResponse(final=final),
    }
    events = [
        impostor.accepted(ask),
        ask_pb2.AnswerEvent(sequence=2, text_delta=ask_pb2.TextDelta(first_sequence=2, text=_TEXT)),
        ask_pb2.AnswerEvent(sequence=3, final=final),
    ]
    yield messages.get(method, ask_pb2.AskResponse(events=events)).SerializeToString()


async def empty_ok(_: Impostor, __: str, ___: bytes) -> AsyncIterator[bytes]:
    """Ends every call well, with nothing."""
    nothing: tuple[bytes, ...] = ()
    for message in nothing:
        yield message


async def cards_then_empty(impostor: Impostor, method: str, _: bytes) -> AsyncIterator[bytes]:
    """Shows the card, and ends every other call well, with nothing."""
    if method == GET_NODE_CARD:
        yield _shown(impostor)


def rejects_cards_too(_: Impostor, method: str, __: bytes) -> AsyncIterator[bytes]:
    """Refuses every call."""
    raise StatusError(grpc.StatusCode.PERMISSION_DENIED, f"{method} is not for you")


async def rejects_all(impostor: Impostor, method: str, _: bytes) -> AsyncIterator[bytes]:
    """Shows the card, and refuses every other call without a reason."""
    if method != GET_NODE_CARD:
        raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, "no")
    yield _shown(impostor)


async def lying_rejects_all(impostor: Impostor, method: str, request: bytes) -> AsyncIterator[bytes]:
    """Shows the card, and refuses every other call with the reason that the caller may have looked for."""
    if method == GET_NODE_CARD:
        yield _shown(impostor)
        return
    if method == ASK:
        _refuse_what_is_not_offered(request)
    reason = "ANSWER_UNKNOWN" if method in {GET, RESUME, CANCEL} else "NODE_DRAINING"
    raise refusal(reason, error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1)))


async def endless(impostor: Impostor, method: str, request: bytes) -> AsyncIterator[bytes]:
    """Shows the card, refuses what it does not offer, and streams the same word for ever."""
    if method == GET_NODE_CARD:
        yield _shown(impostor)
        return
    _refuse_what_is_not_offered(request)
    yield ask_pb2.AskResponse(events=[impostor.accepted(_ask_of(request))]).SerializeToString()
    sequence = 1
    while True:
        sequence += 1
        delta = ask_pb2.TextDelta(first_sequence=sequence, text="and ")
        event = ask_pb2.AnswerEvent(sequence=sequence, text_delta=delta)
        yield ask_pb2.AskResponse(events=[event]).SerializeToString()


async def hangs_on_asks(impostor: Impostor, method: str, _: bytes) -> AsyncIterator[bytes]:
    """Shows the card, and is silent on every other call, for as long as the caller bears it."""
    if method != GET_NODE_CARD:
        await asyncio.Event().wait()
    yield _shown(impostor)


def _shown(impostor: Impostor) -> bytes:
    return node_pb2.GetNodeCardResponse(card=impostor.card).SerializeToString()


def _ask_of(request: bytes) -> SignedEnvelope:
    """Returns the envelope in a request; all of them carry theirs under the same number as an ask."""
    try:
        return ask_pb2.AskRequest.FromString(request).ask
    except DecodeError:
        return SignedEnvelope()


def _refuse_what_is_not_offered(request: bytes) -> None:
    try:
        ask = ask_pb2.Ask.FromString(_ask_of(request).payload)
    except DecodeError:
        return
    if ask.skill_id != SKILL:
        raise refusal("SKILL_UNKNOWN", details_pb2.Supported(field="skill_id", values=[SKILL]))
    if ask.model_id:
        raise refusal("MODEL_UNKNOWN", details_pb2.Supported(field="model_id"))


def _card(key: bytes, *, address: str) -> node_pb2.NodeCard:
    now = datetime.now(UTC)
    expires = timestamp(now + _CARD_LIFETIME)
    return node_pb2.NodeCard(
        node_id=key,
        sequence=int(now.timestamp() * 10**6),
        expire_time=expires,
        next_root_digest=hashlib.sha256(secrets.token_bytes(_SEED_BYTES)).digest(),
        signing_keys=[node_pb2.SigningKey(public_key=key, expire_time=expires)],
        name="an impostor",
        endpoints=[node_pb2.Endpoint(uri=f"http://{address}", tls_mode=node_pb2.TLS_MODE_LOOPBACK_PLAIN)],
        skills=[node_pb2.Skill(id=SKILL, description="Answers every question.")],
        limits=node_pb2.Limits(
            max_message_bytes=4 * 1024 * 1024,
            max_turns=64,
            max_input_bytes=1024 * 1024,
            max_running_asks=32,
            max_running_asks_per_caller=16,
            max_run_time=Duration(seconds=300),
            answer_retention=Duration(seconds=3600),
            max_readers_per_answer=16,
        ),
        data_policy=node_pb2.DataPolicy(max_data_class=node_pb2.DATA_CLASS_PUBLIC),
        profiles=[node_pb2.PROFILE_CORE],
    )
