"""Ends (spec section 4.4): nothing is served after its end, and a card that has ended keeps earlier ones out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from consilience.v1 import node_pb2, registry_pb2
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import Cast
from consilience_conformance.records.made_up import LASTING, advisory, moment, record_of, retraction_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import (
    STORED,
    SUPERSEDED,
    came_to,
    found,
    listed,
    pages,
    published,
    serves,
    serves_not,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_END = "REC-END-001"
LIFE = timedelta(seconds=5)
"""How long what is to end lives, from when it is made: long enough to be published on a busy machine."""
_MARGIN = timedelta(seconds=1)
"""By which the clock of the registry may be behind."""
_MINUTE, _TWO_HOURS = timedelta(minutes=1), timedelta(hours=2)
_WORDS = ("card", "advisory", "retraction")


class _Mayfly:
    """Records that end soon after they are made."""

    def __init__(self) -> None:
        self.cast = Cast.new()
        self.skills = [node_pb2.Skill(id=f"made.up.{self.cast.node.node_id.hex()[:32]}")]
        self.last_end = moment()

    def make(self, word: str) -> registry_pb2.Record:
        """Returns the record of a word; `last_end` is then the end of the one that was made last."""
        node, author = self.cast.node, self.cast.reviewer
        issued, lasting = moment(_MINUTE), _MINUTE + LIFE
        self.last_end = issued + lasting
        if word == "card":
            return record_of(node.sealed_card(issued=issued, lasting=lasting, skills=self.skills))
        warning = advisory(author, issued=issued, lasting=lasting)
        return record_of(author.seal(warning if word == "advisory" else retraction_of(author, warning)))

    def card(self, age: timedelta) -> registry_pb2.Record:
        """Returns another card, which does not end so soon."""
        return record_of(self.cast.node.sealed_card(issued=moment(age), lasting=age + LASTING, skills=self.skills))


async def _outlive(stage: Stage) -> None:
    publisher, mayfly = Publisher(stage), _Mayfly()
    records = {word: published(await publisher.publish(word, partial(mayfly.make, word))) for word in _WORDS}
    await asyncio.sleep(max(0.0, (mayfly.last_end + _MARGIN - moment()).total_seconds()))
    for word, record in records.items():
        await publisher.get(f"{word} fetched", record)
    await publisher.listed("by the author", author=mayfly.cast.reviewer.key)
    await publisher.listed("by the node", author=mayfly.cast.node.node_id)
    await publisher.found("found", skill_id=mayfly.skills[0].id)
    earlier, later = mayfly.card(age=_TWO_HOURS), mayfly.card(age=timedelta(0))
    for name, card in (("earlier card", earlier), ("later card", later)):
        await publisher.publish(name, card)
        await publisher.get(f"{name} fetched", card)


def _judge_outlived(seen: Transcript) -> Iterator[Finding]:
    for word in _WORDS:
        yield from came_to(seen[word], STORED, requirement="REC-ADM-001")
        yield from serves_not(seen[f"{word} fetched"], requirement=_END)
    for name in ("by the author", "by the node", "found"):
        exchanges = [*pages(seen, name)]
        for exchange in exchanges:
            yield from was_accepted(exchange, requirement=_END)
        left = found(exchanges) if name == "found" else listed(exchanges)
        if left:
            yield Finding(
                requirement=_END,
                message=f"what has ended is served still: {name}",
                expected="nothing",
                got=f"{len(left)} of them",
                exchange=name,
            )
    yield from came_to(seen["earlier card"], SUPERSEDED, requirement=_END)
    yield from serves_not(seen["earlier card fetched"], requirement=_END)
    yield from came_to(seen["later card"], STORED, requirement=_END)
    yield from serves(seen["later card fetched"], published(seen["later card"]), requirement=_END)


CHECKS = (
    record_check(
        name="nothing-is-served-after-its-end",
        title="What has ended is neither fetched, listed nor found, and a card that has ended keeps earlier ones out.",
        requirements=(_END, "REC-ADM-001"),
        drive=_outlive,
        judge=_judge_outlived,
    ),
)
