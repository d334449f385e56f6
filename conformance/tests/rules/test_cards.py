"""The rules of cards find each fault in a card made by hand, and none in a good one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids, signatures
from consilience_conformance.rules import cards
from consilience_conformance.verdicts import Finding

CertificateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

ROOT, OTHER, THIRD = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
NODE_ID = signatures.public_key(ROOT)
NAME = node_ids.text_of(NODE_ID)
ISSUED = datetime(2026, 1, 15, 11, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
PLAIN = node_pb2.Endpoint(uri="http://127.0.0.1:7341", tls_mode=node_pb2.TLS_MODE_LOOPBACK_PLAIN)


def pin_of(key: CertificateKey) -> bytes:
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).digest()


def good_card() -> node_pb2.NodeCard:
    card = node_pb2.NodeCard(
        node_id=NODE_ID,
        sequence=int(ISSUED.timestamp() * 1_000_000),
        signing_keys=[node_pb2.SigningKey(public_key=NODE_ID)],
        endpoints=[PLAIN],
        skills=[node_pb2.Skill(id="chat")],
        limits=node_pb2.Limits(
            max_message_bytes=1,
            max_turns=1,
            max_input_bytes=1,
            max_running_asks=1,
            max_running_asks_per_caller=1,
            max_readers_per_answer=1,
        ),
        data_policy=node_pb2.DataPolicy(max_data_class=node_pb2.DATA_CLASS_PUBLIC),
        profiles=[node_pb2.PROFILE_CORE],
    )
    card.expire_time.FromDatetime(ISSUED + timedelta(days=1))
    card.signing_keys[0].expire_time.FromDatetime(ISSUED + timedelta(days=30))
    card.limits.max_run_time.FromSeconds(1)
    card.limits.answer_retention.FromSeconds(1)
    return card


def sealed(card: node_pb2.NodeCard, *, seed: bytes = ROOT) -> SignedEnvelope:
    return envelopes.seal(card, seed=seed)


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.requirement, finding.message) for finding in findings]


def test_a_good_card_is_found_nothing_of() -> None:
    card = good_card()
    assert told(cards.signature_findings(sealed(card))) == []
    assert told(cards.content_findings(sealed(card))) == []
    assert told(cards.key_findings(card)) == []
    assert told(cards.plain_findings(card)) == []


def test_a_card_that_another_key_signs_is_not_the_nodes() -> None:
    found = told(cards.signature_findings(sealed(good_card(), seed=OTHER)))
    assert found == [("NODE-CARD-001", "the root key does not sign the card")]


def test_a_card_whose_signature_is_spoilt_is_not_the_nodes() -> None:
    envelope = sealed(good_card())
    envelope.signature = bytes(64)
    (finding,) = cards.signature_findings(envelope)
    assert (finding.requirement, finding.got) == ("NODE-CARD-001", "the signature does not verify")


def with_an_open_limit(card: node_pb2.NodeCard) -> None:
    card.limits.ClearField("answer_retention")


def large(card: node_pb2.NodeCard) -> None:
    card.extensions["https://example.org/large"].value = bytes(cards.MAX_CARD_BYTES)


def durable_alone(card: node_pb2.NodeCard) -> None:
    card.profiles[:] = [node_pb2.PROFILE_DURABLE]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (durable_alone, ("NODE-CARD-006", "the card does not declare PROFILE_CORE")),
        (large, ("NODE-CARD-002", "the card is too large")),
        (with_an_open_limit, ("ERR-FLD-001", "the card leaves a limit open: answer_retention")),
    ],
)
def test_each_fault_in_what_a_card_says_is_found(
    spoil: Callable[[node_pb2.NodeCard], None], expected: tuple[str, str]
) -> None:
    card = good_card()
    spoil(card)
    assert told(cards.content_findings(sealed(card))) == [expected]


def test_fields_of_a_newer_version_break_no_rule() -> None:
    newer = good_card().SerializeToString() + b"\xc2\x3e\x05newer"
    envelope = envelopes.seal_bytes(newer, payload_type=cards.NODE_CARD, seed=ROOT)
    assert told(cards.content_findings(envelope)) == []


def test_a_signing_key_of_a_nanosecond_more_than_30_days_is_found() -> None:
    card = good_card()
    card.signing_keys[0].expire_time.nanos += 1
    assert told(cards.key_findings(card)) == [("NODE-KEY-001", "a signing key lives too long")]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "[::1]", "localhost"])
def test_a_plain_endpoint_may_be_on_loopback(host: str) -> None:
    card = good_card()
    card.endpoints[0].uri = f"http://{host}:7341"
    assert told(cards.plain_findings(card)) == []


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "node.example.org", "localhost.example.org", "[::1"])
def test_a_plain_endpoint_elsewhere_is_found(host: str) -> None:
    card = good_card()
    card.endpoints[0].uri = f"http://{host}:7341"
    (finding,) = cards.plain_findings(card)
    assert finding.requirement == "NODE-TLS-003"


def certificate(
    *,
    name: str | None = NAME,
    key: CertificateKey = KEY,
    issuer: CertificateKey | None = None,
    issuer_name: str = NAME,
) -> bytes:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(NAME))
        .issuer_name(named(issuer_name))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ISSUED)
        .not_valid_after(ISSUED + timedelta(days=1))
    )
    if name is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    signer = issuer or key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, digest).public_bytes(Encoding.DER)


def pinned_card(*, pin: bytes, next_pin: bytes = b"") -> node_pb2.NodeCard:
    card = good_card()
    card.endpoints.add(
        uri="https://192.0.2.1:7341", tls_mode=node_pb2.TLS_MODE_PINNED, spki_sha256=pin, next_spki_sha256=next_pin
    )
    return card


@pytest.mark.parametrize("card", [pinned_card(pin=pin_of(KEY)), pinned_card(pin=bytes(32), next_pin=pin_of(KEY))])
def test_the_certificate_of_a_node_is_found_nothing_of(card: node_pb2.NodeCard) -> None:
    assert told(cards.certificate_findings(card, certificate())) == []


@pytest.mark.parametrize(
    ("shown", "pin", "message"),
    [
        (certificate(), bytes(32), "the key of the certificate is none of the pins"),
        (certificate(name="localhost"), pin_of(KEY), "the certificate does not name the node"),
        (certificate(name=None), pin_of(KEY), "the certificate does not name the node"),
        (certificate(issuer_name="house"), pin_of(KEY), "the certificate is not self-signed"),
        (
            certificate(issuer=ec.generate_private_key(ec.SECP256R1())),
            pin_of(KEY),
            "the certificate is not self-signed",
        ),
    ],
    ids=["another key", "another name", "no name", "another issuer", "another signer"],
)
def test_each_fault_of_a_pinned_certificate_is_found(shown: bytes, pin: bytes, message: str) -> None:
    assert told(cards.certificate_findings(pinned_card(pin=pin), shown)) == [("NODE-TLS-002", message)]


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())])
def test_a_certificate_with_a_key_that_libraries_refuse_is_found(key: CertificateKey) -> None:
    shown = certificate(key=key)
    message = "the key of the certificate is of a kind that libraries refuse"
    assert told(cards.certificate_findings(pinned_card(pin=pin_of(key)), shown)) == [("NODE-TLS-002", message)]


def test_pins_are_those_of_pinned_endpoints_alone() -> None:
    assert cards.pins_of(good_card()) == []
    assert cards.pins_of(pinned_card(pin=bytes(32), next_pin=bytes([1] * 32))) == [bytes(32), bytes([1] * 32)]


def succession(*, old: bytes, new: bytes, consent: bytes | None = None) -> SignedEnvelope:
    """Returns a succession of two seeds; `consent` is the seed that signs the acceptance in place of the new one."""
    acceptance = node_pb2.KeyAcceptance(
        old_node_id=signatures.public_key(old), new_node_id=signatures.public_key(new), issue_time=Timestamp(seconds=1)
    )
    accepted = envelopes.seal(acceptance, seed=consent or new)
    return envelopes.seal(node_pb2.KeySuccession(old_node_id=acceptance.old_node_id, acceptance=accepted), seed=old)


@pytest.mark.parametrize(
    "chain",
    [[], [succession(old=OTHER, new=ROOT)], [succession(old=THIRD, new=OTHER), succession(old=OTHER, new=ROOT)]],
)
def test_successions_that_lead_to_the_node_are_found_nothing_of(chain: list[SignedEnvelope]) -> None:
    assert told(cards.succession_findings(chain, node_id=NODE_ID, exchange="card")) == []


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (
            [succession(old=OTHER, new=ROOT, consent=OTHER)],
            ("SIG-ENV-001", "the acceptance in succession 0 does not open"),
        ),
        ([succession(old=OTHER, new=THIRD)], ("ERR-FLD-001", "the last succession does not lead on to the node")),
        (
            [succession(old=THIRD, new=THIRD), succession(old=OTHER, new=ROOT)],
            ("ERR-FLD-001", "succession 1 does not lead on to the node"),
        ),
        ([SignedEnvelope(payload=b"\xff")], ("SIG-ENV-001", "succession 0 does not open")),
    ],
)
def test_each_fault_of_a_chain_of_successions_is_found(chain: list[SignedEnvelope], expected: tuple[str, str]) -> None:
    assert told(cards.succession_findings(chain, node_id=NODE_ID, exchange="card")) == [expected]
