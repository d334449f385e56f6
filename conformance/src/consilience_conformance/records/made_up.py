"""Records: what nodes and reviewers say that a check makes up, right in every respect and ready to be spoilt.

A registry asks nobody who he is, so a check invents whom it needs. Everything but a succession ends soon, so that a
registry in earnest is rid of it within two days: a review ends 730 days after the day of its ticket, so tickets are
made out for the past.

Example::

    node, reviewer = MadeUpNode.new(), Caller.new()
    ticket = node.ticket(reviewer)
    record = record_of(reviewer.seal(ticket.review(verdict=review_pb2.VERDICT_WRONG)))
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from consilience.v1 import node_pb2, registry_pb2, review_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.wire_values import timestamp

DAY = timedelta(days=1)
LONGEST = timedelta(days=730)
"""From the beginning of a statement to its end."""
LONG_AGO = LONGEST - 2 * DAY
"""When tickets and rebuttals are dated to: what rests on them ends within two days."""
LASTING = timedelta(minutes=20)
"""How long cards, advisories and retractions hold."""
KEY_LIFETIME = timedelta(days=29)
SKILL = "made.up"
"""The one skill of made-up nodes."""

_NOW = timedelta(0)
_A_MINUTE = timedelta(minutes=1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(age: timedelta = _NOW) -> datetime:
    """Returns the aware UTC time that lies so far back, in whole microseconds; below zero, ahead."""
    return datetime.now(UTC) - age


def day(age: timedelta = _NOW) -> datetime:
    """Returns the first instant, in UTC, of the day that lies so far back."""
    return moment(age).replace(hour=0, minute=0, second=0, microsecond=0)


def sequence_at(time: datetime) -> int:
    """Returns the sequence of a card that is issued at a time."""
    return (time - _EPOCH) // _MICROSECOND


def record_of(envelope: SignedEnvelope, *, card: SignedEnvelope | None = None) -> registry_pb2.Record:
    """Returns a record, with the card that stands beside it."""
    return registry_pb2.Record(object=envelope, card=card)


def name_of(record: registry_pb2.Record) -> bytes:
    """Returns the digest of a record, 32 bytes."""
    return envelopes.envelope_digest(record.object)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpNode:
    """A node that nobody runs: its keys, and what it signs.

    Attributes:
        root: The root key, whose public half is the node id.
        signer: A signing key, which its cards list.
        successor: The root key to which its cards commit.
    """

    root: Caller
    signer: Caller
    successor: Caller

    @classmethod
    def new(cls) -> MadeUpNode:
        """Returns a node of which no registry has heard."""
        return cls(root=Caller.new(), signer=Caller.new(), successor=Caller.new())

    @property
    def node_id(self) -> bytes:
        """The root key, 32 bytes."""
        return self.root.key

    def card(
        self, *, issued: datetime | None = None, lasting: timedelta = LASTING, **changes: object
    ) -> node_pb2.NodeCard:
        """Returns a card, which the root key has to sign.

        Args:
            issued: What its sequence tells; None: a minute ago, before all that rests on it.
            lasting: How long it holds from then on.
            changes: Fields that are to be otherwise.
        """
        issued = issued or moment(_A_MINUTE)
        key = node_pb2.SigningKey(public_key=self.signer.key, expire_time=timestamp(issued + KEY_LIFETIME))
        fields: dict[str, object] = {
            "node_id": self.node_id,
            "sequence": sequence_at(issued),
            "expire_time": timestamp(issued + lasting),
            "name": "made up by a judge",
            "next_root_digest": hashlib.sha256(self.successor.key).digest(),
            "signing_keys": [key],
            "endpoints": [node_pb2.Endpoint(uri="https://192.0.2.7:7341", tls_mode=node_pb2.TLS_MODE_WEBPKI)],
            "skills": [node_pb2.Skill(id=SKILL, domains=["conformance"], languages=["en"])],
            "limits": _limits(),
            "data_policy": node_pb2.DataPolicy(max_data_class=node_pb2.DATA_CLASS_PUBLIC),
            "profiles": [node_pb2.PROFILE_CORE],
        }
        return node_pb2.NodeCard(**{**fields, **changes})  # type: ignore[arg-type]

    def sealed_card(
        self, *, issued: datetime | None = None, lasting: timedelta = LASTING, **changes: object
    ) -> SignedEnvelope:
        """Returns a card as its root key signs it; see `card`."""
        return self.root.seal(self.card(issued=issued, lasting=lasting, **changes))

    def succession(self, *, issued: datetime | None = None, heir: Caller | None = None) -> node_pb2.KeySuccession:
        """Returns the succession of another root key, which this one has to sign.

        Args:
            issued: When the heir accepted it; None: now.
            heir: The new root key; None: the one to which the cards commit.
        """
        heir = heir or self.successor
        return node_pb2.KeySuccession(
            old_node_id=self.node_id, acceptance=heir.seal(self.acceptance(issued=issued, heir=heir))
        )

    def acceptance(
        self, *, issued: datetime | None = None, heir: Caller | None = None, **changes: object
    ) -> node_pb2.KeyAcceptance:
        """Returns what the new root key has to sign; see `succession`."""
        fields: dict[str, object] = {
            "old_node_id": self.node_id,
            "new_node_id": (heir or self.successor).key,
            "issue_time": timestamp(issued or moment()),
        }
        return node_pb2.KeyAcceptance(**{**fields, **changes})  # type: ignore[arg-type]

    def ticket(
        self, reviewer: Caller, *, issue_day: datetime | None = None, by: Caller | None = None, **changes: object
    ) -> MadeUpTicket:
        """Returns a ticket that the node gave to a reviewer.

        Args:
            reviewer: Who may open it.
            issue_day: The day of the answer; None: long ago, so that the review ends soon.
            by: The key that signs it; None: the root key, for which no card has to be shown.
            changes: Fields of the ticket that are to be otherwise.
        """
        salt, signer = secrets.token_bytes(32), by or self.root
        fields: dict[str, object] = {
            "node_id": self.node_id,
            "signing_key": signer.key,
            "skill_id": SKILL,
            "reviewer_commitment": hashlib.sha256(reviewer.key + salt).digest(),
            "issue_day": timestamp(issue_day or day(LONG_AGO)),
        }
        ticket = review_pb2.ReviewTicket(**{**fields, **changes})  # type: ignore[arg-type]
        return MadeUpTicket(envelope=signer.seal(ticket), value=ticket, reviewer=reviewer, salt=salt)

    def attestation(
        self, ticket: MadeUpTicket, *, by: Caller | None = None, **changes: object
    ) -> review_pb2.PaymentAttestation:
        """Returns the attestation that the answer of a ticket was paid, which `by`, else the root key, has to sign."""
        fields: dict[str, object] = {
            "node_id": self.node_id,
            "signing_key": (by or self.root).key,
            "ticket_digest": ticket.digest,
            "asset": "TEST/0",
            "charge_digits": 2,
            "backing": tariff_pb2.BACKING_CREDIT,
        }
        return review_pb2.PaymentAttestation(**{**fields, **changes})  # type: ignore[arg-type]

    def rebuttal(
        self,
        target: bytes,
        *,
        target_type: int = review_pb2.RECORD_TYPE_REVIEW,
        issued: datetime | None = None,
        by: Caller | None = None,
        **changes: object,
    ) -> review_pb2.Rebuttal:
        """Returns what the node says to a review or an advisory, which `by`, else the root key, has to sign.

        Args:
            target: The digest of the ticket, or of the advisory.
            target_type: Which of the two it is.
            issued: When it was written; None: long ago, so that it ends soon.
            by: The key that signs it.
            changes: Fields that are to be otherwise.
        """
        fields: dict[str, object] = {
            "node_id": self.node_id,
            "signing_key": (by or self.root).key,
            "target_type": target_type,
            "target_digest": target,
            "comment": "It is as it was answered.",
            "issue_time": timestamp(issued or moment(LONG_AGO)),
        }
        return review_pb2.Rebuttal(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpTicket:
    """A ticket for an answer that nobody gave.

    Attributes:
        envelope: As the node signed it.
        value: The same, parsed.
        reviewer: Who may open it.
        salt: Opens it, 32 bytes.
    """

    envelope: SignedEnvelope
    value: review_pb2.ReviewTicket
    reviewer: Caller
    salt: bytes

    @property
    def digest(self) -> bytes:
        """The name of the ticket, and the slot of its review, 32 bytes."""
        return envelopes.envelope_digest(self.envelope)

    @property
    def end(self) -> datetime:
        """When its review ends."""
        return _EPOCH + timedelta(seconds=self.value.issue_day.seconds) + LONGEST

    def review(self, *, issued: datetime | None = None, **changes: object) -> review_pb2.Review:
        """Returns the review, which the reviewer has to sign.

        Args:
            issued: When it was written; None: now.
            changes: Fields that are to be otherwise.
        """
        fields: dict[str, object] = {
            "reviewer": self.reviewer.key,
            "ticket": self.envelope,
            "ticket_salt": self.salt,
            "verdict": review_pb2.VERDICT_CORRECT,
            "verification": review_pb2.Verification(method=review_pb2.VERIFICATION_METHOD_TOOL),
            "issue_time": timestamp(issued or moment()),
        }
        return review_pb2.Review(**{**fields, **changes})  # type: ignore[arg-type]

    def retraction(
        self, *, issued: datetime | None = None, end: datetime | None = None, **changes: object
    ) -> review_pb2.Retraction:
        """Returns the retraction of its review, which the reviewer has to sign; `end` is None: when the review ends."""
        return retraction(
            self.reviewer,
            target=self.digest,
            target_type=review_pb2.RECORD_TYPE_REVIEW,
            subject=self.value.node_id,
            issued=issued,
            end=end or self.end,
            **changes,
        )


def advisory(
    author: Caller, *, issued: datetime | None = None, lasting: timedelta = LASTING, **changes: object
) -> review_pb2.Advisory:
    """Returns a warning of a node that there is not, which the author has to sign; no two are alike.

    Args:
        author: Who warns.
        issued: When it was written; None: now.
        lasting: How long it holds from then on.
        changes: Fields that are to be otherwise.
    """
    issued = issued or moment()
    fields: dict[str, object] = {
        "author": author.key,
        "node_id": secrets.token_bytes(32),
        "category": review_pb2.ADVISORY_CATEGORY_UNRELIABLE,
        "severity": review_pb2.SEVERITY_LOW,
        "summary": "Made up by a judge, of nobody.",
        "issue_time": timestamp(issued),
        "expire_time": timestamp(issued + lasting),
    }
    return review_pb2.Advisory(**{**fields, **changes})  # type: ignore[arg-type]


def retraction(
    author: Caller,
    *,
    target: bytes,
    target_type: int,
    subject: bytes,
    end: datetime,
    issued: datetime | None = None,
    **changes: object,
) -> review_pb2.Retraction:
    """Returns what takes a review or an advisory back, which the author has to sign.

    Args:
        author: Of both.
        target: The digest of the ticket, or of the advisory.
        target_type: Which of the two it is.
        subject: Whom it was about.
        end: Until when it is kept.
        issued: When it was written; None: now.
        changes: Fields that are to be otherwise.
    """
    fields: dict[str, object] = {
        "author": author.key,
        "target_type": target_type,
        "target_digest": target,
        "subject": subject,
        "issue_time": timestamp(issued or moment()),
        "expire_time": timestamp(end),
    }
    return review_pb2.Retraction(**{**fields, **changes})  # type: ignore[arg-type]


def retraction_of(
    author: Caller, warning: review_pb2.Advisory, *, end: datetime | None = None, **changes: object
) -> review_pb2.Retraction:
    """Returns what takes an advisory back, which its author has to sign; `end` is None: when the advisory ends."""
    return retraction(
        author,
        target=envelopes.envelope_digest(author.seal(warning)),
        target_type=review_pb2.RECORD_TYPE_ADVISORY,
        subject=warning.node_id or warning.weights_digest,
        end=end or warning.expire_time.ToDatetime(tzinfo=UTC),
        **changes,  # type: ignore[arg-type]
    )


def _limits() -> node_pb2.Limits:
    limits = node_pb2.Limits(
        max_message_bytes=1 << 20,
        max_turns=8,
        max_input_bytes=1 << 16,
        max_running_asks=4,
        max_running_asks_per_caller=2,
        max_readers_per_answer=4,
    )
    limits.max_run_time.FromTimedelta(timedelta(minutes=1))
    limits.answer_retention.FromTimedelta(timedelta(minutes=1))
    return limits
