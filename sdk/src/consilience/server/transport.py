"""Transport: the gRPC server under the services (spec section 0.5).

Methods take and give bytes: an event of a log is encoded once, whoever reads it, and a request is measured and parsed
here, so that whatever is wrong with it is refused with a reason of the catalogue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from consilience._wire.errors import trailer_of
from consilience._wire.registries import REGISTRY_SERVICE
from consilience._wire.services import ASK_SERVICE, NODE_SERVICE, PAYMENT_SERVICE
from consilience.errors import EnvelopeMalformedError, NodeFaultError, RefusedError
from consilience.server.asks import AskService
from consilience.server.cards import CardIssuer
from consilience.server.faults import log_fault, overlook_vanished_callers
from consilience.server.observers import Observer
from consilience.server.payments.service import PaymentService
from consilience.server.rates import AddressedUnary, Unary, address_of
from consilience.server.readers import Write
from consilience.server.registry.service import RegistryService
from consilience.telemetry import ReceivedMetadata

Context = aio.ServicerContext[bytes, bytes]
Stream = Callable[[bytes, Write], Awaitable[bytes]]
"""Writes all messages but the last, and returns that one."""
AddressedStream = Callable[[bytes, Write, bytes], Awaitable[bytes]]
TracedStream = Callable[[bytes, Write, ReceivedMetadata], Awaitable[bytes]]
"""The same, told of what else came with the call."""

ROOM_BYTES = 1024 * 1024
"""A message that is larger than allowed by no more than this still reaches us, and is refused by the name of the limit;
the core cuts off what is larger, without a reason, before it takes our memory."""

MAX_STREAMS = 128
"""Calls on one connection at one time; what comes on top waits at its caller."""

SERVER_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    # A second process on the same port is a mistake to be told, not half of the calls to be taken.
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Readers wait long for the next token and keep their connection alive meanwhile.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

_LOGGER = logging.getLogger(__name__)


def make_server(
    *,
    asks: AskService,
    cards: CardIssuer,
    observer: Observer,
    payments: PaymentService | None = None,
    registry: RegistryService | None = None,
) -> tuple[aio.Server, Health]:
    """Returns a gRPC server with all services of a node, without a port yet, and the switch of its health.

    Without `payments` there is no PaymentService, and without `registry` no RegistryService: their methods are
    UNIMPLEMENTED.
    """
    overlook_vanished_callers()
    largest = asks.house.limits.max_message_bytes + ROOM_BYTES
    server = aio.server(options=(*SERVER_OPTIONS, ("grpc.max_receive_message_length", largest)))
    end = _Ending(observer)
    methods = {
        NODE_SERVICE: {"GetNodeCard": end.unary(f"{NODE_SERVICE}/GetNodeCard", cards.get_node_card)},
        ASK_SERVICE: {
            "Ask": end.stream_with_end(f"{ASK_SERVICE}/Ask", asks.ask),
            "ResumeAnswer": end.stream(f"{ASK_SERVICE}/ResumeAnswer", asks.resume_answer),
            "GetAnswer": end.unary(f"{ASK_SERVICE}/GetAnswer", asks.get_answer),
            "CancelAnswer": end.unary(f"{ASK_SERVICE}/CancelAnswer", asks.cancel_answer),
        },
    }
    if payments is not None:
        methods[PAYMENT_SERVICE] = _payment_methods(payments, end=end)
    if registry is not None:
        methods[REGISTRY_SERVICE] = _registry_methods(registry, end=end)
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(service, handlers) for service, handlers in methods.items())
    )
    switch = Health(server, services=tuple(methods))
    reflection.enable_server_reflection((*methods, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server, switch


def _payment_methods(payments: PaymentService, *, end: _Ending) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
    unary = {
        "GetQuote": payments.get_quote,
        "SubmitVoucher": payments.submit_voucher,
        "GetSession": payments.get_session,
        "AcknowledgeReceipt": payments.acknowledge_receipt,
        "ListReceipts": payments.list_receipts,
        "CloseSession": payments.close_session,
    }
    moving = {
        "OpenSession": payments.open_session,
        "ConfirmDeposit": payments.confirm_deposit,
        "Withdraw": payments.withdraw,
    }
    return {
        **{name: end.unary(f"{PAYMENT_SERVICE}/{name}", method) for name, method in unary.items()},
        **{
            name: end.addressed_unary(f"{PAYMENT_SERVICE}/{name}", payments.moving_money(method))
            for name, method in moving.items()
        },
    }


def _registry_methods(registry: RegistryService, *, end: _Ending) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
    visitors = registry.visitors
    unary = {
        "PublishRecord": registry.publish_record,
        "GetRecord": visitors.reading(registry.get_record),
        "ListRecords": visitors.reading(registry.list_records),
        "FindNodes": visitors.reading(registry.find_nodes),
    }
    handlers = {name: end.addressed_unary(f"{REGISTRY_SERVICE}/{name}", method) for name, method in unary.items()}
    feed = end.addressed_stream(f"{REGISTRY_SERVICE}/SyncRecords", visitors.following(registry.sync_records))
    return {**handlers, "SyncRecords": feed}


class Health:
    """The health of the node as `grpc.health.v1` tells it: for the whole server (the empty name) and each service."""

    def __init__(self, server: aio.Server, *, services: Sequence[str]) -> None:
        """Adds the service to a server, for these others."""
        self._services = services
        self._servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def serving(self) -> None:
        """Says that asks are welcome."""
        for service in ("", *self._services):
            await self._servicer.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def draining(self) -> None:
        """Says, from now on, that they are not."""
        await self._servicer.enter_graceful_shutdown()


class _Ending:
    """Ends a call that raised: a refusal with its status, a defect as NODE_FAULT; whoever calls learns no internals.

    Every request is read here. Of a call that takes one message and gets none, the library leaves the caller without
    any end; so all methods take a stream, of which the first message counts.

    A write to a caller that has just gone fails before the call is known to be over. That is no fault of anyone,
    and the call is ended as cancelled.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def unary(self, name: str, method: Unary) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self.addressed_unary(name, lambda request, _: method(request))

    def addressed_unary(self, name: str, method: AddressedUnary) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(_: object, context: Context) -> bytes:
            try:
                return await method(await _received(context), address_of(context.peer()))
            except Exception as error:  # noqa: BLE001 - the boundary to the wire
                await self._abort(name, error, context)

        return grpc.stream_unary_rpc_method_handler(handle)

    def stream(self, name: str, method: Stream) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self.addressed_stream(name, lambda request, write, _: method(request, write))

    def addressed_stream(self, name: str, method: AddressedStream) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(_: object, context: Context) -> None:
            try:
                if last := await method(await _received(context), context.write, address_of(context.peer())):
                    await context.write(last)
            except Exception as error:  # noqa: BLE001 - the boundary to the wire
                await self._abort_stream(name, error, context)

        return grpc.stream_stream_rpc_method_handler(handle)

    def stream_with_end(self, name: str, method: TracedStream) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Makes a handler of a stream that never ends empty.

        On the wire a stream of one message is a unary call, so grpc lets a unary handler write messages before the one
        that it returns. That one goes out in one step with the status, which spares a short answer one of its two.
        """

        async def handle(_: object, context: Context) -> bytes:
            try:
                request = await _received(context)
                return await method(request, context.write, context.invocation_metadata() or ())
            except Exception as error:  # noqa: BLE001 - the boundary to the wire
                await self._abort_stream(name, error, context)
                return b""

        return grpc.stream_unary_rpc_method_handler(handle)

    async def _abort_stream(self, name: str, error: Exception, context: Context) -> None:
        if isinstance(error, aio.InternalError):
            raise asyncio.CancelledError from error
        if not context.done():
            await self._abort(name, error, context)

    async def _abort(self, name: str, error: Exception, context: Context) -> NoReturn:
        if isinstance(error, RefusedError):
            refusal = error
        else:
            log_fault(_LOGGER, f"{name} failed", error=error)
            refusal = NodeFaultError("the node failed; its log says why")
        self._observer.refused(method=name, reason=refusal.reason)
        code, message, trailers = trailer_of(refusal)
        try:
            await context.abort(code, message, trailers)
        except aio.InternalError as error_of_call:
            raise asyncio.CancelledError from error_of_call


async def _received(context: Context) -> bytes:
    """Returns the message of a call.

    Raises:
        EnvelopeMalformedError: The caller ended the call without one.
    """
    request: object = await context.read()
    if not isinstance(request, bytes):
        raise EnvelopeMalformedError("the call carries no message")
    return request
