"""Well-formed messages of one exchange: card, ask, events, answer. A vector is one of them with one thing changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NEXT_ROOT,
    NODE,
    NOON,
    SIGNING_KEY,
    fixed_bytes,
    microseconds,
    timestamp,
)

ASK_METHOD = "consilience.v1.AskService/Ask"
CARD_ISSUE_TIME = NOON - timedelta(hours=1)
KEY_LIFETIME = timedelta(days=14)
"""Of the signing key: it has to sign what was asked in the last moment of a card that lives for seven days."""
ACCEPT_TIME = NOON + timedelta(milliseconds=20)
FINISH_TIME = NOON + timedelta(milliseconds=870)
TEXT_PIECES = ("12 ", "inches ", "make ", "1 foot ", "(0.3048 m).")


def card(*, issue_time: datetime = CARD_ISSUE_TIME) -> node_pb2.NodeCard:
    """Returns the card of a small node for the conversion of units."""
    return node_pb2.NodeCard(
        node_id=NODE.public_key,
        sequence=microseconds(issue_time),
        expire_time=timestamp(issue_time + timedelta(days=7)),
        name="units",
        next_root_digest=hashlib.sha256(NEXT_ROOT.public_key).digest(),
        signing_keys=[
            node_pb2.SigningKey(public_key=SIGNING_KEY.public_key, expire_time=timestamp(issue_time + KEY_LIFETIME))
        ],
        endpoints=[
            node_pb2.Endpoint(
                uri="https://192.0.2.7:7341",
                tls_mode=node_pb2.TLS_MODE_PINNED,
                spki_sha256=fixed_bytes("public key of the certificate", size=32),
            )
        ],
        skills=[
            node_pb2.Skill(id="units.convert", domains=["units"], languages=["en"], gives_citations=True),
        ],
        limits=limits(),
        data_policy=node_pb2.DataPolicy(max_data_class=node_pb2.DATA_CLASS_INTERNAL),
        profiles=[node_pb2.PROFILE_CORE],
    )


def limits() -> node_pb2.Limits:
    """Returns the limits of the card."""
    return node_pb2.Limits(
        max_message_bytes=1 << 20,
        max_turns=32,
        max_input_bytes=1 << 16,
        max_running_asks=16,
        max_running_asks_per_caller=4,
        max_run_time=Duration(seconds=120),
        answer_retention=Duration(seconds=600),
        max_readers_per_answer=8,
    )


def header(*, method: str = ASK_METHOD) -> CallHeader:
    """Returns the header of a call that is made at noon and may be accepted for two minutes."""
    return CallHeader(
        method=method,
        audience=NODE.public_key,
        caller=ASKER.public_key,
        request_id=fixed_bytes(f"request id of {method}", size=16),
        issue_time=timestamp(NOON),
        expire_time=timestamp(NOON + timedelta(minutes=2)),
    )


def ask(*, card_digest: bytes) -> ask_pb2.Ask:
    """Returns a question to the card's one skill."""
    question = ask_pb2.Part(text="How many feet are 12 inches?")
    return ask_pb2.Ask(
        header=header(),
        skill_id="units.convert",
        card_digest=card_digest,
        turns=[ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[question])],
        data_class=node_pb2.DATA_CLASS_PUBLIC,
    )


def citation() -> ask_pb2.Citation:
    """Returns the source of the answer."""
    quote = "foot: 12 inches, 0.3048 m exactly"
    return ask_pb2.Citation(
        answer_span=ask_pb2.ByteSpan(start_byte=0, end_byte=len("".join(TEXT_PIECES).encode())),
        document=ask_pb2.DocumentSource(
            uri="units.txt",
            digest=hashlib.sha256(quote.encode()).digest(),
            place=ask_pb2.ByteSpan(start_byte=0, end_byte=len(quote)),
            retrieval_time=timestamp(NOON),
            quote=quote,
        ),
    )


def log_before_final(*, ask_digest: bytes, pieces: Sequence[str] = TEXT_PIECES) -> list[ask_pb2.AnswerEvent]:
    """Returns the log of an answer up to its Final: Accepted, one delta per piece, one citation."""
    accepted = ask_pb2.Accepted(ask_digest=ask_digest, accept_time=timestamp(ACCEPT_TIME))
    events = [ask_pb2.AnswerEvent(accepted=accepted)]
    events += [ask_pb2.AnswerEvent(text_delta=ask_pb2.TextDelta(text=piece)) for piece in pieces]
    events.append(ask_pb2.AnswerEvent(citation=citation()))
    return numbered(events)


def numbered(events: Iterable[ask_pb2.AnswerEvent]) -> list[ask_pb2.AnswerEvent]:
    """Returns events with the sequences that a log gives them; a delta begins and ends with its own."""
    log = list(events)
    for sequence, event in enumerate(log, start=1):
        event.sequence = sequence
        if event.HasField("text_delta"):
            event.text_delta.first_sequence = sequence
    return log


def merged(deltas: Sequence[ask_pb2.AnswerEvent]) -> ask_pb2.AnswerEvent:
    """Returns neighbouring deltas as one: numbered as the last of them, beginning with the first."""
    delta = ask_pb2.TextDelta(
        first_sequence=deltas[0].text_delta.first_sequence,
        text="".join(event.text_delta.text for event in deltas),
    )
    return ask_pb2.AnswerEvent(sequence=deltas[-1].sequence, text_delta=delta)


def answer(*, card_digest: bytes, ask_digest: bytes, log: Sequence[ask_pb2.AnswerEvent]) -> ask_pb2.Answer:
    """Returns the statement that ends a log."""
    text = "".join(event.text_delta.text for event in log).encode()
    return ask_pb2.Answer(
        node_id=NODE.public_key,
        signing_key=SIGNING_KEY.public_key,
        card_digest=card_digest,
        ask_digest=ask_digest,
        outcome=ask_pb2.OUTCOME_ANSWERED,
        stop_reason=ask_pb2.STOP_REASON_COMPLETE,
        transcript_digest=hashlib.sha256(text).digest(),
        transcript_bytes=len(text),
        final_sequence=log[-1].sequence + 1,
        citations=[event.citation for event in log if event.HasField("citation")],
        usage=ask_pb2.Usage(output_bytes=len(text), duration=Duration(nanos=850_000_000)),
        accept_time=timestamp(ACCEPT_TIME),
        finish_time=timestamp(FINISH_TIME),
    )


def final(signed_answer: SignedEnvelope, *, sequence: int) -> ask_pb2.AnswerEvent:
    """Returns the event that ends a log."""
    return ask_pb2.AnswerEvent(sequence=sequence, final=ask_pb2.Final(answer=signed_answer))


def sealed_card() -> SignedEnvelope:
    """Returns the card, signed."""
    return envelopes.seal(card(), seed=NODE.seed)


def sealed_ask() -> SignedEnvelope:
    """Returns the question, signed."""
    return envelopes.seal(ask(card_digest=envelopes.envelope_digest(sealed_card())), seed=ASKER.seed)
