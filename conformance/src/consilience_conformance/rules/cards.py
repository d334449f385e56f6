"""Rules of cards (spec chapter 1): what a card says, who signs it, and which certificate it vouches for."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.message import DecodeError

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time

NODE_CARD = "consilience.v1.NodeCard"
MAX_CARD_BYTES = 65536
MIN_RSA_BITS = 2048
MAX_KEY_LIFETIME = timedelta(days=30)

_OPTIONAL_LIMITS = {"max_input_tokens", "max_output_tokens"}
_LIMITS_OF_PROFILES = {"max_quotes_per_minute": node_pb2.PROFILE_PAY}
"""Limits that mean something in nodes of a profile alone."""
_MICROSECOND = timedelta(microseconds=1)


def signature_findings(envelope: SignedEnvelope) -> Iterator[Finding]:
    """Yields why a card does not count as said by the node that it names (NODE-CARD-001)."""
    card = node_pb2.NodeCard.FromString(envelope.payload)
    if defect := envelopes.defect_of(envelope, payload_type=NODE_CARD, signer=card.node_id):
        yield Finding(requirement="NODE-CARD-001", message="the root key does not sign the card", got=defect)


def content_findings(envelope: SignedEnvelope) -> Iterator[Finding]:
    """Yields what a card lacks, or has too much of, beyond the rules of its single fields (NODE-CARD-002, -006)."""
    card = node_pb2.NodeCard.FromString(envelope.payload)
    if len(envelope.payload) > MAX_CARD_BYTES:
        yield Finding(
            requirement="NODE-CARD-002",
            message="the card is too large",
            expected=f"at most {MAX_CARD_BYTES} bytes",
            got=f"{len(envelope.payload)} bytes",
        )
    if node_pb2.PROFILE_CORE not in card.profiles:
        yield Finding(requirement="NODE-CARD-006", message="the card does not declare PROFILE_CORE")
    for field in card.limits.DESCRIPTOR.fields:
        value = getattr(card.limits, field.name)
        is_set = nanoseconds_of(value) if field.message_type else value
        profile = _LIMITS_OF_PROFILES.get(field.name)
        is_needed = field.name not in _OPTIONAL_LIMITS and (profile is None or profile in card.profiles)
        if is_needed and not is_set:
            yield Finding(
                requirement="ERR-FLD-001",
                message=f"the card leaves a limit open: {field.name}",
                expected="set",
                got="0",
            )


def key_findings(card: node_pb2.NodeCard) -> Iterator[Finding]:
    """Yields the signing keys that outlive what a card may say (NODE-KEY-001)."""
    latest = card.sequence * 1000 + MAX_KEY_LIFETIME // _MICROSECOND * 1000
    for key in card.signing_keys:
        if nanoseconds_of(key.expire_time) > latest:
            yield Finding(
                requirement="NODE-KEY-001",
                message="a signing key lives too long",
                expected=f"{MAX_KEY_LIFETIME.days} days after the issue of the card, or earlier",
                got=f"{key.public_key.hex()} until {shown_time(key.expire_time)}",
            )


def plain_findings(card: node_pb2.NodeCard) -> Iterator[Finding]:
    """Yields the endpoints without TLS that other machines can call (NODE-TLS-003)."""
    for endpoint in card.endpoints:
        if endpoint.tls_mode == node_pb2.TLS_MODE_LOOPBACK_PLAIN and not _on_loopback(endpoint.uri):
            yield Finding(
                requirement="NODE-TLS-003",
                message="an endpoint without TLS is not on a loopback address",
                expected="127.0.0.0/8, ::1 or localhost",
                got=endpoint.uri,
            )


def _on_loopback(uri: str) -> bool:
    try:
        host = urlsplit(uri).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def certificate_findings(card: node_pb2.NodeCard, der: bytes) -> Iterator[Finding]:
    """Yields why a certificate is not that of a pinned endpoint of a card (NODE-TLS-002).

    Args:
        card: With a pinned endpoint.
        der: What the port showed.
    """

    def finding(message: str, *, expected: str = "", got: str = "") -> Finding:
        return Finding(requirement="NODE-TLS-002", message=message, expected=expected, got=got)

    certificate = x509.load_der_x509_certificate(der)
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature) as error:
        issuer, subject = certificate.issuer.rfc4514_string(), certificate.subject.rfc4514_string()
        yield finding(
            "the certificate is not self-signed", expected=subject, got=f"issued by {issuer} {error}".rstrip()
        )
    key = certificate.public_key()
    if not _is_taken_everywhere(key):
        yield finding(
            "the key of the certificate is of a kind that libraries refuse",
            expected=f"P-256, or RSA of {MIN_RSA_BITS} bits or more",
            got=type(key).__name__,
        )
    name, names = node_ids.text_of(card.node_id), dns_names(certificate)
    if name not in names:
        yield finding(
            "the certificate does not name the node", expected=f"dNSName {name}", got=", ".join(names) or "no dNSName"
        )
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin, pins = hashlib.sha256(info).digest(), pins_of(card)
    if pin not in pins:
        yield finding(
            "the key of the certificate is none of the pins",
            expected=" or ".join(one.hex() for one in pins),
            got=pin.hex(),
        )


def _is_taken_everywhere(key: object) -> bool:
    match key:
        case ec.EllipticCurvePublicKey():
            return isinstance(key.curve, ec.SECP256R1)
        case rsa.RSAPublicKey():
            return key.key_size >= MIN_RSA_BITS
        case _:
            return False


def pins_of(card: node_pb2.NodeCard) -> list[bytes]:
    """Returns the pins of all endpoints, 32 bytes each; none: no endpoint is pinned."""
    return [
        pin
        for endpoint in card.endpoints
        if endpoint.tls_mode == node_pb2.TLS_MODE_PINNED
        for pin in (endpoint.spki_sha256, endpoint.next_spki_sha256)
        if pin
    ]


def dns_names(certificate: x509.Certificate) -> list[str]:
    """Returns the dNSNames among the subject alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return []
    return list(names.get_values_for_type(x509.DNSName))


def succession_findings(successions: Sequence[SignedEnvelope], *, node_id: bytes, exchange: str) -> Iterator[Finding]:
    """Yields where the successions do not open, or do not lead, one after the other, to the node (section 1.3).

    The step that needs cards of the former keys is left to those who have them.
    """

    def unsigned(what: str, defect: str) -> Finding:
        return Finding(requirement="SIG-ENV-001", message=f"{what} does not open", got=defect, exchange=exchange)

    reached: bytes | None = None
    for index, envelope in enumerate(successions):
        try:
            succession = node_pb2.KeySuccession.FromString(envelope.payload)
            acceptance = node_pb2.KeyAcceptance.FromString(succession.acceptance.payload)
        except DecodeError as error:
            yield unsigned(f"succession {index}", str(error))
            return
        for what, one, kind, signer in (
            (f"succession {index}", envelope, succession, succession.old_node_id),
            (f"the acceptance in succession {index}", succession.acceptance, acceptance, acceptance.new_node_id),
        ):
            if defect := envelopes.defect_of(one, payload_type=kind.DESCRIPTOR.full_name, signer=signer):
                yield unsigned(what, defect)
            yield from field_findings(one.payload, kind.DESCRIPTOR.full_name, exchange=exchange)
        for expected, got in ((succession.old_node_id, acceptance.old_node_id), (reached, succession.old_node_id)):
            if expected is not None and expected != got:
                yield _astray(f"succession {index}", expected=expected, got=got, exchange=exchange)
        reached = acceptance.new_node_id
    if reached is not None and reached != node_id:
        yield _astray("the last succession", expected=node_id, got=reached, exchange=exchange)


def _astray(what: str, *, expected: bytes, got: bytes, exchange: str) -> Finding:
    return Finding(
        requirement="ERR-FLD-001",
        message=f"{what} does not lead on to the node",
        expected=node_ids.text_of(expected),
        got=node_ids.text_of(got),
        exchange=exchange,
    )
