"""Slots (spec section 4.4): of two records with one slot the same one stays, in whichever order they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.v1 import registry_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import Cast
from consilience_conformance.records.made_up import LONG_AGO, moment, name_of, record_of, retraction_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import refused
from consilience_conformance.rules.registries import (
    STORED,
    SUPERSEDED,
    came_to,
    holds,
    published,
    serves,
    serves_not,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_SLOT = "REC-SLOT-001"
_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)

Two = tuple[registry_pb2.Record, registry_pb2.Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Two records with one slot.

    Attributes:
        name: What exchanges call it.
        make: Returns the winner and the loser, with the key of their author.
        loses: What becomes of the loser that comes second: SUPERSEDED, or the reason of its refusal.
    """

    name: str
    make: Callable[[Cast], tuple[Caller, Two]]
    loses: str = SUPERSEDED


def _by_digest(one: registry_pb2.Record, other: registry_pb2.Record) -> Two:
    """Returns two records, that with the smaller digest first."""
    return (one, other) if name_of(one) < name_of(other) else (other, one)


def _later_card(cast: Cast) -> tuple[Caller, Two]:
    now = moment(_SECOND)
    cards = (record_of(cast.node.sealed_card(issued=one)) for one in (now, now - timedelta(microseconds=1)))
    return cast.node.root, (next(cards), next(cards))


def _smaller_card(cast: Cast) -> tuple[Caller, Two]:
    now = moment(_SECOND)
    one, other = (record_of(cast.node.sealed_card(issued=now, name=name)) for name in ("one", "other"))
    return cast.node.root, _by_digest(one, other)


def _review(cast: Cast, issued: datetime, comment: str) -> registry_pb2.Record:
    return record_of(cast.reviewer.seal(cast.ticket.review(issued=issued, comment=comment)))


def _earlier_review(cast: Cast) -> tuple[Caller, Two]:
    now = moment(_HOUR)
    return cast.reviewer, (_review(cast, now, "the first word"), _review(cast, now + _SECOND, "another word"))


def _smaller_review(cast: Cast) -> tuple[Caller, Two]:
    now = moment(_HOUR)
    return cast.reviewer, _by_digest(_review(cast, now, "one"), _review(cast, now, "other"))


def _retracted_review(longer: timedelta) -> Callable[[Cast], tuple[Caller, Two]]:
    def make(cast: Cast) -> tuple[Caller, Two]:
        retraction = record_of(cast.reviewer.seal(cast.ticket.retraction(end=cast.ticket.end + longer)))
        return cast.reviewer, (retraction, _review(cast, moment(_HOUR), "taken back"))

    return make


def _review_that_outlasts(cast: Cast) -> tuple[Caller, Two]:
    retraction = record_of(cast.reviewer.seal(cast.ticket.retraction(end=cast.ticket.end - _SECOND)))
    return cast.reviewer, (_review(cast, moment(_HOUR), "not taken back"), retraction)


def _retracted_advisory(cast: Cast) -> tuple[Caller, Two]:
    retraction = record_of(cast.reviewer.seal(retraction_of(cast.reviewer, cast.warning)))
    return cast.reviewer, (retraction, record_of(cast.reviewer.seal(cast.warning)))


def _advisory_that_outlasts(cast: Cast) -> tuple[Caller, Two]:
    ends = cast.warning.expire_time.ToDatetime(tzinfo=moment().tzinfo) - _SECOND
    retraction = record_of(cast.reviewer.seal(retraction_of(cast.reviewer, cast.warning, end=ends)))
    return cast.reviewer, (record_of(cast.reviewer.seal(cast.warning)), retraction)


def _longer_retraction(cast: Cast) -> tuple[Caller, Two]:
    longer, shorter = (
        record_of(cast.reviewer.seal(cast.ticket.retraction(end=cast.ticket.end + more)))
        for more in (2 * _SECOND, _SECOND)
    )
    return cast.reviewer, (longer, shorter)


def _smaller_retraction(cast: Cast) -> tuple[Caller, Two]:
    one, other = (
        record_of(cast.reviewer.seal(cast.ticket.retraction(comment=comment))) for comment in ("one", "other")
    )
    return cast.reviewer, _by_digest(one, other)


def _rebuttal(cast: Cast, issued: datetime, comment: str) -> registry_pb2.Record:
    rebuttal = cast.node.rebuttal(cast.ticket.digest, issued=issued, comment=comment)
    return record_of(cast.node.root.seal(rebuttal))


def _later_rebuttal(cast: Cast) -> tuple[Caller, Two]:
    time = moment(LONG_AGO)
    return cast.node.root, (_rebuttal(cast, time, "the last word"), _rebuttal(cast, time - _SECOND, "another word"))


def _smaller_rebuttal(cast: Cast) -> tuple[Caller, Two]:
    time = moment(LONG_AGO)
    return cast.node.root, _by_digest(_rebuttal(cast, time, "one"), _rebuttal(cast, time, "other"))


_MATCHES = (
    Match(name="a later card", make=_later_card),
    Match(name="a card with a smaller digest", make=_smaller_card),
    Match(name="a retraction of a review", make=_retracted_review(timedelta(0)), loses="RECORD_RETRACTED"),
    Match(name="a longer retraction of a review", make=_retracted_review(_SECOND), loses="RECORD_RETRACTED"),
    Match(name="a review that outlasts its retraction", make=_review_that_outlasts),
    Match(name="a retraction of an advisory", make=_retracted_advisory, loses="RECORD_RETRACTED"),
    Match(name="an advisory that outlasts its retraction", make=_advisory_that_outlasts),
    Match(name="a longer retraction", make=_longer_retraction),
    Match(name="a retraction with a smaller digest", make=_smaller_retraction),
    Match(name="an earlier review", make=_earlier_review, loses="TICKET_USED"),
    Match(name="a review with a smaller digest", make=_smaller_review, loses="TICKET_USED"),
    Match(name="a later rebuttal", make=_later_rebuttal),
    Match(name="a rebuttal with a smaller digest", make=_smaller_rebuttal),
)


async def _match(stage: Stage) -> None:
    publisher = Publisher(stage)
    await asyncio.gather(*(_play(publisher, one, first) for one in _MATCHES for first in ("winner", "loser")))


async def _play(publisher: Publisher, match: Match, first: str) -> None:
    name = f"{match.name}, {first} first"
    author, (winner, loser) = match.make(Cast.new())
    for what, record in sorted({"winner": winner, "loser": loser}.items(), key=lambda one: one[0] != first):
        await publisher.publish(f"{name}: {what}", record)
    await publisher.get(f"{name}: winner fetched", winner)
    await publisher.get(f"{name}: loser fetched", loser)
    await publisher.listed(f"{name}: listed", author=author.key)


def _judge_matches(seen: Transcript) -> Iterator[Finding]:
    for match in _MATCHES:
        for first in ("winner", "loser"):
            name = f"{match.name}, {first} first"
            winner = seen[f"{name}: winner"]
            yield from came_to(winner, STORED, requirement=_SLOT)
            yield from _lost(seen[f"{name}: loser"], match, first=first == "loser")
            yield from serves(seen[f"{name}: winner fetched"], published(winner), requirement=_SLOT)
            yield from serves_not(seen[f"{name}: loser fetched"], requirement=_SLOT)
            message = f"{match.name} is not what its slot holds"
            yield from holds(seen, f"{name}: listed", published(winner), requirement=_SLOT, message=message)


def _lost(exchange: Exchange, match: Match, *, first: bool) -> Iterator[Finding]:
    if first:
        yield from came_to(exchange, STORED, requirement=_SLOT)
    elif match.loses == SUPERSEDED:
        yield from came_to(exchange, SUPERSEDED, requirement=_SLOT)
    else:
        yield from refused(exchange, match.loses, requirement=_SLOT)


async def _say_again(stage: Stage) -> None:
    """Publishes what was taken back, or edited, once more: the review of a ticket is one, ever."""
    publisher = Publisher(stage)
    cast = Cast.new()
    review = _review(cast, moment(_HOUR), "the first word")
    await publisher.publish("review", review)
    await publisher.publish("edited", _review(cast, moment(), "another word"))
    await publisher.publish("retraction", record_of(cast.reviewer.seal(cast.ticket.retraction())))
    await publisher.listed("before", author=cast.reviewer.key)
    await publisher.publish("again", review)
    await publisher.publish("anew", _review(cast, moment(), "a last word"))
    await publisher.publish("earlier", _review(cast, moment(2 * _HOUR), "the very first word"))
    await publisher.listed("after", author=cast.reviewer.key)


def _judge_said_again(seen: Transcript) -> Iterator[Finding]:
    for name in ("review", "retraction"):
        yield from came_to(seen[name], STORED, requirement=_SLOT)
    yield from refused(seen["edited"], "TICKET_USED", requirement=_SLOT)
    for name in ("again", "anew", "earlier"):
        yield from refused(seen[name], "RECORD_RETRACTED", requirement=_SLOT)
    retraction = published(seen["retraction"])
    message = "a retraction does not stand in the place of what it took back"
    yield from holds(seen, "after", retraction, requirement=_SLOT, message=message)


CHECKS = (
    record_check(
        name="a-slot-holds-the-one-that-wins",
        title="Of two records with one slot the same one stays, whichever comes first, and the other is told why not.",
        requirements=(_SLOT, "REC-ADM-001"),
        drive=_match,
        judge=_judge_matches,
    ),
    record_check(
        name="a-ticket-has-one-review",
        title="A review that is edited is refused, and so is any after a retraction, be it the same or another.",
        requirements=(_SLOT,),
        drive=_say_again,
        judge=_judge_said_again,
    ),
)
