"""Certificates: what a port shows in a bare TLS handshake, before anything is trusted or sent (spec section 1.4)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
from dataclasses import dataclass
from functools import cached_property

from consilience.errors import AddressInvalidError, ProtocolError, UnreachableError
from consilience.identity import parse_node_id
from consilience.units import Digest, PublicKey

_SEQUENCE = 0x30
_VERSION = 0xA0
_FIELDS_BEFORE_KEY = 5  # serialNumber, signature, issuer, validity, subject (RFC 5280, section 4.1)
_LONG_LENGTH = 0x80
_MAX_LENGTH_BYTES = 4
_NODE_ID = re.compile(rb"cn1[a-z2-7]{52}")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate of a port, as DER. Nothing about it is trusted yet."""

    der: bytes

    @property
    def pem(self) -> bytes:
        """The certificate as gRPC reads it."""
        return ssl.DER_cert_to_PEM_cert(self.der).encode()

    @cached_property
    def spki_digest(self) -> Digest:
        """SHA-256 of the SubjectPublicKeyInfo, which is what a card pins.

        Raises:
            ProtocolError: It is not an X.509 certificate.
        """
        return Digest(hashlib.sha256(subject_public_key_info(self.der)).digest())

    @property
    def node_ids(self) -> tuple[PublicKey, ...]:
        """The node ids whose text form stands anywhere in the certificate, as it does in a pinned one.

        This only chooses how to connect: whether the name is in the right place, the TLS library checks.
        """
        found = []
        for text in _NODE_ID.findall(self.der):
            with contextlib.suppress(AddressInvalidError):
                found.append(parse_node_id(text.decode()))
        return tuple(found)


async def read_certificate(host: str, port: int, *, server_name: str, seconds: float) -> Certificate | None:
    """Shakes hands over TLS without trust, notes the certificate and hangs up.

    Args:
        host: A name or an address, without brackets.
        port: The port.
        server_name: Goes into the handshake (SNI), so that a front with many certificates can choose.
        seconds: Bounds connection and handshake together.

    Returns:
        The certificate, or None where something listens that does not speak TLS.

    Raises:
        UnreachableError: Nothing listens there, or it is silent.
    """
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=_trusting_nobody(), server_hostname=server_name)
    except TimeoutError as error:
        raise UnreachableError(f"{host}:{port} did not shake hands within {seconds:g} s") from error
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError):
        return None
    except OSError as error:
        raise UnreachableError(f"{host}:{port} cannot be reached: {error.strerror or error}") from error
    except ValueError as error:  # a name that cannot be looked up, or not be asked for
        raise UnreachableError(f"{host!r} is no name of a machine: {error}") from error
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return Certificate(der=der)


def subject_public_key_info(der: bytes) -> bytes:
    """Returns the SubjectPublicKeyInfo of a certificate, header included (RFC 5280, section 4.1).

    Args:
        der: An X.509 certificate, from a stranger.

    Raises:
        ProtocolError: It is none.
    """
    try:
        _, at, _ = _element(der, 0, expected=_SEQUENCE)
        _, at, _ = _element(der, at, expected=_SEQUENCE)
        tag, _, end = _element(der, at)
        if tag == _VERSION:
            at = end
        for _ in range(_FIELDS_BEFORE_KEY):
            _, _, at = _element(der, at)
        _, _, end = _element(der, at, expected=_SEQUENCE)
    except ValueError as error:
        raise ProtocolError(f"the certificate cannot be read: {error}", requirement="NODE-TLS-001") from error
    return der[at:end]


def _element(der: bytes, at: int, *, expected: int | None = None) -> tuple[int, int, int]:
    """Returns tag, start of the content and end of the DER element that begins at a byte (X.690, section 8.1)."""
    header = der[at : at + 2]
    if len(header) < 2:  # noqa: PLR2004 - one byte of tag, one of length
        raise ValueError(f"it ends within the element at byte {at}")
    tag, length = header
    start = at + 2
    if length & _LONG_LENGTH:
        size = length & ~_LONG_LENGTH
        if not 1 <= size <= _MAX_LENGTH_BYTES:
            raise ValueError(f"the element at byte {at} has no definite length")
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    end = start + length
    if end > len(der):
        raise ValueError(f"the element at byte {at} goes beyond the end")
    if expected is not None and tag != expected:
        raise ValueError(f"the element at byte {at} has tag {tag:#x} and not {expected:#x}")
    return tag, start, end


def _trusting_nobody() -> ssl.SSLContext:
    """Returns a context that accepts any certificate, because reading it is all that happens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
