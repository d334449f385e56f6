"""Degenerate nodes: servers that are wrong altogether, where a mutant is wrong in one thing.

A judge that is content with one of them judges nothing, and one that waits for them for ever is of no use in CI. They
run in this process, on a socket of their own::

    async with DEGENERATE["accept-all"].serving() as address:
        ...
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

import grpc
from grpc import aio

from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.peers.impostors import (
    Impostor,
    Manner,
    accepts_all,
    cards_then_empty,
    empty_ok,
    endless,
    hangs_on_asks,
    lying_rejects_all,
    rejects_all,
    rejects_cards_too,
)
from consilience_conformance.verdicts import Exit

_LOOPBACK = "127.0.0.1"
_OPTIONS = (("grpc.so_reuseport", 0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Degenerate:
    """A node that is wrong altogether, and how a run on it has to end.

    Attributes:
        name: In lower case with hyphens.
        fault: What it does, as a sentence.
        serving: Serves it while a block runs, and yields its address.
        exit: How the judge has to exit.
        check, requirement, message: By which it has to die, as of a mutant; empty where there is nothing to judge.
    """

    name: str
    fault: str
    serving: Callable[[], AbstractAsyncContextManager[str]]
    exit: Exit
    check: str = ""
    requirement: str = ""
    message: str = ""


@asynccontextmanager
async def _impersonated(manner: Manner) -> AsyncIterator[str]:
    """Serves gRPC in one manner, whatever the method is."""
    server = aio.server(options=_OPTIONS)
    port = server.add_insecure_port(f"{_LOOPBACK}:0")
    address = f"{_LOOPBACK}:{port}"
    server.add_generic_rpc_handlers((_AnyMethod(manner, impostor=Impostor.at(address)),))
    await server.start()
    try:
        yield address
    finally:
        await server.stop(None)


class _AnyMethod(grpc.GenericRpcHandler):
    """Handles every call, over bytes."""

    def __init__(self, manner: Manner, *, impostor: Impostor) -> None:
        self._manner = manner
        self._impostor = impostor

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Returns the handler of a method; a stream of one message is what a unary caller wants, too."""
        method = handler_call_details.method.removeprefix("/")

        async def handle(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
            try:
                async for message in self._manner(self._impostor, method, request):
                    yield message
            except StatusError as refusal:
                await context.abort(refusal.code, refusal.words, refusal.trailers)

        return grpc.unary_stream_rpc_method_handler(handle)


@asynccontextmanager
async def _hanging() -> AsyncIterator[str]:
    """Accepts connections and never says a word."""
    async with _raw(lambda _: None) as address:
        yield address


@asynccontextmanager
async def _of_another_protocol() -> AsyncIterator[str]:
    """Greets whoever connects in the words of another protocol, and hangs up."""

    def greet(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP ready\r\n")
        writer.close()

    async with _raw(greet) as address:
        yield address


@asynccontextmanager
async def _raw(greet: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    writers: list[asyncio.StreamWriter] = []

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        greet(writer)

    server = await asyncio.start_server(connected, _LOOPBACK, 0)
    try:
        yield f"{_LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def _closed() -> AsyncIterator[str]:
    """Holds a port on which nobody listens."""
    with socket.socket() as held:
        held.bind((_LOOPBACK, 0))
        yield f"{_LOOPBACK}:{held.getsockname()[1]}"


_ALL = (
    Degenerate(
        name="accept-all",
        fault="Shows a proper card, and answers whatever it is asked with a proper log and a signed answer.",
        serving=lambda: _impersonated(accepts_all),
        exit=Exit.FAILED,
        check="unknown-skill-is-refused",
        requirement="ASK-SKILL-001",
        message="unknown-skill was accepted",
    ),
    Degenerate(
        name="empty-ok",
        fault="Ends every call well, without a message.",
        serving=lambda: _impersonated(empty_ok),
        exit=Exit.UNREACHABLE,
    ),
    Degenerate(
        name="card-and-empty-ok",
        fault="Shows a proper card, and ends every other call well, without a message.",
        serving=lambda: _impersonated(cards_then_empty),
        exit=Exit.FAILED,
        check="unknown-skill-is-refused",
        requirement="ASK-SKILL-001",
        message="unknown-skill was accepted",
    ),
    Degenerate(
        name="reject-all",
        fault="Refuses every call, that for its card too.",
        serving=lambda: _impersonated(rejects_cards_too),
        exit=Exit.UNREACHABLE,
    ),
    Degenerate(
        name="card-and-reject-all",
        fault="Shows a proper card, and refuses every other call without a reason.",
        serving=lambda: _impersonated(rejects_all),
        exit=Exit.FAILED,
        check="unknown-skill-is-refused",
        requirement="ASK-SKILL-001",
        message="unknown-skill was not refused for this reason",
    ),
    Degenerate(
        name="lying-reject-all",
        fault="Shows a proper card, and refuses every other call with a reason that fits what it is asked.",
        serving=lambda: _impersonated(lying_rejects_all),
        exit=Exit.FAILED,
        check="ask",
        requirement="NODE-PROF-001",
        message="ask was not accepted",
    ),
    Degenerate(
        name="endless",
        fault="Shows a proper card, refuses what it does not offer, and never comes to the end of an answer.",
        serving=lambda: _impersonated(endless),
        exit=Exit.FAILED,
        check="ask",
        requirement="STRM-LOG-003",
        message="the stream did not end",
    ),
    Degenerate(
        name="card-and-hang",
        fault="Shows a proper card, and is silent on every other call.",
        serving=lambda: _impersonated(hangs_on_asks),
        exit=Exit.FAILED,
        check="unknown-skill-is-refused",
        requirement="ASK-SKILL-001",
        message="unknown-skill was not refused for this reason",
    ),
    Degenerate(
        name="hang",
        fault="Accepts connections and is silent.",
        serving=_hanging,
        exit=Exit.UNREACHABLE,
    ),
    Degenerate(
        name="other-protocol",
        fault="Speaks another protocol.",
        serving=_of_another_protocol,
        exit=Exit.UNREACHABLE,
    ),
    Degenerate(
        name="closed-port",
        fault="Does not run.",
        serving=_closed,
        exit=Exit.UNREACHABLE,
    ),
)

DEGENERATE: Mapping[str, Degenerate] = MappingProxyType({one.name: one for one in _ALL})
"""All of them, by name."""
