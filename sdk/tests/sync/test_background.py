import asyncio
import threading

import pytest

from consilience.errors import UsageError
from consilience.sync import background


async def answer() -> int:
    return 42


def test_clients_share_one_thread_and_the_last_one_ends_it() -> None:
    first, second = background.hold(), background.hold()
    assert first is second
    background.release(first)
    assert second.run(answer()) == 42
    background.release(second)
    assert "consilience" not in {thread.name for thread in threading.enumerate()}


def test_after_its_end_it_says_that_the_client_is_closed() -> None:
    held = background.hold()
    background.release(held)
    with pytest.raises(UsageError, match="closed"):
        held.run(answer())


def test_whoever_comes_later_gets_a_new_one() -> None:
    former = background.hold()
    background.release(former)
    again = background.hold()
    assert again is not former
    assert again.run(answer()) == 42
    background.release(again)


def test_it_cannot_wait_for_itself() -> None:
    held = background.hold()

    async def wait_for_itself() -> int:
        return held.run(answer())

    with pytest.raises(UsageError, match="itself"):
        held.run(wait_for_itself())
    background.release(held)


def test_whoever_waits_when_it_ends_is_let_go() -> None:
    held = background.hold()
    started = threading.Event()
    outcomes: list[BaseException] = []

    async def forever() -> None:
        started.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            held.run(forever())
        except asyncio.CancelledError as error:
            outcomes.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    started.wait()
    background.release(held)
    waiter.join()
    assert len(outcomes) == 1
