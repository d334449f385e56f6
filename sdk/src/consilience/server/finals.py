"""Finals: the signed end of a log (spec section 2.5).

The same few lines end an answer that ran its course, one that was stopped, and one that an earlier life of the node
left behind.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consilience._wire import envelopes
from consilience._wire.events import encode_event
from consilience.asks import MAX_CITATIONS, Answer, AnswerEvent, Citation, Final, Outcome, Usage
from consilience.envelopes import Signed
from consilience.identity import Signer
from consilience.nodes import Skill
from consilience.server.conclusions import Conclusion
from consilience.server.payments.tills import Settled
from consilience.server.store.contract import FIRST_SEQUENCE, LogEntry, StoredAsk
from consilience.units import Digest, PublicKey, Sequence

MAX_TEXT_BYTES = 2 * 1024 * 1024
"""UTF-8 bytes of the text of an answer. With its Final it goes into one message of 4 MiB (STRM-SIZE-001)."""

MAX_CITATION_BYTES = 1024 * 1024
"""Encoded bytes of the citations of one answer: there is always room for a Final that repeats them."""

MAX_UTF8_BYTES = 4
"""Of one character."""

MAX_FINAL_BYTES = 2 * 1024 * 1024 - 64 * 1024
"""Encoded bytes of a Final."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the signed answer says about the log, counted while it grows.

    Attributes:
        last_sequence: Of the last event.
        size_bytes: UTF-8 bytes of all deltas.
        citations: All citations, in the order of the log.
        citation_bytes: Encoded bytes of the events that hold them.
        output_tokens: Tokens of all deltas, as far as the handler counts them.
        told: What the handler said last about all that the answer has used.
    """

    last_sequence: Sequence = FIRST_SEQUENCE
    size_bytes: int = 0
    citations: list[Citation] = field(default_factory=list)
    citation_bytes: int = 0
    output_tokens: int = 0
    told: Usage = field(default_factory=Usage)
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add_text(self, text: str, *, output_tokens: int = 0) -> None:
        """Counts a delta.

        Raises:
            UnicodeEncodeError: The text holds half a surrogate pair, which UTF-8 has no bytes for.
        """
        encoded = text.encode()
        self._hash.update(encoded)
        self.size_bytes += len(encoded)
        self.output_tokens += output_tokens

    def fitting(self, text: str) -> str:
        """Returns what of a text still fits into the answer, in whole characters."""
        room = MAX_TEXT_BYTES - self.size_bytes
        if len(text) * MAX_UTF8_BYTES <= room:
            return text
        encoded = text.encode()
        return text if len(encoded) <= room else encoded[:room].decode(errors="ignore")

    def add_citation(self, citation: Citation, *, size_bytes: int) -> None:
        """Counts a citation.

        Args:
            citation: What a handler yielded, or a log holds.
            size_bytes: Of its encoded event.

        Raises:
            ValueError: One more does not fit into the answer.
        """
        if len(self.citations) == MAX_CITATIONS:
            raise ValueError(f"an answer names at most {MAX_CITATIONS} sources")
        if self.citation_bytes + size_bytes > MAX_CITATION_BYTES:
            raise ValueError(f"the citations of an answer have at most {MAX_CITATION_BYTES} bytes: quote less")
        self.citations.append(citation)
        self.citation_bytes += size_bytes

    def usage(self, *, counted: Usage, duration: timedelta) -> Usage:
        """Returns what the answer has used: what its log shows, and the most that its handler has counted.

        Args:
            counted: What the handler says in the end.
            duration: Since the answer was accepted.
        """
        return Usage(
            input_tokens=max(counted.input_tokens, self.told.input_tokens),
            cached_input_tokens=max(counted.cached_input_tokens, self.told.cached_input_tokens),
            output_tokens=max(counted.output_tokens, self.output_tokens),
            hidden_tokens=max(counted.hidden_tokens, self.told.hidden_tokens),
            output_bytes=self.size_bytes,
            duration=duration,
        )

    @property
    def digest(self) -> Digest:
        """SHA-256 of the UTF-8 bytes of all deltas (STRM-TXT-002)."""
        return Digest(self._hash.digest())


def signed_answer(
    ask: StoredAsk,
    *,
    tally: Tally,
    conclusion: Conclusion,
    usage: Usage,
    charged: bool = False,
    node_id: PublicKey,
    signer: Signer,
    finish_time: datetime,
) -> Signed[Answer]:
    """Signs how an answer ended.

    Args:
        ask: The bound ask.
        tally: Counts the log so far.
        conclusion: How it ended.
        usage: What the answer has used.
        charged: Whether it costs anything (PAY-CHG-002).
        node_id: The root key of the node, 32 bytes.
        signer: Holds a key that the card named by the ask lists.
        finish_time: When it ended, aware UTC, not before it was accepted.

    Raises:
        ValueError: Something in the conclusion does not fit the message, or makes it larger than `MAX_FINAL_BYTES`.
    """
    sequence = Sequence(tally.last_sequence + 1)
    answer = Answer(
        node_id=node_id,
        signing_key=signer.public_key,
        card_digest=ask.card_digest,
        ask_digest=ask.ask_digest,
        outcome=conclusion.outcome,
        stop_reason=conclusion.stop_reason,
        detail=conclusion.detail,
        transcript_digest=tally.digest,
        transcript_bytes=tally.size_bytes,
        final_sequence=sequence,
        confidence=conclusion.confidence,
        citations=tuple(tally.citations),
        model=conclusion.model,
        intake=conclusion.intake,
        usage=usage,
        charged=charged,
        accept_time=ask.accept_time,
        finish_time=finish_time,
    )
    signed = envelopes.seal(answer, signer=signer)
    if (size := len(signed.envelope.payload)) > MAX_FINAL_BYTES:
        raise ValueError(f"the Final has {size} bytes, {MAX_FINAL_BYTES} at most: quote less in the intake")
    return signed


def final_entry(answer: Signed[Answer], *, settled: Settled | None = None) -> LogEntry:
    """Returns the last entry of a log: the signed answer and, where it was paid for, what it was settled by."""
    sequence = answer.value.final_sequence
    final = Final(answer=answer)
    if settled is not None:
        final = Final(answer=answer, receipt=settled.receipt, attestation=settled.attestation)
    return LogEntry(sequence=sequence, data=encode_event(AnswerEvent(sequence=sequence, event=final)))


def broken_promise(skill: Skill, *, conclusion: Conclusion, tally: Tally) -> str:
    """Returns what the card promises of every answer of a skill and this one lacks, or nothing (ASK-ANS-005)."""
    answered = conclusion.outcome is Outcome.ANSWERED
    if answered and skill.gives_citations and not tally.citations:
        return "citations"
    if answered and skill.gives_confidence and conclusion.confidence is None:
        return "a confidence"
    if skill.gives_intake and conclusion.intake is None and conclusion.outcome not in _WITHOUT_INTAKE:
        return "the intake"
    return ""


_WITHOUT_INTAKE = {Outcome.CANCELLED, Outcome.FAILED}
