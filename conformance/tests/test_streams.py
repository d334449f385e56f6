"""A node cannot fill the judge: not by one message, not by many, and not by many calls at one time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from grpc import aio

from consilience_conformance import streams
from consilience_conformance.ask_methods import ASK
from consilience_conformance.peers.hostile import HostileServer
from consilience_conformance.rules.logs import read_log
from consilience_conformance.silence import Silence
from consilience_conformance.streams import Stream
from consilience_conformance.targets import Transport
from consilience_conformance.transcripts import MOST_RESPONSE_BYTES, Ended, Exchange, Transcript


@asynccontextmanager
async def _sending(*messages: bytes) -> AsyncIterator[aio.Channel]:
    """Serves these messages in answer to every call."""

    async def respond(_: str, __: bytes) -> AsyncIterator[bytes]:
        for message in messages:
            yield message

    server = HostileServer(respond, name=lambda: "call", record=lambda _: None, origin=monotonic())
    await server.start()
    try:
        async with Transport(authority=f"127.0.0.1:{server.port}").channel() as channel:
            yield channel
    finally:
        await server.stop()


async def _called(channel: aio.Channel, *, transcript: Transcript, name: str = "ask") -> Exchange:
    stream = Stream(
        channel,
        name=name,
        method=ASK,
        request=b"",
        transcript=transcript,
        origin=monotonic(),
        longest=60.0,
        silence=Silence(),
    )
    await stream.until(budget=10.0)
    return transcript[name]


async def test_a_message_that_is_far_too_large_is_not_read_and_is_a_finding() -> None:
    async with _sending(bytes(MOST_RESPONSE_BYTES + 1)) as channel:
        exchange = await _called(channel, transcript=Transcript(check="a-check"))
    assert exchange.ended is Ended.OVERSIZE
    assert not exchange.responses
    assert not exchange.accepted
    assert [finding.requirement for finding in read_log(exchange).findings] == ["STRM-SIZE-001"]


async def test_a_message_of_twice_the_size_that_is_allowed_is_still_read() -> None:
    async with _sending(bytes(MOST_RESPONSE_BYTES)) as channel:
        exchange = await _called(channel, transcript=Transcript(check="a-check"))
    assert exchange.ended is Ended.STATUS
    assert len(exchange.responses[0].data) == MOST_RESPONSE_BYTES


async def test_what_all_streams_of_a_check_bring_together_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_TRANSCRIPT_BYTES", 10_000)
    transcript = Transcript(check="a-check")
    async with _sending(*[bytes(1000)] * 8) as channel, asyncio.TaskGroup() as calls:
        for index in range(4):
            calls.create_task(_called(channel, transcript=transcript, name=f"ask-{index}"))
    assert transcript.received_bytes <= 10_000 + 4 * 1000
    assert Ended.ENDLESS in {exchange.ended for exchange in transcript.exchanges}
