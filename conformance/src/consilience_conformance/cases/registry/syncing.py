"""Syncing (spec section 4.7): all that was taken in, in that order, from behind any cursor and whoever publishes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence

from consilience.v1 import registry_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.cases.durable import present
from consilience_conformance.needs import Needs
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.made_up import advisory, name_of, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import STORED, came_to, last_cursor, published, synced
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_SYNC = ("REG-SYNC-001", "REC-ADM-001")
_PUBLISHERS = 4
_EACH = 5
_MOST_WALKS = 500
"""Steps of a walk at the most after the last one published; a registry may lead on without end."""
_PAUSE = 0.05
"""Seconds before whoever found nothing looks again, while others publish."""


def _warning() -> registry_pb2.Record:
    author = Caller.new()
    return record_of(author.seal(advisory(author)))


async def _go_on(stage: Stage) -> None:
    publisher = Publisher(stage)
    start = last_cursor(await publisher.sync("start"), before=b"")
    for name in ("one", "two", "three"):
        await publisher.publish(f"publish {name}", _warning())
    middle = last_cursor(await publisher.sync("behind the start", cursor=start), before=start)
    await publisher.publish("publish four", _warning())
    await publisher.sync("behind the third", cursor=middle)
    await publisher.sync("behind the start again", cursor=start)
    await publisher.sync("from the beginning")


def _judge_order(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("publish "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001")
    yield from _streams(seen, "behind the start", ("one", "two", "three"))
    yield from _streams(seen, "behind the third", ("four",))
    yield from _streams(seen, "behind the start again", ("one", "two", "three", "four"))
    yield from _streams(seen, "from the beginning", ("one", "two", "three", "four"))


def _streams(seen: Transcript, name: str, expected: Sequence[str]) -> Iterator[Finding]:
    """Yields that a stream brings other records of the check than these, or not each once in this order."""
    exchange = seen[name]
    if exchange.code != "OK":
        yield from was_accepted(exchange, requirement="REG-SYNC-001")
        return
    names = {name_of(published(one)): one.name.removeprefix("publish ") for one in seen.named("publish ")}
    got = [names[digest] for digest in _digests(exchange) if digest in names]
    if got != list(expected):
        if set(expected) - set(got):
            what = "leaves out what was taken in behind its cursor"
        elif len(got) > len(expected):
            what = "brings again what stands before its cursor, or something twice"
        else:
            what = "does not keep to the order in which records were taken in"
        yield Finding(
            requirement="REG-SYNC-001",
            message=f"the stream {name} {what}",
            expected=", ".join(expected),
            got=", ".join(got) or "none of them",
            exchange=name,
        )


def _digests(exchange: Exchange) -> list[bytes]:
    return [digest for response in synced(exchange) for digest in response.digests]


async def _walk(stage: Stage) -> None:
    """Walks from cursor to cursor while several publish, until nobody does any more and nothing comes."""
    publisher = Publisher(stage)
    cursor = last_cursor(await publisher.sync("start"), before=b"")

    async def publish(who: int) -> None:
        for number in range(_EACH):
            await publisher.publish(f"publish {who} {number}", _warning())

    work = [asyncio.create_task(publish(who)) for who in range(_PUBLISHERS)]
    try:
        rested = 0
        for number in itertools.count():
            resting, stood = all(task.done() for task in work), cursor
            cursor = last_cursor(await publisher.sync(f"walk {number}", cursor=stood), before=stood)
            rested += resting
            if rested and (cursor == stood or rested == _MOST_WALKS):
                break
            if cursor == stood:
                await asyncio.sleep(_PAUSE)
        await asyncio.gather(*work)
    finally:
        for task in work:
            task.cancel()


def _judge_walk(seen: Transcript) -> Iterator[Finding]:
    walked = [digest for exchange in seen.named("walk ") for digest in _digests(exchange)]
    for exchange in seen.named("walk "):
        if exchange.code != "OK":
            yield from was_accepted(exchange, requirement="REG-SYNC-001", called="a walk")
            return
    missing = 0
    for exchange in seen.named("publish "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001", called="a record")
        missing += name_of(published(exchange)) not in walked
    if missing:
        yield Finding(
            requirement="REG-SYNC-001",
            message="whoever reads while others publish misses records for ever",
            expected="each record that was taken in, behind one cursor or another",
            got=f"{missing} of {_PUBLISHERS * _EACH} behind none",
        )


async def _restart(stage: Stage) -> None:
    before = await present(stage)
    publisher = Publisher(before)
    start = last_cursor(await publisher.sync("start"), before=b"")
    await publisher.publish("publish before", _warning())
    cursor = last_cursor(await publisher.sync("behind the start", cursor=start), before=start)
    publisher = Publisher(await stage.elsewhere(await stage.surroundings.restart(stage.target)))
    await publisher.publish("publish after", _warning())
    await publisher.sync("behind the restart", cursor=cursor)
    await publisher.sync("behind the start again", cursor=start)


def _judge_restart(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("publish "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001")
    yield from _streams(seen, "behind the start", ("before",))
    yield from _streams(seen, "behind the restart", ("after",))
    yield from _streams(seen, "behind the start again", ("before", "after"))


CHECKS = (
    record_check(
        name="digests-come-in-the-order-of-arrival",
        title="From behind any cursor come the digests of all that was taken in after it, in that order, for ever.",
        requirements=_SYNC,
        drive=_go_on,
        judge=_judge_order,
        alone=True,
    ),
    record_check(
        name="nothing-is-missed-while-others-publish",
        title="Whoever walks from cursor to cursor while others publish misses nothing.",
        requirements=_SYNC,
        drive=_walk,
        judge=_judge_walk,
        alone=True,
    ),
    record_check(
        name="a-cursor-outlives-a-restart",
        title="A cursor from before a restart leads on from where it stood.",
        requirements=_SYNC,
        drive=_restart,
        judge=_judge_restart,
        needs=Needs.RESTART,
        alone=True,
    ),
)
