"""Tickets of reviews (spec section 4.2, steps 1 to 4): nobody reviews with the ticket of another."""

from __future__ import annotations

import secrets
from datetime import UTC, timedelta

from consilience.v1 import registry_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.records.kinds import REVIEW, Cast
from consilience_conformance.records.made_up import MadeUpNode, MadeUpTicket, record_of
from consilience_conformance.records.twins import Spoilt, record_twins
from consilience_conformance.subjects import SCRIPT_SKILL

_SECOND = timedelta(seconds=1)


def _review(ticket: MadeUpTicket, **changes: object) -> registry_pb2.Record:
    return record_of(ticket.reviewer.seal(ticket.review(**changes)))  # type: ignore[arg-type]


def _with_another_salt(cast: Cast) -> registry_pb2.Record:
    return _review(cast.ticket, ticket_salt=secrets.token_bytes(32))


def _of_a_thief(cast: Cast) -> registry_pb2.Record:
    """Returns a review by somebody who found out ticket and salt of somebody else."""
    thief = Caller.new()
    return record_of(thief.seal(cast.ticket.review(reviewer=thief.key)))


def _of_a_script(cast: Cast) -> registry_pb2.Record:
    return _review(cast.node.ticket(cast.reviewer, skill_id=SCRIPT_SKILL))


def _before_its_ticket(cast: Cast) -> registry_pb2.Record:
    return _review(cast.ticket, issued=cast.ticket.value.issue_day.ToDatetime(tzinfo=UTC) - _SECOND)


def _as_old_as_its_ticket(cast: Cast) -> registry_pb2.Record:
    return _review(cast.ticket, issued=cast.ticket.value.issue_day.ToDatetime(tzinfo=UTC))


def _attested(cast: Cast) -> registry_pb2.Record:
    return _review(cast.ticket, attestation=cast.node.root.seal(cast.node.attestation(cast.ticket)))


def _attested_for_another_ticket(cast: Cast) -> registry_pb2.Record:
    other = cast.node.attestation(cast.node.ticket(cast.reviewer))
    return _review(cast.ticket, attestation=cast.node.root.seal(other))


def _attested_by_another_node(cast: Cast) -> registry_pb2.Record:
    other = MadeUpNode.new()
    return _review(cast.ticket, attestation=other.root.seal(other.attestation(cast.ticket)))


_REFUSED = {
    "with another salt": _with_another_salt,
    "of a thief": _of_a_thief,
    "of a scripted answer": _of_a_script,
    "older than its ticket": _before_its_ticket,
    "attested for another ticket": _attested_for_another_ticket,
    "attested by another node": _attested_by_another_node,
}
_TAKEN = {"as old as its ticket": _as_old_as_its_ticket, "with its attestation": _attested}

UNOPENED = {
    REVIEW: [
        *(
            Spoilt(name=name, reason="TICKET_INVALID", make=make, requirement="REV-OPEN-001")
            for name, make in _REFUSED.items()
        ),
        *(Spoilt(name=name, reason="", make=make, requirement="REV-OPEN-001") for name, make in _TAKEN.items()),
    ]
}

CHECKS = (
    record_twins(
        "a-review-that-opens-no-ticket-is-refused",
        title="A review is refused that does not open its ticket, or rests on a script or on the ticket of another.",
        spoilt=UNOPENED,
    ),
)
