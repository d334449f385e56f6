"""Departures: how a check leaves its node: what it left running is stopped, and what it left open is closed.

None of it is any part of what is judged, so no transcript tells of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from consilience.v1 import ask_pb2, payment_pb2
from consilience_conformance.ask_methods import CANCEL
from consilience_conformance.callers import Caller
from consilience_conformance.leftovers import left_open, left_running
from consilience_conformance.payment_methods import CLOSE
from consilience_conformance.streams import Stream
from consilience_conformance.transcripts import Transcript

if TYPE_CHECKING:
    from consilience_conformance.stage import Stage

LET_GO_SECONDS = 5.0
"""How long a node gets to take back what a check has left with it."""
CLOSE_SECONDS = 2.0
"""How long it gets to close all sessions of a check: less than the silence that is counted against it."""


async def stop_asks(stage: Stage, streams: Iterable[Stream], *, callers: Iterable[Caller]) -> None:
    """Stops the work on every ask of these callers that was not seen to its end."""

    async def stop(caller: Caller, ask_request_id: bytes) -> None:
        call = ask_pb2.CancelAnswerCall(header=stage.header(CANCEL, caller=caller), ask_request_id=ask_request_id)
        request = ask_pb2.CancelAnswerRequest(call=stage.seal(call, caller=caller))
        await _unwritten(stage, "let-go", CANCEL, request).until(budget=min(stage.budget, LET_GO_SECONDS))

    known = {caller.key: caller for caller in callers}
    await asyncio.gather(*(stop(known[key], ask) for key, ask in left_running(streams) if key in known))


async def close_sessions(stage: Stage, streams: Iterable[Stream], *, callers: Iterable[Caller]) -> None:
    """Closes every session of these callers in which something of value is left open, or gives it up in time."""

    async def close(caller: Caller, session_id: bytes) -> None:
        call = payment_pb2.CloseSessionCall(header=stage.header(CLOSE, caller=caller), session_id=session_id)
        request = payment_pb2.CloseSessionRequest(call=stage.seal(call, caller=caller))
        await _unwritten(stage, "close-session", CLOSE, request).until(budget=2 * CLOSE_SECONDS)

    known = {caller.key: caller for caller in callers}
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*(close(known[key], one) for key, one in left_open(streams) if key in known))


def _unwritten(stage: Stage, name: str, method: str, request: Message) -> Stream:
    return stage.open(name, method, request, into=Transcript(check=stage.transcript.check))
