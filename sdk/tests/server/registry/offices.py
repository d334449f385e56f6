"""Registries of one process that follow each other through the bytes of their services, without a socket between.

A line between two of them can break at any call, and whoever serves can mix in what nobody should believe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consilience._wire import registries
from consilience.errors import ConnectionLostError, ConsilienceError, RefusedError
from consilience.reviews import OpenRecord, PublishOutcome, Record
from consilience.server.rates import CallRate
from consilience.server.registry.databases import SqliteDatabase
from consilience.server.registry.intake import Intake
from consilience.server.registry.pages import Tokens
from consilience.server.registry.service import RegistryService
from consilience.server.registry.store import SqlRecordStore
from consilience.server.registry.sync import WHOLE_ROUND, Follower
from consilience.server.registry.visitors import Visitors
from consilience.units import Digest
from sdk.tests.reviews.specimens import LIMITS
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.conftest import QUOTAS

ADDRESS = bytes(4)


class LocalRegistry:
    """A registry in this process, whose authors have the quotas of `conftest`."""

    def __init__(self, folder: Path, name: str, *, clock: ManualClock, max_records: int = 1000) -> None:
        self.name = name
        self.clock = clock
        self.store = SqlRecordStore(SqliteDatabase(folder / f"{name}.db"), quotas=QUOTAS)
        self.intake = Intake(self.store, clock=clock, max_records=max_records)
        self.service = RegistryService(
            store=self.store,
            intake=self.intake,
            tokens=Tokens(self.store),
            publishing=CallRate(per_minute=0),
            visitors=Visitors(reads_per_minute=0, open_feeds=0, clock=clock),
            limits=LIMITS,
            clock=clock,
        )
        self._followers: dict[str, Follower] = {}

    async def open(self) -> None:
        await self.store.open()
        await self.intake.count()

    async def bring(self, *records: OpenRecord) -> list[object]:
        """Returns what became of records: an outcome, or the type of a refusal."""
        admissions = await self.intake.admit([record.record for record in records])
        return [type(one) if isinstance(one, RefusedError) else one for one in admissions]

    async def held(self) -> set[Digest]:
        return {digest for _, digest in await self.store.taken_in(after=0, limit=1000, now=self.clock.now)}

    async def follow(self, line: Line) -> int:
        """Goes one round after another registry, by the follower that it has for that one."""
        follower = self._followers.get(line.to.name)
        if follower is None:
            follower = Follower(line.to.name, peer=line, store=self.store, intake=self.intake, clock=self.clock)
            self._followers[line.to.name] = follower
        follower._peer = line  # the same registry over another line
        return await follower.follow()

    def restart(self) -> None:
        """Forgets all that is not in the store, as a new process does not know it."""
        self._followers.clear()

    async def look_again(self) -> None:
        """Lets the next round after each registry begin without a cursor, as one does every day."""
        for follower in self._followers.values():
            await self.store.begin_whole_round(follower.address, now=self.clock.now - WHOLE_ROUND)


@dataclass
class Line:
    """The way to a registry.

    Attributes:
        to: The registry at its end.
        calls_left: After so many calls and responses it breaks; None: never.
        poison: What stands in the feed besides, before everything else, and what comes of it: a record under a digest
            that may be another's, or a failure.
        twice: Whether the feed says everything twice.
        fetched: The digests that were asked for.
    """

    to: LocalRegistry
    calls_left: int | None = None
    poison: Mapping[Digest, Record | ConsilienceError] = field(default_factory=dict)
    twice: bool = False
    fetched: list[Digest] = field(default_factory=list)

    async def digests(self, cursor: bytes) -> AsyncIterator[tuple[tuple[Digest, ...], bytes]]:
        self._use()
        responses: list[bytes] = []

        async def write(response: bytes) -> None:
            responses.append(response)

        await self.to.service.sync_records(registries.encode_sync(cursor), write)
        for number, response in enumerate(responses):
            self._use()
            digests, behind = registries.decode_digests(response)
            poison = tuple(self.poison) if number == 0 else ()
            yield (*poison, *digests, *(digests if self.twice else ())), behind

    async def record(self, digest: Digest) -> Record:
        self._use()
        self.fetched.append(digest)
        match self.poison.get(digest):
            case Record() as record:
                return record
            case ConsilienceError() as failure:
                raise failure
            case None:
                return registries.decode_record(await self.to.service.get_record(registries.encode_get(digest)))

    async def publish(self, record: Record) -> PublishOutcome:
        self._use()
        response = await self.to.service.publish_record(registries.encode_publish(record), ADDRESS)
        return registries.decode_outcome(response)

    def _use(self) -> None:
        if self.calls_left is None:
            return
        if self.calls_left == 0:
            raise ConnectionLostError("the line is broken")
        self.calls_left -= 1


async def settled(ring: Sequence[LocalRegistry], *, poison: Mapping[Digest, Record | ConsilienceError]) -> int:
    """Lets each registry follow the next one, until nothing is stored any more; returns the rounds that it took."""
    for rounds in range(1, 2 * len(ring) + 2):
        stored = [
            await follower.follow(Line(followed, poison=poison))
            for follower, followed in zip(ring, (*ring[1:], ring[0]), strict=True)
        ]
        if not any(stored):
            return rounds
    raise AssertionError("they still pass records round")
