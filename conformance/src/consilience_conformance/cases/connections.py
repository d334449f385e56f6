"""Connections (spec section 0.5): whatever one of them does, the others are served, and the work goes on.

What the node says to a stream that is spoilt is written down and not judged: gRPC libraries differ. What is judged are
the calls that others make meanwhile, over a connection that is opened while the bad one stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from consilience.v1 import ask_pb2
from consilience_conformance.ask_methods import ASK, GET
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.peers.http2 import (
    MOST_RESETS,
    Connection,
    Manners,
    PeerError,
    Request,
    framed,
    open_many,
    rapid_resets,
)
from consilience_conformance.raw_connections import raw_connection, request_of, told
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.stage import Stage, accepted, token, wait
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Ended, Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import enum_name

HALF_OPEN_STREAMS = 128
LARGE_BYTES = 1 << 20
SMALL_WINDOW_BYTES = 16
LONG_TEXT = "a line of a long answer, " * 40
LONG_TEXT_TIMES = 256
"""Together 256 KiB in as many tokens: more than libraries and sockets take off a node on their own."""

_MAX_STREAMS_SETTING = 3
_UNREACHABLE = "unreachable"

_SPOILT = {
    "get": Request(path=f"/{GET_NODE_CARD}", method="GET"),
    "text": Request(path=f"/{GET_NODE_CARD}", content_type="text/plain"),
    "no-content-type": Request(path=f"/{GET_NODE_CARD}", content_type=None),
    "no-te": Request(path=f"/{GET_NODE_CARD}", te=None),
    "no-path": Request(path="/"),
    "no-message": Request(path=f"/{GET}", body=b""),
    "no-message-to-a-stream": Request(path=f"/{ASK}", body=b""),
    "half-a-message": Request(path=f"/{ASK}", body=framed(b"abc", declared_bytes=100)),
    "two-messages": Request(path=f"/{ASK}", body=framed(b"") + framed(b"")),
    "compressed": Request(path=f"/{ASK}", body=framed(b"abc", compressed=True)),
    "no-protobuf": Request(path=f"/{ASK}", body=framed(b"\xff\xff\xff")),
    "far-too-large": Request(path=f"/{ASK}", body=framed(bytes(LARGE_BYTES), declared_bytes=2**32 - 1)),
}
"""By name, what is sent on a stream of its own, each with one thing wrong at least."""


async def _others(stage: Stage, name: str) -> None:
    """Calls as others do who have nothing to do with the bad connection."""
    await asyncio.gather(
        stage.call(f"card-{name}", GET_NODE_CARD, b""), stage.send(f"ask-{name}", stage.ask(), until=accepted)
    )
    await stage.let_go()


def _others_findings(seen: Transcript, name: str) -> Iterator[Finding]:
    for exchange in (seen[f"card-{name}"], seen[f"ask-{name}"]):
        if not exchange.accepted:
            yield _held_up(exchange, message=f"others are not served: {exchange.name}")


def _held_up(exchange: Exchange, *, message: str, requirement: str = "SEC-CONN-001") -> Finding:
    got = " ".join((outcome_of(exchange), exchange.message)).rstrip()
    return Finding(requirement=requirement, message=message, expected="served", got=got, exchange=exchange.name)


def _on_a_connection(
    act: Callable[[Stage, Connection], Awaitable[None]], *, manners: Manners | None = None
) -> Callable[[Stage], Awaitable[None]]:
    """Returns a driver that acts on a raw connection; that the node takes none is an observation."""

    async def drive(stage: Stage) -> None:
        try:
            async with raw_connection(stage, manners=manners) as connection:
                await act(stage, connection)
        except PeerError as error:
            stage.note(_UNREACHABLE, str(error))

    return drive


def _unless_unreachable(judge: Callable[[Transcript], Iterator[Finding]]) -> Callable[[Transcript], Iterator[Finding]]:
    """Returns a judge that first looks whether the node took the connections at all."""

    def judged(seen: Transcript) -> Iterator[Finding]:
        if _UNREACHABLE in seen.notes:
            yield Finding(
                requirement="SEC-CONN-001", message="the node takes no connection", got=str(seen.notes[_UNREACHABLE])
            )
        else:
            yield from judge(seen)

    return judged


async def _leave_streams_lying(stage: Stage, connection: Connection) -> None:
    request = request_of(ASK, b"")
    allowed = dict(connection.observed.settings).get(_MAX_STREAMS_SETTING, HALF_OPEN_STREAMS)
    streams = open_many(connection, request, count=min(HALF_OPEN_STREAMS, allowed))
    for stream in streams:
        await stream.send(framed(b"abc")[:3], budget=stage.budget)
    # Whatever was sent has reached the node before anyone else asks it for something.
    await connection.ping(budget=stage.budget)
    stage.note("half-open-streams", len(streams))
    await _others(stage, "while-streams-are-half-open")
    async with raw_connection(stage) as second:
        reset = await rapid_resets(second, request, count=MOST_RESETS, budget=stage.budget)
        stage.note("reset-streams", reset)
        await second.drop(hard=True)
    await connection.drop()
    await _others(stage, "after-resets")


def _judge_streams_left_lying(seen: Transcript) -> Iterator[Finding]:
    yield from _others_findings(seen, "while-streams-are-half-open")
    yield from _others_findings(seen, "after-resets")


async def _talk_nonsense(stage: Stage, connection: Connection) -> None:
    streams = {name: connection.start(request) for name, request in _SPOILT.items()}
    sending = [
        asyncio.create_task(stream.send(_SPOILT[name].body, end=True, budget=stage.budget))
        for name, stream in streams.items()
    ]
    try:
        await connection.ping(budget=stage.budget)
        # Twice: the first calls may overtake what was sent before them, in the node.
        await _others(stage, "while-nonsense-is-sent")
        await _others(stage, "while-nonsense-stands")
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        stage.note("streams", {name: told(stream.observed) for name, stream in streams.items()})
    await connection.drop()
    async with raw_connection(stage) as second:
        second.send_raw(b"\x00\x00\x00\xff\xff\xff\xff\xff\xffGET / HTTP/1.1\r\n\r\n")
        await _others(stage, "after-bytes-that-are-no-frames")
        stage.note("no-frames", second.observed.end.value)


def _judge_nonsense(seen: Transcript) -> Iterator[Finding]:
    yield from _others_findings(seen, "while-nonsense-is-sent")
    yield from _others_findings(seen, "while-nonsense-stands")
    yield from _others_findings(seen, "after-bytes-that-are-no-frames")


async def _read_with_a_closed_window(stage: Stage, connection: Connection) -> None:
    times = min(LONG_TEXT_TIMES, stage.limit("max_output_tokens") or LONG_TEXT_TIMES)
    ask = stage.ask(token(LONG_TEXT, times=times))
    request = request_of(ASK, ask_pb2.AskRequest(ask=stage.seal(ask)))
    slow = connection.start(request)
    await slow.send(request.body, end=True, budget=stage.budget)
    await slow.read_bytes(SMALL_WINDOW_BYTES, budget=stage.budget)
    reading = [_others(stage, "while-a-reader-is-slow")]
    if stage.limit("max_readers_per_answer") != 1:
        reading.append(_read_too(stage, ask))
    await asyncio.gather(*reading)
    stage.note("slow-reader", told(slow.observed))
    await connection.drop(hard=True)


async def _read_too(stage: Stage, ask: ask_pb2.Ask) -> None:
    await stage.resume("other-reader", ask)


def _judge_closed_window(seen: Transcript) -> Iterator[Finding]:
    yield from _others_findings(seen, "while-a-reader-is-slow")
    for exchange in seen.named("other-reader"):
        if read_log(exchange).final is None:
            message = "a slow reader holds up another one of the same answer"
            yield _held_up(exchange, message=message, requirement="STRM-CUR-004")


async def _vanish(stage: Stage, connection: Connection) -> None:
    gate = stage.gate()
    ask = stage.ask(token("before, "), wait(gate), token("after"))
    request = request_of(ASK, ask_pb2.AskRequest(ask=stage.seal(ask)))
    reader = connection.start(request)
    await reader.send(request.body, end=True, budget=stage.budget)
    stage.note("reader", told(await reader.read(messages=1, budget=stage.budget)))
    await connection.drop(hard=True)
    # A few round trips, in which the node finds out that its reader is gone.
    for index in range(3):
        await stage.get(f"after-the-loss-{index}", ask)
    await stage.open_gate("gate", gate)
    await stage.resume("resumed", ask)
    await stage.get("end", ask)


def _judge_vanished(seen: Transcript) -> Iterator[Finding]:
    resumed, end = seen["resumed"], seen["end"]
    yield from complete(resumed, requirement="ASK-STOP-003")
    log = read_log(resumed)
    if log.answer is None or log.answer.outcome != ask_pb2.OUTCOME_ANSWERED:
        got = "no Final" if log.answer is None else enum_name(ask_pb2.Outcome.DESCRIPTOR, log.answer.outcome)
        yield Finding(
            requirement="ASK-STOP-003",
            message="the work did not go on without its reader",
            expected="OUTCOME_ANSWERED",
            got=got,
            exchange="resumed",
        )
    if end.ended is not Ended.STATUS or not end.responses:
        yield _held_up(end, message="the answer is not kept after the loss of its reader", requirement="ASK-STOP-003")


CHECKS = (
    Check(
        name="streams-left-lying-hold-up-nobody",
        title="Others are served while a connection leaves 128 streams half open, and after 200 that were reset.",
        requirements=("SEC-CONN-001",),
        drive=_on_a_connection(_leave_streams_lying),
        judge=_unless_unreachable(_judge_streams_left_lying),
        alone=True,
    ),
    Check(
        name="what-is-no-grpc-holds-up-nobody",
        title="Others are served while a connection sends wrong methods, types, lengths and bytes that mean nothing.",
        requirements=("SEC-CONN-001",),
        drive=_on_a_connection(_talk_nonsense),
        judge=_unless_unreachable(_judge_nonsense),
        alone=True,
    ),
    Check(
        name="closed-window-holds-up-nobody",
        title="A reader that stands still holds up neither the work, nor other readers of the answer, nor others.",
        requirements=("SEC-CONN-001", "STRM-CUR-004"),
        drive=_on_a_connection(
            _read_with_a_closed_window,
            manners=Manners(initial_window_bytes=SMALL_WINDOW_BYTES, refills_windows=False),
        ),
        judge=_unless_unreachable(_judge_closed_window),
        needs=Needs.SCRIPT,
        alone=True,
    ),
    Check(
        name="vanished-connection-does-not-stop-the-work",
        title="An answer goes on when the connection of its only reader breaks, and can be read to its end.",
        requirements=("ASK-STOP-003", "SEC-CONN-001", "STRM-LOG-003"),
        drive=_on_a_connection(_vanish),
        judge=_unless_unreachable(_judge_vanished),
        needs=Needs.SCRIPT,
    ),
)
