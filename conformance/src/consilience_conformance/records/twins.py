"""Twins of records: a good one, many with one defect each, and a good one again that competes for the same slot.

A registry that refuses everything fails the controls; one that refuses for another reason is told by the reason; one
that refuses and keeps all the same is found out by GetRecord, by the listing of the author, and by the good record at
the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from consilience.v1 import registry_pb2
from consilience_conformance.checks import Check
from consilience_conformance.records.checks import PUBLISHED, record_check
from consilience_conformance.records.kinds import Cast, Kind
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import refused
from consilience_conformance.rules.registries import STORED, came_to, published, serves, serves_not, unchanged
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

Make = Callable[[Cast], registry_pb2.Record | bytes]
"""Returns a record of a cast, or a whole encoded request, with a defect."""

Look = Callable[[Exchange], Iterator[Finding]]
"""Judges more of a refusal than its reason."""


def _nothing(_: Exchange) -> Iterator[Finding]:
    yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoilt:
    """A record with one defect.

    Attributes:
        name: Of its exchange, behind the word of its kind.
        reason: Of the refusal; empty: it is at the edge and has to be taken in.
        make: Makes it, of a cast that has published nothing but the first control.
        requirement: The rule that wants the refusal.
        look: What else the refusal has to show.
    """

    name: str
    reason: str
    make: Make
    requirement: str = "REC-ADM-001"
    look: Look = field(default=_nothing)


def record_twins(
    name: str,
    *,
    title: str,
    spoilt: Mapping[Kind, Sequence[Spoilt]],
    requirements: tuple[str, ...] = (),
    after: tuple[str, ...] = PUBLISHED,
) -> Check:
    """Returns the check of records that have to be refused, each for its own reason.

    Args:
        name: Of the check.
        title: Of the check.
        spoilt: By kind, in the order of the report.
        requirements: Those that what is looked at besides may break.
        after: Checks without which this one says nothing.
    """

    async def drive(stage: Stage) -> None:
        publisher = Publisher(stage)
        await asyncio.gather(*(_drive_kind(publisher, kind, some) for kind, some in spoilt.items()))

    def judge(seen: Transcript) -> Iterator[Finding]:
        for kind, some in spoilt.items():
            yield from _judge_kind(seen, kind, some)

    ids = dict.fromkeys(one.requirement for some in spoilt.values() for one in some)
    return record_check(
        name=name,
        title=title,
        requirements=tuple(dict.fromkeys((*ids, "REC-ADM-001", "REC-ADM-002", *requirements))),
        drive=drive,
        judge=judge,
        after=after,
    )


async def _drive_kind(publisher: Publisher, kind: Kind, spoilt: Sequence[Spoilt]) -> None:
    cast = Cast.new()
    author = kind.signs(cast).key
    await publisher.publish(f"{kind.word} control-before", kind.record(kind.beside(cast)))
    await publisher.listed(f"{kind.word} before", author=author)
    await asyncio.gather(*(_publish(publisher, kind, one, cast if one.reason else Cast.new()) for one in spoilt))
    await publisher.listed(f"{kind.word} after", author=author)
    await publisher.publish(f"{kind.word} control-after", kind.record(cast))


async def _publish(publisher: Publisher, kind: Kind, one: Spoilt, cast: Cast) -> None:
    sent = _sent(await publisher.publish(f"{kind.word} {one.name}", lambda: one.make(cast)))
    if sent is not None:
        await publisher.get(f"{kind.word} {one.name} fetched", sent)


def _sent(exchange: Exchange) -> registry_pb2.Record | None:
    """Returns the record that a call brought, or None: what it sent is none."""
    try:
        record = published(exchange)
    except DecodeError:
        return None
    return record if record.HasField("object") else None


def _judge_kind(seen: Transcript, kind: Kind, spoilt: Sequence[Spoilt]) -> Iterator[Finding]:
    yield from came_to(seen[f"{kind.word} control-before"], STORED, requirement="REC-ADM-001")
    for one in spoilt:
        exchange = seen[f"{kind.word} {one.name}"]
        record = _sent(exchange)
        if not one.reason:
            yield from came_to(exchange, STORED, requirement=one.requirement)
            if record is not None:
                yield from serves(seen[f"{exchange.name} fetched"], record, requirement=one.requirement)
            continue
        yield from refused(exchange, one.reason, requirement=one.requirement)
        yield from one.look(exchange)
        if record is not None and not exchange.accepted:
            yield from serves_not(seen[f"{exchange.name} fetched"], requirement="REC-ADM-002")
    yield from unchanged(seen, f"{kind.word} before", f"{kind.word} after", requirement="REC-ADM-002")
    yield from came_to(seen[f"{kind.word} control-after"], STORED, requirement="REC-ADM-002")
