"""Obstacles in following (spec section 4.7): what is refused, what does not come, and streams that break."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from consilience.v1 import registry_pb2
from consilience.v1.error_details_pb2 import LimitExceeded
from consilience_conformance.cases.registry.envelopes import FORGED, FORGED_WITHIN, too_large
from consilience_conformance.cases.registry.keys import UNSHOWN
from consilience_conformance.cases.registry.successions import UNCOMMITTED
from consilience_conformance.cases.registry.tickets import UNOPENED
from consilience_conformance.cases.registry.times import ENDED, FROM_THE_FUTURE
from consilience_conformance.following.checks import STOPPED, check_of_followers, come, good_record
from consilience_conformance.following.feeds import CutError, Offer, Page, Then, failing, offered
from consilience_conformance.following.followers import followed
from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.peers.refusals import refusal
from consilience_conformance.records.kinds import ADVISORY, CARD, KINDS, Cast, Kind
from consilience_conformance.records.made_up import SKILL, moment, name_of, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.records.twins import Spoilt
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import (
    asked_for,
    found,
    pages,
    serves_not,
    unchanged,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_SOON = Duration(nanos=200_000_000)

_TOPICS: tuple[Mapping[Kind, Sequence[Spoilt]], ...] = (
    FORGED,
    FORGED_WITHIN,
    {ADVISORY: [Spoilt(name="a byte too large", reason="LIMIT_EXCEEDED", make=too_large)]},
    FROM_THE_FUTURE,
    ENDED,
    UNOPENED,
    UNSHOWN,
    UNCOMMITTED,
)
_SPOILT = tuple((kind, one) for topic in _TOPICS for kind, some in topic.items() for one in some)


def _name(kind: Kind, one: Spoilt) -> str:
    return f"{kind.word} {one.name}"


def _made(one: Spoilt, cast: Cast) -> registry_pb2.Record:
    record = one.make(cast)
    if isinstance(record, bytes):
        raise TypeError("what is announced is a record")
    return record


async def _refuse(stage: Stage) -> None:
    """Announces a good record of each type, many spoilt ones of the same people, and what is at the edge."""
    follower = await followed(stage)
    casts = {kind: Cast.new() for kind in KINDS}
    controls = {f"{kind.word} before": kind.record(cast) for kind, cast in casts.items()}
    follower.announce(Page(offers=tuple(map(offered, controls.values()))))
    await follower.fetch(controls)
    await _list(follower.publisher, casts, when="before")
    spoilt: dict[str, registry_pb2.Record] = {}
    edges = {"the last": good_record()}
    for kind, one in _SPOILT:
        beside = kind.beside(casts[kind]) if one.reason else Cast.new()
        (spoilt if one.reason else edges)[_name(kind, one)] = _made(one, beside)
    follower.announce(*(Page(offers=tuple(map(offered, some.values()))) for some in (spoilt, edges)))
    await follower.fetch(edges)
    await asyncio.gather(*(follower.publisher.get(name, record) for name, record in spoilt.items()))
    await _list(follower.publisher, casts, when="after")
    await follower.publisher.found("found", skill_id=SKILL)


async def _list(publisher: Publisher, casts: Mapping[Kind, Cast], *, when: str) -> None:
    for kind, cast in casts.items():
        await publisher.listed(f"{kind.word} listed {when}", author=kind.signs(cast).key)


def _judge_refused(seen: Transcript) -> Iterator[Finding]:
    names = [f"{kind.word} before" for kind in KINDS] + [_name(kind, one) for kind, one in _SPOILT if not one.reason]
    yield from come((seen[name] for name in (*names, "the last")), what=lambda name: f"{name} was not taken over")
    for kind, one in _SPOILT:
        if one.reason:
            yield from serves_not(seen[_name(kind, one)], requirement="REC-ADM-001")
    cards = {name_of(record_of(card)) for card in found(pages(seen, "found"))}
    yield from was_accepted(seen["found"], requirement="REC-ADM-002")
    for name in (_name(CARD, one) for kind, one in _SPOILT if kind is CARD and one.reason):
        if asked_for(seen[name]) in cards:
            yield Finding(requirement="REC-ADM-002", message=f"{name} is found", exchange="found")
    for kind in KINDS:
        before, after = (f"{kind.word} listed {when}" for when in ("before", "after"))
        yield from unchanged(seen, before, after, requirement="REC-ADM-002")


def _of_each_type_and_reason() -> dict[str, Spoilt]:
    firsts: dict[tuple[str, str], tuple[Kind, Spoilt]] = {}
    for kind, one in _SPOILT:
        if one.reason:
            firsts.setdefault((kind.word, one.reason), (kind, one))
    return {f"a {_name(kind, one)}": one for kind, one in firsts.values()}


_ONE_OF_EACH = _of_each_type_and_reason()
_NO_RECORDS = {"what is no message": b"\xff\xff\xff", "nothing": b"", "a record without an object": b"\x0a\x00"}
_EARLIER = "a card that comes too late"
_REFUSED = (*_NO_RECORDS, *_ONE_OF_EACH, _EARLIER)


async def _announce_around(stage: Stage, obstacles: Mapping[str, Sequence[Offer]]) -> None:
    """Announces obstacles, each with a good record in the same response and one in the next."""
    follower = await followed(stage)
    records = {}
    for name, offers in obstacles.items():
        records[f"beside {name}"], records[f"behind {name}"] = good_record(), good_record()
        beside, behind = (offered(records[f"{where} {name}"]) for where in ("beside", "behind"))
        follower.announce(Page(offers=(*offers, beside)), Page(offers=(behind,)))
    await follower.fetch(records)


def _judge_around(seen: Transcript, obstacles: Iterable[str]) -> Iterator[Finding]:
    names = [f"{where} {name}" for name in obstacles for where in ("beside", "behind")]
    yield from come((seen[name] for name in names), what=lambda name: f"what stands {name} was not taken over")


async def _pass_over(stage: Stage) -> None:
    node = Cast.new().node
    cards = [record_of(node.sealed_card(issued=moment()))]
    cards.append(record_of(node.sealed_card()))
    await _announce_around(
        stage,
        {
            **{name: [failing(lambda data=data: data)] for name, data in _NO_RECORDS.items()},  # type: ignore[misc]
            **{name: [offered(_made(one, Cast.new()))] for name, one in _ONE_OF_EACH.items()},
            _EARLIER: [offered(card) for card in cards],
        },
    )


def _judge_passed_over(seen: Transcript) -> Iterator[Finding]:
    yield from _judge_around(seen, _REFUSED)


def _gone() -> bytes:
    raise refusal("RECORD_UNKNOWN")


def _failing() -> bytes:
    raise StatusError(grpc.StatusCode.INTERNAL, "")


def _put_off() -> bytes:
    limit = LimitExceeded(limit="reads_per_minute", maximum=1, requested=2)
    raise refusal("LIMIT_EXCEEDED", limit, error_details_pb2.RetryInfo(retry_delay=_SOON))


def _cut() -> bytes:
    raise CutError


_ABSENT = ("a record under another digest", "a record that is gone", "a record that fails every time")
_LATE = {"a record that is put off": _put_off, "a record at which the connection is cut": _cut}


async def _do_without(stage: Stage) -> None:
    late = {name: good_record() for name in _LATE}
    other = offered(good_record(), named=name_of(good_record()))
    await _announce_around(
        stage,
        {
            **dict(zip(_ABSENT, ([other], [failing(_gone)], [failing(_failing)]), strict=True)),
            **{name: [offered(record, _LATE[name])] for name, record in late.items()},
        },
    )
    publisher = Publisher(stage)
    for name, record in late.items():
        await publisher.get(name, record)


def _judge_done_without(seen: Transcript) -> Iterator[Finding]:
    yield from come((seen[name] for name in _LATE), what=lambda name: f"{name} was not taken over afterwards")
    yield from _judge_around(seen, (*_ABSENT, *_LATE))


_BREAKS = {
    "a stream that ends early": Then.END,
    "a stream that ends without a reason": Then.RESET,
    "a connection that is cut": Then.CUT,
    "a connection that is cut after a silence": Then.FALL_SILENT,
}
_STANDING = "a cursor that does not move"


async def _break(stage: Stage) -> None:
    follower = await followed(stage)
    records = {}
    for name in (*_BREAKS, _STANDING):
        records[f"before {name}"], records[f"behind {name}"] = good_record(), good_record()
        before, behind = (offered(records[f"{where} {name}"]) for where in ("before", "behind"))
        then = _BREAKS.get(name, Then.GO_ON)
        follower.announce(Page(offers=(before,), then=then, moves=name in _BREAKS), Page(offers=(behind,)))
    await follower.fetch(records)


def _judge_broken(seen: Transcript) -> Iterator[Finding]:
    names = [f"{where} {name}" for name in (*_BREAKS, _STANDING) for where in ("before", "behind")]
    yield from come((seen[name] for name in names), what=lambda name: f"what stands {name} was not taken over")


CHECKS = (
    check_of_followers(
        name="what-is-followed-is-admitted-by-the-rules",
        title="What its author could not publish is not taken over of a registry that is followed either.",
        requirements=("REC-ADM-001", "REC-ADM-002", STOPPED),
        drive=_refuse,
        judge=_judge_refused,
    ),
    check_of_followers(
        name="a-refused-record-does-not-stop-following",
        title="Whatever is refused of a registry that is followed, what stands beside it and behind it is taken over.",
        requirements=(STOPPED,),
        drive=_pass_over,
        judge=_judge_passed_over,
    ),
    check_of_followers(
        name="a-record-that-does-not-come-does-not-stop-following",
        title="A record that does not come is passed over, and one that is put off is taken over when it comes.",
        requirements=(STOPPED,),
        drive=_do_without,
        judge=_judge_done_without,
    ),
    check_of_followers(
        name="following-outlives-calls-that-break",
        title="After a stream that breaks, in whichever way, following goes on where it came to.",
        requirements=(STOPPED,),
        drive=_break,
        judge=_judge_broken,
    ),
)
