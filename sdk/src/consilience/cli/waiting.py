"""Waiting: what a person is told on standard error while an answer or a registry keeps them waiting."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime, timedelta

from consilience.cli.printing import printable
from consilience.client import AnswerStream, Client
from consilience.client.outages import Setback
from consilience.errors import RefusedError

_MOMENT_SECONDS = 2.0
"""How long nothing is said: most setbacks are over by then."""
_LOOK_SECONDS = 0.25


def is_watched() -> bool:
    """Tells whether a person sees what is said while an answer comes: standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def tell(words: str) -> None:
    """Tells whoever watches what goes on, on a line of its own."""
    print(f"… {printable(words)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def telling_stake(stream: AnswerStream) -> Iterator[None]:
    """Says what an ask may have cost that is left before its end: by Ctrl-C, or because nobody reads its answer."""
    try:
        yield
    except (asyncio.CancelledError, OSError):
        if stream.stake is not None and sys.stderr is not None:
            print(f"the ask was left; {stream.stake}", file=sys.stderr, flush=True)
        raise


@contextlib.asynccontextmanager
async def telling_setbacks(stream: AnswerStream) -> AsyncIterator[None]:
    """Says on a terminal that the answer does not come on, where that takes longer than a moment."""
    async with _beside(_tell_setbacks(stream)):
        yield


@contextlib.asynccontextmanager
async def telling_late_registries(client: Client) -> AsyncIterator[None]:
    """Says on a terminal which registries the client waits for, where that takes longer than a moment."""
    async with _beside(_tell_late(client)):
        yield


@contextlib.asynccontextmanager
async def _beside(telling: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Tells what there is to tell while something goes on, if anybody watches."""
    if not is_watched():
        telling.close()
        yield
        return
    teller = asyncio.create_task(telling)
    try:
        yield
    finally:
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)


async def _tell_late(client: Client) -> None:
    told: set[str] = set()
    await asyncio.sleep(_MOMENT_SECONDS)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        for wait in client.reviews.late.since(_MOMENT_SECONDS):
            if wait.name not in told:
                told.add(wait.name)
                busy = wait.refusal is not None
                what = f"asks to come again later: {wait.refusal}" if busy else "is not answering"
                tell(f"the registry {wait.name} {what}; waiting for it a little longer")


async def _tell_setbacks(stream: AnswerStream) -> None:
    looks, told = 0, False
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        setback = stream.setback
        looks = 0 if setback is None else looks + 1
        if setback is None:
            told = False
        elif not told and looks * _LOOK_SECONDS >= _MOMENT_SECONDS:
            told = True
            if stream.text and not stream.text.endswith("\n") and sys.stdout is not None and sys.stdout.isatty():
                print(file=sys.stderr)
            tell(_words(setback, now=datetime.now(UTC).astimezone()))


def _words(setback: Setback, *, now: datetime) -> str:
    cause = setback.cause
    is_there = isinstance(cause, RefusedError)
    what = f"the node asks to come again later: {cause}" if is_there else "the node is not answering"
    if setback.seconds_left is None:
        return f"{what}; trying again"
    until = now + timedelta(seconds=setback.seconds_left)
    moment = f"{until:%T}" if until.date() == now.date() else f"{until:%F %T}"
    return f"{what}; trying again until {moment} at the latest"
