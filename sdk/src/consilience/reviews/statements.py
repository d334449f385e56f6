"""Statements: what is said about answers and nodes, and the rules of its fields (spec sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.asks import DocumentSource
from consilience.asks.questions import refuse_violations
from consilience.envelopes import Envelope, Signed
from consilience.errors import FieldViolation
from consilience.reviews.tickets import (
    DIGEST_BYTES,
    KEY_BYTES,
    SALT_BYTES,
    PaymentAttestation,
    ReviewTicket,
    attestation_violations,
    ticket_violations,
)
from consilience.tariffs import is_id
from consilience.units import NamedNumber, PublicKey

MAX_LIFETIME = timedelta(days=730)
"""How long a statement is kept at most, from its beginning."""

MAX_TEXT_CHARACTERS = 2048
MAX_SCORE = 1000
MAX_INDEPENDENT_NODES = 1000
MAX_OBJECTS = 8
MAX_URI_CHARACTERS = 2048
MAX_TITLE_CHARACTERS = 512
MAX_QUOTE_CHARACTERS = 16384


class RecordType(NamedNumber):
    """A type of record."""

    UNKNOWN = -1
    NODE_CARD = 1
    KEY_SUCCESSION = 2
    REVIEW = 3
    RETRACTION = 4
    REBUTTAL = 5
    ADVISORY = 6


TARGETS = frozenset({RecordType.REVIEW, RecordType.ADVISORY})
"""What can be retracted, and answered by a rebuttal."""


class Verdict(NamedNumber):
    """What an answer was."""

    UNKNOWN = -1
    CORRECT = 1
    PARTLY_CORRECT = 2
    WRONG = 3
    HARMFUL = 4
    UNVERIFIABLE = 5


class VerificationMethod(NamedNumber):
    """How a reviewer knows what an answer was worth."""

    UNKNOWN = -1
    GROUND_TRUTH = 1
    TOOL = 2
    CROSS_CHECK = 3
    HUMAN = 4


class AdvisoryCategory(NamedNumber):
    """What an advisory warns of."""

    UNKNOWN = -1
    UNRELIABLE = 1
    HARMFUL = 2
    LEAKS_DATA = 3
    FRAUD = 4
    IMPOSTURE = 5
    KEY_STOLEN = 6


class Severity(NamedNumber):
    """How bad it is."""

    UNKNOWN = -1
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How a reviewer knows; `independent_nodes` counts those asked the same, for a cross-check."""

    method: VerificationMethod
    independent_nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What an answer was worth to its reviewer; see `Review` in review.proto for each field."""

    reviewer: PublicKey
    ticket: Signed[ReviewTicket]
    ticket_salt: bytes
    verdict: Verdict
    verification: Verification
    issue_time: datetime
    score_milli: int | None = None
    comment: str = ""
    domain: str = ""
    answer_digest: bytes = b""
    attestation: Signed[PaymentAttestation] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """Takes back a review, named by the digest of its ticket, or an advisory, named by its own."""

    author: PublicKey
    target_type: RecordType
    target_digest: bytes
    subject: bytes
    issue_time: datetime
    expire_time: datetime
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuttal:
    """What a node has to say to a review or an advisory about it; see `Rebuttal` in review.proto for each field."""

    node_id: PublicKey
    signing_key: PublicKey
    target_type: RecordType
    target_digest: bytes
    comment: str
    issue_time: datetime
    objects: tuple[Envelope, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """Warns of a node, of one of its skills, or of a model; see `Advisory` in review.proto for each field."""

    author: PublicKey
    category: AdvisoryCategory
    severity: Severity
    summary: str
    issue_time: datetime
    expire_time: datetime
    node_id: bytes = b""
    weights_digest: bytes = b""
    skill_id: str = ""
    documents: tuple[DocumentSource, ...] = ()
    objects: tuple[Envelope, ...] = ()


Statement = Review | Retraction | Rebuttal | Advisory
"""What people and nodes say; cards and successions are the other records."""


def check_statement(statement: Statement) -> None:
    """Checks the declared constraints of a statement, and of ticket and attestation in it.

    Raises:
        FieldInvalidError: With the violations found, by their paths in the payload.
    """
    match statement:
        case Review():
            refuse_violations(_review_violations(statement))
        case Retraction():
            refuse_violations(_retraction_violations(statement))
        case Rebuttal():
            refuse_violations(_rebuttal_violations(statement))
        case Advisory():
            refuse_violations(_advisory_violations(statement))


def _review_violations(review: Review) -> Iterator[FieldViolation]:
    yield from _sizes(review, reviewer=KEY_BYTES, ticket_salt=SALT_BYTES)
    yield from ticket_violations(review.ticket.value, path="ticket.")
    yield from _known(review, "verdict")
    if review.score_milli is not None and not 0 <= review.score_milli <= MAX_SCORE:
        yield FieldViolation(field="score_milli", description=f"must be 0 to {MAX_SCORE}")
    yield from _verification_violations(review.verification)
    yield from _texts(review, comment=0)
    if review.domain and not is_id(review.domain):
        yield FieldViolation(field="domain", description="must be empty, or a domain as a skill names it")
    if review.answer_digest:
        yield from _sizes(review, answer_digest=DIGEST_BYTES)
    if review.attestation is not None:
        yield from attestation_violations(review.attestation.value, path="attestation.")


def _verification_violations(verification: Verification) -> Iterator[FieldViolation]:
    if verification.method is VerificationMethod.UNKNOWN:
        yield FieldViolation(field="verification.method", description="must be a method of this version")
    if not 0 <= verification.independent_nodes <= MAX_INDEPENDENT_NODES:
        yield FieldViolation(
            field="verification.independent_nodes", description=f"must be 0 to {MAX_INDEPENDENT_NODES}"
        )
    if (verification.method is VerificationMethod.CROSS_CHECK) != (verification.independent_nodes > 0):
        yield FieldViolation(
            field="verification", description="must count independent nodes for a cross-check, and only there"
        )


def _retraction_violations(retraction: Retraction) -> Iterator[FieldViolation]:
    yield from _sizes(retraction, author=KEY_BYTES, target_digest=DIGEST_BYTES, subject=DIGEST_BYTES)
    yield from _target(retraction.target_type)
    yield from _texts(retraction, comment=0)
    yield from _lifetime(retraction)


def _rebuttal_violations(rebuttal: Rebuttal) -> Iterator[FieldViolation]:
    yield from _sizes(rebuttal, node_id=KEY_BYTES, signing_key=KEY_BYTES, target_digest=DIGEST_BYTES)
    yield from _target(rebuttal.target_type)
    yield from _texts(rebuttal, comment=1)
    yield from _at_most(rebuttal, objects=MAX_OBJECTS)


def _advisory_violations(advisory: Advisory) -> Iterator[FieldViolation]:
    yield from _sizes(advisory, author=KEY_BYTES)
    for name in ("node_id", "weights_digest"):
        if getattr(advisory, name):
            yield from _sizes(advisory, **{name: KEY_BYTES})
    if advisory.skill_id and not is_id(advisory.skill_id):
        yield FieldViolation(field="skill_id", description="must be empty, or the id of a skill")
    if bool(advisory.node_id) == bool(advisory.weights_digest) or (advisory.skill_id and not advisory.node_id):
        yield FieldViolation(
            field="advisory", description="must warn of a node or of a model, of a skill only of a node"
        )
    yield from _known(advisory, "category")
    yield from _known(advisory, "severity")
    yield from _texts(advisory, summary=1)
    yield from _at_most(advisory, documents=MAX_OBJECTS, objects=MAX_OBJECTS)
    for index, document in enumerate(advisory.documents):
        yield from _document_violations(document, path=f"documents[{index}].")
    yield from _lifetime(advisory)


def _document_violations(document: DocumentSource, *, path: str) -> Iterator[FieldViolation]:
    if not 1 <= len(document.uri) <= MAX_URI_CHARACTERS:
        yield FieldViolation(field=f"{path}uri", description=f"must have 1 to {MAX_URI_CHARACTERS} characters")
    if len(document.title) > MAX_TITLE_CHARACTERS:
        yield FieldViolation(field=f"{path}title", description=f"must have at most {MAX_TITLE_CHARACTERS} characters")
    if len(document.digest) != DIGEST_BYTES:
        yield FieldViolation(field=f"{path}digest", description=f"must be {DIGEST_BYTES} bytes")
    if len(document.quote) > MAX_QUOTE_CHARACTERS:
        yield FieldViolation(field=f"{path}quote", description=f"must have at most {MAX_QUOTE_CHARACTERS} characters")
    if (place := document.place) is not None:
        for name in ("start_byte", "end_byte"):
            if getattr(place, name) < 0:
                yield FieldViolation(field=f"{path}place.{name}", description="must not be negative")
        if place.end_byte < place.start_byte:
            yield FieldViolation(field=f"{path}place", description="must end no sooner than it starts")


def _target(target_type: RecordType) -> Iterator[FieldViolation]:
    if target_type not in TARGETS:
        yield FieldViolation(field="target_type", description="must be a review or an advisory")


def _lifetime(statement: Retraction | Advisory) -> Iterator[FieldViolation]:
    if not timedelta(0) < statement.expire_time - statement.issue_time <= MAX_LIFETIME:
        yield FieldViolation(
            field="expire_time", description=f"must lie after issue_time and at most {MAX_LIFETIME.days} days later"
        )


def _known(statement: Statement, name: str) -> Iterator[FieldViolation]:
    if getattr(statement, name) < 0:
        yield FieldViolation(field=name, description="must be a value of this version")


def _sizes(statement: Statement, **sizes: int) -> Iterator[FieldViolation]:
    for name, size in sizes.items():
        if len(getattr(statement, name)) != size:
            yield FieldViolation(field=name, description=f"must be {size} bytes")


def _texts(statement: Statement, **least: int) -> Iterator[FieldViolation]:
    for name, characters in least.items():
        if not characters <= len(getattr(statement, name)) <= MAX_TEXT_CHARACTERS:
            yield FieldViolation(field=name, description=f"must have {characters} to {MAX_TEXT_CHARACTERS} characters")


def _at_most(statement: Statement, **most: int) -> Iterator[FieldViolation]:
    for name, items in most.items():
        if len(getattr(statement, name)) > items:
            yield FieldViolation(field=name, description=f"must be at most {items}")
