import asyncio
import hashlib
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc import aio

from consilience.errors import KeyFileError, UsageError
from consilience.identity import KeyPair, format_node_id
from consilience.nodes import TlsMode
from consilience.server import Node, RunningNode, Tls, certificates
from consilience.server.tls import make_transport
from consilience.units import PublicKey, utc_now
from sdk.tests.server.callers import Caller, fetch_card
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import Counting, echo, serve_test_skills

ANYWHERE = "127.0.0.1:0"
UNTIL_RENEWAL = timedelta(days=61)


async def shown_certificate(port: int) -> x509.Certificate:
    """Returns the certificate that a port shows in a bare handshake, which trusts nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(der)


def pin_of(certificate: x509.Certificate) -> bytes:
    info = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(info).digest()


@asynccontextmanager
async def calling_over_tls(running: RunningNode, *, trusted: x509.Certificate, name: str) -> AsyncIterator[Caller]:
    """Connects to whoever shows one certificate and has one name."""
    credentials = grpc.ssl_channel_credentials(trusted.public_bytes(serialization.Encoding.PEM))
    options = (("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1))
    async with aio.secure_channel(f"127.0.0.1:{running.port}", credentials, options=options) as channel:
        card, _ = await fetch_card(channel)
        yield Caller(channel, node_id=card.value.node_id, card_digest=card.digest)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tls" / "certificate.pem"


def pinned_node(key: KeyPair, file: Path | None, *, clock: ManualClock | None = None) -> Node:
    node = Node("test", key=key, tls=Tls.pinned(file), clock=clock or utc_now)
    node.skill("echo")(echo)
    return node


async def test_a_pinned_node_is_reached_by_its_certificate_and_its_name(key: KeyPair, file: Path) -> None:
    async with pinned_node(key, file).serving(ANYWHERE) as running:
        shown = await shown_certificate(running.port)
        async with calling_over_tls(running, trusted=shown, name=format_node_id(key.public_key)) as caller:
            _, reading = await caller.ask("over TLS")
        (endpoint,) = running.card.value.endpoints
    assert reading.text == "over TLS"
    assert endpoint.uri == f"https://127.0.0.1:{running.port}"
    assert endpoint.tls_mode is TlsMode.PINNED
    assert endpoint.spki_sha256 == pin_of(shown)
    assert endpoint.next_spki_sha256 not in {b"", endpoint.spki_sha256}
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [format_node_id(key.public_key)]


async def test_whoever_expects_another_node_does_not_connect(key: KeyPair, file: Path) -> None:
    async with pinned_node(key, file).serving(ANYWHERE) as running:
        shown = await shown_certificate(running.port)
        stranger = format_node_id(KeyPair.generate().public_key)
        with pytest.raises(aio.AioRpcError, match="UNAVAILABLE"):
            async with calling_over_tls(running, trusted=shown, name=stranger):
                pass


async def test_whoever_trusts_another_certificate_does_not_connect(key: KeyPair, file: Path) -> None:
    other = certificates.new_certificate(node_id=key.public_key, now=utc_now()).certificate
    async with pinned_node(key, file).serving(ANYWHERE) as running:
        with pytest.raises(aio.AioRpcError, match="UNAVAILABLE"):
            async with calling_over_tls(running, trusted=other, name=format_node_id(key.public_key)):
                pass


async def test_plain_text_gets_nothing_from_a_node_with_tls(key: KeyPair, file: Path) -> None:
    async with (
        pinned_node(key, file).serving(ANYWHERE) as running,
        aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        with pytest.raises(aio.AioRpcError, match="UNAVAILABLE"):
            await fetch_card(channel)


async def test_the_certificate_outlives_a_restart(key: KeyPair, file: Path) -> None:
    pins = []
    for _ in range(2):
        async with pinned_node(key, file).serving(ANYWHERE) as running:
            (endpoint,) = running.card.value.endpoints
            pins.append(endpoint.pins)
    assert pins[0] == pins[1]


async def test_a_certificate_without_a_file_lasts_as_long_as_the_node(key: KeyPair) -> None:
    async with pinned_node(key, None).serving(ANYWHERE) as running:
        shown = await shown_certificate(running.port)
        async with calling_over_tls(running, trusted=shown, name=format_node_id(key.public_key)) as caller:
            await caller.ask()


async def test_a_pinned_certificate_lies_beside_the_root_key_where_no_other_place_is_named(tmp_path: Path) -> None:
    node = Node("test", key=tmp_path / "root.key", tls=Tls.pinned())
    node.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running:
        shown = await shown_certificate(running.port)
    kept = certificates.load(tmp_path / "certificate.pem")
    assert kept is not None
    assert kept.certificate == shown


async def test_a_running_node_renews_its_certificate_to_the_key_that_its_card_announced(
    key: KeyPair, file: Path, clock: ManualClock
) -> None:
    async with pinned_node(key, file, clock=clock).serving(ANYWHERE) as running:
        before, (announced,) = await shown_certificate(running.port), running.card.value.endpoints
        async with calling_over_tls(running, trusted=before, name=format_node_id(key.public_key)) as caller:
            clock.advance(UNTIL_RENEWAL)
            await running.tend()
            await fetch_card(caller.channel)  # a connection that was made before goes on
        after, (renewed,) = await shown_certificate(running.port), running.card.value.endpoints
    assert pin_of(before) == announced.spki_sha256
    assert pin_of(after) == announced.next_spki_sha256 == renewed.spki_sha256
    assert renewed.next_spki_sha256 not in announced.pins
    assert after.not_valid_after_utc > before.not_valid_after_utc


async def test_a_node_that_was_off_for_long_starts_with_a_certificate_that_is_valid(
    key: KeyPair, file: Path, clock: ManualClock
) -> None:
    async with pinned_node(key, file, clock=clock).serving(ANYWHERE) as running:
        (announced,) = running.card.value.endpoints
    clock.advance(timedelta(days=400))
    async with pinned_node(key, file, clock=clock).serving(ANYWHERE) as running:
        shown = await shown_certificate(running.port)
    assert pin_of(shown) == announced.next_spki_sha256
    assert shown.not_valid_after_utc > clock()


@pytest.mark.parametrize("content", ["", "not a certificate", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_certificate_file_is_told(key: KeyPair, file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(KeyFileError, match=file.name):
        certificates.load(file)


def test_a_certificate_comes_back_from_its_file_as_it_was(key: KeyPair, file: Path) -> None:
    made = certificates.new_certificate(node_id=key.public_key, now=utc_now())
    certificates.save(made, file)
    loaded = certificates.load(file)
    assert loaded is not None
    assert loaded.pair == made.pair
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (loaded.spki_sha256, loaded.next_spki_sha256) == (made.spki_sha256, made.next_spki_sha256)


def test_a_certificate_is_called_by_the_new_root_key_and_by_former_ones_and_keeps_its_pins(
    key: KeyPair, file: Path
) -> None:
    new, now = KeyPair.generate().public_key, utc_now()
    old = key.public_key
    before = make_transport(Tls.pinned(file), node_id=old, host="127.0.0.1", now=now)
    after = make_transport(Tls.pinned(file), node_id=new, former_ids=[old], host="127.0.0.1", now=now)
    assert after.endpoint("127.0.0.1:1") == before.endpoint("127.0.0.1:1")
    kept = certificates.load(file)
    assert kept is not None
    assert kept.names([new, old])
    assert kept.renewed(node_id=new, former_ids=[old], now=now).names([new, old])
    make_transport(Tls.pinned(file), node_id=new, former_ids=[old], host="127.0.0.1", now=now)
    again = certificates.load(file)
    assert again is not None
    assert again.pair == kept.pair


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:7341"])
def test_a_node_without_tls_serves_its_own_machine_alone(node: Node, address: str) -> None:
    with pytest.raises(UsageError, match="tls="):
        node.serving(address, advertise=["example.org:7341"])


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:99999", ":7341"])
def test_what_is_no_address_is_told(node: Node, address: str) -> None:
    with pytest.raises(UsageError, match="host:port"):
        node.serving(address)


async def test_a_wildcard_needs_an_address_that_others_can_call(key: KeyPair, file: Path) -> None:
    node = pinned_node(key, file)
    with pytest.raises(UsageError, match="advertise"):
        node.serving("0.0.0.0:0")
    advertised = ["node.example.org:7341", "[2001:db8::1]:7341"]
    async with node.serving("0.0.0.0:0", advertise=advertised) as running:
        uris = [endpoint.uri for endpoint in running.card.value.endpoints]
        assert running.address == f"{format_node_id(key.public_key)}@node.example.org:7341"
    assert uris == ["https://node.example.org:7341", "https://[2001:db8::1]:7341"]


async def test_a_certificate_of_an_authority_is_served_and_read_again_when_it_changes(
    key: KeyPair, tmp_path: Path, counting: Counting
) -> None:
    chain, secret = tmp_path / "chain.pem", tmp_path / "key.pem"
    first = write_authority_certificate(chain, secret)
    node = Node("test", key=key, tls=Tls.webpki(certificate=chain, key=secret))
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE, advertise=["localhost:7341"]) as running:
        async with calling_over_tls(running, trusted=first, name="localhost") as caller:
            _, reading = await caller.ask("as on the web")
        (endpoint,) = running.card.value.endpoints
        assert (endpoint.tls_mode, endpoint.spki_sha256) == (TlsMode.WEBPKI, b"")
        second = write_authority_certificate(chain, secret)
        await running.tend()
        assert await shown_certificate(running.port) == second
    assert reading.text == "as on the web"


def test_files_of_an_authority_that_are_missing_are_told(key: KeyPair, tmp_path: Path) -> None:
    node = Node("test", key=key, tls=Tls.webpki(certificate=tmp_path / "chain.pem", key=tmp_path / "key.pem"))
    node.skill("echo")(echo)
    with pytest.raises(KeyFileError, match="certificate"):
        node.serving(ANYWHERE)


def write_authority_certificate(chain: Path, secret: Path) -> x509.Certificate:
    """Writes a certificate for `localhost` as an authority might, and returns it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*encoding))
    return certificate


def test_a_certificate_names_nobody_but_its_node() -> None:
    node_id = PublicKey(bytes(range(32)))
    certificate = certificates.new_certificate(node_id=node_id, now=utc_now()).certificate
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [format_node_id(node_id)]
