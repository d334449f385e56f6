"""Patience: a call that comes too often for a node, which says when it may come again, is made again then.

A node bounds how often one address publishes, reads, or moves money, and all checks of a run, and runs before it, call
from one. Nothing is wrong with a node that does; the transcript has the last try alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from google.protobuf.message import Message

from consilience_conformance.needs import UntestableError
from consilience_conformance.rules.refusals import retry_after
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript

MOST_WAIT_SECONDS = 300.0
"""A node that takes 600 calls a minute, from all checks together, has taken a call before."""
LEAST_WAIT_SECONDS = 0.1


async def patiently(
    stage: Stage,
    name: str,
    method: str,
    make: Callable[[], bytes | Message],
    *,
    places: AbstractAsyncContextManager[object] | None = None,
) -> Exchange:
    """Makes a call, and makes it again after the time for which it is put off.

    Args:
        stage: To act with.
        name: Of the exchange.
        method: Full name without leading slash.
        make: Returns the request; it is asked before each try.
        places: Held during each try.

    Raises:
        UntestableError: It is put off for too long.
    """
    waited = 0.0
    while True:
        tried = Transcript(check=stage.transcript.check)
        async with places or nullcontext():
            stream = stage.open(name, method, make(), into=tried)
            await stream.until(budget=stage.budget)
        seconds = retry_after(tried[name])
        if seconds is None:
            stage.transcript.exchanges.append(tried[name])
            stage.transcript.received_bytes += tried.received_bytes
            return tried[name]
        seconds = max(seconds, LEAST_WAIT_SECONDS)
        waited += seconds
        if waited > MOST_WAIT_SECONDS:
            raise UntestableError(
                f"the node puts calls of one address off for more than {MOST_WAIT_SECONDS:g} s: let this one call more "
                "often, for the time of a run"
            )
        await asyncio.sleep(seconds)
