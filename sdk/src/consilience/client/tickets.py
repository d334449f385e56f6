"""Tickets, as an asker holds them: what an answer can be reviewed with, and nothing of what was asked (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consilience._wire.envelopes import open_envelope
from consilience.asks import Accepted, Ask, Final
from consilience.envelopes import Envelope, Signed
from consilience.errors import ProtocolError, RefusedError
from consilience.nodes import NodeCard
from consilience.reviews import PaymentAttestation, ReviewTicket, check_ticket
from consilience.reviews.tickets import attestation_violations, ticket_violations
from consilience.units import Digest, PublicKey, RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTicket:
    """A ticket, and what it is opened with.

    Attributes:
        ticket: As the node signed it.
        salt: Opens it, 32 bytes. Whoever has it learns who may review.
        reviewer: The key that signs the review, 32 bytes.
        card: The card that the ask relied on: it shows that the key of the ticket is the node's.
        request_id: Names the ask.
        answer_digest: Names the answer; empty: it never ended.
        attested: What the node attests of the payment, as it came; None: the answer was free, or has not ended.
    """

    ticket: Signed[ReviewTicket]
    salt: bytes
    reviewer: PublicKey
    card: Signed[NodeCard]
    request_id: RequestId
    answer_digest: bytes = b""
    attested: Envelope | None = None

    @classmethod
    def of(
        cls, accepted: Accepted, *, ask: Signed[Ask], card: Signed[NodeCard], salt: bytes, reviewer: PublicKey
    ) -> HeldTicket:
        """Takes the ticket that came with an acceptance, after it was checked.

        Raises:
            ProtocolError: There is none, or it does not hold; the answer is an answer all the same.
        """
        if accepted.ticket is None:
            raise ProtocolError("the node gave no ticket, so its answer cannot be reviewed", requirement="REV-TKT-001")
        try:
            ticket = open_envelope(accepted.ticket, ReviewTicket)
        except RefusedError as error:
            raise ProtocolError(f"the ticket does not open: {error}", requirement="REV-TKT-001") from error
        for violation in ticket_violations(ticket.value):
            raise ProtocolError(f"the ticket's {violation.field} {violation.description}", requirement="REV-TKT-001")
        check_ticket(ticket, card=card.value, ask=ask.value, accepted=accepted)
        return cls(ticket=ticket, salt=salt, reviewer=reviewer, card=card, request_id=ask.value.header.request_id)

    @property
    def digest(self) -> Digest:
        """The digest of the ticket, by which a review of the answer is named."""
        return self.ticket.digest

    @property
    def domains(self) -> tuple[str, ...]:
        """What the card says that the skill is about."""
        skill = self.card.value.skill(self.ticket.value.skill_id)
        return () if skill is None else skill.domains

    @property
    def domain(self) -> str:
        """What a review is about whose writer names nothing: the domain of the skill, if it has just one; or empty."""
        return self.domains[0] if len(self.domains) == 1 else ""

    def ended(self, final: Final) -> HeldTicket:
        """Returns the ticket with what the end of the answer adds: its digest, and what the node attests."""
        return replace(self, answer_digest=final.answer.digest, attested=final.attestation)

    @property
    def attestation(self) -> Signed[PaymentAttestation] | None:
        """What the node attests, if a registry would take it; a review loses no more than weight without.

        It is checked here, where it is used, and not with each answer: few are reviewed.
        """
        if self.attested is None:
            return None
        try:
            attestation = open_envelope(self.attested, PaymentAttestation)
        except RefusedError:
            return None
        value, ticket = attestation.value, self.ticket
        holds = (
            (value.ticket_digest, value.node_id) == (ticket.digest, ticket.value.node_id)
            and self.card.value.may_sign(value.signing_key, at=ticket.value.issue_day)
            and not any(attestation_violations(value))
        )
        return attestation if holds else None
