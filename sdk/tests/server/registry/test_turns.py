"""How the records of many publishers come into a store: together, in their order, each with an end of its own."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from consilience.reviews import Placed, PublishOutcome
from consilience.server.registry.contract import Admission
from consilience.server.registry.turns import MAX_TOGETHER, Turns
from consilience.server.store.contract import StoreUnavailableError


class Door:
    """Stands for a store: takes numbers in when it is told to, and says of even ones that they were known."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.open = asyncio.Event()
        self.fails = False
        self.breaks_at = -1

    async def admit(self, records: Sequence[Placed]) -> tuple[Admission, ...]:
        numbers = cast("list[int]", list(records))
        self.groups.append(numbers)
        await self.open.wait()
        if self.fails:
            raise StoreUnavailableError("the disk is full")
        if self.breaks_at in numbers:
            raise KeyError(self.breaks_at)
        return tuple(_outcome(number) for number in numbers)


def _outcome(number: int) -> PublishOutcome:
    return PublishOutcome.STORED if number % 2 else PublishOutcome.KNOWN


def brought(turns: Turns, *numbers: int) -> asyncio.Task[tuple[Admission, ...]]:
    return asyncio.create_task(turns.bring(cast("list[Placed]", list(numbers))))


async def all_are_waiting() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_while_the_store_works_goes_in_together_and_hears_of_its_own() -> None:
    door = Door()
    turns = Turns(door.admit)
    tasks = [brought(turns, 0), brought(turns, 1, 2), brought(turns, 3), brought(turns, 4, 5, 6)]
    await all_are_waiting()
    assert door.groups == [[0]]
    door.open.set()
    outcomes = await asyncio.gather(*tasks)
    assert door.groups == [[0], [1, 2, 3, 4, 5, 6]]
    assert outcomes == [tuple(map(_outcome, numbers)) for numbers in ([0], [1, 2], [3], [4, 5, 6])]


async def test_a_record_at_which_the_store_breaks_takes_nobody_elses_with_it() -> None:
    door = Door()
    door.breaks_at = 3
    turns = Turns(door.admit)
    tasks = [brought(turns, 0), brought(turns, 1, 2), brought(turns, 3), brought(turns, 4)]
    await all_are_waiting()
    door.open.set()
    first, second, broken, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert door.groups == [[0], [1, 2, 3, 4], [1, 2], [3], [4]]
    assert isinstance(broken, KeyError)
    assert [first, second, last] == [tuple(map(_outcome, numbers)) for numbers in ([0], [1, 2], [4])]


async def test_a_transaction_is_bounded_and_the_records_of_one_publisher_stay_together() -> None:
    door = Door()
    turns = Turns(door.admit)
    first = brought(turns, 0)
    await all_are_waiting()
    many = [brought(turns, number) for number in range(1, MAX_TOGETHER)] + [brought(turns, 7, 9)]
    large = brought(turns, *range(2 * MAX_TOGETHER))
    await all_are_waiting()
    door.open.set()
    await asyncio.gather(first, *many, large)
    assert [len(group) for group in door.groups] == [1, MAX_TOGETHER - 1, 2, 2 * MAX_TOGETHER]


async def test_a_store_that_fails_is_told_to_all_whose_records_were_there_and_to_nobody_after() -> None:
    door = Door()
    turns = Turns(door.admit)
    first = brought(turns, 1)
    await all_are_waiting()
    others = [brought(turns, 3), brought(turns, 5)]
    await all_are_waiting()
    door.fails = True
    door.open.set()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailableError] * 3
    door.fails = False
    assert await brought(turns, 7) == (PublishOutcome.STORED,)
    assert door.groups == [[1], [3, 5], [7]]


async def test_who_gives_up_takes_nobody_with_it() -> None:
    door = Door()
    turns = Turns(door.admit)
    first = brought(turns, 0)
    await all_are_waiting()
    leader, other, idle = brought(turns, 1), brought(turns, 3), brought(turns, 5)
    await all_are_waiting()
    idle.cancel()
    first.cancel()
    await all_are_waiting()
    assert door.groups == [[0], [1, 3]]
    leader.cancel()
    await all_are_waiting()
    door.open.set()
    assert await other == (PublishOutcome.STORED,)
    assert door.groups == [[0], [1, 3], [3]]
    for task in (first, leader, idle):
        with pytest.raises(asyncio.CancelledError):
            await task
