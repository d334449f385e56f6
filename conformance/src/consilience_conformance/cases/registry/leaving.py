"""Cards that are found no longer (spec sections 4.4 and 4.6): replaced by a newer one, ended, or of a retired node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from consilience_conformance.needs import UntestableError
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.findable_cards import FIND, Question, found_findings, marked, new_word
from consilience_conformance.records.made_up import MadeUpNode, advisory, moment, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import server_time
from consilience_conformance.rules.registries import STORED, came_to
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_LIVES = (2, 6, 18)
"""Seconds until a card ends: more, where a slow registry had not looked at it before."""
_A_MOMENT = timedelta(milliseconds=200)
_FUTURE = timedelta(minutes=-5)


async def _replace(stage: Stage) -> None:
    publisher, node, word = Publisher(stage), MadeUpNode.new(), new_word()
    for name, age in (("older", 40), ("newer", 20)):
        card = node.sealed_card(issued=moment(timedelta(seconds=age)), **marked(word, {}))  # type: ignore[arg-type]
        await publisher.publish(f"card {name}", record_of(card))
        await publisher.found(f"after the {name}", text=word)


def _judge_replaced(seen: Transcript) -> Iterator[Finding]:
    for name in ("older", "newer"):
        yield from came_to(seen[f"card {name}"], STORED, requirement="REC-ADM-001")
        question = Question(name=f"after the {name}", asks={}, finds=(name,))
        yield from found_findings(seen, question, cards=("older", "newer"))


async def _retire(stage: Stage) -> None:
    publisher, node, word = Publisher(stage), MadeUpNode.new(), new_word()
    card = node.sealed_card(**marked(word, {}))  # type: ignore[arg-type]
    await publisher.publish("card retired", record_of(card))
    await publisher.found("before", text=word)
    await publisher.publish("succession", record_of(node.root.seal(node.succession()), card=card))
    await publisher.found("after", text=word)


def _judge_retired(seen: Transcript) -> Iterator[Finding]:
    for name in ("card retired", "succession"):
        yield from came_to(seen[name], STORED, requirement="REC-ADM-001")
    yield from found_findings(seen, Question(name="before", asks={}, finds=("retired",)), cards=("retired",))
    yield from found_findings(seen, Question(name="after", asks={}, finds=()), cards=("retired",))


async def _outlive(stage: Stage) -> None:
    """Looks for a card before its end and after it, by the registry's clock, which a refusal tells."""
    publisher = Publisher(stage)
    early = advisory(stage.caller, issued=moment(_FUTURE))
    told = server_time(await publisher.publish("from the future", record_of(stage.seal(early))))
    ahead = timedelta(0) if told is None else told - moment()
    for seconds in _LIVES:
        end = moment() + ahead + timedelta(seconds=seconds)
        before = await _seen_before(publisher, seconds, end=end)
        if moment() + ahead < end:
            await asyncio.sleep((end - ahead - moment() + _A_MOMENT).total_seconds())
            await publisher.found("after", text=before)
            stage.note("seconds", seconds)
            return
    raise UntestableError(f"the registry takes more than {_LIVES[-1]} s to take in a card and to find it")


async def _seen_before(publisher: Publisher, seconds: int, *, end: datetime) -> str:
    """Publishes a card that ends so, looks for it, and returns its word."""
    word, issued = new_word(), end - timedelta(minutes=1)
    card = MadeUpNode.new().sealed_card(issued=issued, lasting=end - issued, **marked(word, {}))
    await publisher.publish(f"card of {seconds} s", record_of(card))
    await publisher.found(f"before the end of {seconds} s", text=word)
    return word


def _judge_ended(seen: Transcript) -> Iterator[Finding]:
    name = f"of {seen.notes['seconds']} s"
    yield from came_to(seen[f"card {name}"], STORED, requirement="REC-ADM-001")
    before = Question(name=f"before the end {name}", asks={}, finds=(name,))
    yield from found_findings(seen, before, cards=(name,))
    yield from found_findings(seen, Question(name="after", asks={}, finds=()), cards=(name,))


CHECKS = (
    record_check(
        name="the-newest-card-is-found",
        title="Of two cards of a node the newer is found, and the other no longer.",
        requirements=FIND,
        drive=_replace,
        judge=_judge_replaced,
    ),
    record_check(
        name="a-retired-node-is-not-found",
        title="A node that has gone over to another root key is found no longer.",
        requirements=FIND,
        drive=_retire,
        judge=_judge_retired,
    ),
    record_check(
        name="a-card-that-has-ended-is-not-found",
        title="A card is found until it ends, and not after.",
        requirements=FIND,
        drive=_outlive,
        judge=_judge_ended,
    ),
)
