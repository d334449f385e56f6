"""Nodes that a client meets: who they are, the card they show and what they answer, right unless a manner says else."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1 import ask_pb2, node_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids, signatures
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.peers.hostile import HostileServer, StatusError
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.wire_values import timestamp

SKILL = "units.convert"
CARD_LIFETIME = timedelta(days=7)
_SEED_BYTES = 32
_DAY_SECONDS = 24 * 60 * 60
_DOCUMENT = hashlib.sha256(b"12 inches = 1 foot").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The keys of a node, as seeds of 32 bytes: its root, the root that comes next, and the one that signs answers."""

    root: bytes
    next_root: bytes
    signing: bytes

    @classmethod
    def new(cls) -> Identity:
        """Returns an identity that nobody has met."""
        return cls(
            root=secrets.token_bytes(_SEED_BYTES),
            next_root=secrets.token_bytes(_SEED_BYTES),
            signing=secrets.token_bytes(_SEED_BYTES),
        )

    @property
    def successor(self) -> Identity:
        """The node that comes of it when the next root takes over."""
        return replace(Identity.new(), root=self.next_root)

    @property
    def node_id(self) -> bytes:
        """The root key, 32 bytes."""
        return signatures.public_key(self.root)

    @property
    def text(self) -> str:
        """The node id as text."""
        return node_ids.text_of(self.node_id)

    def card(self, endpoint: node_pb2.Endpoint) -> node_pb2.NodeCard:
        """Returns a card by the rules, not signed yet."""
        now = datetime.now(UTC)
        expires = timestamp(now + CARD_LIFETIME)
        return node_pb2.NodeCard(
            node_id=self.node_id,
            sequence=int(now.timestamp() * 10**6),
            expire_time=expires,
            name="units",
            next_root_digest=hashlib.sha256(signatures.public_key(self.next_root)).digest(),
            signing_keys=[node_pb2.SigningKey(public_key=signatures.public_key(self.signing), expire_time=expires)],
            endpoints=[endpoint],
            skills=[
                node_pb2.Skill(
                    id=SKILL,
                    description="Converts units.",
                    gives_citations=True,
                    gives_confidence=True,
                    gives_intake=True,
                )
            ],
            limits=node_pb2.Limits(
                max_message_bytes=1 << 20,
                max_turns=32,
                max_input_bytes=1 << 16,
                max_running_asks=16,
                max_running_asks_per_caller=8,
                max_run_time=Duration(seconds=120),
                answer_retention=Duration(seconds=600),
                max_readers_per_answer=8,
            ),
            data_policy=node_pb2.DataPolicy(max_data_class=node_pb2.DATA_CLASS_RESTRICTED),
            profiles=[node_pb2.PROFILE_CORE],
        )


@dataclass(slots=True, kw_only=True)
class Draft:
    """An answer before it is signed and sent.

    Attributes:
        events: The log before its Final.
        answer: What the Final is to carry.
        seed: Who is to sign it.
    """

    events: list[ask_pb2.AnswerEvent]
    answer: ask_pb2.Answer
    seed: bytes


Events = list[ask_pb2.AnswerEvent]
Send = Callable[[Events], AsyncIterator[bytes]]


async def one_by_one(events: Events) -> AsyncIterator[bytes]:
    """Sends each event in a message of its own."""
    for event in events:
        yield ask_pb2.AskResponse(events=[event]).SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a node answers; each part is right unless it is given.

    Attributes:
        draft: Changes an answer before it is signed.
        envelope: Changes it after.
        log: Changes the log, with its Final.
        send: Sends the log in answer to Ask.
        resume: Sends what lies behind the sequence that ResumeAnswer names; None: just that.
    """

    draft: Callable[[Draft], None] = lambda _: None
    envelope: Callable[[SignedEnvelope], SignedEnvelope] = lambda envelope: envelope
    log: Callable[[Events], Events] = lambda events: events
    send: Send = one_by_one
    resume: Callable[[Events, int], AsyncIterator[bytes]] | None = None


RIGHT = Manner()


@dataclass(slots=True, kw_only=True)
class Node:
    """A node that a client can be sent to.

    Attributes:
        identity: Who it is.
        server: Where it listens.
        text: What it answers.
        card: What it shows.
        successions: What it shows along with it.
        manner: How it answers the next ask.
        card_suffix: What stands behind the encoded response that carries the card.
        named: Who its address says that it is; None: who it is.
    """

    identity: Identity
    server: HostileServer
    text: str
    card: SignedEnvelope = field(default_factory=SignedEnvelope)
    successions: list[SignedEnvelope] = field(default_factory=list)
    manner: Manner = RIGHT
    card_suffix: bytes = b""
    named: Identity | None = None
    _logs: dict[bytes, Events] = field(default_factory=dict)

    @property
    def authority(self) -> str:
        """Its `host:port`."""
        return f"127.0.0.1:{self.server.port}"

    @property
    def address(self) -> str:
        """Its address with its node id."""
        return f"{(self.named or self.identity).text}@{self.authority}"

    def plain_endpoint(self) -> node_pb2.Endpoint:
        """Returns the endpoint of a server without TLS."""
        return node_pb2.Endpoint(uri=f"http://{self.authority}", tls_mode=node_pb2.TLS_MODE_LOOPBACK_PLAIN)

    def pinned_endpoint(self, pin: bytes) -> node_pb2.Endpoint:
        """Returns the endpoint of a server with TLS whose certificate has a pin."""
        return node_pb2.Endpoint(uri=f"https://{self.authority}", tls_mode=node_pb2.TLS_MODE_PINNED, spki_sha256=pin)

    def show(self, card: node_pb2.NodeCard) -> None:
        """Signs a card with the root key and shows it from now on."""
        self.card = envelopes.seal(card, seed=self.identity.root)

    async def respond(self, method: str, request: bytes) -> AsyncIterator[bytes]:
        """Answers a call."""
        if method == GET_NODE_CARD:
            response = node_pb2.GetNodeCardResponse(card=self.card, successions=self.successions)
            yield response.SerializeToString() + self.card_suffix
            return
        envelope = ask_pb2.AskRequest.FromString(request).ask
        if method == ASK:
            async for data in self._answered(envelope):
                yield data
            return
        events = self._logs.get(ask_pb2.GetAnswerCall.FromString(envelope.payload).ask_request_id)
        if events is None:
            raise StatusError(grpc.StatusCode.NOT_FOUND, "there is no such answer")
        if method == RESUME:
            after = ask_pb2.ResumeAnswerCall.FromString(envelope.payload).after_sequence
            rest = self.manner.resume or _behind
            async for data in rest(events, after):
                yield data
        elif method == CANCEL:
            yield ask_pb2.CancelAnswerResponse(final=events[-1].final).SerializeToString()
        elif method == GET:
            yield ask_pb2.GetAnswerResponse(
                last_sequence=events[-1].sequence, text=self.text, final=events[-1].final
            ).SerializeToString()
        else:
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"there is no {method}")

    async def _answered(self, envelope: SignedEnvelope) -> AsyncIterator[bytes]:
        manner = self.manner
        draft = self._draft(envelope)
        manner.draft(draft)
        signed = manner.envelope(envelopes.seal(draft.answer, seed=draft.seed))
        sequence = draft.events[-1].sequence + 1
        final = ask_pb2.AnswerEvent(sequence=sequence, final=ask_pb2.Final(answer=signed))
        events = manner.log([*draft.events, final])
        self._logs[ask_pb2.Ask.FromString(envelope.payload).header.request_id] = events
        async for data in manner.send(events):
            yield data

    def _draft(self, ask: SignedEnvelope) -> Draft:
        now, data = timestamp(datetime.now(UTC)), self.text.encode()
        half = len(self.text) // 2
        citation = ask_pb2.Citation(
            document=ask_pb2.DocumentSource(uri="units.txt", digest=_DOCUMENT, retrieval_time=now)
        )
        accepted = ask_pb2.Accepted(
            ask_digest=envelopes.envelope_digest(ask), accept_time=now, ticket=self._ticket(ask, accept_time=now)
        )
        events = [
            ask_pb2.AnswerEvent(sequence=1, accepted=accepted),
            delta(2, self.text[:half]),
            delta(3, self.text[half:]),
            ask_pb2.AnswerEvent(sequence=4, citation=citation),
        ]
        answer = ask_pb2.Answer(
            node_id=self.identity.node_id,
            signing_key=signatures.public_key(self.identity.signing),
            card_digest=envelopes.envelope_digest(self.card),
            ask_digest=envelopes.envelope_digest(ask),
            outcome=ask_pb2.OUTCOME_ANSWERED,
            stop_reason=ask_pb2.STOP_REASON_COMPLETE,
            transcript_digest=hashlib.sha256(data).digest(),
            transcript_bytes=len(data),
            final_sequence=5,
            confidence=ask_pb2.Confidence(p_correct=0.75, method="look-up"),
            citations=[citation],
            intake=ask_pb2.Intake(retrieval_strategy="headword"),
            usage=ask_pb2.Usage(output_bytes=len(data), duration=Duration()),
            accept_time=now,
            finish_time=now,
        )
        return Draft(events=events, answer=answer, seed=self.identity.signing)

    def _ticket(self, ask: SignedEnvelope, *, accept_time: Timestamp) -> SignedEnvelope | None:
        """Returns the ticket of an ask that commits to a reviewer."""
        asked = ask_pb2.Ask.FromString(ask.payload)
        if not asked.reviewer_commitment:
            return None
        ticket = review_pb2.ReviewTicket(
            node_id=self.identity.node_id,
            signing_key=signatures.public_key(self.identity.signing),
            skill_id=asked.skill_id,
            reviewer_commitment=asked.reviewer_commitment,
            issue_day=Timestamp(seconds=accept_time.seconds - accept_time.seconds % _DAY_SECONDS),
        )
        return envelopes.seal(ticket, seed=self.identity.signing)


def delta(sequence: int, text: str, *, first: int | None = None) -> ask_pb2.AnswerEvent:
    """Returns a delta, which may stand for several from `first` on."""
    return ask_pb2.AnswerEvent(
        sequence=sequence, text_delta=ask_pb2.TextDelta(first_sequence=first or sequence, text=text)
    )


async def silence() -> None:
    """Waits until the call is ended from the other side."""
    await asyncio.Event().wait()


async def _behind(events: Events, after: int) -> AsyncIterator[bytes]:
    async for data in one_by_one([event for event in events if event.sequence > after]):
        yield data
