"""The rules of tickets find each way in which a ticket does not fit its ask, its key that had expired among them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from conformance.tests.made_transcripts import NODE, Found, ask, found, log, stream, time
from consilience.v1 import ask_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, signatures
from consilience_conformance.transcripts import Exchange

CHECK = "a-ticket-comes-to-those-who-commit"
COMMITMENT, STRANGER = bytes([9] * 32), bytes([6] * 32)
ACCEPTED_AT = timedelta(0)


def ticket(*, seed: bytes = NODE, **changes: object) -> SignedEnvelope:
    key = signatures.public_key(NODE)
    fields: dict[str, object] = {
        "node_id": key,
        "signing_key": signatures.public_key(seed),
        "skill_id": "say",
        "reviewer_commitment": COMMITMENT,
        "issue_day": time(-timedelta(hours=12)),
    }
    return envelopes.seal(review_pb2.ReviewTicket(**{**fields, **changes}), seed=seed)  # type: ignore[arg-type]


def answered(
    name: str, *, commitment: bytes, with_ticket: SignedEnvelope | None, at: timedelta = ACCEPTED_AT
) -> Exchange:
    asked = ask(1 if commitment else 2, reviewer_commitment=commitment)
    events = log("text", asked=asked)
    events[0].accepted.accept_time.CopyFrom(time(at))
    if with_ticket is not None:
        events[0].accepted.ticket.CopyFrom(with_ticket)
    return stream(name, events, asked=asked)


GOOD = (
    answered("with-commitment", commitment=COMMITMENT, with_ticket=ticket()),
    answered("without-commitment", commitment=b"", with_ticket=None),
)


def test_tickets_that_fit_are_found_nothing_of() -> None:
    assert found(CHECK, GOOD) == []


EITHER = "Accepted carries a ticket if the ask commits to a reviewer, and none otherwise"


def late() -> Exchange:
    end = timedelta(days=1, seconds=1)
    of_that_day = ticket(issue_day=time(timedelta(hours=12)))
    return answered("with-commitment", commitment=COMMITMENT, with_ticket=of_that_day, at=end)


def asked_with(envelope: SignedEnvelope | None) -> Exchange:
    return answered("with-commitment", commitment=COMMITMENT, with_ticket=envelope)


@pytest.mark.parametrize(
    ("spoilt", "expected"),
    [
        (lambda: asked_with(None), [("REV-TKT-001", EITHER)]),
        (
            lambda: answered("without-commitment", commitment=b"", with_ticket=ticket()),
            [("REV-TKT-001", EITHER)],
        ),
        (lambda: asked_with(ticket(node_id=bytes(32))), [("REV-TKT-001", "the ticket has another node_id")]),
        (
            lambda: asked_with(ticket(seed=STRANGER)),
            [
                (
                    "REV-TKT-001",
                    "the ReviewTicket is signed by another key than a signing key of the card that it names",
                )
            ],
        ),
        (late, [("REV-TKT-001", "the key that signs the ticket had expired")]),
    ],
    ids=["withheld", "not asked for", "of another node", "by a stranger", "by an expired key"],
)
def test_each_way_not_to_fit_is_found(spoilt: Callable[[], Exchange], expected: Found) -> None:
    assert found(CHECK, GOOD, spoilt()) == expected


def test_a_free_answer_that_is_attested_is_found() -> None:
    exchange = GOOD[0]
    events = [event for data in exchange.responses for event in ask_pb2.AskResponse.FromString(data.data).events]
    events[-1].final.attestation.CopyFrom(ticket())
    spoilt = stream("with-commitment", events, asked=ask(1, reviewer_commitment=COMMITMENT))
    assert [requirement for requirement, _ in found(CHECK, GOOD, spoilt)] == ["REV-PAY-001"]
