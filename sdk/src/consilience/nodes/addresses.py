"""Addresses: where a node is, and which one is expected there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from consilience.errors import AddressInvalidError
from consilience.identity import NODE_ID_PREFIX, format_node_id, parse_node_id
from consilience.units import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """Where to find a node, and which one to expect there.

    Attributes:
        authority: `host:port`.
        node_id: The node expected, or None: then it is not pinned, and only TLS or loopback vouches for it.
        scheme: "https", "http", or "" for: TLS, and on loopback what the port speaks.
    """

    authority: str
    node_id: PublicKey | None = None
    scheme: str = ""

    @classmethod
    def parse(cls, text: str) -> NodeAddress:
        """Reads `cn1…@host:port`, `https://host:port`, `http://127.0.0.1:port` or `127.0.0.1:port`.

        Raises:
            AddressInvalidError: It is none of these, or trusts a stranger without TLS.
        """
        name, at, rest = text.rpartition("@")
        scheme, separator, authority = rest.rpartition("://")
        if (name and not name.startswith(NODE_ID_PREFIX)) or (at and not name):
            raise AddressInvalidError(f"{text!r}: before the @ stands a node id, which begins with cn1")
        if separator and scheme not in {"http", "https"}:
            raise AddressInvalidError(f"{text!r}: the scheme is https, or http on this machine")
        try:
            parts = urlsplit(f"//{authority}")
            complete = bool(parts.hostname) and parts.port is not None and parts.netloc == authority
        except ValueError:
            complete = False
        if not complete and text.startswith(NODE_ID_PREFIX) and ":" not in text:
            raise AddressInvalidError(
                f"{text!r} is an id without an address: write host:port behind it, or let `Client.locate` find its card"
            )
        if not complete:
            raise AddressInvalidError(f"{text!r} does not end in host:port, with a port from 1 to 65535")
        address = cls(authority=authority, node_id=parse_node_id(name) if name else None, scheme=scheme)
        if not address.is_loopback and (scheme == "http" or not (scheme or name)):
            raise AddressInvalidError(
                f"{text!r} is on another machine: put cn1…@ or https:// before it, so that it can be trusted"
            )
        return address

    def __str__(self) -> str:
        """Returns it as `parse` reads it."""
        name = "" if self.node_id is None else f"{format_node_id(self.node_id)}@"
        return f"{name}{self.scheme and f'{self.scheme}://'}{self.authority}"

    @property
    def host(self) -> str:
        """The host without port or brackets."""
        return urlsplit(f"//{self.authority}").hostname or ""

    @property
    def port(self) -> int:
        """The port."""
        return urlsplit(f"//{self.authority}").port or 0

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine by its very name."""
        return host_is_loopback(self.host)


def host_is_loopback(host: str) -> bool:
    """Tells whether a host name or address is this machine by its very form; nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
