"""Quotas (spec section 4.4): an author keeps what ends last, and what is beyond is dropped; nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from consilience.v1 import registry_pb2, review_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import Cast
from consilience_conformance.records.made_up import (
    LASTING,
    advisory,
    moment,
    name_of,
    record_of,
    retraction,
    retraction_of,
)
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.registries import (
    STORED,
    SUPERSEDED,
    came_to,
    listed,
    pages,
    published,
    serves,
    serves_not,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_QUOTA = "REC-QUO-001"
ADVISORIES = 1000
"""How many slots of advisories an author may fill."""

_SECOND = timedelta(seconds=1)


class _Author:
    """Somebody who warns too often; of the warnings that fill the quota each ends a second after the one before."""

    def __init__(self) -> None:
        self.cast = Cast.new()
        self.key: Caller = self.cast.reviewer
        self.issued = moment(timedelta(minutes=1))
        self.warnings = [self.warning(self.end(index)) for index in range(ADVISORIES)]

    def end(self, index: float) -> datetime:
        """Returns when the warning of a number ends."""
        return self.issued + LASTING + index * _SECOND

    def warning(self, end: datetime) -> review_pb2.Advisory:
        """Returns another warning, which ends at a time."""
        return advisory(self.key, issued=self.issued, lasting=end - self.issued)

    def record(self, warning: review_pb2.Advisory) -> registry_pb2.Record:
        """Returns the record of a warning."""
        return record_of(self.key.seal(warning))

    def rival(self, end: datetime, *, beats: Callable[[bytes], bool]) -> registry_pb2.Record:
        """Returns a warning that ends at a time, and whose digest is as it is to be."""
        while True:
            record = self.record(self.warning(end))
            if beats(name_of(record)):
                return record

    def unseen_retraction(self, end: datetime) -> registry_pb2.Record:
        """Returns the retraction of a warning that nobody has seen."""
        unseen = retraction(
            self.key,
            target=name_of(self.record(self.warning(end))),
            target_type=review_pb2.RECORD_TYPE_ADVISORY,
            subject=bytes([1]) * 32,
            end=end,
        )
        return record_of(self.key.seal(unseen))


async def _publish_too_much(stage: Stage) -> None:
    publisher, author = Publisher(stage), _Author()
    bystander = record_of((other := Caller.new()).seal(advisory(other)))
    review = record_of(author.key.seal(author.cast.ticket.review()))
    await publisher.publish("review", review)
    await publisher.publish("bystander", bystander)
    records = [author.record(warning) for warning in author.warnings]
    await publisher.publish_all("filling", records)
    steps = {
        "ends last": author.record(author.warning(author.end(ADVISORIES))),
        "ends first": author.record(author.warning(author.end(0.5))),
        "retraction of one that is there": record_of(
            author.key.seal(retraction_of(author.key, author.warnings[ADVISORIES // 2]))
        ),
        "retraction of one that is not there": author.unseen_retraction(author.end(ADVISORIES + 1)),
        "ends with the first, in a higher slot": author.rival(
            author.end(2), beats=lambda digest: digest > name_of(records[2])
        ),
        "ends with the first, in a lower slot": author.rival(
            author.end(2), beats=lambda digest: digest < name_of(records[2])
        ),
    }
    for name, record in steps.items():
        await publisher.publish(name, record)
        await publisher.get(f"{name}: fetched", record)
        for number in range(4):
            await publisher.get(f"{name}: {number} fetched", records[number])
    await publisher.get("review fetched", review)
    await publisher.get("bystander fetched", bystander)
    await publisher.listed("all", author=author.key.key, types=_COUNTED, page_size=1000)


_COUNTED = (review_pb2.RECORD_TYPE_ADVISORY, review_pb2.RECORD_TYPE_RETRACTION)

_STEPS = {
    "ends last": (True, 1),
    "ends first": (False, 1),
    "retraction of one that is there": (True, 1),
    "retraction of one that is not there": (True, 2),
    "ends with the first, in a higher slot": (True, 3),
    "ends with the first, in a lower slot": (False, 3),
}
"""By name, whether it is taken in, and how many of those that filled the quota are dropped by then, the first ones."""


def _judge_too_much(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("filling"):
        yield from came_to(exchange, STORED, requirement=_QUOTA, called="one of a thousand advisories")
    for name, (is_taken, dropped) in _STEPS.items():
        yield from came_to(seen[name], STORED if is_taken else SUPERSEDED, requirement=_QUOTA)
        fetched = seen[f"{name}: fetched"]
        if is_taken:
            yield from serves(fetched, published(seen[name]), requirement=_QUOTA)
        else:
            yield from serves_not(fetched, requirement=_QUOTA)
        for number in range(4):
            there = seen[f"{name}: {number} fetched"].accepted
            if there != (number >= dropped):
                yield Finding(
                    requirement=_QUOTA,
                    message=f"what ends first is {'kept' if there else 'dropped'} when one comes that {name}",
                    expected=f"the first {dropped} dropped",
                    got=f"number {number + 1} {'kept' if there else 'dropped'}",
                    exchange=f"{name}: {number} fetched",
                )
    for name in ("review", "bystander"):
        yield from came_to(seen[name], STORED, requirement=_QUOTA)
        yield from serves(seen[f"{name} fetched"], published(seen[name]), requirement=_QUOTA)
    yield from _counted(seen)


def _counted(seen: Transcript) -> Iterator[Finding]:
    held = len(listed(pages(seen, "all")))
    if held != ADVISORIES:
        yield Finding(
            requirement=_QUOTA,
            message="an author has another number of advisories and retractions than the quota",
            expected=str(ADVISORIES),
            got=str(held),
            exchange="all",
        )


CHECKS = (
    record_check(
        name="an-author-keeps-what-ends-last",
        title="An author keeps the thousand advisories that end last; retractions count, and nothing else is dropped.",
        requirements=(_QUOTA,),
        drive=_publish_too_much,
        judge=_judge_too_much,
    ),
)
