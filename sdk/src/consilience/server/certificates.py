"""Certificates: how a node proves its transport to those who know its card (spec section 1.4).

A pinned node signs its own certificate. Askers trust the digest of its public key, which stands in the card together
with that of the next key, so a renewal breaks nobody. The certificate names the node id as its DNS name, which is what
an asker then expects in place of a host name (NODE-TLS-002).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consilience.errors import KeyFileError
from consilience.identity import format_node_id
from consilience.units import Digest, PublicKey

CERTIFICATE_LIFETIME = timedelta(days=90)
CLOCK_TOLERANCE = timedelta(days=1)
"""A certificate is valid from a day before it was made, for askers whose clock is slow."""

PrivateKey = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePair:
    """What a TLS server shows and holds, in PEM."""

    key_pem: bytes
    chain_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedCertificate:
    """The self-signed certificate of a node, its key, and the key that comes next.

    Attributes:
        certificate: In use.
        key: Its private key, on P-256.
        next_key: That of the certificate after it.
    """

    certificate: x509.Certificate
    key: PrivateKey
    next_key: PrivateKey

    @property
    def pair(self) -> CertificatePair:
        """What the server shows and holds."""
        return CertificatePair(
            key_pem=_key_pem(self.key), chain_pem=self.certificate.public_bytes(serialization.Encoding.PEM)
        )

    @property
    def spki_sha256(self) -> Digest:
        """The pin: SHA-256 of the SubjectPublicKeyInfo in use."""
        return spki_digest(self.key)

    @property
    def next_spki_sha256(self) -> Digest:
        """The pin of the certificate that comes next."""
        return spki_digest(self.next_key)

    def is_due(self, *, now: datetime) -> bool:
        """Tells whether two thirds of its lifetime have passed, so that it is time for the next one."""
        return now >= self.certificate.not_valid_after_utc - CERTIFICATE_LIFETIME / 3

    def names(self, node_ids: Iterable[PublicKey]) -> bool:
        """Tells whether the certificate names all of some nodes."""
        named = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return set(map(format_node_id, node_ids)) <= set(named.get_values_for_type(x509.DNSName))

    def renewed(self, *, node_id: PublicKey, former_ids: Sequence[PublicKey] = (), now: datetime) -> PinnedCertificate:
        """Returns the certificate of the next key, and makes the key after it."""
        certificate = self_signed(self.next_key, node_id=node_id, former_ids=former_ids, now=now)
        return PinnedCertificate(certificate=certificate, key=self.next_key, next_key=_new_key())

    def renamed(self, *, node_id: PublicKey, former_ids: Sequence[PublicKey], now: datetime) -> PinnedCertificate:
        """Returns a certificate of the same key with other names: whoever pinned it goes on."""
        certificate = self_signed(self.key, node_id=node_id, former_ids=former_ids, now=now)
        return PinnedCertificate(certificate=certificate, key=self.key, next_key=self.next_key)


def new_certificate(*, node_id: PublicKey, former_ids: Sequence[PublicKey] = (), now: datetime) -> PinnedCertificate:
    """Makes keys and certificate of a node that has none."""
    key = _new_key()
    certificate = self_signed(key, node_id=node_id, former_ids=former_ids, now=now)
    return PinnedCertificate(certificate=certificate, key=key, next_key=_new_key())


def self_signed(
    key: PrivateKey, *, node_id: PublicKey, former_ids: Sequence[PublicKey] = (), now: datetime
) -> x509.Certificate:
    """Makes a certificate that its own key signs, and whose only names are those of the node.

    Args:
        key: On P-256.
        node_id: The root key of the node, 32 bytes.
        former_ids: The root keys that it had before: who knows it by one of them expects that name.
        now: Aware UTC.
    """
    text, *former = map(format_node_id, (node_id, *former_ids))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, (text, *former)))), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def spki_digest(key: PrivateKey) -> Digest:
    """Returns SHA-256 of the SubjectPublicKeyInfo of a key, in DER (RFC 5280, section 4.1)."""
    info = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Digest(hashlib.sha256(info).digest())


def save(pinned: PinnedCertificate, path: Path) -> None:
    """Writes certificate and both keys into one file of mode 0600, whole or not at all.

    Raises:
        KeyFileError: The file cannot be written.
    """
    content = pinned.pair.chain_pem + _key_pem(pinned.key) + _key_pem(pinned.next_key)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise KeyFileError(f"cannot write the certificate {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> PinnedCertificate | None:
    """Reads what `save` wrote, or returns None where there is no file.

    Raises:
        KeyFileError: The file cannot be read, or holds something else.
    """
    marker = b"-----BEGIN PRIVATE KEY-----"
    try:
        certificate, *keys = path.read_bytes().split(marker)
        current, following = (serialization.load_pem_private_key(marker + key, password=None) for key in keys)
        parsed = x509.load_pem_x509_certificate(certificate)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} does not hold a certificate with its two keys: {error}") from error
    if not isinstance(current, PrivateKey) or not isinstance(following, PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind than P-256")
    return PinnedCertificate(certificate=parsed, key=current, next_key=following)


def _new_key() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
