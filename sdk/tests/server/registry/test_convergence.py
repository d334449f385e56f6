"""Registries that have seen the same records hold the same, in whatever order they came, over whatever broken lines."""

import asyncio
import tempfile
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import Phase, example, given, settings

from consilience.errors import ConnectionLostError, RecordUnknownError
from consilience.reviews import OpenRecord, Place, Record, RecordType, place_of, wins, within_quotas
from consilience.units import Digest
from sdk.tests.reviews.specimens import (
    DAY,
    HOUR,
    NOW,
    TestNode,
    advisory_about,
    card_record,
    key,
    retraction_of,
    review_of,
)
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.conftest import QUOTAS
from sdk.tests.server.registry.offices import Line, LocalRegistry, settled

Slot = tuple[bytes, RecordType, bytes]

NAMES = ("one", "two", "three", "four")
SECOND = timedelta(seconds=1)


def _pool() -> list[OpenRecord]:
    """Returns records that compete in every way: for slots, for quotas, with retractions and with a retirement."""
    node, retired, author = TestNode.named("node"), TestNode.named("retired"), key("author")
    cards = [card_record(node, issued=NOW - hours * HOUR, name=name) for hours in (1, 2) for name in ("a", "b")]
    reviews = [review_of(node, reviewer=author, number=number) for number in range(6)]
    edited = [review_of(node, reviewer=author, number=number, at=NOW - SECOND, comment="No.") for number in range(3)]
    warnings = [advisory_about(node.root.public_key, author=author, days=days) for days in (3, 9, 5, 7, 1)]
    taken_back = [retraction_of(said, author=author) for said in (*reviews[:2], *warnings[:2])]
    longer = [retraction_of(warnings[4], author=author, end=NOW + days * DAY) for days in (1, 40)]
    strange = [retraction_of(reviews[0], author=key("stranger"))]
    rebuttals = [node.rebuttal(reviews[0], at=NOW - number * SECOND) for number in range(3)]
    succession = [retired.succession(at=NOW - 2 * HOUR, card=retired.card(issued=NOW - 3 * HOUR))]
    of_retired = [card_record(retired, issued=NOW - hours * HOUR) for hours in (1, 3)]
    of_retired += [review_of(retired, reviewer=author, number=9), retired.rebuttal(warnings[0], at=NOW - HOUR)]
    return [
        *(*cards, *reviews, *edited, *warnings, *taken_back, *longer, *strange),
        *(*rebuttals, *succession, *of_retired),
    ]


POOL = _pool()
_FORGED = replace(card_record(TestNode.named("forged")).object.envelope, signature=bytes(64))
POISON: dict[Digest, Record | RecordUnknownError] = {
    _FORGED.digest: Record(object=_FORGED),
    Digest(b"gone".ljust(32, b".")): RecordUnknownError("gone"),
}


@dataclass(frozen=True)
class Publish:
    """Somebody publishes a record at a registry."""

    record: int
    at: int


@dataclass(frozen=True)
class Follow:
    """A registry follows another one, over a line that may break."""

    follower: int
    followed: int
    calls: int | None
    twice: bool


_REGISTRIES = st.integers(0, len(NAMES) - 1)
_STEPS = st.lists(
    st.one_of(
        st.builds(Publish, record=st.integers(0, len(POOL) - 1), at=_REGISTRIES),
        st.builds(
            Follow,
            follower=_REGISTRIES,
            followed=_REGISTRIES,
            calls=st.none() | st.integers(0, 12),
            twice=st.booleans(),
        ),
    ),
    min_size=20,
    max_size=70,
)


@dataclass(frozen=True)
class Outcome:
    """What has to be held of some records, by the rules alone.

    Attributes:
        held: By every registry.
        lost: Of `held`, what had lost its slot to a record that a succession has dropped: whoever has passed it over
            has it again only if another registry came by it later.
    """

    held: set[Digest]
    lost: set[Digest]


def _expected(seen: set[int]) -> Outcome:
    places = [place_of(POOL[number], now=NOW) for number in sorted(seen)]
    retired = {place.author: place.issue_time for place in places if place.type is RecordType.KEY_SUCCESSION}
    slots: dict[Slot, Place] = {}
    late: dict[Slot, Place] = {}
    for place in places:
        slot = place.author, place.slot_type, place.slot
        is_late = place.since is not None and place.subject in retired and place.since > retired[place.subject]
        decided = late if is_late else slots
        if slot not in decided or wins(place, held=decided[slot]):
            decided[slot] = place
    lost = {place.digest for slot, place in slots.items() if slot in late and wins(late[slot], held=place)}
    return Outcome({place.digest for place in within_quotas(slots.values(), quotas=QUOTAS)}, lost)


async def _hold_the_same(steps: list[Publish | Follow], folder: Path) -> None:
    clock = ManualClock()
    clock.now = NOW
    ring = [LocalRegistry(folder, name, clock=clock) for name in NAMES]
    seen: set[int] = set()
    async with AsyncExitStack() as stack:
        for registry in ring:
            await registry.open()
            stack.push_async_callback(registry.store.close)
        for step in steps:
            match step:
                case Publish(record, at):
                    seen.add(record)
                    await ring[at].bring(POOL[record])
                case Follow(follower, followed, calls, twice):
                    line = Line(ring[followed], calls_left=calls, poison=POISON, twice=twice)
                    with suppress(ConnectionLostError):
                        await ring[follower].follow(line)
        await settled(ring, poison=POISON)
        for registry in ring:
            await registry.look_again()
        await settled(ring, poison=POISON)
        expected, first = _expected(seen), await ring[0].held()
        for registry in ring:
            assert await registry.held() == first, registry.name
        assert first <= expected.held
        assert expected.held - first <= expected.lost


_WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example opens four databases, and to shrink one takes thousands."""


# A slot that a succession empties is filled again by the round of the next day, with what had lost it before.
@example(steps=[Publish(29, 0), Publish(30, 1), Follow(0, 1, None, twice=False), Publish(28, 1)])
@settings(max_examples=15, deadline=None, phases=_WITHOUT_SHRINKING)
@given(steps=_STEPS)
def test_registries_come_to_hold_the_same(steps: list[Publish | Follow]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_hold_the_same(steps, Path(folder)))


def test_the_pool_has_something_to_decide() -> None:
    """So that the test above cannot pass by keeping everything, or by refusing it."""
    held = _expected(set(range(len(POOL)))).held
    assert len(held) < len(POOL) - 10
    assert {place_of(record, now=NOW).type for record in POOL if record.digest in held} == {
        kind for kind in RecordType if kind > 0
    }
