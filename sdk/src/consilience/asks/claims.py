"""Claims: what a node states about its answer, held by its reader to the rules that ask.proto declares (ERR-FLD-001).

A signature tells who says a thing and not that it can be so: a probability of seven, or a passage that ends before it
begins, is refused like a text that does not verify. Values of a later version are no violation (spec section 6.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from consilience.asks.answers import (
    MAX_CITATIONS,
    Answer,
    ByteSpan,
    Citation,
    Confidence,
    DocumentSource,
    Intake,
    Usage,
)
from consilience.asks.logs import Event, Final, Gap, PaymentNeeded, Progress, TextDelta
from consilience.errors import FieldInvalidError, FieldViolation, FieldViolations
from consilience.nodes import Model

DIGEST_BYTES = 32
MAX_CHUNKS = 256
MAX_DETAIL_CHARACTERS = 1024
MAX_NAME_CHARACTERS = 128
MAX_NOTE_CHARACTERS = 512
MAX_QUOTE_CHARACTERS = 16_384
MAX_URI_CHARACTERS = 2048

Violations = Iterator[tuple[str, str]]
"""Paths of fields, and what they must be."""


def check_claims(event: Event) -> None:
    """Checks what an event of a log states; the answer in a Final with everything in it.

    Raises:
        FieldInvalidError: With the first violation found, by its path in the event.
    """
    if isinstance(event, TextDelta):  # which comes often and can break no rule
        return
    for path, description in _violations(event):
        violations = (FieldViolation(field=path, description=description),)
        raise FieldInvalidError(f"{path} {description}", detail=FieldViolations(violations=violations))


def claim_violations(claim: Confidence | Intake | Usage | Citation | Progress) -> Violations:
    """Tells what breaks the rules in a part of an answer that its node is about to state."""
    match claim:
        case Confidence():
            yield from _of_confidence("confidence", claim)
        case Intake():
            yield from _of_intake("intake", claim)
        case Usage():
            yield from _of_usage("usage", claim)
        case _:
            yield from _violations(claim)


def _violations(event: Event) -> Violations:
    match event:
        case Citation():
            yield from _of_citation("citation", event)
        case Progress(message=message, done_milli=done):
            if not 1 <= len(message) <= MAX_NOTE_CHARACTERS:
                yield "progress.message", f"must have 1 to {MAX_NOTE_CHARACTERS} characters"
            if not 0 <= (done or 0) <= 1000:  # noqa: PLR2004 - thousandths
                yield "progress.done_milli", "must be 0 to 1000"
        case Gap(detail=detail):
            yield from _longer("gap.detail", detail, MAX_NOTE_CHARACTERS)
        case PaymentNeeded():
            yield from _negative("payment_needed", event, "required_cumulative")
        case Final(answer=answer):
            yield from _of_answer("answer", answer.value)


def _of_answer(path: str, answer: Answer) -> Violations:
    yield from _longer(f"{path}.detail", answer.detail, MAX_DETAIL_CHARACTERS)
    yield from _no_digest(f"{path}.transcript_digest", answer.transcript_digest)
    yield from _negative(path, answer, "transcript_bytes")
    yield from _longer(f"{path}.citations", answer.citations, MAX_CITATIONS)
    for index, citation in enumerate(answer.citations):
        yield from _of_citation(f"{path}.citations[{index}]", citation)
    yield from _of_usage(f"{path}.usage", answer.usage)
    if answer.confidence is not None:
        yield from _of_confidence(f"{path}.confidence", answer.confidence)
    if answer.model is not None:
        yield from _of_model(f"{path}.model", answer.model)
    if answer.intake is not None:
        yield from _of_intake(f"{path}.intake", answer.intake)


def _of_citation(path: str, citation: Citation) -> Violations:
    yield from _of_span(f"{path}.answer_span", citation.answer_span)
    if isinstance(citation.origin, DocumentSource):
        yield from _of_document(f"{path}.document", citation.origin)
    else:
        yield from _no_digest(f"{path}.answer_digest", citation.origin)


def _of_document(path: str, document: DocumentSource) -> Violations:
    yield from _no_name(f"{path}.uri", document.uri, MAX_URI_CHARACTERS)
    yield from _longer(f"{path}.title", document.title, MAX_NOTE_CHARACTERS)
    yield from _no_digest(f"{path}.digest", document.digest)
    yield from _of_span(f"{path}.place", document.place)
    yield from _longer(f"{path}.quote", document.quote, MAX_QUOTE_CHARACTERS)


def _of_span(path: str, span: ByteSpan | None) -> Violations:
    if span is not None and not 0 <= span.start_byte <= span.end_byte:
        yield path, "must begin at 0 or later and not end before it begins"


def _of_usage(path: str, usage: Usage) -> Violations:
    yield from _negative(
        path, usage, "input_tokens", "cached_input_tokens", "output_tokens", "hidden_tokens", "output_bytes"
    )
    if usage.duration < timedelta(0):
        yield f"{path}.duration", "must not be negative"


def _of_confidence(path: str, confidence: Confidence) -> Violations:
    for name in ("p_correct", "lower", "upper"):
        value = getattr(confidence, name)
        if value is not None and not 0 <= value <= 1:  # which no NaN is
            yield f"{path}.{name}", "must lie between 0 and 1"
    lower, upper = confidence.lower, confidence.upper
    if (lower is None) != (upper is None) or (lower is not None and upper is not None and lower > upper):
        yield path, "must have lower and upper together and in order"
    yield from _no_name(f"{path}.method", confidence.method, MAX_NAME_CHARACTERS)
    yield from _negative(path, confidence, "sample_count")
    if confidence.calibration_digest:
        yield from _no_digest(f"{path}.calibration_digest", confidence.calibration_digest)


def _of_model(path: str, model: Model) -> Violations:
    yield from _no_name(f"{path}.id", model.id, MAX_NAME_CHARACTERS)
    for name in ("family", "quantization", "engine"):
        yield from _longer(f"{path}.{name}", getattr(model, name), MAX_NAME_CHARACTERS)
    yield from _negative(path, model, "parameter_count", "context_length_tokens")
    if model.weights_digest:
        yield from _no_digest(f"{path}.weights_digest", model.weights_digest)


def _of_intake(path: str, intake: Intake) -> Violations:
    yield from _negative(path, intake, "prompt_tokens_received", "prompt_tokens_used", "prompt_tokens_dropped")
    if intake.prompt_tokens_received != intake.prompt_tokens_used + intake.prompt_tokens_dropped:
        yield f"{path}.prompt_tokens_received", "must be those used plus those dropped"
    yield from _longer(f"{path}.retrieval_strategy", intake.retrieval_strategy, MAX_NAME_CHARACTERS)
    yield from _longer(f"{path}.chunks", intake.chunks, MAX_CHUNKS)
    for index, chunk in enumerate(intake.chunks):
        yield from _of_document(f"{path}.chunks[{index}].document", chunk.document)


def _negative(path: str, value: object, *names: str) -> Violations:
    for name in names:
        if getattr(value, name) < 0:
            yield f"{path}.{name}", "must not be negative"


def _no_digest(path: str, value: bytes) -> Violations:
    if len(value) != DIGEST_BYTES:
        yield path, f"must be {DIGEST_BYTES} bytes"


def _no_name(path: str, value: str, most: int) -> Violations:
    if not 1 <= len(value) <= most:
        yield path, f"must have 1 to {most} characters"


def _longer(path: str, value: str | tuple[object, ...], most: int) -> Violations:
    if len(value) > most:
        yield path, f"must have at most {most}"
