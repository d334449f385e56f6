"""Endings: what counted when it was read counts no more once its time is over (spec section 4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from consilience_conformance.client_side.checks import REGISTRY, ClientCheck
from consilience_conformance.client_side.readings import nothing_else, prepared, read_rightly
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.needs import UntestableError
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_LIVES = tuple(timedelta(seconds=seconds) for seconds in (1, 4, 16))
"""How long advisories live, each longer than the one that had ended before it was read."""

_MOMENT_SECONDS = 0.05
"""How far two clocks of one machine may run apart in that time."""


async def _read_until_it_ends(stage: ClientStage) -> None:
    subject, registry = await prepared(stage)
    review = subject.review()
    for life in _LIVES:
        issued = datetime.now(UTC)
        advisory = subject.advisory(issued=issued, lasting=life)
        registry.records = [review, advisory]
        await stage.about("while-it-holds", subject.node.node_id, right=[review.object, advisory.object])
        if datetime.now(UTC) <= issued + life:
            break
    else:
        raise UntestableError(f"to read what is said of a node takes longer than the {life.seconds} s of an advisory")
    await asyncio.sleep((issued + life - datetime.now(UTC)).total_seconds() + _MOMENT_SECONDS)
    await stage.about("once-it-ended", subject.node.node_id, right=[review.object])


def _judge_the_end(seen: Transcript) -> Iterator[Finding]:
    yield from read_rightly(seen, "while-it-holds", requirement="REV-ADV-001")
    yield from nothing_else(
        seen, "once-it-ended", requirement="REV-ADV-001", what="an advisory that ended after it was read"
    )
    yield from read_rightly(seen, "once-it-ended", requirement="REV-ADV-001")


CHECKS = (
    ClientCheck(
        name="advisory-that-ends",
        title="An advisory counts until its expire_time, and then no more, though it was read before.",
        requirements=("REV-ADV-001",),
        drive=_read_until_it_ends,
        judge=_judge_the_end,
        needs=(REGISTRY,),
    ),
)
