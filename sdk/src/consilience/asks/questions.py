"""Questions: what an asker signs, and the rules that its fields keep at run time (spec sections 2.1 and 2.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice

from consilience.calls import MAX_LIFETIME, REQUEST_ID_BYTES, CallHeader
from consilience.errors import FieldInvalidError, FieldViolation, FieldViolations
from consilience.nodes import DataClass
from consilience.units import Digest, NamedNumber, RequestId, Sequence

ASK_METHOD = "consilience.v1.AskService/Ask"
RESUME_METHOD = "consilience.v1.AskService/ResumeAnswer"
GET_METHOD = "consilience.v1.AskService/GetAnswer"
CANCEL_METHOD = "consilience.v1.AskService/CancelAnswer"

DIGEST_BYTES = 32
MAX_METHOD_CHARACTERS = 128
MAX_ANSWER_SCHEMA_CHARACTERS = 65536
MAX_MODEL_ID_CHARACTERS = 128
MAX_MEDIA_TYPE_CHARACTERS = 128
MAX_EXTENSIONS = 16
MAX_EXTENSION_URI_CHARACTERS = 256
MAX_VIOLATIONS = 128
"""More than fit into the 4 KiB of a status, so the rest is not looked for."""

_SKILL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")


class Role(NamedNumber):
    """Who speaks in a turn."""

    UNKNOWN = -1
    ASKER = 1
    NODE = 2


class OnDisconnect(NamedNumber):
    """What the loss of the last reader does to the work."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    CONTINUE = 1
    CANCEL = 2


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
    """Bounds on the work. Zero output tokens: the limit of the card. No bound on hidden tokens: the node chooses.

    `max_charge` is in units of the quote's asset; None: the quote's own.
    """

    max_output_tokens: int = 0
    max_hidden_tokens: int | None = None
    deadline: datetime | None = None
    max_charge: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPayment:
    """Out of what an answer is paid: a quote and a session, each by its digest, 32 bytes."""

    quote_digest: Digest
    session_id: Digest


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
    payment: AskPayment | None = None
    reviewer_commitment: bytes = b""

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


def check_ask(ask: Ask) -> None:
    """Checks the declared constraints of an ask: those that ask.proto and envelope.proto state as rules.

    Raises:
        FieldInvalidError: With the violations found, by their paths in the payload.
    """
    refuse_violations(chain(header_violations(ask.header), _ask_violations(ask), _turn_violations(ask.turns)))


def check_call(call: ResumeAnswerCall | GetAnswerCall | CancelAnswerCall) -> None:
    """Checks the declared constraints of a call about an answer.

    Raises:
        FieldInvalidError: With the violations found, by their paths in the payload.
    """
    refuse_violations(chain(header_violations(call.header), _call_violations(call)))


def refuse_violations(found: Iterator[FieldViolation]) -> None:
    """Refuses what breaks its declared constraints.

    Raises:
        FieldInvalidError: With the violations found, where there is one.
    """
    if violations := tuple(islice(found, MAX_VIOLATIONS)):
        first = violations[0]
        raise FieldInvalidError(f"{first.field} {first.description}", detail=FieldViolations(violations=violations))


def _call_violations(call: ResumeAnswerCall | GetAnswerCall | CancelAnswerCall) -> Iterator[FieldViolation]:
    if len(call.ask_request_id) != REQUEST_ID_BYTES:
        yield FieldViolation(field="ask_request_id", description=f"must be {REQUEST_ID_BYTES} bytes")


def header_violations(header: CallHeader) -> Iterator[FieldViolation]:
    """Tells what breaks the rules of a header, by its path in the payload of a call."""
    if not 1 <= len(header.method) <= MAX_METHOD_CHARACTERS:
        yield FieldViolation(field="header.method", description="must have 1 to 128 characters")
    for name, size in (("audience", 32), ("caller", 32), ("request_id", 16)):
        if len(getattr(header, name)) != size:
            yield FieldViolation(field=f"header.{name}", description=f"must be {size} bytes")
    if not timedelta(0) < header.expire_time - header.issue_time <= MAX_LIFETIME:
        yield FieldViolation(
            field="header.expire_time", description="must lie after issue_time and at most 10 minutes later"
        )
    uris = header.required_extensions
    if len(uris) > MAX_EXTENSIONS or len(set(uris)) != len(uris):
        yield FieldViolation(
            field="header.required_extensions", description=f"must be at most {MAX_EXTENSIONS}, each once"
        )
    for index, uri in enumerate(uris):
        if not 1 <= len(uri) <= MAX_EXTENSION_URI_CHARACTERS:
            yield FieldViolation(
                field=f"header.required_extensions[{index}]",
                description=f"must have 1 to {MAX_EXTENSION_URI_CHARACTERS} characters",
            )
    if len(header.extensions) > MAX_EXTENSIONS:
        yield FieldViolation(field="header.extensions", description=f"must be at most {MAX_EXTENSIONS}")


def _ask_violations(ask: Ask) -> Iterator[FieldViolation]:
    if not _SKILL_ID.fullmatch(ask.skill_id):
        yield FieldViolation(field="skill_id", description=f"must match {_SKILL_ID.pattern}")
    if len(ask.card_digest) != DIGEST_BYTES:
        yield FieldViolation(field="card_digest", description="must be 32 bytes")
    if ask.data_class <= DataClass.UNSPECIFIED:
        yield FieldViolation(field="data_class", description="must be a class of this version, not unspecified")
    if ask.on_disconnect is OnDisconnect.UNKNOWN:
        yield FieldViolation(field="on_disconnect", description="must be a value of this version")
    for limit in ("max_output_tokens", "max_hidden_tokens", "max_charge"):
        if (getattr(ask.limits, limit) or 0) < 0:
            yield FieldViolation(field=f"limits.{limit}", description="must not be negative")
    if ask.payment is not None:
        yield from _payment_violations(ask.payment)
    yield from _commitment_violations(ask.reviewer_commitment)
    if len(ask.answer_schema) > MAX_ANSWER_SCHEMA_CHARACTERS:
        yield FieldViolation(
            field="answer_schema", description=f"must have at most {MAX_ANSWER_SCHEMA_CHARACTERS} characters"
        )
    if len(ask.model_id) > MAX_MODEL_ID_CHARACTERS:
        yield FieldViolation(field="model_id", description=f"must have at most {MAX_MODEL_ID_CHARACTERS} characters")


def _commitment_violations(commitment: bytes) -> Iterator[FieldViolation]:
    if commitment and len(commitment) != DIGEST_BYTES:
        yield FieldViolation(field="reviewer_commitment", description=f"must be empty, or {DIGEST_BYTES} bytes")


def _payment_violations(payment: AskPayment) -> Iterator[FieldViolation]:
    for name in AskPayment.__slots__:
        if len(getattr(payment, name)) != DIGEST_BYTES:
            yield FieldViolation(field=f"payment.{name}", description=f"must be {DIGEST_BYTES} bytes")


def _turn_violations(turns: tuple[Turn, ...]) -> Iterator[FieldViolation]:
    if not turns:
        yield FieldViolation(field="turns", description="must hold one turn at least")
    for index, turn in enumerate(turns):
        if turn.role is Role.UNKNOWN:
            yield FieldViolation(field=f"turns[{index}].role", description="must be a role of this version")
        if not turn.parts:
            yield FieldViolation(field=f"turns[{index}].parts", description="must hold one part at least")
        for place, part in enumerate(turn.parts):
            if isinstance(part, Blob) and not (
                len(part.media_type) <= MAX_MEDIA_TYPE_CHARACTERS and _MEDIA_TYPE.fullmatch(part.media_type)
            ):
                yield FieldViolation(
                    field=f"turns[{index}].parts[{place}].blob.media_type", description="must be a media type"
                )
