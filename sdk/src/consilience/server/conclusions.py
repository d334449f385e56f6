"""Conclusions: what a handler may say, held to the rules that ask.proto declares (ERR-FLD-001).

A node sends nothing that an asker would have to refuse. So these rules are checked where a handler speaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consilience.asks import (
    ByteSpan,
    Citation,
    Confidence,
    DocumentSource,
    DroppedSide,
    Intake,
    Outcome,
    Progress,
    StopReason,
    Usage,
)
from consilience.errors import UsageError
from consilience.nodes import Model
from consilience.server.descriptions import ALL_MILLI, at_most, check_model

MAX_DETAIL_CHARACTERS = 1024
MAX_PROGRESS_CHARACTERS = 512
DIGEST_BYTES = 32

_COUNTS_OF_USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "hidden_tokens")
_COUNTS_OF_INTAKE = ("prompt_tokens_received", "prompt_tokens_used", "prompt_tokens_dropped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a handler knows about its answer at the end; the node adds text digest, bytes, sources and times.

    Attributes:
        outcome, stop_reason: How the answer ended, and what ended it.
        detail: Explains the outcome for people, without text of the ask, at most 1024 characters.
        confidence: How sure the handler is, or None: it does not say.
        model: The model that answered, or None: none took part.
        intake: What was read to make the answer, or None: not disclosed.
        usage: Token counts; `output_bytes` and `duration` are the node's to fill.

    Raises:
        UsageError: An asker would have to refuse the answer, because a field breaks a rule of ask.proto.
    """

    outcome: Outcome = Outcome.ANSWERED
    stop_reason: StopReason = StopReason.COMPLETE
    detail: str = ""
    confidence: Confidence | None = None
    model: Model | None = None
    intake: Intake | None = None
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if self.outcome is Outcome.UNKNOWN or self.stop_reason is StopReason.UNKNOWN:
            raise UsageError("a conclusion names an outcome and a stop reason of this version")
        at_most("the detail", self.detail, MAX_DETAIL_CHARACTERS)
        _not_negative("the usage", self.usage, _COUNTS_OF_USAGE)
        if self.confidence is not None:
            _check_confidence(self.confidence)
        if self.model is not None:
            check_model(self.model)
        if self.intake is not None:
            _check_intake(self.intake)


def check_event(event: Citation | Progress) -> None:
    """Checks what a handler yields besides text.

    Raises:
        UsageError: An asker would have to refuse the event.
    """
    match event:
        case Progress(message=message, done_milli=done):
            if not 1 <= len(message) <= MAX_PROGRESS_CHARACTERS or not 0 <= (done or 0) <= ALL_MILLI:
                raise UsageError(f"progress has a message of 1 to {MAX_PROGRESS_CHARACTERS} characters, and 0 to 1000")
        case Citation(origin=DocumentSource() as document):
            _check_span("the span of a citation", event.answer_span)
            _check_document(document)
        case Citation(origin=bytes() as digest):
            _check_span("the span of a citation", event.answer_span)
            if len(digest) != DIGEST_BYTES:
                raise UsageError(f"the digest of an answer has {DIGEST_BYTES} bytes")


def _check_document(document: DocumentSource) -> None:
    if len(document.digest) != DIGEST_BYTES or not document.uri:
        raise UsageError(f"a document has a URI and a digest of {DIGEST_BYTES} bytes")
    at_most("the URI of a document", document.uri, 2048)
    at_most("the title of a document", document.title, 512)
    at_most("the quote of a document", document.quote, 16_384)
    _check_span("the place in a document", document.place)


def _check_span(what: str, span: ByteSpan | None) -> None:
    if span is not None and not 0 <= span.start_byte <= span.end_byte:
        raise UsageError(f"{what} begins at 0 or later and does not end before it begins")


def _check_intake(intake: Intake) -> None:
    _not_negative("the intake", intake, _COUNTS_OF_INTAKE)
    if intake.prompt_tokens_received != intake.prompt_tokens_used + intake.prompt_tokens_dropped:
        raise UsageError("the prompt tokens received are those used plus those dropped")
    if intake.dropped_side is DroppedSide.UNKNOWN:
        raise UsageError("the intake names a dropped side of this version")
    at_most("the retrieval_strategy of the intake", intake.retrieval_strategy, 128)
    at_most("the chunks of the intake", intake.chunks, 256)
    for chunk in intake.chunks:
        _check_document(chunk.document)


def _check_confidence(confidence: Confidence) -> None:
    bounds = (confidence.lower, confidence.upper)
    stated = [value for value in (confidence.p_correct, *bounds) if value is not None]
    if not confidence.method or any(not 0 <= value <= 1 for value in stated):
        raise UsageError("a confidence names its method, and its probabilities lie between 0 and 1")
    at_most("the method of a confidence", confidence.method, 128)
    _not_negative("the confidence", confidence, ("sample_count",))
    if len(confidence.calibration_digest) not in {0, DIGEST_BYTES}:
        raise UsageError(f"the calibration_digest of a confidence has {DIGEST_BYTES} bytes, or none")
    match bounds:
        case (None, None):
            return
        case (float(lower), float(upper)) if lower <= upper:
            return
        case _:
            raise UsageError("the ends of a confidence interval come together and in order")


def _not_negative(what: str, value: object, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(value, name) < 0:
            raise UsageError(f"{what}: {name} is not negative")
