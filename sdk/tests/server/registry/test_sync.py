"""How a registry follows another one: what it fetches, where it goes on, and what does not stop it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.errors import (
    ConnectionLostError,
    CursorInvalidError,
    LimitExceededError,
    NodeFaultError,
    RecordUnknownError,
)
from consilience.reviews import PublishOutcome, Record
from consilience.server.registry.pages import Tokens
from consilience.server.registry.sync import PATIENCE, PATIENCE_WITH_LINES
from consilience.units import Digest
from sdk.tests.reviews.specimens import (
    DAY,
    NOW,
    TestNode,
    advisory_about,
    card_record,
    digests,
    key,
    retraction_of,
    review_of,
)
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.offices import Line, LocalRegistry, settled

NODE, REVIEWER = TestNode.named("node"), key("reviewer")
CARDS = [card_record(TestNode.named(f"node {number}")) for number in range(50)]
REVIEW = review_of(NODE, reviewer=REVIEWER)
STUCK = Digest(b"stuck".ljust(32, b"."))


@pytest.fixture
def clock() -> ManualClock:
    made = ManualClock()
    made.now = NOW
    return made


@pytest.fixture
async def ring(tmp_path: Path, clock: ManualClock) -> AsyncIterator[list[LocalRegistry]]:
    made = [LocalRegistry(tmp_path, name, clock=clock) for name in ("one", "two", "three")]
    async with AsyncExitStack() as stack:
        for registry in made:
            await registry.open()
            stack.push_async_callback(registry.store.close)
        yield made


async def test_what_another_one_took_in_is_taken_in_and_nothing_is_fetched_twice(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS, REVIEW)
    line = Line(two, twice=True)
    assert await one.follow(line) == 51
    assert await one.held() == digests([*CARDS, REVIEW])
    assert await one.store.get(REVIEW.digest, now=NOW) == REVIEW.record
    assert len(line.fetched) == 51
    again = Line(two)
    assert await one.follow(again) == 0
    assert again.fetched == []


async def test_records_do_not_go_round_in_circles(ring: list[LocalRegistry]) -> None:
    await ring[1].bring(*CARDS)
    assert await settled(ring, poison={}) <= 3
    for follower, followed in ((0, 1), (1, 2), (2, 0), (1, 0)):
        line = Line(ring[followed])
        await ring[follower].follow(line)
        assert line.fetched == []


async def test_a_broken_round_goes_on_and_fetches_only_what_is_not_held(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS)
    with pytest.raises(ConnectionLostError):
        await one.follow(Line(two, calls_left=2 + 20))
    there = await one.held()
    assert 0 < len(there) < len(CARDS)
    line = Line(two)
    await one.follow(line)
    assert set(line.fetched) == digests(CARDS) - there


async def test_what_is_lost_its_slot_meanwhile_comes_as_what_took_its_place(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(REVIEW)
    await one.follow(Line(two))
    retraction = retraction_of(REVIEW, author=REVIEWER)
    await two.bring(retraction)
    await one.follow(Line(two))
    assert await one.held() == {retraction.digest}


async def test_a_registry_that_lost_its_memory_is_followed_anew(tmp_path: Path, ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS[:3])
    await one.follow(Line(two))
    (tmp_path / "again").mkdir()
    reborn = LocalRegistry(tmp_path / "again", "two", clock=two.clock)
    await reborn.open()
    await reborn.bring(*CARDS[2:5])
    with pytest.raises(CursorInvalidError):
        Tokens(reborn.store).position(await one.store.cursor_of("two"), purpose=b"sync")
    assert await one.follow(Line(reborn)) == 2
    assert await one.held() == digests(CARDS[:5])
    await reborn.store.close()


async def test_what_was_too_early_comes_with_the_round_of_the_next_day(
    ring: list[LocalRegistry], tmp_path: Path, clock: ManualClock
) -> None:
    ahead = ManualClock()
    ahead.now = NOW + timedelta(hours=1)
    fast = LocalRegistry(tmp_path, "fast", clock=ahead)
    await fast.open()
    early = card_record(NODE, issued=ahead.now)
    await fast.bring(early)
    assert await ring[0].follow(Line(fast)) == 0
    clock.now += timedelta(hours=2)
    assert await ring[0].follow(Line(fast)) == 0, "the cursor is behind it"
    clock.now += DAY
    assert await ring[0].follow(Line(fast)) == 1
    await fast.store.close()


def _poison() -> dict[Digest, Record | RecordUnknownError]:
    forged = replace(REVIEW.object.envelope, signature=bytes(64))
    ended = advisory_about(bytes(32), author=REVIEWER, at=NOW - 9 * DAY, days=1)
    nonsense = NODE.ticket(reviewer=REVIEWER, salt=bytes(32)).envelope
    return {
        forged.digest: Record(object=forged, card=REVIEW.record.card),
        ended.digest: ended.record,
        nonsense.digest: Record(object=nonsense),
        Digest(b"other".ljust(32, b".")): CARDS[49].record,
        Digest(b"gone".ljust(32, b".")): RecordUnknownError("gone"),
    }


async def test_poisoned_records_are_passed_over(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS[:20])
    assert await one.follow(Line(two, poison=_poison())) == 20
    assert await one.held() == digests(CARDS[:20])


async def test_a_record_that_never_comes_stops_nobody_for_long(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS[:20])
    stuck = {STUCK: NodeFaultError("the node failed")}
    for _ in range(PATIENCE):
        with pytest.raises(NodeFaultError):
            await one.follow(Line(two, poison=stuck))
    assert await one.follow(Line(two, poison=stuck)) == 0
    assert await one.held() == digests(CARDS[:20])


async def test_a_record_at_which_the_line_breaks_every_time_stops_nobody_for_long(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    stuck = {STUCK: ConnectionLostError("the line is broken")}
    await two.bring(*CARDS[:20])
    for _ in range(PATIENCE):
        with pytest.raises(ConnectionLostError):
            await one.follow(Line(two, poison=stuck))
    assert await one.follow(Line(two, poison=stuck)) == 0
    assert await one.held() == digests(CARDS[:20])


async def test_where_nothing_else_is_to_come_it_stops_nobody_for_ever(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    stuck = {STUCK: ConnectionLostError("the line is broken")}
    for registry in (one, two):
        await registry.bring(CARDS[0])
    for _ in range(PATIENCE_WITH_LINES):
        with pytest.raises(ConnectionLostError):
            await one.follow(Line(two, poison=stuck))
    assert await one.follow(Line(two, poison=stuck)) == 0


async def test_nothing_is_passed_over_because_the_line_breaks_behind_the_feed(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS)
    for _ in range(3 * PATIENCE):
        with pytest.raises(ConnectionLostError):
            await one.follow(Line(two, calls_left=2))
    for _ in range(30):
        with suppress(ConnectionLostError):
            await one.follow(Line(two, calls_left=8))
    assert await one.held() == digests(CARDS)


async def test_a_record_is_never_passed_over_because_too_much_was_read(ring: list[LocalRegistry]) -> None:
    one, two, _ = ring
    await two.bring(*CARDS[:20])
    often = {CARDS[7].digest: LimitExceededError("too often", retry_after=timedelta(seconds=1))}
    for _ in range(PATIENCE + 2):
        with pytest.raises(LimitExceededError):
            await one.follow(Line(two, poison=often))
    await one.follow(Line(two))
    assert await one.held() == digests(CARDS[:20])


async def test_a_full_registry_goes_on_where_it_was_once_there_is_room(
    tmp_path: Path, ring: list[LocalRegistry]
) -> None:
    two, clock = ring[1], ring[1].clock
    small = LocalRegistry(tmp_path, "small", clock=clock, max_records=3)
    await small.open()
    for number in range(6):
        await two.bring(advisory_about(NODE.root.public_key, author=key(f"author {number}"), days=number + 1))
    with pytest.raises(LimitExceededError):
        await small.follow(Line(two))
    assert len(await small.held()) == 3
    clock.now += 3 * DAY
    await small.intake.count()
    assert await small.follow(Line(two)) == 3
    assert await small.held() == await two.held()
    await small.store.close()


async def test_who_publishes_over_a_line_is_told_what_became_of_it(ring: list[LocalRegistry]) -> None:
    assert await Line(ring[0]).publish(CARDS[0].record) is PublishOutcome.STORED
    assert await ring[0].held() == {CARDS[0].digest}
