"""Rules between the fields of a message, broken: they are expressions in the protos, which nothing draws by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Draft: TypeAlias = Any
"""A message whose fields are known from its descriptor alone."""

Change = Callable[[Draft], None]
"""Breaks a rule of a message that keeps all of them."""

_SECOND = 1_000_000_000
_LONGEST = 730 * 24 * 60 * 60 * _SECOND
_KEY = bytes([1]) * 32
_CORE, _PAY = 1, 3
_ESCROW, _PINNED, _CROSS_CHECK = 3, 2, 3


def _lasting(nanoseconds: int) -> Change:
    return lambda header: header.expire_time.FromNanoseconds(header.issue_time.ToNanoseconds() + nanoseconds)


def _putting(**values: object) -> Change:
    def change(message: Draft) -> None:
        for name, value in values.items():
            setattr(message, name, value)

    return change


def _put(message: Draft, **values: object) -> None:
    _putting(**values)(message)


def _emptying(name: str) -> Change:
    return lambda message: message.ClearField(name)


def _without(name: str, value: object) -> Change:
    return lambda message: getattr(message, name).remove(value)


def _doubling(name: str) -> Change:
    return lambda message: getattr(message, name).append(getattr(message, name)[0])


def _turn_credit_round(terms: Draft) -> None:
    terms.credit_limit = 0 if terms.credit_limit else 1


_LIFETIMES = {
    "none": _lasting(0),
    "turned round": _lasting(-_SECOND),
    "730 days and a microsecond": _lasting(_LONGEST + 1000),
}
_TARGETS = {
    what: _putting(target_type=number)
    for what, number in {"a card": 1, "a succession": 2, "a retraction": 4, "a rebuttal": 5}.items()
}

EXPRESSIONS: dict[str, dict[str, Change]] = {
    "call_header.lifetime": {
        "none": _lasting(0),
        "turned round": _lasting(-_SECOND),
        "ten minutes and a microsecond": _lasting(600 * _SECOND + 1000),
    },
    "open_session_call.deposit": {
        "an id alone": _putting(deposit_id=bytes([1]) * 16, deposit=0),
        "an amount alone": _putting(deposit_id=b"", deposit=1),
    },
    "session_terms.issuer": {"": _putting(issuer=bytes([1]) * 32)},
    "session_terms.credit": {"": _turn_credit_round},
    "node_card.core": {"": _without("profiles", _CORE)},
    "node_card.skills": {"": _emptying("skills")},
    "node_card.skill_ids": {"": _doubling("skills")},
    "node_card.model_ids": {"": _doubling("models")},
    "node_card.tariff_ids": {
        "two alike": _doubling("tariffs"),
        "named and not there": lambda card: card.skills[0].tariff_ids.append("not.there"),
    },
    "node_card.rails": {
        "two alike": _doubling("rails"),
        "none": _emptying("rails"),
        "of a node that is not paid": _without("profiles", _PAY),
    },
    "endpoint.pin": {
        "not pinned": _putting(spki_sha256=_KEY),
        "without a pin": _putting(tls_mode=_PINNED),
    },
    "endpoint.scheme": {"plain": lambda endpoint: _put(endpoint, uri=endpoint.uri.replace("https:", "http:"))},
    "tariff.units": {"": _doubling("prices")},
    "tariff.tokenizer": {"": _putting(tokenizer="")},
    "verification.nodes": {
        "none were asked": _putting(method=_CROSS_CHECK, independent_nodes=0),
        "without a cross-check": _putting(independent_nodes=1),
    },
    "review_ticket.day": {
        "a second later": lambda ticket: ticket.issue_day.FromNanoseconds(ticket.issue_day.ToNanoseconds() + _SECOND),
        "a microsecond later": lambda ticket: _put(ticket.issue_day, nanos=1000),
    },
    "payment_attestation.issuer": {
        "on credit": _putting(issuer=_KEY),
        "none in escrow": _putting(backing=_ESCROW),
    },
    "retraction.target": _TARGETS,
    "retraction.lifetime": _LIFETIMES,
    "rebuttal.target": _TARGETS,
    "advisory.subject": {
        "none": _putting(node_id=b"", skill_id=""),
        "two": _putting(weights_digest=_KEY),
        "a skill of a model": _putting(node_id=b"", weights_digest=_KEY, skill_id="skill"),
    },
    "advisory.lifetime": _LIFETIMES,
    "byte_span.order": {"": lambda span: _put(span, start_byte=span.end_byte + 1)},
}
"""By the id of the expression, each way to break it."""
