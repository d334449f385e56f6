"""Hostile nodes: a real gRPC server over bytes that says whatever it is told to, and writes down every call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from time import monotonic

import grpc
from grpc import aio

from consilience_conformance.transcripts import Ended, Exchange, Response

Respond = Callable[[str, bytes], AsyncIterator[bytes]]
"""Answers a call with encoded messages, given the full name of its method and the encoded request.

It may raise `StatusError`.
"""

Record = Callable[[Exchange], None]

_KEPT_RESPONSES = 64
"""How many messages of one call are written down: some streams have no end."""
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0))


class StatusError(Exception):
    """Ends a call with a status."""

    def __init__(
        self, code: grpc.StatusCode, words: str, *, trailers: tuple[tuple[str, str | bytes], ...] = ()
    ) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.trailers = trailers


class HostileServer:
    """One server on one port of this machine.

    Attributes:
        port: Where it listens, once it was started.
        calls: How many calls it got.
        received: All that came with them: their headers, line by line, and their requests.
        origin: The monotonic time at which the transcript began.
    """

    def __init__(
        self,
        respond: Respond,
        *,
        name: Callable[[], str],
        record: Record,
        origin: float,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        """Prepares a server.

        Args:
            respond: Answers each call.
            name: Names each exchange.
            record: Is told of each call once it has ended.
            origin: The monotonic time at which the transcript began.
            credentials: With TLS; None: without.
        """
        self.port = 0
        self.calls = 0
        self.received: list[bytes] = []
        self._respond = respond
        self._name = name
        self._record = record
        self.origin = origin
        self._credentials = credentials
        self._server: aio.Server | None = None

    async def start(self, *, port: int = 0) -> None:
        """Listens, on a free port unless one is named."""
        server = aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((_Everything(self._serve),))
        address = f"127.0.0.1:{port}"
        if self._credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, self._credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Ends all calls and listens no more."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    async def _serve(
        self, method: str, request: bytes, context: aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        self.calls += 1
        headers = [(key.encode(), _bytes_of(value)) for key, value in context.invocation_metadata() or ()]
        self.received += [*(b"%b: %b" % header for header in headers), request]
        name, began = self._name(), monotonic() - self.origin
        responses: list[Response] = []
        ended, code, message = Ended.CUT, "", ""
        try:
            async for data in self._respond(method, request):
                if len(responses) < _KEPT_RESPONSES:
                    responses.append(Response(at=monotonic() - self.origin, data=data))
                yield data
            ended, code = Ended.STATUS, "OK"
        except StatusError as error:
            ended, code, message = Ended.STATUS, error.code.name, error.words
            await context.abort(error.code, error.words, error.trailers)
        finally:
            self._record(
                Exchange(
                    name=name,
                    method=method,
                    request=request,
                    began=began,
                    ended_at=monotonic() - self.origin,
                    ended=ended,
                    responses=tuple(responses),
                    code=code,
                    message=message,
                )
            )


def _bytes_of(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


class _Everything(grpc.GenericRpcHandler):
    """Takes every method, unary or not: on the wire a unary response is a stream of one message."""

    def __init__(self, serve: Callable[[str, bytes, aio.ServicerContext[bytes, bytes]], AsyncIterator[bytes]]) -> None:
        self._serve = serve

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Returns the handler of a method."""
        method = handler_call_details.method.removeprefix("/")

        async def handle(request: bytes, context: aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
            async for data in self._serve(method, request, context):
                yield data

        return grpc.unary_stream_rpc_method_handler(handle)
