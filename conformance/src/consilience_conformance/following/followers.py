"""Followers: the node that is judged, as one that follows the registry which the judge plays (spec section 4.7).

Nobody tells a follower when to come, so a check waits: for a record until it is there, and for one that does not come
until the node has called so often since that it had every chance, or calls no more.

Example::

    async def drive(stage: Stage) -> None:
        follower = await followed(stage)
        follower.announce(Page(offers=(offered(record),)))
        await follower.fetch({"the record": record})
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from consilience.v1 import registry_pb2
from consilience_conformance.following.feeds import Feed, Page
from consilience_conformance.needs import UntestableError
from consilience_conformance.records.made_up import name_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.registry_methods import GET_RECORD
from consilience_conformance.stage import LOOK_SECONDS, Stage
from consilience_conformance.transcripts import Transcript

FIRST_SECONDS = 90.0
"""A node that follows the judge has called by then, though it comes every thirty seconds and finds nobody at first."""
MOST_ROUNDS = 30
"""Whoever called so often did not break off because of one bad moment."""
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_PAUSES = 10
"""A node calls no more when it paused longer than this, and so many times longer than ever before."""
MOST_SECONDS = 240.0
"""A node that did not call `MOST_ROUNDS` times by then calls too rarely to be judged."""


class Follower:
    """The node, as it follows.

    Attributes:
        publisher: Reads what the node holds.
    """

    def __init__(self, stage: Stage, *, feed: Feed) -> None:
        """Has the feed forget what it announced, and write into the transcript of the check."""
        self.publisher = Publisher(stage)
        self._stage = stage
        self._feed = feed
        feed.attend(stage.transcript)

    def announce(self, *pages: Page) -> None:
        """Announces records, behind those that were."""
        self._feed.announce(pages)

    async def fetch(self, records: Mapping[str, registry_pb2.Record]) -> None:
        """Gets records from the node, as exchanges by their names, as soon as all are there or had their chance.

        Raises:
            UntestableError: The node calls too rarely.
        """
        began, rounds = monotonic(), self._feed.rounds
        for record in records.values():
            while not await self._holds(record):
                if not self._goes_on(rounds=rounds, seconds=monotonic() - began):
                    break
                await asyncio.sleep(LOOK_SECONDS)
        await asyncio.gather(*(self.publisher.get(name, record) for name, record in records.items()))

    async def _holds(self, record: registry_pb2.Record) -> bool:
        """Looks whether the node has a record, which the transcript does not tell."""
        unseen = Transcript(check=self._stage.transcript.check)
        request = registry_pb2.GetRecordRequest(digest=name_of(record))
        stream = self._stage.open("look", GET_RECORD, request, into=unseen)
        await stream.until(budget=self._stage.budget)
        return unseen["look"].accepted

    def _goes_on(self, *, rounds: int, seconds: float) -> bool:
        """Tells whether something may come yet."""
        feed = self._feed
        if feed.rounds - rounds >= MOST_ROUNDS:
            return False
        if feed.pause > max(LONGEST_PAUSE_SECONDS, LONGEST_PAUSES * feed.longest_pause):
            return False
        if seconds > MOST_SECONDS:
            raise UntestableError(
                f"the node called the registry that it follows {feed.rounds - rounds} times in {seconds:.0f} s: let it "
                "call every second, for the time of a run"
            )
        return True


async def followed(stage: Stage) -> Follower:
    """Returns the node once it has called the registry that the judge plays.

    Raises:
        UntestableError: It does not.
    """
    surroundings = stage.surroundings
    if surroundings.followed is None:
        raise ValueError("a check that is followed needs Needs.FEED")
    began = monotonic()
    while not surroundings.followed.rounds:
        if monotonic() - began > FIRST_SECONDS:
            raise UntestableError(
                f"the node did not call SyncRecords at {surroundings.feed} within {FIRST_SECONDS:g} s: put that among "
                "the registries that it follows"
            )
        await asyncio.sleep(LOOK_SECONDS)
    return Follower(stage, feed=surroundings.followed)
