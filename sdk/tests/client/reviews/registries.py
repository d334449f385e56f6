"""Registries as a client meets them: real ones, and ones behind a go-between that bends what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import grpc
from grpc import aio

from consilience._wire import registries as wire
from consilience.identity import KeyPair
from consilience.nodes import Endpoint, TlsMode
from consilience.reviews import NodeQuery, OpenRecord
from consilience.server import Node, Registry
from consilience.units import utc_now
from sdk.tests.server.registry.callers import RegistryCaller, calling_registry

ANYWHERE = "127.0.0.1:0"
Bend = Callable[[bytes, bytes], bytes]
"""Returns, for a request and its honest response, the response that the client gets."""

Answer = Callable[[bytes], Awaitable[bytes]]
"""Returns, for a request, a response of which the registry knows nothing."""


@dataclass
class GoBetween(grpc.GenericRpcHandler):
    """Stands between a client and a registry, notes what is asked, and bends what is answered.

    Attributes:
        target: The port of the registry.
        bends: By the short name of a method.
        answers: By the short name of a method, who answers in the place of the registry.
        unserved: The short names of methods that are not there.
        requests: Method and bytes of each call, as they came.
        metadata: The names of what came along with the calls.
    """

    target: int
    bends: dict[str, Bend] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    unserved: set[str] = field(default_factory=set)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    metadata: set[str] = field(default_factory=set)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._channel = aio.insecure_channel(f"127.0.0.1:{self.target}")
        self._server = aio.server(options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port(ANYWHERE)
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(grace=None)
        await self._channel.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.requests]

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        unary: aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(details.method)
        name = details.method.rpartition("/")[2]
        if name in self.unserved:
            return None

        async def handle(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
            self.requests.append((name, request))
            self.metadata |= {str(key) for key, _ in context.invocation_metadata() or ()}
            if (answer := self.answers.get(name)) is not None:
                return await answer(request)
            try:
                response = await unary(request)
            except aio.AioRpcError as error:
                trailers = tuple((str(key), value) for key, value in error.trailing_metadata() or ())
                context.set_trailing_metadata(trailers)
                await context.abort(error.code(), error.details() or "")
            bend = self.bends.get(name)
            return response if bend is None else bend(request, response)

        return grpc.unary_unary_rpc_method_handler(handle)


@dataclass(frozen=True)
class House:
    """A registry with a go-between before it."""

    between: GoBetween
    caller: RegistryCaller

    @property
    def address(self) -> str:
        return self.between.address

    async def bring(self, *records: OpenRecord) -> None:
        await self.caller.bring(records)

    async def nodes(self) -> set[bytes]:
        page, _ = await self.caller.nodes(NodeQuery())
        return {card.digest for card in page}


@asynccontextmanager
async def registries(
    folder: Path, *, clocks: Sequence[Callable[[], datetime]] = (utc_now, utc_now)
) -> AsyncIterator[tuple[House, ...]]:
    """Serves registries that do not follow each other, one for each clock."""
    async with AsyncExitStack() as stack:
        houses = []
        for number, clock in enumerate(clocks):
            store = f"sqlite:////{folder}/records-{number}.db"
            node = Node(f"registry {number}", key=KeyPair.generate(), registry=Registry(store=store), clock=clock)
            running = await stack.enter_async_context(node.serving(ANYWHERE))
            between = await stack.enter_async_context(GoBetween(target=running.port))
            houses.append(House(between=between, caller=await stack.enter_async_context(calling_registry(running))))
        yield tuple(houses)


def without(*digests: bytes) -> Bend:
    """Returns a bend of FindNodes that leaves cards out."""

    def bend(_: bytes, honest: bytes) -> bytes:
        cards, token = wire.decode_cards(honest)
        return wire.encode_cards([card for card in cards if card.digest not in digests], next_page_token=token)

    return bend


def served_besides(records: Iterable[OpenRecord]) -> Bend:
    """Returns a bend of FindNodes that adds cards."""
    added = [record.object.envelope for record in records]

    def bend(_: bytes, honest: bytes) -> bytes:
        cards, token = wire.decode_cards(honest)
        return wire.encode_cards([*cards, *added], next_page_token=token)

    return bend


def open_here(port: int = 7341) -> Endpoint:
    """Returns an endpoint that is open from this machine."""
    return Endpoint(uri=f"http://127.0.0.1:{port}", tls_mode=TlsMode.LOOPBACK_PLAIN)
