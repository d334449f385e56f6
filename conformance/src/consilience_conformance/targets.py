"""Targets: an address becomes a node with a card, by the algorithm of first contact (spec section 1.4)."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass

import grpc
from cryptography import x509
from grpc import aio

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids
from consilience_conformance.transcripts import MOST_RESPONSE_BYTES

GET_NODE_CARD = "consilience.v1.NodeService/GetNodeCard"
_SCHEMES = {"": None, "http": True, "https": False}
_MAX_PORT = 65535
_NO_GRPC = "failed to connect to all addresses"
_OPTIONS = (
    ("grpc.max_receive_message_length", MOST_RESPONSE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class UnreachableError(Exception):
    """The node cannot be reached, or shows no card; the text says what to mend."""


class AddressError(UnreachableError):
    """The address is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How connections to a node are made.

    Attributes:
        authority: `host:port`.
        certificate: What the port showed, as DER; empty where it speaks no TLS.
        trusted: The one certificate that is trusted, as PEM, or None: the public authorities.
        server_name: The name that is expected in it, or empty: the host.
    """

    authority: str
    certificate: bytes = b""
    trusted: bytes | None = None
    server_name: str = ""

    @property
    def host(self) -> str:
        """The host without brackets."""
        return self.authority.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.authority.rpartition(":")[2])

    def channel(self) -> aio.Channel:
        """Returns a new connection; whoever asks for it closes it."""
        if not self.certificate:
            return aio.insecure_channel(self.authority, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self.trusted)
        name = (("grpc.ssl_target_name_override", self.server_name),) if self.server_name else ()
        return aio.secure_channel(self.authority, credentials, options=(*_OPTIONS, *name))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Returns what a client that is not gRPC connects with, or None: plain."""
        if not self.certificate:
            return None
        context = ssl.create_default_context(cadata=self.trusted.decode() if self.trusted else None)
        context.check_hostname = False
        if self.trusted:
            # It is trusted as it stands, whoever signed it: gRPC does the same.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.set_alpn_protocols(["h2"])
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A node that answered with a card. Whether the card can be relied on is for the checks to say.

    Attributes:
        address: As it was named.
        transport: How it is reached.
        envelope: The card as it came.
        card: The same, parsed.
    """

    address: str
    transport: Transport
    envelope: SignedEnvelope
    card: node_pb2.NodeCard

    @property
    def card_digest(self) -> bytes:
        """The digest by which asks name the card, 32 bytes."""
        return envelopes.envelope_digest(self.envelope)

    @property
    def node_id(self) -> bytes:
        """The root key, 32 bytes."""
        return self.card.node_id


async def reach(address: str, *, seconds: float = 10.0) -> Target:
    """Makes the first contact.

    Args:
        address: `cn1…@host:port`, `host:port`, `http://host:port` or `https://host:port`.
        seconds: Bounds each step.

    Raises:
        AddressError: The address is none of these.
        UnreachableError: Nothing answers there with a card.
    """
    expected, authority, plain = _read(address)
    transport = await _transport(authority, expected=expected, plain=plain, seconds=seconds)
    async with transport.channel() as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{GET_NODE_CARD}")
        try:
            answer = await call(b"", timeout=seconds)
        except aio.AioRpcError as error:
            raise UnreachableError(_why_no_card(authority, error)) from error
    return _target(address, transport, answer, expected=expected)


async def is_served(target: Target, *, method: str, seconds: float = 5.0) -> bool:
    """Tells whether a node serves a method: only UNIMPLEMENTED says that it does not.

    Args:
        target: The node.
        method: Full name without leading slash; it is called with an empty request.
        seconds: Bounds the call.
    """
    async with target.transport.channel() as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{method}")
        try:
            await call(b"", timeout=seconds)
        except aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.UNIMPLEMENTED
    return True


def _why_no_card(authority: str, error: aio.AioRpcError) -> str:
    words = error.details() or ""
    if words.startswith(_NO_GRPC):
        # The port has just taken a connection: what failed is the talk over it.
        return f"no gRPC answers at {authority}: {words}"
    return f"{authority} does not answer GetNodeCard: {error.code().name} {words}".rstrip()


def _target(address: str, transport: Transport, answer: bytes, *, expected: bytes | None) -> Target:
    try:
        envelope = node_pb2.GetNodeCardResponse.FromString(answer).card
        card = node_pb2.NodeCard.FromString(envelope.payload)
    except Exception as error:
        raise UnreachableError(f"{transport.authority} answers GetNodeCard with what is no card") from error
    if expected is not None and card.node_id != expected:
        raise UnreachableError(f"{transport.authority} is another node: {node_ids.text_of(card.node_id)}")
    return Target(address=address, transport=transport, envelope=envelope, card=card)


def _read(address: str) -> tuple[bytes | None, str, bool | None]:
    """Returns the node id that is expected, `host:port`, and whether it is plain, where the address says so."""
    scheme, _, rest = address.rpartition("://")
    text, _, authority = rest.rpartition("@")
    host, _, port = authority.rpartition(":")
    if not host or not port.isdecimal() or scheme not in _SCHEMES or (scheme and text):
        raise AddressError(
            f"{address!r} is no address of a node: write cn1…@host:port or host:port, or http:// or https:// before "
            "host:port"
        )
    if not port.isascii() or len(port) > len(str(_MAX_PORT)) or not 0 < int(port) <= _MAX_PORT:
        raise AddressError(f"{address!r} is no address of a node: a port is a number from 1 to {_MAX_PORT}")
    try:
        expected = node_ids.key_of(text) if text else None
    except ValueError as error:
        raise AddressError(f"{address!r} is no address of a node: {error}") from error
    return expected, authority, _SCHEMES[scheme]


async def _transport(authority: str, *, expected: bytes | None, plain: bool | None, seconds: float) -> Transport:
    bare = Transport(authority=authority)
    name = node_ids.text_of(expected) if expected else ""
    shown = b"" if plain else await _shown(bare, server_name=name or bare.host, seconds=seconds)
    if not shown:
        if not _is_loopback(bare.host):
            raise UnreachableError(f"{authority} speaks no TLS, which only a loopback address may do without")
        if plain is False:
            raise UnreachableError(f"{authority} speaks no TLS: write {authority}")
        return bare
    names = _dns_names(shown)
    own = next((one for one in names if one.startswith("cn1") and (not name or one == name)), "")
    if _is_loopback(bare.host):
        # On this machine whatever is shown is trusted, so that a certificate with a wrong name is judged by its check.
        own = own or next(iter(names), "")
    if own and (name or _is_loopback(bare.host)):
        pem = ssl.DER_cert_to_PEM_cert(shown).encode()
        return Transport(authority=authority, certificate=shown, trusted=pem, server_name=own)
    return Transport(authority=authority, certificate=shown)


async def _shown(transport: Transport, *, server_name: str, seconds: float) -> bytes:
    """Returns the certificate that a port shows in a bare handshake, as DER; empty where it speaks no TLS."""
    context = ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # without the authorities of the system, which nobody is held against
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(
                transport.host, transport.port, ssl=context, server_hostname=server_name
            )
    except TimeoutError as error:
        raise UnreachableError(f"{transport.authority} is silent") from error
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError):
        return b""
    except OSError as error:
        raise UnreachableError(f"nothing answers at {transport.authority}: {error.strerror or error}") from error
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return shown or b""


def _dns_names(der: bytes) -> list[str]:
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.DNSName))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
