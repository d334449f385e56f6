"""Answers: what a node states, signed, about the text that it streamed (spec section 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.nodes import Model
from consilience.units import Digest, NamedNumber, PublicKey, Sequence

MAX_CITATIONS = 256
"""How many sources an answer can name, and so a log."""


class Outcome(NamedNumber):
    """How an answer ended."""

    UNKNOWN = -1
    ANSWERED = 1
    ABSTAINED = 2
    NEEDS_CLARIFICATION = 3
    REFUSED = 4
    TRUNCATED = 5
    CANCELLED = 6
    FAILED = 7


class StopReason(NamedNumber):
    """What ended an answer."""

    UNKNOWN = -1
    COMPLETE = 1
    OUTPUT_LIMIT = 2
    CANCELLED = 3
    DEADLINE = 4
    DISCONNECTED = 5
    ENGINE_FAILURE = 6
    INTERRUPTED = 7
    POLICY = 8
    NO_KNOWLEDGE = 9
    LOW_CONFIDENCE = 10
    UNPAID = 11
    CHARGE_LIMIT = 12


class DroppedSide(NamedNumber):
    """From which side of a prompt tokens were dropped."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    START = 1
    MIDDLE = 2
    END = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteSpan:
    """A half-open range of bytes."""

    start_byte: int
    end_byte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSource:
    """A document, or a place in its bytes; `quote` holds the words there, to the letter."""

    uri: str
    digest: bytes
    retrieval_time: datetime
    title: str = ""
    place: ByteSpan | None = None
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A source of a part of the answer: a document, or another node's signed answer by its digest.

    Attributes:
        origin: A document, or the digest of an answer.
        answer_span: The part of the answer's UTF-8 bytes that rests on it; None: the whole.
    """

    origin: DocumentSource | Digest
    answer_span: ByteSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """How sure a node says it is: a claim. `lower` and `upper` bound a 95 % interval of `p_correct`."""

    method: str
    p_correct: float | None = None
    lower: float | None = None
    upper: float | None = None
    sample_count: int = 0
    calibration_digest: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievedChunk:
    """A passage that was found; `used`: the model read it."""

    document: DocumentSource
    score: float = 0.0
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What was read to make an answer, in tokens; received = used + dropped."""

    prompt_tokens_received: int = 0
    prompt_tokens_used: int = 0
    prompt_tokens_dropped: int = 0
    dropped_side: DroppedSide = DroppedSide.UNSPECIFIED
    retrieval_strategy: str = ""
    chunks: tuple[RetrievedChunk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer used; `duration` runs from acceptance to Final."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    hidden_tokens: int = 0
    output_bytes: int = 0
    duration: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a node states about its answer, signed; see `Answer` in ask.proto for each field.

    The text itself is not in here but in the log; `transcript_digest` binds it.
    """

    node_id: PublicKey
    signing_key: PublicKey
    card_digest: Digest
    ask_digest: Digest
    outcome: Outcome
    stop_reason: StopReason
    transcript_digest: Digest
    transcript_bytes: int
    final_sequence: Sequence
    usage: Usage
    accept_time: datetime
    finish_time: datetime
    charged: bool = False
    detail: str = ""
    confidence: Confidence | None = None
    citations: tuple[Citation, ...] = ()
    model: Model | None = None
    intake: Intake | None = None
