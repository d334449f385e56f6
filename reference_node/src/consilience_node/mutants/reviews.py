"""Mutants of the noun review: tickets, and what is attested of a paid answer (spec section 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

from consilience.identity import KeyPair
from consilience.server import answers, tickets
from consilience.server.payments import tills
from consilience.units import Digest
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]


def _told_otherwise(name: str, change: Callable[[Any], dict[str, Any]]) -> None:
    """Signs tickets or attestations that differ from what they were to say."""

    def telling(make: Make) -> Make:
        def statement(**fields: Any) -> Any:
            honest = make(**fields)
            return changed(honest, **change(honest))

        return statement

    replace(tickets, name, telling)


@mutant("ticket-withheld")
def _ticket_withheld() -> None:
    """Nobody gets a ticket."""
    replace(answers.Answers, "_ticket", lambda _: lambda self, ask, now: None)  # noqa: ARG005 - as it is called


@mutant("ticket-for-everyone")
def _ticket_for_everyone() -> None:
    """Who commits to nobody gets a ticket as well."""

    def lavish(make: Make) -> Make:
        def ticket(self: Any, ask: Any, *, now: Any) -> Any:
            return make(self, changed(ask, reviewer_commitment=ask.reviewer_commitment or bytes(32)), now=now)

        return ticket

    replace(answers.Answers, "_ticket", lavish)


@mutant("ticket-for-another-reviewer")
def _ticket_for_another_reviewer() -> None:
    """A ticket commits to another reviewer than the ask."""
    _told_otherwise("ReviewTicket", lambda _: {"reviewer_commitment": bytes(32)})


@mutant("ticket-of-another-day")
def _ticket_of_another_day() -> None:
    """A ticket is dated to the day before."""
    _told_otherwise("ReviewTicket", lambda honest: {"issue_day": honest.issue_day - timedelta(days=1)})


@mutant("ticket-of-another-skill")
def _ticket_of_another_skill() -> None:
    """A ticket is for a skill that was not asked."""
    _told_otherwise("ReviewTicket", lambda _: {"skill_id": "another"})


@mutant("ticket-signed-by-an-unlisted-key")
def _ticket_signed_by_an_unlisted_key() -> None:
    """A key signs tickets that stands in no card."""
    key = KeyPair.generate()
    replace(answers, "ticket_for", lambda make: lambda ask, **facts: make(ask, **{**facts, "signer": key}))


@mutant("attestation-withheld")
def _attestation_withheld() -> None:
    """A paid answer is not attested."""
    replace(tills, "attestation_of", lambda _: lambda *_, **__: None)


@mutant("attestation-without-a-ticket")
def _attestation_without_a_ticket() -> None:
    """A paid answer is attested that has no ticket."""

    def lavish(settle: Make) -> Make:
        async def settling(self: Any, ask: Any, *, ticket_digest: Any, **more: Any) -> Any:
            return await settle(self, ask, ticket_digest=ticket_digest or Digest(bytes(32)), **more)

        return settling

    replace(tills.Till, "settle", lavish)


@mutant("attestation-of-another-ticket")
def _attestation_of_another_ticket() -> None:
    """An attestation names another ticket."""
    _told_otherwise("PaymentAttestation", lambda _: {"ticket_digest": Digest(bytes(32))})


@mutant("attestation-boasts")
def _attestation_boasts() -> None:
    """An attestation tells of a charge with a digit more."""
    _told_otherwise("PaymentAttestation", lambda honest: {"charge_digits": honest.charge_digits + 1})


@mutant("attestation-names-the-issuer")
def _attestation_names_the_issuer() -> None:
    """An attestation names the issuer of the session, though on credit that is the payer."""

    def telling(make: Make) -> Make:
        def attestation(receipt: Any, **facts: Any) -> Any:
            _told_otherwise("PaymentAttestation", lambda _: {"issuer": receipt.issuer})
            return make(receipt, **facts)

        return attestation

    replace(tills, "attestation_of", telling)
