"""Logs: the events of an answer, and what a reader holds them to (spec section 2.4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from consilience.asks.answers import MAX_CITATIONS, Answer, Citation
from consilience.envelopes import Envelope, Signed
from consilience.errors import ProtocolError
from consilience.units import Digest, PublicKey, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The node has bound the request id and will work on the ask.

    `ticket` holds a `consilience.reviews.ReviewTicket` where the ask wanted one.
    """

    ask_digest: Digest
    accept_time: datetime
    ticket: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The next text; `first_sequence` is that of the first delta that is merged here, `output_tokens` their sum."""

    first_sequence: Sequence
    text: str
    output_tokens: int = 0


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
class Metered:
    """What the answer costs so far: a `consilience.payments.Meter`, for whoever pays to open."""

    meter: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentNeeded:
    """The answer stands still until a voucher reaches `required_cumulative`, and is stopped at `stop_time`."""

    required_cumulative: int
    stop_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The end of the log.

    Where the ask was paid for, `receipt` holds a `consilience.payments.Receipt`; where it had a ticket besides and cost
    something, `attestation` holds a `consilience.reviews.PaymentAttestation`.
    """

    answer: Signed[Answer]
    receipt: Envelope | None = None
    attestation: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent:
    """An event of a kind that this version does not know; readers skip it (VER-EVT-001)."""


Event = Accepted | TextDelta | Citation | Progress | Gap | Metered | PaymentNeeded | Final | UnknownEvent


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

    __slots__ = ("_hash", "_pieces", "citations", "final", "gaps", "last_sequence", "output_tokens", "size_bytes")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pieces: list[str] = []
        self.citations: list[Citation] = []
        self.gaps: list[Gap] = []
        self.final: Final | None = None
        self.last_sequence = Sequence(0)
        self.size_bytes = 0
        self.output_tokens = 0

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
            case TextDelta(text=text, output_tokens=tokens):
                encoded = text.encode()
                self.output_tokens += tokens
                self._hash.update(encoded)
                self.size_bytes += len(encoded)
                self._pieces.append(text)
            case Citation():
                if len(self.citations) == MAX_CITATIONS:
                    raise ProtocolError(f"no answer names more than {MAX_CITATIONS} sources", requirement="ASK-ANS-004")
                self.citations.append(event)
            case Gap():
                self.gaps.append(event)
            case Final():
                self.final = event
        self.last_sequence = entry.sequence


def check_answer(
    answer: Signed[Answer],
    *,
    transcript: Transcript,
    ask_digest: Digest,
    card_digest: Digest,
    node_id: PublicKey,
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
