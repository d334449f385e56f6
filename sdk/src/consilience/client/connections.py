"""Connections: one gRPC channel per endpoint, shared by every call of a client and closed with it."""

from __future__ import annotations

from urllib.parse import urlsplit

import grpc
from grpc.aio import Channel, UnaryStreamCall

from consilience._wire.errors import error_from_rpc
from consilience.client.certificates import Certificate, read_certificate
from consilience.errors import ProtocolError, UnreachableError, UsageError
from consilience.identity import format_node_id
from consilience.nodes import Endpoint, TlsMode, host_is_loopback, key_digest_matches
from consilience.telemetry import Metadata
from consilience.units import PublicKey

Key = tuple[Endpoint, PublicKey]

_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # else two clients of one process share connections, and close each other's
    ("grpc.enable_retries", 0),  # retries are the stream's to decide: it knows what is bound
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_NO_PROXY = ("grpc.enable_http_proxy", 0)


class Connection:
    """One channel to one endpoint.

    Attributes:
        endpoint: Where it goes.
        certificate: The one that is trusted, with PINNED.
    """

    def __init__(self, endpoint: Endpoint, channel: Channel, certificate: Certificate | None = None) -> None:
        self.endpoint = endpoint
        self.certificate = certificate
        self._channel = channel
        self._closed = False
        self._streams: dict[str, grpc.aio.UnaryStreamMultiCallable[bytes, bytes]] = {}

    async def call(self, method: str, request: bytes, *, seconds: float) -> bytes:
        """Makes a unary call with encoded messages.

        Raises:
            ConsilienceError: As `_wire.errors.error_from_rpc` reads the status.
            UsageError: The client is closed.
        """
        self._check_open()
        unary: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(f"/{method}")
        try:
            return await unary(request, timeout=seconds)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error

    def stream(
        self, method: str, request: bytes, *, seconds: float, metadata: Metadata = ()
    ) -> UnaryStreamCall[bytes, bytes]:
        """Starts a call that is answered by a stream of encoded messages.

        Raises:
            UsageError: The client is closed.
        """
        self._check_open()
        stream = self._streams.get(method)
        if stream is None:
            stream = self._streams[method] = self._channel.unary_stream(f"/{method}")
        return stream(request, timeout=seconds, metadata=metadata)

    @property
    def is_down(self) -> bool:
        """Whether the last attempt to connect failed, so that nothing was sent."""
        return self._channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE

    @property
    def is_up(self) -> bool:
        """Whether the node is reached at this moment."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY

    async def close(self) -> None:
        """Closes the channel; calls on it end."""
        self._closed = True
        await self._channel.close()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the client is closed")


class Connections:
    """The connections of a client.

    Args:
        connect_seconds: Bounds reading a certificate.
    """

    def __init__(self, *, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._open: dict[Key, Connection] = {}
        self._loose: set[Connection] = set()
        self._closed = False

    async def open(self, endpoint: Endpoint, *, node_id: PublicKey) -> Connection:
        """Returns the connection to an endpoint of a node, made at its first use.

        Raises:
            UnreachableError: Its certificate cannot be read.
            ProtocolError: Its certificate is not one that the endpoint pins (NODE-TLS-001).
        """
        found = self._open.get((endpoint, node_id))
        return found or await self.reopen(endpoint, node_id=node_id)

    async def reopen(self, endpoint: Endpoint, *, node_id: PublicKey) -> Connection:
        """Looks at an endpoint again after a failure; raises as `open`.

        A channel reconnects by itself, but it trusts one certificate: where that was renewed, a new one takes over.
        """
        found = self._open.get((endpoint, node_id))
        certificate = await self._pinned_certificate(endpoint, node_id) if endpoint.tls_mode is TlsMode.PINNED else None
        if found is not None and found.certificate == certificate:
            return found
        connection = self._connect(endpoint, node_id, certificate)
        self._keep(connection, node_id)
        return connection

    def meet(
        self, endpoint: Endpoint, *, node_id: PublicKey | None, certificate: Certificate | None = None
    ) -> Connection:
        """Makes a connection for a first contact, which is nobody's until it is settled or discarded.

        Raises:
            UsageError: The client is closed.
        """
        contact = self._connect(endpoint, node_id, certificate)
        self._loose.add(contact)
        return contact

    async def settle(self, contact: Connection, endpoint: Endpoint, *, node_id: PublicKey) -> Connection:
        """Files a first contact under the endpoint that the card names for it, and returns the connection to use.

        That is the one that was there before, if it trusts the same certificate.
        """
        former = self._open.get((endpoint, node_id))
        if former is not None and former.certificate == contact.certificate:
            await self.discard(contact)
            return former
        self._loose.discard(contact)
        contact.endpoint = endpoint
        self._keep(contact, node_id)
        return contact

    async def discard(self, contact: Connection) -> None:
        """Closes a first contact that came to nothing."""
        self._loose.discard(contact)
        await contact.close()

    async def close(self) -> None:
        """Closes every connection that was opened here."""
        self._closed = True
        connections = (*self._open.values(), *self._loose)
        self._open, self._loose = {}, set()
        for connection in connections:
            await connection.close()

    def _connect(self, endpoint: Endpoint, node_id: PublicKey | None, certificate: Certificate | None) -> Connection:
        if self._closed:
            raise UsageError("the client is closed")
        return Connection(endpoint, _channel(endpoint, certificate, node_id), certificate)

    def _keep(self, connection: Connection, node_id: PublicKey) -> None:
        """Files a connection. One that it replaces is closed with the client: streams may be reading from it still."""
        former = self._open.get((connection.endpoint, node_id))
        if former is not None:
            self._loose.add(former)
        self._open[connection.endpoint, node_id] = connection

    async def _pinned_certificate(self, endpoint: Endpoint, node_id: PublicKey) -> Certificate:
        parts = urlsplit(endpoint.uri)
        certificate = await read_certificate(
            parts.hostname or "",
            parts.port or 0,
            server_name=format_node_id(node_id),
            seconds=self._connect_seconds,
        )
        if certificate is None:
            raise UnreachableError(f"{endpoint.uri} does not speak TLS")
        if not key_digest_matches(endpoint, certificate.spki_digest):
            raise ProtocolError(
                f"the certificate of {endpoint.uri} is none of those that the card of the node pins",
                requirement="NODE-TLS-001",
            )
        return certificate


def _channel(endpoint: Endpoint, certificate: Certificate | None, node_id: PublicKey | None) -> Channel:
    # The scheme stands before the target because gRPC reads others out of a bare one: "unix:1" is a file to it.
    target = f"dns:///{endpoint.authority}"
    options: tuple[tuple[str, str | int], ...] = _OPTIONS
    if host_is_loopback(urlsplit(endpoint.uri).hostname or "") or certificate is not None:
        options = (*options, _NO_PROXY)  # the certificate was read without one, too
    if endpoint.tls_mode is TlsMode.LOOPBACK_PLAIN:
        return grpc.aio.insecure_channel(target, options=options)
    if certificate is None:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
    if node_id is not None:
        options = (*options, ("grpc.ssl_target_name_override", format_node_id(node_id)))
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(certificate.pem), options=options)
