"""Mutants of the transport: one connection gets in the way of others, or of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from grpc import aio

from consilience.asks import StopReason
from consilience.errors import EnvelopeMalformedError
from consilience.server import answers, runs, transport
from consilience.server.readers import Write
from consilience_node.mutants.registry import mutant, replace

_FEW_CALLS = 100


@mutant("few-calls-in-all")
def _few_calls_in_all() -> None:
    """The node counts the calls of all connections together, and one connection alone can use up their number."""
    replace(aio, "server", lambda honest: partial(honest, maximum_concurrent_rpcs=_FEW_CALLS))


@mutant("one-request-at-a-time")
def _one_request_at_a_time() -> None:
    """The requests of all connections are read one after the other, each to its end."""
    reading = asyncio.Lock()

    def in_turn(honest: Callable[[Any], Awaitable[bytes]]) -> Callable[[Any], Awaitable[bytes]]:
        async def received(context: Any) -> bytes:
            async with reading:
                return await honest(context)

        return received

    replace(transport, "_received", in_turn)


@mutant("waits-for-a-message")
def _waits_for_a_message() -> None:
    """A call that ended without a message is waited for, and all other calls with it."""
    waiting = asyncio.Lock()

    def patient(honest: Callable[[Any], Awaitable[bytes]]) -> Callable[[Any], Awaitable[bytes]]:
        async def received(context: Any) -> bytes:
            try:
                request = await honest(context)
            except EnvelopeMalformedError:
                async with waiting:
                    await asyncio.Event().wait()  # until the caller is gone
                raise
            async with waiting:
                return request

        return received

    replace(transport, "_received", patient)


@mutant("one-write-at-a-time")
def _one_write_at_a_time() -> None:
    """A message goes out to one reader at a time, whether that reader takes it or not."""
    writing = asyncio.Lock()

    def in_turn(write: Write) -> Write:
        async def written(message: bytes) -> None:
            async with writing:
                await write(message)

        return written

    def sending(honest: Callable[..., Awaitable[bytes]]) -> Callable[..., Awaitable[bytes]]:
        async def send(reader: Any, write: Write) -> bytes:
            return await honest(reader, in_turn(write))

        return send

    replace(answers.AnswerReader, "send", sending)


@mutant("work-stops-with-its-readers")
def _work_stops_with_its_readers() -> None:
    """An answer is given up when its last reader leaves, whatever the ask says."""

    def leaving(honest: Callable[[Any], None]) -> Callable[[Any], None]:
        def reader_left(run: Any) -> None:
            honest(run)
            if not run._readers:
                run.stop(StopReason.DISCONNECTED)

        return reader_left

    replace(runs.AnswerRun, "reader_left", leaving)
