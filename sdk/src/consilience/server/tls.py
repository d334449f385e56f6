"""TLS of a node: where its certificate comes from, and how a running server gets the next one (spec section 1.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import grpc

from consilience.errors import KeyFileError, UsageError
from consilience.nodes import Endpoint, TlsMode, host_is_loopback
from consilience.server import certificates
from consilience.server.certificates import CertificatePair, PinnedCertificate
from consilience.units import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a node is to be reached beyond its own machine; made by `pinned` or `webpki`.

    Attributes:
        certificate: A file in PEM: with `pinned` the node's own, made where there is none; None: beside the root key,
            or, where that lies in no file, for as long as the process. With `webpki` the chain of a public authority.
        key: With `webpki` the file of the private key, in PEM; else None.
    """

    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def pinned(cls, file: Path | None = None) -> Tls:
        """A certificate that the node makes and renews itself, trusted by its digest in the card."""
        return cls(certificate=file)

    @classmethod
    def webpki(cls, *, certificate: Path, key: Path) -> Tls:
        """The certificate of a public authority; the files are read again when they change."""
        return cls(certificate=certificate, key=key)


class Transport(Protocol):
    """What a running server needs to know of its transport."""

    def credentials(self) -> grpc.ServerCredentials | None:
        """Returns what a port is opened with; None: no TLS."""

    def endpoint(self, uri: str) -> Endpoint:
        """Describes an address at which the node is reached, with the present pins."""

    def renew(self, *, now: datetime) -> bool:
        """Changes the certificate where it is time; returns whether the card has to say so."""


def make_transport(
    tls: Tls | None, *, node_id: PublicKey, former_ids: Sequence[PublicKey] = (), host: str, now: datetime
) -> Transport:
    """Makes the transport of a node.

    Args:
        tls: As the node was told; None is for loopback alone.
        node_id: The root key, 32 bytes.
        former_ids: The root keys before it, by which the node is still called.
        host: What the server listens on.
        now: Aware UTC.

    Raises:
        UsageError: There is no TLS, and `host` can be reached from elsewhere (NODE-TLS-003).
        KeyFileError: A file is missing or damaged.
    """
    if tls is None:
        if not host_is_loopback(host):
            raise UsageError(f"{host} can be reached from other machines: serve with tls=Tls.pinned() or Tls.webpki(…)")
        return _Plain()
    if tls.key is not None and tls.certificate is not None:
        return _WebPki(tls.certificate, tls.key)
    return _Pinned(tls.certificate, node_id=node_id, former_ids=former_ids, now=now)


class _Plain:
    def credentials(self) -> None:
        return None

    def endpoint(self, uri: str) -> Endpoint:
        return Endpoint(uri=f"http://{uri}", tls_mode=TlsMode.LOOPBACK_PLAIN)

    def renew(self, *, now: datetime) -> bool:  # noqa: ARG002 - there is nothing to renew
        return False


class _Pinned:
    """A certificate of our own, and the next key in reserve."""

    def __init__(
        self, file: Path | None, *, node_id: PublicKey, former_ids: Sequence[PublicKey], now: datetime
    ) -> None:
        self._file = file
        self._node_id = node_id
        self._former_ids = former_ids
        kept = certificates.load(file) if file is not None else None
        if kept is None:
            self._certificate = certificates.new_certificate(node_id=node_id, former_ids=former_ids, now=now)
            self._save()
        elif kept.names((node_id, *former_ids)):
            self._certificate = kept
        else:
            self._certificate = kept.renamed(node_id=node_id, former_ids=former_ids, now=now)
            self._save()
        self.renew(now=now)

    def credentials(self) -> grpc.ServerCredentials:
        return _credentials(lambda: self._certificate.pair)

    def endpoint(self, uri: str) -> Endpoint:
        pinned: PinnedCertificate = self._certificate
        return Endpoint(
            uri=f"https://{uri}",
            tls_mode=TlsMode.PINNED,
            spki_sha256=pinned.spki_sha256,
            next_spki_sha256=pinned.next_spki_sha256,
        )

    def renew(self, *, now: datetime) -> bool:
        if not self._certificate.is_due(now=now):
            return False
        self._certificate = self._certificate.renewed(node_id=self._node_id, former_ids=self._former_ids, now=now)
        self._save()
        return True

    def _save(self) -> None:
        if self._file is not None:
            certificates.save(self._certificate, self._file)


class _WebPki:
    """Files that somebody else renews."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate, key)
        self._stamp = self._read_stamp()
        self._pair = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        return _credentials(lambda: self._pair)

    def endpoint(self, uri: str) -> Endpoint:
        return Endpoint(uri=f"https://{uri}", tls_mode=TlsMode.WEBPKI)

    def renew(self, *, now: datetime) -> bool:  # noqa: ARG002 - the files tell
        stamp = self._read_stamp()
        if stamp != self._stamp:
            self._stamp, self._pair = stamp, self._read()
        return False

    def _read_stamp(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in self._paths)
        except OSError as error:
            raise KeyFileError(f"cannot read the certificate or its key: {error}") from error

    def _read(self) -> CertificatePair:
        try:
            chain, key = (path.read_bytes() for path in self._paths)
        except OSError as error:
            raise KeyFileError(f"cannot read the certificate or its key: {error}") from error
        return CertificatePair(key_pem=key, chain_pem=chain)


def _credentials(present: Callable[[], CertificatePair]) -> grpc.ServerCredentials:
    """Returns credentials that show whatever pair is present at a handshake."""
    shown = present()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        # Called by the core, in a thread of its own, at every handshake; None keeps what is shown.
        nonlocal shown
        if (pair := present()) == shown:
            return None
        shown = pair
        return _configuration(pair)

    # The stubs do not know that a fetcher may return None; the core does.
    return grpc.dynamic_ssl_server_credentials(_configuration(shown), fetch)  # type: ignore[arg-type]


def _configuration(pair: CertificatePair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key_pem, pair.chain_pem)])
