"""Subjects: nodes about which something is said, and what is said of them, right in all of chapter 4 unless it is bent.

All times hang on the moment at which a subject is made, so that no midnight comes between two of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consilience.v1 import node_pb2, registry_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.client_side.nodes import CARD_LIFETIME, SKILL
from consilience_conformance.records.made_up import (
    DAY,
    LONGEST,
    MadeUpNode,
    MadeUpTicket,
    advisory,
    record_of,
    retraction,
)
from consilience_conformance.wire_bytes import field_of

HOUR = timedelta(hours=1)
MAX_RECORD_BYTES = 65536

_NOW = timedelta(0)
_UNKNOWN_FIELD = 1000

Sealed = Callable[[SignedEnvelope], SignedEnvelope]


def _as_it_is(envelope: SignedEnvelope) -> SignedEnvelope:
    return envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A node of which something is said. Its signing key signs tickets, so that a card stands beside their reviews.

    Attributes:
        node: Who it is.
        reviewer: Who says it.
        now: When, aware UTC.
    """

    node: MadeUpNode = field(default_factory=MadeUpNode.new)
    reviewer: Caller = field(default_factory=Caller.new)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def today(self) -> datetime:
        """The first instant of the day."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def card(self, *, issued: datetime | None = None, **changes: object) -> node_pb2.NodeCard:
        """Returns a card of it, of an hour before the day unless another time is said, with the skill of all nodes."""
        skills = [node_pb2.Skill(id=SKILL, description="Converts units.")]
        fields = {"issued": issued or self.today - HOUR, "lasting": CARD_LIFETIME, "skills": skills, **changes}
        return self.node.card(**fields)  # type: ignore[arg-type]

    def shown(self, *, issued: datetime | None = None, **changes: object) -> SignedEnvelope:
        """Returns a card of it as its root key signs it."""
        return self.node.root.seal(self.card(issued=issued, **changes))

    def ticket(self, *, age: timedelta = _NOW, by: Caller | None = None, **changes: object) -> MadeUpTicket:
        """Returns a ticket of the day that lies so far back, by its signing key unless somebody else signs."""
        return self.node.ticket(self.reviewer, issue_day=self.today - age, by=by or self.node.signer, **changes)

    def attested(self, ticket: MadeUpTicket, *, by: Caller | None = None, **changes: object) -> SignedEnvelope:
        """Returns what it attests of the payment for an answer, by its signing key unless another one signs."""
        signer = by or self.node.signer
        return signer.seal(self.node.attestation(ticket, by=signer, **changes))

    def review(
        self,
        ticket: MadeUpTicket | None = None,
        *,
        issued: datetime | None = None,
        beside: SignedEnvelope | None = None,
        sealed: Sealed = _as_it_is,
        **changes: object,
    ) -> registry_pb2.Record:
        """Returns a review.

        Args:
            ticket: Of an answer; None: one of today.
            issued: When it is written; None: now.
            beside: The card beside it; None: a card of this day.
            sealed: Changes it after it was signed.
            changes: Fields that are to be otherwise.
        """
        review = (ticket or self.ticket()).review(issued=issued or self.now, **changes)
        return record_of(sealed(self.reviewer.seal(review)), card=beside or self.shown())

    def advisory(self, *, sealed: Sealed = _as_it_is, **changes: object) -> registry_pb2.Record:
        """Returns a warning of it; no two are alike."""
        fields = {
            "issued": self.now - HOUR,
            "lasting": DAY,
            "node_id": self.node.node_id,
            "summary": f"It takes feet for yards ({secrets.token_hex(4)}).",
        }
        return record_of(sealed(self.reviewer.seal(advisory(self.reviewer, **{**fields, **changes}))))  # type: ignore[arg-type]

    def retraction(
        self,
        target: registry_pb2.Record,
        *,
        by: Caller | None = None,
        issued: datetime | None = None,
        end: datetime | None = None,
        sealed: Sealed = _as_it_is,
    ) -> registry_pb2.Record:
        """Returns what takes a review or an advisory back.

        Args:
            target: What is taken back.
            by: Who does it; None: the reviewer.
            issued: When; None: with the beginning of this day.
            end: Until when it is kept; None: for as long as can be, which is no shorter than what it takes back.
            sealed: Changes it after it was signed.
        """
        author, issued = by or self.reviewer, issued or self.today
        kind, name = named(target)
        said = retraction(
            author,
            target=name,
            target_type=kind,
            subject=self.node.node_id,
            issued=issued,
            end=end or issued + LONGEST,
        )
        return record_of(sealed(author.seal(said)))

    def rebuttal(
        self,
        target: registry_pb2.Record,
        comment: str,
        *,
        issued: datetime | None = None,
        by: Caller | None = None,
        beside: SignedEnvelope | None = None,
        sealed: Sealed = _as_it_is,
    ) -> registry_pb2.Record:
        """Returns what it says to a review or an advisory.

        Args:
            target: What it answers.
            comment: What it says.
            issued: When; None: now.
            by: The key that signs; None: its signing key.
            beside: The card beside it; None: a card of this day.
            sealed: Changes it after it was signed.
        """
        kind, name = named(target)
        signer = by or self.node.signer
        said = self.node.rebuttal(name, target_type=kind, issued=issued or self.now, by=signer, comment=comment)
        return record_of(sealed(signer.seal(said)), card=beside or self.shown())

    def succession(
        self,
        *,
        issued: datetime | None = None,
        heir: Caller | None = None,
        beside: SignedEnvelope | None = None,
        sealed: Sealed = _as_it_is,
        **changes: object,
    ) -> registry_pb2.Record:
        """Returns its hand-over.

        Args:
            issued: When it is accepted; None: now.
            heir: To whom; None: the key to which its cards commit.
            beside: The card beside it; None: a card of this day.
            sealed: Changes it after it was signed.
            changes: Fields of the acceptance that are to be otherwise.
        """
        heir = heir or self.node.successor
        acceptance = self.node.acceptance(issued=issued or self.now, heir=heir, **changes)
        said = node_pb2.KeySuccession(old_node_id=self.node.node_id, acceptance=heir.seal(acceptance))
        return record_of(sealed(self.node.root.seal(said)), card=beside or self.shown())


def named(record: registry_pb2.Record) -> tuple[int, bytes]:
    """Returns by what a review or an advisory is named: its type, and the digest of its ticket or its own."""
    if record.object.payload_type == review_pb2.Review.DESCRIPTOR.full_name:
        ticket = review_pb2.Review.FromString(record.object.payload).ticket
        return review_pb2.RECORD_TYPE_REVIEW, envelopes.envelope_digest(ticket)
    return review_pb2.RECORD_TYPE_ADVISORY, envelopes.envelope_digest(record.object)


def enlarged(envelope: SignedEnvelope, *, by: Caller) -> SignedEnvelope:
    """Returns an object with a field that no reader knows, and more bytes than any record or card may have."""
    payload = envelope.payload + field_of(_UNKNOWN_FIELD, bytes(MAX_RECORD_BYTES))
    return envelopes.seal_bytes(payload, payload_type=envelope.payload_type, seed=by.seed)
