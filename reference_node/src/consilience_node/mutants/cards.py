"""Mutants of chapter 1: what the card says and who signs it, the certificate, and the methods beside those of asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import any_pb2

from consilience import envelopes
from consilience._wire import envelopes as sealing
from consilience._wire import services
from consilience.errors import EnvelopeMalformedError
from consilience.identity import KeyPair, format_node_id
from consilience.nodes import MAX_SIGNING_KEY_LIFETIME, Endpoint, Profile, SigningKey, TlsMode
from consilience.server import cards, certificates, finals, keys, transport
from consilience.server.keys import succession
from consilience.server.store.contract import StoredCard
from consilience.units import EncodedEnvelope
from consilience_node.mutants.registry import mutant, replace

_ELSEWHERE = "http://192.0.2.1:7341"
_LARGE = any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Empty", value=bytes(70_000)).SerializeToString()


@mutant("card-signed-by-another-key")
def _card_signed_by_another_key() -> None:
    """The card is signed by a key that is not the root key."""
    other = KeyPair.generate()
    forging = SimpleNamespace(seal=lambda card, **_: sealing.seal(card, signer=other), to_bytes=sealing.to_bytes)
    replace(cards, "envelopes", lambda _: forging)


@mutant("skill-listed-twice")
def _skill_listed_twice() -> None:
    """Two skills of the card have one id."""
    _card_that_says(lambda card: {"skills": (*card["skills"], card["skills"][0])})


@mutant("limit-left-open")
def _limit_left_open() -> None:
    """The card does not say how many turns an ask may have."""
    _card_that_says(lambda card: {"limits": changed(card["limits"], max_turns=0)})


@mutant("card-larger-than-allowed")
def _card_larger_than_allowed() -> None:
    """The card has more than 65536 bytes."""
    replace(cards, "MAX_CARD_BYTES", lambda _: 1 << 20)
    _card_that_says(lambda _: {"extensions": {"https://example.org/large": _LARGE}})


@mutant("card-without-core")
def _card_without_core() -> None:
    """The card declares every profile but the core one."""
    _card_that_says(
        lambda card: {
            "profiles": tuple(one for one in card["profiles"] if one is not Profile.CORE) or (Profile.DURABLE,)
        }
    )


@mutant("signing-key-lives-too-long")
def _signing_key_lives_too_long() -> None:
    """The card promises a signing key for 31 days."""
    longer = MAX_SIGNING_KEY_LIFETIME + timedelta(days=1)

    def listing(_: Callable[..., Any]) -> Callable[..., Any]:
        return lambda fixed, *, now: (
            SigningKey(public_key=fixed.signer(now=now).public_key, expire_time=now + longer),
        )

    replace(keys.FixedKey, "listed", listing)


@mutant("plain-endpoint-elsewhere")
def _plain_endpoint_elsewhere() -> None:
    """The card sends others to an address beyond the machine without TLS."""
    endpoint = Endpoint(uri=_ELSEWHERE, tls_mode=TlsMode.LOOPBACK_PLAIN)
    _card_that_says(lambda card: {"endpoints": (*card["endpoints"], endpoint)})


@mutant("certificate-of-another-name")
def _certificate_of_another_name() -> None:
    """The pinned certificate names the host instead of the node."""
    replace(certificates, "format_node_id", lambda _: lambda _: "localhost")


@mutant("certificate-signed-by-another")
def _certificate_signed_by_another() -> None:
    """The pinned certificate is issued by an authority of the house."""

    def issued(_: Callable[..., Any]) -> Callable[..., Any]:
        return lambda key, *, node_id, now, **_: _issued(key, name=format_node_id(node_id), now=now)

    replace(certificates, "self_signed", issued)


@mutant("certificate-of-another-kind")
def _certificate_of_another_kind() -> None:
    """The key of the pinned certificate is on the curve P-384."""
    replace(certificates, "_new_key", lambda _: lambda: ec.generate_private_key(ec.SECP384R1()))


@mutant("pin-of-another-key")
def _pin_of_another_key() -> None:
    """The pins of the card are those of the certificate, not of its key."""
    replace(
        certificates,
        "spki_digest",
        lambda honest: lambda key: hashlib.sha256(honest(key)).digest(),
    )


@mutant("succession-without-consent")
def _succession_without_consent() -> None:
    """The acceptance in a succession is not signed by the new root key."""
    old = KeyPair.generate()

    def telling(honest: Callable[..., bytes]) -> Callable[..., bytes]:
        def encode(card: envelopes.Envelope, **_: object) -> bytes:
            new: Any = SimpleNamespace(public_key=card.public_key, sign=old.sign)
            forged = succession(old=old, new=new, now=datetime.now(UTC))
            return honest(card, successions=(forged.envelope,))

        return encode

    replace(services, "encode_card_response", telling)


def _another_card_at_each_call(says: Callable[[Any, int], dict[str, Any]]) -> None:
    """Each call for the card gets another one, told by the present one and the number of the call."""
    steps = count(1)

    def another(_: Callable[..., Any]) -> Callable[..., Any]:
        async def get_node_card(issuer: Any, request: bytes) -> bytes:  # noqa: ARG001 - as the method is called
            current = issuer.current.value
            signed = sealing.seal(changed(current, **says(current, next(steps))), signer=issuer._root)
            await issuer._store.remember_card(
                StoredCard(
                    digest=signed.digest,
                    sequence=signed.value.sequence,
                    expire_time=signed.value.expire_time,
                    envelope=EncodedEnvelope(sealing.to_bytes(signed.envelope)),
                )
            )
            return services.encode_card_response(signed.envelope)

        return get_node_card

    replace(cards.CardIssuer, "get_node_card", another)


@mutant("sequence-stands-still")
def _sequence_stands_still() -> None:
    """Each call for the card gets another card, with the sequence of the one before."""
    _another_card_at_each_call(lambda card, step: {"expire_time": card.expire_time - timedelta(seconds=step)})


@mutant("commits-anew-in-every-card")
def _commits_anew_in_every_card() -> None:
    """Each call for the card gets a newer card, which commits to another next root key."""
    _another_card_at_each_call(
        lambda card, step: {
            "sequence": card.sequence + step,
            "next_root_digest": hashlib.sha256(step.to_bytes(8, "big")).digest(),
        }
    )


@mutant("card-request-read-strictly")
def _card_request_read_strictly() -> None:
    """A request for the card is refused if it has a field that the node does not know."""

    def strict(honest: Callable[..., Any]) -> Callable[..., Any]:
        async def get_node_card(issuer: Any, request: bytes) -> bytes:
            if request:
                raise EnvelopeMalformedError("the request has a field that this node does not know")
            answer: bytes = await honest(issuer, request)
            return answer

        return get_node_card

    replace(cards.CardIssuer, "get_node_card", strict)


@mutant("cancel-not-served")
def _cancel_not_served() -> None:
    """The node does not implement CancelAnswer."""
    _serve(lambda name, handlers: handlers if name != services.ASK_SERVICE else _without(handlers, "CancelAnswer"))


@mutant("made-up-methods-answered")
def _made_up_methods_answered() -> None:
    """A method that there is not is answered with an empty message."""

    async def nothing(request: bytes, context: Any) -> bytes:  # noqa: ARG001 - as grpc calls it
        return b""

    _serve(lambda _, handlers: handlers | {"NoSuchMethod": grpc.unary_unary_rpc_method_handler(nothing)})


@mutant("ask-digested-twice")
def _ask_digested_twice() -> None:
    """An answer names its ask by the digest of a digest."""
    replace(
        finals,
        "Answer",
        lambda honest: lambda **said: honest(**said | {"ask_digest": hashlib.sha256(said["ask_digest"]).digest()}),
    )


@mutant("health-of-a-draining-node")
def _health_of_a_draining_node() -> None:
    """The health of the node says that it drains, as soon as it serves."""
    replace(transport.Health, "serving", lambda _: transport.Health.draining)


@mutant("reflection-without-services")
def _reflection_without_services() -> None:
    """Server reflection is off."""
    replace(transport, "reflection", lambda honest: _reflection_off(honest.SERVICE_NAME))


def _reflection_off(name: str) -> SimpleNamespace:
    return SimpleNamespace(SERVICE_NAME=name, enable_server_reflection=lambda *_: None)


def _card_that_says(otherwise: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Changes what is written into a card."""
    replace(cards, "NodeCard", lambda honest: lambda **card: honest(**{**card, **otherwise(card)}))


def _serve(otherwise: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    """Changes which methods of a service there are."""
    replace(
        grpc,
        "method_handlers_generic_handler",
        lambda honest: lambda name, handlers: honest(name, otherwise(name, handlers)),
    )


def _without(handlers: dict[str, Any], name: str) -> dict[str, Any]:
    return {method: handler for method, handler in handlers.items() if method != name}


def _issued(key: certificates.PrivateKey, *, name: str, now: datetime) -> x509.Certificate:
    authority = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "house authority")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - certificates.CLOCK_TOLERANCE)
        .not_valid_after(now + certificates.CERTIFICATE_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(authority, hashes.SHA256())
    )
