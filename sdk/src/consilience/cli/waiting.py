"""Waiting: what a person is told on standard error while an answer comes, and where it is left before its end."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

from consilience.cli.printing import printable
from consilience.client import AnswerStream
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
    if not is_watched():
        yield
        return
    teller = asyncio.create_task(_tell_setbacks(stream))
    try:
        yield
    finally:
        teller.cancel()
        await asyncio.gather(teller, return_exceptions=True)


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
