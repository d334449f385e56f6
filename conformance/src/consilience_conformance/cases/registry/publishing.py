"""Publishing (spec section 4.4): what keeps all rules is taken in, to the byte, and is known when it comes again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import KINDS, Cast, Kind
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.registries import KNOWN, STORED, came_to, holds, published, serves
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

BASIS = ("methods-of-the-profiles-are-served",)


async def _publish(stage: Stage) -> None:
    publisher = Publisher(stage)
    await asyncio.gather(*(_publish_one(publisher, kind) for kind in KINDS))


async def _publish_one(publisher: Publisher, kind: Kind) -> None:
    cast = Cast.new()
    record = kind.record(cast)
    await publisher.publish(f"{kind.word} first", record)
    await publisher.publish(f"{kind.word} again", record)
    await publisher.get(f"{kind.word} fetched", record)
    await publisher.listed(f"{kind.word} listed", author=kind.signs(cast).key)


def _judge_published(seen: Transcript) -> Iterator[Finding]:
    for kind in KINDS:
        record = published(seen[f"{kind.word} first"])
        yield from came_to(seen[f"{kind.word} first"], STORED, requirement="REC-ADM-001")
        yield from came_to(seen[f"{kind.word} again"], KNOWN, requirement="REC-ADM-001")
        yield from serves(seen[f"{kind.word} fetched"], record, requirement="REC-QUO-001")
        yield from holds(
            seen,
            f"{kind.word} listed",
            record,
            requirement="REC-QUO-001",
            message=f"the author of a {kind.word} has others than that one",
        )


CHECKS = (
    record_check(
        name="records-are-taken-in",
        title="A record of each type that keeps all rules is taken in, served to the byte, and known from then on.",
        requirements=("REC-ADM-001", "REC-QUO-001"),
        drive=_publish,
        judge=_judge_published,
        after=BASIS,
    ),
)
