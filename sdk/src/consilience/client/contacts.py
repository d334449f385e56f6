"""Contacts: the first connection to a node of which only the address is known (spec section 1.4).

The certificate is read by a bare handshake, and one connection is made that trusts it alone. What is asked on it is the
card, and only when the card names the node that was expected and pins that certificate is anything else sent.
"""

from __future__ import annotations

from consilience.client.certificates import Certificate, read_certificate
from consilience.client.connections import Connection, Connections
from consilience.errors import ProtocolError, UnreachableError
from consilience.identity import format_node_id
from consilience.nodes import Endpoint, NodeAddress, NodeCard, TlsMode, key_digest_matches
from consilience.units import PublicKey


async def first_contact(address: NodeAddress, *, connections: Connections, seconds: float) -> Connection:
    """Connects to an address: plain, or trusting the one certificate that it shows, or the public authorities.

    Raises:
        UnreachableError: Nothing listens there, or it does not speak TLS where it has to.
    """
    certificate = None
    if address.scheme != "http":
        name = format_node_id(address.node_id) if address.node_id else address.host
        certificate = await read_certificate(address.host, address.port, server_name=name, seconds=seconds)
    if certificate is None:
        if address.scheme == "https" or not address.is_loopback:
            raise UnreachableError(f"{address.authority} does not speak TLS")
        plain = Endpoint(uri=f"http://{address.authority}", tls_mode=TlsMode.LOOPBACK_PLAIN)
        return connections.meet(plain, node_id=address.node_id)
    uri = f"https://{address.authority}"
    named = _named_node(address, certificate)
    if named is None:
        return connections.meet(Endpoint(uri=uri, tls_mode=TlsMode.WEBPKI), node_id=address.node_id)
    pinned = Endpoint(uri=uri, tls_mode=TlsMode.PINNED, spki_sha256=certificate.spki_digest)
    return connections.meet(pinned, node_id=named, certificate=certificate)


async def settle(contact: Connection, card: NodeCard, *, connections: Connections) -> Connection:
    """Files a first contact under the node that its card names, with the pins of the card, and returns it.

    Raises:
        ProtocolError: The card does not pin the certificate that was shown (NODE-TLS-001).
    """
    endpoint = contact.endpoint
    if contact.certificate is not None:
        pinned = pinning_endpoint(card, contact.certificate)
        if pinned is None:
            raise ProtocolError(
                f"the certificate of {endpoint.authority} is none of those that the card pins",
                requirement="NODE-TLS-001",
            )
        endpoint = Endpoint(
            uri=endpoint.uri,
            tls_mode=TlsMode.PINNED,
            spki_sha256=pinned.spki_sha256,
            next_spki_sha256=pinned.next_spki_sha256,
        )
    return await connections.settle(contact, endpoint, node_id=card.node_id)


def other_endpoints(card: NodeCard, *, contact: Endpoint) -> tuple[Endpoint, ...]:
    """Returns the endpoints of a card that are other ways than the contact, and open from this machine."""
    plain = contact.tls_mode is TlsMode.LOOPBACK_PLAIN
    modes = {TlsMode.WEBPKI, TlsMode.PINNED} | ({TlsMode.LOOPBACK_PLAIN} if plain else set())
    return tuple(other for other in card.endpoints if other.authority != contact.authority and other.tls_mode in modes)


def pinning_endpoint(card: NodeCard, certificate: Certificate) -> Endpoint | None:
    """Returns the endpoint of a card that pins a certificate."""
    return next((each for each in card.endpoints if key_digest_matches(each, certificate.spki_digest)), None)


def _named_node(address: NodeAddress, certificate: Certificate) -> PublicKey | None:
    """Returns the node that a certificate is pinned for, or None where the public authorities have to vouch for it.

    A stranger's pinned certificate is taken on this machine alone.
    """
    named = certificate.node_ids
    if address.node_id is not None:
        return address.node_id if address.node_id in named else None
    return named[0] if named and address.is_loopback else None
