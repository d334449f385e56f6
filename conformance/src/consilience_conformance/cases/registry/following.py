"""Following (spec section 4.7): what another registry holds is taken over and passed on, and is fetched once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consilience.v1 import registry_pb2
from consilience_conformance.following.checks import STOPPED, check_of_followers, come, good_record
from consilience_conformance.following.feeds import CALLED, Page, offered
from consilience_conformance.following.followers import followed
from consilience_conformance.records.checks import PUBLISHED
from consilience_conformance.records.kinds import KINDS, Cast
from consilience_conformance.records.made_up import SKILL, name_of, record_of
from consilience_conformance.registry_methods import GET_RECORD
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import (
    STORED,
    asked_for,
    came_to,
    found,
    last_cursor,
    listed,
    pages,
    published,
    record_in,
    synced,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding


async def _follow(stage: Stage) -> None:
    follower = await followed(stage)
    start = last_cursor(await follower.publisher.sync("start"), before=b"")
    casts = {kind: Cast.new() for kind in KINDS}
    records = {kind: kind.record(cast) for kind, cast in casts.items()}
    follower.announce(Page(offers=tuple(map(offered, records.values()))))
    await follower.fetch({kind.word: record for kind, record in records.items()})
    for kind, cast in casts.items():
        await follower.publisher.listed(f"{kind.word} listed", author=kind.signs(cast).key)
    await follower.publisher.found("found", skill_id=SKILL)
    await follower.publisher.sync("behind the start", cursor=start)


def _judge_followed(seen: Transcript) -> Iterator[Finding]:
    words = [kind.word for kind in KINDS]
    yield from come((seen[word] for word in words), what=lambda word: f"a {word} was not taken over")
    given = {name_of(record): record for record in _given(seen)}
    for word in words:
        if not seen[word].accepted:
            continue
        record = given.get(asked_for(seen[word]), registry_pb2.Record())
        kept = {"served": [record_in(seen[word])], "listed": listed(pages(seen, f"{word} listed"))}
        for where, records in kept.items():
            if records != [record]:
                yield _not_as_it_came(f"a {word} that was taken over is not {where} as it came", seen[word])
    cards = [name_of(record_of(card)) for card in found(pages(seen, "found"))]
    if seen["card"].accepted and asked_for(seen["card"]) not in cards:
        yield _not_as_it_came("a card that was taken over is not found", seen["found"])
    yield from _passed_on(seen, words)


def _given(seen: Transcript) -> Iterator[registry_pb2.Record]:
    """Yields what the node got of the registry that it follows."""
    for exchange in seen.named(CALLED):
        if exchange.method == GET_RECORD and (record := record_in(exchange)) is not None:
            yield record


def _not_as_it_came(message: str, exchange: Exchange) -> Finding:
    return Finding(requirement="REC-ADM-001", message=message, expected="as from its author", exchange=exchange.name)


def _passed_on(seen: Transcript, words: Sequence[str]) -> Iterator[Finding]:
    exchange = seen["behind the start"]
    yield from was_accepted(exchange, requirement="REG-SYNC-001")
    digests = [digest for response in synced(exchange) for digest in response.digests]
    for word in words:
        if exchange.accepted and seen[word].accepted and digests.count(asked_for(seen[word])) != 1:
            yield Finding(
                requirement="REG-SYNC-001",
                message=f"a {word} that was taken over is not passed on once",
                expected="1",
                got=str(digests.count(asked_for(seen[word]))),
                exchange=exchange.name,
            )


async def _announce_what_is_held(stage: Stage) -> None:
    follower = await followed(stage)
    own = {f"publish {number}": good_record() for number in range(3)}
    for name, record in own.items():
        await follower.publisher.publish(name, record)
    taken, *markers = good_record(), good_record(), good_record()
    held = [offered(record) for record in own.values()]
    follower.announce(Page(offers=(held[0], offered(taken), *held[1:])), Page(offers=(offered(markers[0]),)))
    await follower.fetch({"taken": taken, "the last": markers[0]})
    stage.note("fetched before", _fetches(stage.transcript, name_of(taken)))
    follower.announce(Page(offers=(offered(taken), *held)), Page(offers=(offered(markers[1]),)))
    await follower.fetch({"the very last": markers[1]})


def _fetches(seen: Transcript, digest: bytes) -> int:
    calls = (exchange for exchange in seen.named(CALLED) if exchange.method == GET_RECORD)
    return sum(asked_for(exchange) == digest for exchange in calls)


def _judge_held(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("publish "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001")
        yield from _not_fetched(seen, name_of(published(exchange)), before=0, what="what its author had brought")
    names = ("taken", "the last", "the very last")
    yield from come((seen[name] for name in names), what=lambda name: f"{name} was not taken over")
    before = int(str(seen.notes.get("fetched before", 0)))
    yield from _not_fetched(seen, asked_for(seen["taken"]), before=before, what="what had been taken over")


def _not_fetched(seen: Transcript, digest: bytes, *, before: int, what: str) -> Iterator[Finding]:
    if (fetches := _fetches(seen, digest)) > before:
        yield Finding(
            requirement="REG-SYNC-003",
            message=f"{what} was fetched again",
            expected="no call of GetRecord",
            got=str(fetches - before),
        )


CHECKS = (
    check_of_followers(
        name="what-is-followed-is-taken-over",
        title="A record of each type that a followed registry holds is taken over, as it came, and is passed on.",
        requirements=(STOPPED, "REC-ADM-001", "REG-SYNC-001"),
        drive=_follow,
        judge=_judge_followed,
        after=PUBLISHED,
    ),
    check_of_followers(
        name="what-is-held-is-not-fetched",
        title="What a registry holds already, it does not fetch of one that it follows.",
        requirements=("REG-SYNC-003", "REC-ADM-001", STOPPED),
        drive=_announce_what_is_held,
        judge=_judge_held,
    ),
)
