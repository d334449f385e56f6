"""The rules that reviews and queries hold at run time are the constraints that the protos declare, one by one."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from consilience import reviews
from consilience._wire import convert
from consilience.errors import FieldInvalidError
from consilience.reviews.tickets import attestation_violations, ticket_violations
from sdk.tests._wire.declarations import broken_rules, constrained_fields
from sdk.tests._wire.reviews import full_reviews

Break = Callable[[Any], object]

EXAMPLES: dict[str, Any] = full_reviews()
APART = {"Record", "PriceCeiling", "Verification"}
"""Messages that are checked within others; that a record holds an object is for `_wire.records`."""


def _setting(field: str, value: object) -> Break:
    return lambda message: setattr(message, field, value)


def _clearing(field: str) -> Break:
    return lambda message: message.ClearField(field)


def _late(message: Any) -> None:
    message.expire_time.seconds = message.issue_time.seconds + 730 * 86_400 + 1


def _document(field: str, value: object) -> Break:
    return lambda advisory: setattr(advisory.documents[0], field, value)


def _place(field: str, value: int) -> Break:
    return lambda advisory: setattr(advisory.documents[0].place, field, value)


_TIMES = {"issue_time": _clearing("issue_time"), "expire_time": _clearing("expire_time"), "expire_time late": _late}
_EXPIRE_EARLY = {"expire_time early": lambda message: message.expire_time.CopyFrom(message.issue_time)}
_TARGET = {
    "target_type": _setting("target_type", 0),
    "target_type later": _setting("target_type", 9),
    "target_type of none": _setting("target_type", 1),
    "target_digest": _setting("target_digest", b"x"),
}
_PAGE = {"page_size": _setting("page_size", -1), "page_token": _setting("page_token", b"x" * 257)}
BROKEN: dict[str, dict[str, Break]] = {
    "ReviewTicket": {
        "node_id": _setting("node_id", b"x"),
        "signing_key": _setting("signing_key", b"x"),
        "skill_id": _setting("skill_id", "Define"),
        "reviewer_commitment": _setting("reviewer_commitment", b""),
        "issue_day": _clearing("issue_day"),
        "issue_day late": lambda ticket: setattr(ticket.issue_day, "seconds", ticket.issue_day.seconds + 1),
        "issue_day later": lambda ticket: setattr(ticket.issue_day, "nanos", 1000),
    },
    "PaymentAttestation": {
        "node_id": _setting("node_id", b"x"),
        "signing_key": _setting("signing_key", b"x"),
        "ticket_digest": _setting("ticket_digest", b"x"),
        "asset": _setting("asset", "TEST"),
        "charge_digits": _setting("charge_digits", 0),
        "charge_digits many": _setting("charge_digits", 20),
        "backing": _setting("backing", 0),
        "backing later": _setting("backing", 9),
        "issuer": _setting("issuer", b"x"),
        "issuer none": _setting("issuer", b""),
        "issuer of another": _setting("backing", 2),
    },
    "Review": {
        "reviewer": _setting("reviewer", b"x"),
        "ticket": _clearing("ticket"),
        "ticket_salt": _setting("ticket_salt", b"x" * 31),
        "verdict": _setting("verdict", 0),
        "verdict later": _setting("verdict", 9),
        "score_milli": _setting("score_milli", -1),
        "score_milli high": _setting("score_milli", 1001),
        "verification": _clearing("verification"),
        "verification.method": lambda review: setattr(review.verification, "method", 0),
        "verification.method later": lambda review: setattr(review.verification, "method", 9),
        "verification.independent_nodes": lambda review: setattr(review.verification, "independent_nodes", -1),
        "verification.independent_nodes many": lambda review: setattr(review.verification, "independent_nodes", 1001),
        "verification of none": lambda review: setattr(review.verification, "independent_nodes", 0),
        "verification of others": lambda review: setattr(review.verification, "method", 1),
        "comment": _setting("comment", "c" * 2049),
        "domain": _setting("domain", "Computing"),
        "answer_digest": _setting("answer_digest", b"x"),
        "issue_time": _clearing("issue_time"),
    },
    "Retraction": {
        "author": _setting("author", b"x"),
        "subject": _setting("subject", b""),
        "comment": _setting("comment", "c" * 2049),
        **_TARGET,
        **_TIMES,
        **_EXPIRE_EARLY,
    },
    "Rebuttal": {
        "node_id": _setting("node_id", b"x"),
        "signing_key": _setting("signing_key", b""),
        "comment": _setting("comment", ""),
        "comment long": _setting("comment", "c" * 2049),
        "objects": lambda rebuttal: [rebuttal.objects.add() for _ in range(8)],
        "issue_time": _clearing("issue_time"),
        **_TARGET,
    },
    "Advisory": {
        "author": _setting("author", b"x"),
        "node_id": _setting("node_id", b"x"),
        "weights_digest": _setting("weights_digest", b"x"),
        "skill_id": _setting("skill_id", "Define"),
        "advisory of both": _setting("weights_digest", b"w" * 32),
        "advisory of none": _setting("node_id", b""),
        "category": _setting("category", 0),
        "category later": _setting("category", 9),
        "severity": _setting("severity", 0),
        "severity later": _setting("severity", 9),
        "summary": _setting("summary", ""),
        "summary long": _setting("summary", "s" * 2049),
        "documents": lambda advisory: [advisory.documents.add().CopyFrom(advisory.documents[0]) for _ in range(8)],
        "documents.uri": _document("uri", ""),
        "documents.uri long": _document("uri", "u" * 2049),
        "documents.title": _document("title", "t" * 513),
        "documents.digest": _document("digest", b"x"),
        "documents.quote": _document("quote", "q" * 16385),
        "documents.retrieval_time": lambda advisory: advisory.documents[0].ClearField("retrieval_time"),
        "documents.place.start_byte": _place("start_byte", -1),
        "documents.place.end_byte": _place("end_byte", -1),
        "documents.place": _place("end_byte", 0),
        "objects": lambda advisory: [advisory.objects.add() for _ in range(8)],
        **_TIMES,
        **_EXPIRE_EARLY,
    },
    "FindNodesRequest": {
        "skill_id": _setting("skill_id", "Define"),
        "domain": _setting("domain", "Computing"),
        "language": _setting("language", "en_GB"),
        "input_media_type": _setting("input_media_type", "m" * 129),
        "data_class": _setting("data_class", 9),
        "price.asset": lambda query: setattr(query.price, "asset", "TEST"),
        "price.max_cost": lambda query: setattr(query.price, "max_cost", -1),
        "rail_id": _setting("rail_id", "Hold"),
        "profiles": lambda query: query.profiles.append(1),
        "min_parameter_count": _setting("min_parameter_count", -1),
        "max_parameter_count": _setting("max_parameter_count", -1),
        "text": _setting("text", "t" * 257),
        **_PAGE,
    },
    "ListRecordsRequest": {
        "subject": _setting("subject", b"x"),
        "author": _setting("author", b"x"),
        "list_records_request": lambda query: (query.ClearField("subject"), query.ClearField("author")),
        "types": lambda query: query.types.append(3),
        **_PAGE,
    },
}
ALL = [(name, broken) for name, breaks in BROKEN.items() for broken in breaks]


def _found(message: Any, name: str) -> set[str]:
    """Returns the fields that break a rule at run time, without their indices."""
    try:
        value = convert.parse(message.SerializeToString(), type(EXAMPLES[name]))
        paths = [violation.field for violation in _violations(value)]
    except FieldInvalidError as error:
        paths = [violation.field for violation in getattr(error.detail, "violations", ())]
    return {re.sub(r"\[\d+\]", "", path) for path in paths}


def _violations(value: Any) -> Iterable[Any]:
    match value:
        case reviews.ReviewTicket():
            return list(ticket_violations(value))
        case reviews.PaymentAttestation():
            return list(attestation_violations(value))
        case reviews.NodeQuery() | reviews.RecordQuery():
            reviews.check_query(value)
        case _:
            reviews.check_statement(value)
    return []


@pytest.mark.parametrize("name", BROKEN)
def test_the_example_keeps_every_constraint(name: str) -> None:
    message = convert.to_message(EXAMPLES[name])
    assert broken_rules(message) == []
    assert _found(message, name) == set()


@pytest.mark.parametrize(("name", "broken"), ALL)
def test_what_a_constraint_refuses_the_value_type_refuses(name: str, broken: str) -> None:
    message = convert.to_message(EXAMPLES[name])
    BROKEN[name][broken](message)
    assert broken_rules(message), "the declared constraints let it pass"
    assert broken.split(maxsplit=1)[0] in _found(message, name)


@pytest.mark.parametrize("name", BROKEN)
def test_every_declared_constraint_is_broken_above(name: str) -> None:
    """A constraint that is added to the protos has to be added here, and so to the value types.

    What an envelope holds, the steps of opening it judge.
    """
    constrained = constrained_fields(name) - constrained_fields("SignedEnvelope")
    named = {broken.split(maxsplit=1)[0].rpartition(".")[2] for broken in BROKEN[name]}
    assert constrained - named == set()


def test_all_examples_are_among_them() -> None:
    assert BROKEN.keys() | APART == EXAMPLES.keys()


def test_what_is_wrong_with_ticket_and_attestation_is_told_by_its_path_in_the_review() -> None:
    review = convert.to_message(EXAMPLES["Review"])
    value = convert.from_message(review, reviews.Review)
    assert {violation.field for violation in ticket_violations(value.ticket.value, path="ticket.")} == set()
    broken = convert.to_message(value.ticket.value)
    broken.skill_id = "Define"
    found = ticket_violations(convert.from_message(broken, reviews.ReviewTicket), path="ticket.")
    assert [violation.field for violation in found] == ["ticket.skill_id"]
