"""Tickets: what comes with an answer is held against the ticket before it is used in a review."""

from dataclasses import replace
from typing import Any

import pytest

from consilience._wire import envelopes
from consilience.client import HeldTicket
from consilience.envelopes import Envelope
from consilience.identity import KeyPair
from consilience.nodes import Skill
from consilience.reviews import PaymentAttestation
from consilience.tariffs import Backing
from consilience.units import Digest, RequestId
from sdk.tests.reviews.specimens import TestNode, key

NODE, REVIEWER, SALT = TestNode.named("node"), key("reviewer"), b"salt".ljust(32, b".")


@pytest.fixture
def held() -> HeldTicket:
    return HeldTicket(
        ticket=NODE.ticket(reviewer=REVIEWER, salt=SALT),
        salt=SALT,
        reviewer=REVIEWER.public_key,
        card=NODE.card(),
        request_id=RequestId(bytes(16)),
    )


@pytest.mark.parametrize(
    ("skills", "domains", "domain"),
    [
        ([Skill(id="units.convert", domains=("units",)), Skill(id="law", domains=("law.de",))], ("units",), "units"),
        ([Skill(id="units.convert", domains=("units", "feet"))], ("units", "feet"), ""),
        ([Skill(id="units.convert")], (), ""),
        ([], (), ""),
    ],
)
def test_a_review_is_about_the_domain_of_the_skill_if_there_is_just_one(
    held: HeldTicket, skills: list[Skill], domains: tuple[str, ...], domain: str
) -> None:
    asked = replace(held, card=NODE.card(skills=skills))
    assert (asked.domains, asked.domain) == (domains, domain)


def attested(held: HeldTicket, *, signer: KeyPair = NODE.signing, **changes: Any) -> Envelope:
    attestation = PaymentAttestation(
        node_id=NODE.root.public_key,
        signing_key=signer.public_key,
        ticket_digest=held.digest,
        asset="TEST/0",
        charge_digits=2,
        backing=Backing.CREDIT,
    )
    return envelopes.seal(replace(attestation, **changes), signer=signer).envelope


def test_an_attestation_of_the_ticket_goes_into_a_review(held: HeldTicket) -> None:
    paid = replace(held, attested=attested(held))
    assert paid.attestation is not None
    assert paid.attestation.value.charge_digits == 2


def test_an_attestation_that_no_registry_would_take_is_left_out(held: HeldTicket) -> None:
    good = attested(held)
    forged = replace(good, signature=bytes(64))
    others = attested(held, signer=key("a stranger"))
    another = attested(held, ticket_digest=Digest(bytes(32)))
    nothing = attested(held, charge_digits=0)
    for wrong in (forged, others, another, nothing, held.ticket.envelope):
        assert replace(held, attested=wrong).attestation is None


def test_a_free_answer_has_none(held: HeldTicket) -> None:
    assert held.attestation is None
