"""Times of records (spec section 4.4, steps 4 and 5): what comes from the future, and what has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from consilience.v1 import registry_pb2
from consilience_conformance.records.kinds import ADVISORY, CARD, REBUTTAL, RETRACTION, REVIEW, SUCCESSION, Cast
from consilience_conformance.records.made_up import DAY, LONGEST, advisory, day, moment, record_of, retraction_of
from consilience_conformance.records.twins import Make, Spoilt, record_twins

_SOON = timedelta(seconds=-10)
"""Within the skew of clocks."""
_TOO_SOON = timedelta(seconds=-90)
_MINUTE = timedelta(minutes=1)
_PAST = LONGEST + 2 * DAY
_LONG_PAST = 2 * LONGEST


def _card(age: timedelta) -> Make:
    return lambda cast: record_of(cast.node.sealed_card(issued=moment(age)))


def _succession(age: timedelta) -> Make:
    def make(cast: Cast) -> registry_pb2.Record:
        issued = moment(age)
        card = cast.node.sealed_card(issued=issued - _MINUTE)
        return record_of(cast.node.root.seal(cast.node.succession(issued=issued)), card=card)

    return make


def _review(age: timedelta) -> Make:
    return lambda cast: record_of(cast.reviewer.seal(cast.ticket.review(issued=moment(age))))


def _retraction(age: timedelta) -> Make:
    def make(cast: Cast) -> registry_pb2.Record:
        return record_of(cast.reviewer.seal(retraction_of(cast.reviewer, cast.warning, issued=moment(age))))

    return make


def _rebuttal(age: timedelta) -> Make:
    def make(cast: Cast) -> registry_pb2.Record:
        return record_of(cast.node.root.seal(cast.node.rebuttal(cast.ticket.digest, issued=moment(age))))

    return make


def _advisory(age: timedelta) -> Make:
    return lambda cast: record_of(cast.reviewer.seal(advisory(cast.reviewer, issued=moment(age))))


_ISSUED = {
    CARD: _card,
    SUCCESSION: _succession,
    REVIEW: _review,
    RETRACTION: _retraction,
    REBUTTAL: _rebuttal,
    ADVISORY: _advisory,
}


def _ended_card(cast: Cast) -> registry_pb2.Record:
    return record_of(cast.node.sealed_card(issued=moment(3 * _MINUTE), lasting=_MINUTE))


def _ended_review(cast: Cast) -> registry_pb2.Record:
    ticket = cast.node.ticket(cast.reviewer, issue_day=day(_PAST))
    return record_of(cast.reviewer.seal(ticket.review()))


def _ended_retraction(cast: Cast) -> registry_pb2.Record:
    ends = _a_second_ago()
    taken_back = retraction_of(cast.reviewer, cast.warning, issued=ends - _MINUTE, end=ends)
    return record_of(cast.reviewer.seal(taken_back))


def _ended_advisory(cast: Cast) -> registry_pb2.Record:
    warning = advisory(cast.reviewer, issued=_a_second_ago() - _MINUTE, lasting=_MINUTE)
    return record_of(cast.reviewer.seal(warning))


def _a_second_ago() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)


_ENDED: dict[object, Make] = {
    CARD: _ended_card,
    REVIEW: _ended_review,
    RETRACTION: _ended_retraction,
    REBUTTAL: _rebuttal(_PAST),
    ADVISORY: _ended_advisory,
}

FROM_THE_FUTURE = {
    kind: (
        Spoilt(name="from the future", reason="RECORD_NOT_YET_VALID", make=issued(_TOO_SOON)),
        Spoilt(name="within the skew", reason="", make=issued(_SOON)),
    )
    for kind, issued in _ISSUED.items()
}
ENDED = {
    kind: (
        (Spoilt(name="that has ended", reason="RECORD_EXPIRED", make=_ENDED[kind]),)
        if kind in _ENDED
        else (Spoilt(name="of long ago", reason="", make=_succession(_LONG_PAST)),)
    )
    for kind in _ISSUED
}

CHECKS = (
    record_twins(
        "a-record-from-the-future-is-refused",
        title="A record from further in the future than the skew of clocks is refused, one within it is taken in.",
        spoilt=FROM_THE_FUTURE,
    ),
    record_twins(
        "a-record-that-has-ended-is-refused",
        title="A record whose end has come is refused; a succession has none.",
        spoilt=ENDED,
    ),
)
