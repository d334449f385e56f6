"""Crashes: what a registry has taken in outlives it (REC-QUO-001), with what it decided of slots and keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from consilience_conformance.needs import Needs
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import KINDS, SUCCESSION, Cast
from consilience_conformance.records.made_up import moment, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import refused
from consilience_conformance.rules.registries import KNOWN, STORED, SUPERSEDED, came_to, published, serves, unchanged
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_QUOTA = "REC-QUO-001"
_HOUR = timedelta(hours=1)
_KEPT = tuple(kind for kind in KINDS if kind is not SUCCESSION)
"""Those that one cast can have together."""


async def _crash(stage: Stage) -> None:
    publisher, cast, retired = Publisher(stage), Cast.new(), Cast.new()
    for kind in _KEPT:
        await publisher.publish(kind.word, kind.record(cast.beside() if kind is _KEPT[-1] else cast))
    await publisher.publish("succession", SUCCESSION.record(retired))
    for name, author in (("reviewer", cast.reviewer.key), ("node", cast.node.node_id)):
        await publisher.listed(f"{name} before", author=author)
    back = Publisher(await stage.elsewhere(await stage.surroundings.restart(stage.target)))
    for name, author in (("reviewer", cast.reviewer.key), ("node", cast.node.node_id)):
        await back.listed(f"{name} after", author=author)
    for kind in (*_KEPT, SUCCESSION):
        record = published(stage.transcript[kind.word])
        await back.get(f"{kind.word} fetched", record)
        await back.publish(f"{kind.word} again", record)
    await back.publish("earlier card", record_of(cast.node.sealed_card(issued=moment(_HOUR), lasting=2 * _HOUR)))
    await back.publish("another review", record_of(cast.reviewer.seal(cast.ticket.review())))
    await back.publish("card of the retired", record_of(retired.node.sealed_card(issued=moment())))


def _judge_crash(seen: Transcript) -> Iterator[Finding]:
    for kind in (*_KEPT, SUCCESSION):
        yield from came_to(seen[kind.word], STORED, requirement=_QUOTA)
        yield from came_to(seen[f"{kind.word} again"], KNOWN, requirement=_QUOTA)
        yield from serves(seen[f"{kind.word} fetched"], published(seen[kind.word]), requirement=_QUOTA)
    for name in ("reviewer", "node"):
        yield from unchanged(seen, f"{name} before", f"{name} after", requirement=_QUOTA)
    yield from came_to(seen["earlier card"], SUPERSEDED, requirement="REC-SLOT-001")
    yield from refused(seen["another review"], "TICKET_USED", requirement="REC-SLOT-001")
    yield from refused(seen["card of the retired"], "KEY_RETIRED", requirement="REC-KEY-001")


CHECKS = (
    record_check(
        name="records-outlive-a-restart",
        title="After a crash a registry has what it had, and holds to what it decided of slots and of keys.",
        requirements=(_QUOTA, "REC-SLOT-001", "REC-KEY-001"),
        drive=_crash,
        judge=_judge_crash,
        needs=Needs.RESTART,
        alone=True,
    ),
)
