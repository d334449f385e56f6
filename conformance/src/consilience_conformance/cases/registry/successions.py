"""Successions (spec section 4.4, steps 8 and 9): who follows a root key, and what that leaves of the old one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from consilience.v1 import node_pb2, registry_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import SUCCESSION, Cast
from consilience_conformance.records.made_up import DAY, MadeUpNode, day, moment, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.records.twins import Spoilt, record_twins
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.registries import (
    STORED,
    came_to,
    found,
    holds,
    pages,
    published,
    serves,
    serves_not,
    unchanged,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_KEY = "REC-KEY-001"
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)

Show = Callable[[MadeUpNode], SignedEnvelope | None]


def _beside(show: Show) -> Callable[[Cast], registry_pb2.Record]:
    def make(cast: Cast) -> registry_pb2.Record:
        return record_of(cast.node.root.seal(cast.node.succession()), card=show(cast.node))

    return make


def _accepts_another(cast: Cast) -> registry_pb2.Record:
    """Returns a succession whose acceptance is one of another node's."""
    acceptance = cast.node.successor.seal(cast.node.acceptance(old_node_id=Caller.new().key))
    succession = node_pb2.KeySuccession(old_node_id=cast.node.node_id, acceptance=acceptance)
    return record_of(cast.node.root.seal(succession), card=cast.node.sealed_card())


def _of_another_heir(cast: Cast) -> registry_pb2.Record:
    succession = cast.node.succession(heir=Caller.new())
    return record_of(cast.node.root.seal(succession), card=cast.node.sealed_card())


def _changed(card: SignedEnvelope) -> SignedEnvelope:
    card.signature = card.signature[:-1] + bytes([card.signature[-1] ^ 1])
    return card


_INVALID: dict[str, Callable[[Cast], registry_pb2.Record]] = {
    "without a card": _beside(lambda _: None),
    "beside a card of another node": _beside(lambda _: MadeUpNode.new().sealed_card()),
    "beside a card with a changed signature": _beside(lambda node: _changed(node.sealed_card())),
    "beside a card that another signed": _beside(lambda node: node.signer.seal(node.card())),
    "beside a card that came later": _beside(lambda node: node.sealed_card(issued=moment(-_MINUTE))),
    "beside a card beyond all calendars": _beside(lambda node: node.sealed_card(sequence=2**63 - 1)),
    "beside a card that commits to nobody": _beside(lambda node: node.sealed_card(next_root_digest=b"")),
    "beside a card that commits to another": _beside(lambda node: node.sealed_card(next_root_digest=bytes([1]) * 32)),
    "of another heir": _of_another_heir,
    "that is accepted for another node": _accepts_another,
}


async def _succeed_against_the_card_there(stage: Stage) -> None:
    """Lets a node whose key was stolen commit anew: the older card, which the thief has, counts no more."""
    publisher = Publisher(stage)
    node = MadeUpNode.new()
    older, newer = node.sealed_card(issued=moment(2 * _MINUTE)), _committed_anew(node, heir := Caller.new())
    await publisher.publish("newer card", record_of(newer))
    await publisher.listed("before", author=node.node_id)
    thief = record_of(node.root.seal(node.succession()), card=older)
    await publisher.publish("thief", thief)
    await publisher.get("thief fetched", thief)
    await publisher.listed("after", author=node.node_id)
    owner = node.root.seal(node.succession(heir=heir))
    await publisher.publish("owner", record_of(owner))
    await publisher.get("owner fetched", record_of(owner))


def _committed_anew(node: MadeUpNode, heir: Caller) -> SignedEnvelope:
    return MadeUpNode(root=node.root, signer=node.signer, successor=heir).sealed_card()


def _judge_against_the_card_there(seen: Transcript) -> Iterator[Finding]:
    yield from came_to(seen["newer card"], STORED, requirement="REC-ADM-001")
    yield from refused(seen["thief"], "SUCCESSION_INVALID", requirement="REC-ADM-001")
    yield from serves_not(seen["thief fetched"], requirement="REC-ADM-002")
    yield from unchanged(seen, "before", "after", requirement="REC-ADM-002")
    yield from came_to(seen["owner"], STORED, requirement="REC-ADM-001")
    yield from serves(seen["owner fetched"], published(seen["owner"]), requirement="REC-ADM-001")


class _Life:
    """A node that went over to another root key three days ago, and what it signed before and afterwards."""

    def __init__(self) -> None:
        self.cast = Cast.new()
        self.node = self.cast.node
        self.retired = moment(3 * DAY)
        self.skill = f"made.up.{secrets.token_hex(16)}"
        skills = [node_pb2.Skill(id=self.skill)]
        first = self.node.sealed_card(issued=self.retired - _MINUTE, lasting=4 * DAY, skills=skills)
        self.succession = record_of(self.node.root.seal(self.node.succession(issued=self.retired)), card=first)
        self.before = {
            "card before": record_of(first),
            "rebuttal before": self._rebuttal(self.retired - _SECOND),
            "review before": self._review(day(4 * DAY)),
        }
        self.since = {
            "card since": record_of(self.node.sealed_card(issued=self.retired + _SECOND, lasting=4 * DAY)),
            "rebuttal since": self._rebuttal(self.retired + _SECOND),
            "review since": self._review(day(2 * DAY)),
        }

    def _rebuttal(self, issued: datetime) -> registry_pb2.Record:
        target = self.cast.beside().ticket.digest
        return record_of(self.node.root.seal(self.node.rebuttal(target, issued=issued)))

    def _review(self, issue_day: datetime) -> registry_pb2.Record:
        ticket = self.node.ticket(self.cast.reviewer, issue_day=issue_day)
        return record_of(self.cast.reviewer.seal(ticket.review()))


async def _retire_first(stage: Stage) -> None:
    publisher, life = Publisher(stage), _Life()
    await publisher.publish("succession", life.succession)
    await publisher.listed("before", subject=life.node.node_id)
    for name, record in life.since.items():
        await publisher.publish(name, record)
        await publisher.get(f"{name} fetched", record)
    await publisher.listed("after", subject=life.node.node_id)
    for name, record in life.before.items():
        await publisher.publish(name, record)
        await publisher.get(f"{name} fetched", record)
    await publisher.found("found", skill_id=life.skill)


def _judge_retired_first(seen: Transcript) -> Iterator[Finding]:
    yield from came_to(seen["succession"], STORED, requirement="REC-ADM-001")
    for what in ("card", "rebuttal", "review"):
        yield from refused(seen[f"{what} since"], "KEY_RETIRED", requirement="REC-ADM-001")
        yield from serves_not(seen[f"{what} since fetched"], requirement="REC-ADM-002")
        before = seen[f"{what} before"]
        yield from came_to(before, STORED, requirement="REC-ADM-001")
        yield from serves(seen[f"{what} before fetched"], published(before), requirement="REC-ADM-001")
    yield from unchanged(seen, "before", "after", requirement="REC-ADM-002")
    yield from was_accepted(seen["found"], requirement="REC-ADM-001")
    if found(pages(seen, "found")):
        yield Finding(
            requirement="REC-ADM-001", message="a retired node is found", expected="no card", exchange="found"
        )


async def _retire_last(stage: Stage) -> None:
    """Publishes what was signed before a succession and what was signed since, and then the succession."""
    publisher, life = Publisher(stage), _Life()
    bystander = Cast.new()
    other = record_of(bystander.node.sealed_card())
    await publisher.publish("bystander", other)
    records = {**life.before, **life.since}
    for name in ("card before", "card since", "rebuttal before", "rebuttal since", "review before", "review since"):
        await publisher.publish(name, records[name])
    await publisher.publish("succession", life.succession)
    await asyncio.gather(*(publisher.get(f"{name} fetched", record) for name, record in records.items()))
    await publisher.get("bystander fetched", other)


def _judge_retired_last(seen: Transcript) -> Iterator[Finding]:
    for what in ("bystander", "card before", "card since", "rebuttal since", "review since", "succession"):
        yield from came_to(seen[what], STORED, requirement="REC-ADM-001")
    for what in ("card", "rebuttal", "review"):
        yield from serves_not(seen[f"{what} since fetched"], requirement="REC-ADM-001")
    for what in ("rebuttal before", "review before", "bystander"):
        yield from serves(seen[f"{what} fetched"], published(seen[what]), requirement="REC-QUO-001")


async def _succeed_twice(stage: Stage) -> None:
    """Lets a key be handed to two: each succession rests on a card that commits to its heir."""
    publisher = Publisher(stage)
    node, rival = MadeUpNode.new(), Caller.new()
    first = record_of(node.root.seal(node.succession()), card=node.sealed_card())
    second = record_of(node.root.seal(node.succession(heir=rival)), card=_committed_anew(node, rival))
    await publisher.publish("first", first)
    await publisher.listed("before", author=node.node_id)
    await publisher.publish("second", second)
    await publisher.publish("earlier", _earlier(node, rival))
    await publisher.publish("card", record_of(node.sealed_card(issued=moment(-_SECOND))))
    await publisher.publish("again", first)
    await publisher.listed("after", author=node.node_id)


def _earlier(node: MadeUpNode, rival: Caller) -> registry_pb2.Record:
    """Returns a succession to somebody else that is dated to before the one that there is."""
    issued = moment(DAY)
    card = MadeUpNode(root=node.root, signer=node.signer, successor=rival).sealed_card(issued=issued - _MINUTE)
    return record_of(node.root.seal(node.succession(issued=issued, heir=rival)), card=card)


def _judge_succeeded_twice(seen: Transcript) -> Iterator[Finding]:
    yield from came_to(seen["first"], STORED, requirement=_KEY)
    for name in ("second", "earlier"):
        yield from refused(seen[name], "SUCCESSION_INVALID", requirement=_KEY)
    yield from refused(seen["card"], "KEY_RETIRED", requirement=_KEY)
    yield from came_to(seen["again"], "KNOWN", requirement=_KEY)
    yield from unchanged(seen, "before", "after", requirement=_KEY)
    message = "a succession does not stay"
    yield from holds(seen, "after", published(seen["first"]), requirement=_KEY, message=message)


def _after_a_day(node: MadeUpNode) -> registry_pb2.Record:
    card = node.sealed_card(issued=moment(DAY), lasting=_MINUTE)
    return record_of(node.root.seal(node.succession()), card=card)


UNCOMMITTED = {
    SUCCESSION: [
        *(Spoilt(name=name, reason="SUCCESSION_INVALID", make=make) for name, make in _INVALID.items()),
        Spoilt(name="on a card of the day before", reason="", make=lambda cast: _after_a_day(cast.node)),
    ]
}

CHECKS = (
    record_twins(
        "a-succession-that-nobody-committed-to-is-refused",
        title="A succession is refused unless a card that was issued before commits to the new root key.",
        spoilt=UNCOMMITTED,
    ),
    record_check(
        name="a-succession-keeps-to-the-card-that-is-there",
        title="The registry's own card of a node has a say in its succession, and stands for one where none is shown.",
        requirements=("REC-ADM-001", "REC-ADM-002"),
        drive=_succeed_against_the_card_there,
        judge=_judge_against_the_card_there,
    ),
    record_check(
        name="a-retired-key-signs-no-more",
        title="What a node signed after it went over to another root key is refused, and what it signed before is not.",
        requirements=("REC-ADM-001", "REC-ADM-002"),
        drive=_retire_first,
        judge=_judge_retired_first,
    ),
    record_check(
        name="a-succession-drops-what-was-signed-since",
        title="A succession drops what would be refused after it, and nothing that was signed before.",
        requirements=("REC-ADM-001", "REC-QUO-001"),
        drive=_retire_last,
        judge=_judge_retired_last,
    ),
    record_check(
        name="a-succession-stays",
        title="Neither another succession, however early, nor a card takes the place of a succession.",
        requirements=(_KEY,),
        drive=_succeed_twice,
        judge=_judge_succeeded_twice,
    ),
)
