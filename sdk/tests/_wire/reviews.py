"""Everything that is said about answers, and asked of registries, with every field set: what must not get lost."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from consilience import asks, nodes, reviews
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.identity import KeyPair
from consilience.tariffs import Backing
from sdk.tests._wire.chains import NOW, Chain, make_chain

SALT = b"t" * 32
SIGNING_KEY = KeyPair(b"s" * 32)
REVIEWER = KeyPair(b"v" * 32)
DAY = datetime(2026, 11, 23, tzinfo=UTC)


def full_ticket(chain: Chain) -> Signed[reviews.ReviewTicket]:
    """Returns a ticket of the node of a chain for the reviewer."""
    ticket = reviews.ReviewTicket(
        node_id=chain.node.public_key,
        signing_key=SIGNING_KEY.public_key,
        skill_id="computing.define",
        reviewer_commitment=reviews.reviewer_commitment(REVIEWER.public_key, salt=SALT),
        issue_day=DAY,
    )
    return envelopes.seal(ticket, signer=SIGNING_KEY)


def full_attestation(chain: Chain) -> Signed[reviews.PaymentAttestation]:
    """Returns an attestation of that ticket, of a session in escrow: the only one that names an issuer."""
    attestation = reviews.PaymentAttestation(
        node_id=chain.node.public_key,
        signing_key=SIGNING_KEY.public_key,
        ticket_digest=full_ticket(chain).digest,
        asset="TEST/0",
        charge_digits=2,
        backing=Backing.ESCROW,
        issuer=b"e" * 32,
    )
    return envelopes.seal(attestation, signer=SIGNING_KEY)


def full_review(chain: Chain) -> reviews.Review:
    """Returns a review with that ticket."""
    return reviews.Review(
        reviewer=REVIEWER.public_key,
        ticket=full_ticket(chain),
        ticket_salt=SALT,
        verdict=reviews.Verdict.PARTLY_CORRECT,
        score_milli=700,
        verification=reviews.Verification(method=reviews.VerificationMethod.CROSS_CHECK, independent_nodes=3),
        comment="Grüße",
        domain="computing",
        answer_digest=chain.answer.digest,
        attestation=full_attestation(chain),
        issue_time=NOW,
    )


def full_advisory(chain: Chain) -> reviews.Advisory:
    """Returns an advisory of a skill."""
    document = chain.answer.value.citations[0].origin
    assert isinstance(document, asks.DocumentSource)
    return reviews.Advisory(
        author=REVIEWER.public_key,
        node_id=chain.node.public_key,
        skill_id="computing.define",
        category=reviews.AdvisoryCategory.UNRELIABLE,
        severity=reviews.Severity.MEDIUM,
        summary="It defines terms that there are not.",
        documents=(document,),
        objects=(chain.answer.envelope,),
        issue_time=NOW,
        expire_time=NOW + timedelta(days=30),
    )


def full_reviews() -> dict[str, Any]:
    """Returns each object and query, by the name of its message; all of them keep their rules."""
    chain = make_chain()
    return {
        "ReviewTicket": full_ticket(chain).value,
        "PaymentAttestation": full_attestation(chain).value,
        "Review": full_review(chain),
        "Verification": full_review(chain).verification,
        "Retraction": reviews.Retraction(
            author=REVIEWER.public_key,
            target_type=reviews.RecordType.REVIEW,
            target_digest=full_ticket(chain).digest,
            subject=chain.node.public_key,
            comment="A mistake.",
            issue_time=NOW,
            expire_time=DAY + timedelta(days=730),
        ),
        "Rebuttal": reviews.Rebuttal(
            node_id=chain.node.public_key,
            signing_key=SIGNING_KEY.public_key,
            target_type=reviews.RecordType.REVIEW,
            target_digest=full_ticket(chain).digest,
            comment="The question was another one.",
            objects=(chain.answer.envelope,),
            issue_time=NOW,
        ),
        "Advisory": full_advisory(chain),
        "Record": reviews.Record(object=chain.card.envelope, card=chain.card.envelope),
        "PriceCeiling": reviews.PriceCeiling(asset="TEST/0", max_cost=5),
        "FindNodesRequest": reviews.NodeQuery(
            skill_id="computing.define",
            domain="computing",
            language="en",
            input_media_type="text/plain",
            data_class=nodes.DataClass.INTERNAL,
            price=reviews.PriceCeiling(asset="TEST/0", max_cost=5),
            rail_id="hold.v1",
            profiles=(nodes.Profile.CORE, nodes.Profile.PAY),
            min_parameter_count=1,
            max_parameter_count=10**9,
            text="terms of computing",
            page_size=10,
            page_token=b"p",
        ),
        "ListRecordsRequest": reviews.RecordQuery(
            subject=chain.node.public_key,
            author=REVIEWER.public_key,
            types=(reviews.RecordType.REVIEW, reviews.RecordType.RETRACTION),
            page_size=10,
            page_token=b"p",
        ),
    }


def unbounded(value: Any) -> Any:
    """Returns a value with the fields set as well that no valid one has beside the others."""
    return dataclasses.replace(value, weights_digest=b"w" * 32) if isinstance(value, reviews.Advisory) else value
