"""Asks: a question, the streamed answer, and what is known about the answer (spec chapter 2).

Value types with their rules, and the pure rules of the log: what a reader may see, and what the transcript is.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consilience.calls import CallHeader
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.nodes import DataClass, Model
from consilience.units import Digest, PublicKey, RequestId, Sequence

ASK_METHOD = "consilience.v1.AskService/Ask"
RESUME_METHOD = "consilience.v1.AskService/ResumeAnswer"
GET_METHOD = "consilience.v1.AskService/GetAnswer"
CANCEL_METHOD = "consilience.v1.AskService/CancelAnswer"


class Role(enum.IntEnum):
    """Who speaks in a turn."""

    UNKNOWN = -1
    ASKER = 1
    NODE = 2


class OnDisconnect(enum.IntEnum):
    """What the loss of the last reader does to the work."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    CONTINUE = 1
    CANCEL = 2


class Outcome(enum.IntEnum):
    """How an answer ended."""

    UNKNOWN = -1
    ANSWERED = 1
    ABSTAINED = 2
    NEEDS_CLARIFICATION = 3
    REFUSED = 4
    TRUNCATED = 5
    CANCELLED = 6
    FAILED = 7


class StopReason(enum.IntEnum):
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


class DroppedSide(enum.IntEnum):
    """From which side of a prompt tokens were dropped."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    START = 1
    MIDDLE = 2
    END = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes of a media type."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One contribution to a conversation: text, and blobs, in order."""

    role: Role
    parts: tuple[str | Blob, ...]

    @property
    def text(self) -> str:
        """The text parts, joined by line breaks."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def size_bytes(self) -> int:
        """UTF-8 bytes of the text parts plus bytes of the blobs."""
        return sum(len(part.encode() if isinstance(part, str) else part.data) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskLimits:
    """Bounds on the work. Zero output tokens: the card's limit. No hidden tokens: none at all."""

    max_output_tokens: int = 0
    max_hidden_tokens: int | None = None
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question to a node, as its caller signs it; see `Ask` in ask.proto for each field."""

    header: CallHeader
    skill_id: str
    card_digest: Digest
    turns: tuple[Turn, ...]
    data_class: DataClass
    limits: AskLimits = field(default_factory=AskLimits)
    answer_schema: str = ""
    on_disconnect: OnDisconnect = OnDisconnect.UNSPECIFIED
    allow_truncation: bool = False
    model_id: str = ""

    @property
    def text(self) -> str:
        """The text of the last turn: the question."""
        return self.turns[-1].text if self.turns else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAnswerCall:
    """The wish to read an answer from behind a sequence (0: from its beginning)."""

    header: CallHeader
    ask_request_id: RequestId
    after_sequence: Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAnswerCall:
    """The wish to see what there is of an answer."""

    header: CallHeader
    ask_request_id: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswerCall:
    """The wish to stop the work on an answer."""

    header: CallHeader
    ask_request_id: RequestId


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The node has bound the request id and will work on the ask."""

    ask_digest: Digest
    accept_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The next text; `first_sequence` is that of the first delta that is merged here."""

    first_sequence: Sequence
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the node is at; `done_milli` in thousandths, or None."""

    message: str
    done_milli: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The events from `first_sequence` to that of this event are lost for ever."""

    first_sequence: Sequence
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The end of the log."""

    answer: Signed[Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent:
    """An event of a kind that this version does not know; readers skip it (VER-EVT-001)."""


Event = Accepted | TextDelta | Citation | Progress | Gap | Final | UnknownEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerEvent:
    """One entry of the log of an answer."""

    sequence: Sequence
    event: Event

    @property
    def first_sequence(self) -> Sequence:
        """The sequence of the first entry that this one stands for."""
        match self.event:
            case TextDelta(first_sequence=first) | Gap(first_sequence=first):
                return first
            case _:
                return self.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSnapshot:
    """What there is of an answer now; `final` is None while the work goes on."""

    last_sequence: Sequence
    text: str
    final: Final | None = None
    keep_until_time: datetime | None = None


class Transcript:
    """The text of an answer as it grows, and the rules of its log (spec section 2.4).

    One of these follows each stream that is read; a resumed stream goes on with the same one.

    >>> transcript = Transcript()
    >>> transcript.last_sequence
    0
    """

    __slots__ = ("_hash", "_pieces", "citations", "final", "gaps", "last_sequence", "size_bytes")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pieces: list[str] = []
        self.citations: list[Citation] = []
        self.gaps: list[Gap] = []
        self.final: Final | None = None
        self.last_sequence = Sequence(0)
        self.size_bytes = 0

    @property
    def text(self) -> str:
        """All deltas so far, joined."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def digest(self) -> Digest:
        """SHA-256 of the UTF-8 bytes of all deltas so far, whatever their framing (STRM-TXT-002)."""
        return Digest(self._hash.digest())

    def append(self, entry: AnswerEvent) -> None:
        """Takes the next event of the log.

        Raises:
            ProtocolError: It leaves a hole, goes back, opens twice, or comes after Final.
        """
        event = entry.event
        if self.final is not None:
            raise ProtocolError(f"event {entry.sequence} comes after Final", requirement="STRM-LOG-003")
        if entry.first_sequence != self.last_sequence + 1 or entry.sequence < entry.first_sequence:
            raise ProtocolError(
                f"event {entry.first_sequence} to {entry.sequence} follows {self.last_sequence}",
                requirement="STRM-LOG-001",
            )
        if isinstance(event, Accepted) != (entry.sequence == 1):
            raise ProtocolError("Accepted is the first event and no other", requirement="STRM-LOG-002")
        match event:
            case TextDelta(text=text):
                encoded = text.encode()
                self._hash.update(encoded)
                self.size_bytes += len(encoded)
                self._pieces.append(text)
            case Citation():
                self.citations.append(event)
            case Gap():
                self.gaps.append(event)
            case Final():
                self.final = event
        self.last_sequence = entry.sequence


def check_answer(
    answer: Signed[Answer], *, transcript: Transcript, ask_digest: Digest, card_digest: Digest, node_id: PublicKey
) -> None:
    """Checks a signed answer against the log that it ends and the ask that it names (spec section 2.5).

    Whether its key may sign for the node is the card's to say: `NodeCard.may_sign`.

    Raises:
        ProtocolError: It belongs to another ask, card or node, or does not fit the text, the citations or the log.
    """
    value = answer.value
    if value.ask_digest != ask_digest:
        raise ProtocolError("the answer names another ask", requirement="ASK-ANS-002")
    if value.card_digest != card_digest or value.node_id != node_id:
        raise ProtocolError("the answer names another card or node", requirement="ASK-ANS-002")
    if value.final_sequence != transcript.last_sequence:
        raise ProtocolError("the answer ends another log", requirement="STRM-LOG-003")
    if value.usage.output_bytes != value.transcript_bytes:
        raise ProtocolError("the usage counts other bytes than the transcript", requirement="ASK-ANS-003")
    if transcript.gaps:
        return
    if value.transcript_digest != transcript.digest or value.transcript_bytes != transcript.size_bytes:
        raise ProtocolError("the text that arrived is not the text that was signed", requirement="STRM-TXT-002")
    if value.citations != tuple(transcript.citations):
        raise ProtocolError("the answer names other citations than the log", requirement="ASK-ANS-004")
