"""A course of events in a federation: a quiet time, a death and a cut, a line healed, a return; and who knew what."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.federation.world import DOMAIN, NODES, REGISTRIES, SECOND, THIRD, World, name_of
from benchmarks.registry.population import records_of
from consilience.client import Client
from consilience.reviews import OpenRecord, PublishOutcome
from consilience.units import utc_now

LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a client that asks all three registries found in a time.

    Attributes:
        milliseconds: Of each search.
        whole: How many searches found all six nodes.
    """

    milliseconds: list[float] = field(default_factory=list)
    whole: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What happened in one course.

    Attributes:
        spread_seconds: From the last record published in the quiet time until all three hold them all.
        heal_seconds: From the healing of the line until the two sides hold the same.
        return_seconds: From the moment that the killed registry serves again until it holds what the others hold.
        quiet, broken: What was found before the death and the cut, and during them.
        parted: How many records came in during them, half on either side.
        moments: When what happened, in seconds since the beginning.
        held: Of each look: when it was, and how many records each registry held.
    """

    spread_seconds: float
    heal_seconds: float
    return_seconds: float
    quiet: Finding
    broken: Finding
    parted: int
    moments: dict[str, float]
    held: list[tuple[float, list[int]]]


async def take(world: World, *, first: int, records: int, searches: int) -> Course:
    """Takes a federation in which all hold the same through a course, at the end of which they do again.

    Args:
        world: Runs.
        first: The number of the first node of the population that nobody has published yet.
        records: How many are published at each of three places, at least.
        searches: How often is searched in either time.

    Raises:
        RuntimeError: They do not come to hold the same.
    """
    numbers = itertools.count(first)
    moments: dict[str, float] = {}
    began = time.perf_counter()

    def now() -> float:
        return time.perf_counter() - began

    async with _watched(world, now=now) as held, _client(world) as client:
        quiet = await _searched(client, searches)
        moments["published"] = now()
        before = len(world.held()[SECOND])
        published = await _published(world, at=SECOND, numbers=numbers, records=records)
        spread = await _until(lambda: _agree(world.held(), before + published), what="all hold what one was given")

        moments["first killed, third cut off"] = now()
        await world.kill_first()
        await world.cut_third()
        ours, theirs, broken = await asyncio.gather(
            _published(world, at=SECOND, numbers=numbers, records=records),
            _published(world, at=THIRD, numbers=numbers, records=records),
            _searched(client, searches),
        )
        together = before + published + ours + theirs

        moments["line healed"] = now()
        await world.heal_third()
        heal = await _until(lambda: _agree(world.held()[SECOND:], together), what="two sides hold the same")
        await world.start_first()
        moments["first is back"] = now()
        back = await _until(lambda: _agree(world.held(), together), what="who died holds what the others hold")
    return Course(
        spread_seconds=spread,
        heal_seconds=heal,
        return_seconds=back,
        quiet=quiet,
        broken=broken,
        parted=ours + theirs,
        moments=moments,
        held=held,
    )


async def settled(world: World) -> None:
    """Waits until all hold the cards of all.

    Raises:
        RuntimeError: They do not come to.
    """
    await _until(lambda: _agree(world.held(), NODES + REGISTRIES), what="all hold the first cards")


@asynccontextmanager
async def _client(world: World) -> AsyncIterator[Client]:
    """Somebody on the side of the first two, who asks all three."""
    async with Client(registries=world.reached) as client:
        yield client


async def _searched(client: Client, searches: int) -> Finding:
    nodes = {name_of(number) for number in range(NODES)}
    milliseconds, whole = [], 0
    for _ in range(searches):
        started = time.perf_counter()
        found = await client.find(domain=DOMAIN)
        milliseconds.append(1000 * (time.perf_counter() - started))
        whole += {node.card.value.name for node in found.nodes} == nodes
    return Finding(milliseconds=milliseconds, whole=whole)


async def _published(world: World, *, at: int, numbers: "itertools.count[int]", records: int) -> int:
    """Publishes nodes that nobody has heard of, and their reviews, and returns how many records that were."""
    new: list[OpenRecord] = []
    while len(new) < records:
        new += records_of(next(numbers), now=utc_now())
    outcomes = await world.publishers[at].publish([record.record for record in new])
    if set(outcomes) != {PublishOutcome.STORED}:
        raise RuntimeError("a new record was not stored")
    return len(new)


def _agree(held: Sequence[set[bytes]], count: int) -> bool:
    return all(there == held[0] for there in held) and len(held[0]) == count


async def _until(holds: Callable[[], bool], *, what: str) -> float:
    """Returns after how many seconds something holds.

    Raises:
        RuntimeError: It does not come to.
    """
    began = time.perf_counter()
    while not holds():
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise RuntimeError(f"within {PATIENCE_SECONDS:g} s it did not come to this: {what}")
        await asyncio.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


@asynccontextmanager
async def _watched(world: World, *, now: Callable[[], float]) -> AsyncIterator[list[tuple[float, list[int]]]]:
    """Notes what each registry holds, again and again, while the block runs."""
    held: list[tuple[float, list[int]]] = []

    async def watch() -> None:
        while True:
            held.append((now(), [len(there) for there in world.held()]))
            await asyncio.sleep(LOOK_SECONDS)

    task = asyncio.create_task(watch())
    try:
        yield held
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    held.append((now(), [len(there) for there in world.held()]))
