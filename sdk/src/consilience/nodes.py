"""Nodes: who a node is and what it offers (spec chapter 1).

Value types with their rules, and the pure decisions about cards: which of two wins, what may sign, where to connect.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from consilience.envelopes import Signed
from consilience.errors import AddressInvalidError, ProtocolError
from consilience.identity import NODE_ID_PREFIX, format_node_id, next_root_digest, parse_node_id
from consilience.tariffs import Rail, Tariff
from consilience.units import CardSequence, Digest, NamedNumber, PublicKey, card_sequence, issue_time

MAX_CARD_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_SIGNING_KEY_LIFETIME = timedelta(days=30)


class Profile(NamedNumber):
    """A part of the protocol that a node may leave out."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    CORE = 1
    DURABLE = 2
    PAY = 3
    REGISTRY = 4
    CONFORMANCE = 8


class TlsMode(NamedNumber):
    """How the certificate of an endpoint is trusted."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    WEBPKI = 1
    PINNED = 2
    LOOPBACK_PLAIN = 3


class DataClass(NamedNumber):
    """How much harm the disclosure of an ask would do; higher is worse."""

    UNKNOWN = -1
    UNSPECIFIED = 0
    PUBLIC = 1
    INTERNAL = 2
    CONFIDENTIAL = 3
    RESTRICTED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs answers, and until when its signatures count."""

    public_key: PublicKey
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a node is reached: `https://host:port`, or `http://host:port` on loopback.

    Attributes:
        spki_sha256, next_spki_sha256: With PINNED, SHA-256 of the SubjectPublicKeyInfo in use and of the next one.
    """

    uri: str
    tls_mode: TlsMode
    spki_sha256: bytes = b""
    next_spki_sha256: bytes = b""

    @property
    def authority(self) -> str:
        """The `host:port` of the URI."""
        return urlsplit(self.uri).netloc

    @property
    def host(self) -> str:
        """The host of the URI without port or brackets; empty where the URI is none."""
        try:
            return urlsplit(self.uri).hostname or ""
        except ValueError:
            return ""

    @property
    def pins(self) -> frozenset[bytes]:
        """The digests of public keys that are acceptable."""
        return frozenset(pin for pin in (self.spki_sha256, self.next_spki_sha256) if pin)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that a node enforces. Zero: no bound of its own (in a card: the node counts no tokens).

    Attributes:
        max_message_bytes: An encoded request.
        max_turns: Turns of an ask.
        max_input_bytes: All text and blobs of an ask together.
        max_input_tokens, max_output_tokens: Prompt and answer.
        max_running_asks, max_running_asks_per_caller: At one time.
        max_run_time: From acceptance to Final.
        answer_retention: How long after Final an answer can be read.
        max_readers_per_answer: Streams on one answer at one time.
        max_quotes_per_minute: Quotes for one caller.
    """

    max_message_bytes: int = 0
    max_turns: int = 0
    max_input_bytes: int = 0
    max_input_tokens: int = 0
    max_output_tokens: int = 0
    max_running_asks: int = 0
    max_running_asks_per_caller: int = 0
    max_run_time: timedelta = timedelta(0)
    answer_retention: timedelta = timedelta(0)
    max_readers_per_answer: int = 0
    max_quotes_per_minute: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPolicy:
    """What becomes of what a node is asked."""

    max_data_class: DataClass
    stores_asks: bool = False
    trains_on_asks: bool = False
    forwards_asks: bool = False
    jurisdictions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredQuality:
    """How well a skill did on a data set; the score is in thousandths."""

    dataset_name: str
    dataset_digest: bytes
    sample_count: int
    score_milli: int
    calibration_digest: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A language model, disclosed. Empty and zero mean not disclosed."""

    id: str
    family: str = ""
    parameter_count: int = 0
    quantization: str = ""
    weights_digest: bytes = b""
    context_length_tokens: int = 0
    adapters: tuple[str, ...] = ()
    engine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One thing that a node can be asked; see `Skill` in node.proto for each field."""

    id: str
    description: str = ""
    domains: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    input_media_types: tuple[str, ...] = ()
    output_media_type: str = ""
    input_schema: str = ""
    output_schema: str = ""
    accepts_answer_schema: bool = False
    gives_citations: bool = False
    gives_confidence: bool = False
    gives_intake: bool = False
    model_ids: tuple[str, ...] = ()
    limits: Limits | None = None
    max_data_class: DataClass = DataClass.UNSPECIFIED
    measured_quality: tuple[MeasuredQuality, ...] = ()
    knowledge_time: datetime | None = None
    tariff_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCard:
    """A node's signed description of itself; see `NodeCard` in node.proto for each field."""

    node_id: PublicKey
    sequence: CardSequence
    expire_time: datetime
    signing_keys: tuple[SigningKey, ...]
    endpoints: tuple[Endpoint, ...]
    skills: tuple[Skill, ...]
    limits: Limits
    data_policy: DataPolicy
    profiles: tuple[Profile, ...] = (Profile.CORE,)
    name: str = ""
    description: str = ""
    next_root_digest: bytes = b""
    models: tuple[Model, ...] = ()
    tariffs: tuple[Tariff, ...] = ()
    rails: tuple[Rail, ...] = ()
    extensions: Mapping[str, bytes] = field(default_factory=dict)
    registries: tuple[str, ...] = ()

    def skill(self, skill_id: str) -> Skill | None:
        """Returns the skill with an id, or None."""
        return next((skill for skill in self.skills if skill.id == skill_id), None)

    def tariffs_of(self, skill: Skill) -> tuple[Tariff, ...]:
        """Returns the tariffs of a skill, the preferred one first; none: it is free."""
        known = {tariff.id: tariff for tariff in self.tariffs}
        return tuple(known[tariff_id] for tariff_id in skill.tariff_ids if tariff_id in known)

    def rail(self, rail_id: str) -> Rail | None:
        """Returns the rail with an id, or None."""
        return next((rail for rail in self.rails if rail.id == rail_id), None)

    def may_sign(self, public_key: PublicKey, *, at: datetime) -> bool:
        """Tells whether a key signs answers for the node at a time (ASK-ANS-001)."""
        return any(key.public_key == public_key and at <= key.expire_time for key in self.signing_keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAcceptance:
    """The consent of a new root key to succeed an old one."""

    old_node_id: PublicKey
    new_node_id: PublicKey
    issue_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySuccession:
    """The hand-over of a node from an old root key to a new one, signed by both."""

    old_node_id: PublicKey
    acceptance: Signed[KeyAcceptance]

    @property
    def new_node_id(self) -> PublicKey:
        """The root key that succeeds."""
        return self.acceptance.value.new_node_id


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


def newer_card(one: Signed[NodeCard], other: Signed[NodeCard]) -> Signed[NodeCard]:
    """Returns the card of a node that wins: the higher sequence, then the smaller digest (NODE-CARD-004)."""
    return min(one, other, key=lambda card: (-card.value.sequence, card.digest))


def check_card(card: Signed[NodeCard], *, now: datetime, skew: timedelta = timedelta(seconds=30)) -> None:
    """Checks what a reader must check of a card beyond its signature, in the order of spec section 1.2.

    Raises:
        ProtocolError: It is too large, from the future, expired, or its keys live too long.
    """
    value = card.value
    if len(card.envelope.payload) > MAX_CARD_BYTES:
        raise ProtocolError(f"the card is larger than {MAX_CARD_BYTES} bytes", requirement="NODE-CARD-002")
    issued = _checked_issue_time(value, now=now, skew=skew)
    if value.expire_time < now - skew:
        raise ProtocolError(
            f"the card expired at {value.expire_time:%F %T}, and it is {now:%F %T} here", requirement="NODE-CARD-005"
        )
    if Profile.CORE not in value.profiles:
        raise ProtocolError("the card does not declare the core profile", requirement="NODE-CARD-006")
    for key in value.signing_keys:
        if key.expire_time - issued > MAX_SIGNING_KEY_LIFETIME:
            raise ProtocolError("a signing key lives longer than 30 days", requirement="NODE-KEY-001")
    for endpoint in value.endpoints:
        if not endpoint.host:
            raise ProtocolError(f"the endpoint {endpoint.uri!r} names no host", requirement="ERR-FLD-001")
        if endpoint.tls_mode is TlsMode.LOOPBACK_PLAIN and not host_is_loopback(endpoint.host):
            raise ProtocolError(f"{endpoint.uri} has no TLS and is no loopback address", requirement="NODE-TLS-003")


def _checked_issue_time(card: NodeCard, *, now: datetime, skew: timedelta) -> datetime:
    if card.sequence <= 0:
        raise ProtocolError(f"the sequence of the card is {card.sequence}, and no time", requirement="ERR-FLD-001")
    if card.sequence > card_sequence(now + skew):
        raise ProtocolError(f"the card was issued in the future: {card.sequence}", requirement="NODE-CARD-003")
    return issue_time(card.sequence)


def keeps_commitment(next_root_digest: bytes, *, seen: bytes) -> bool:
    """Tells whether a card says of the next root key what one that was seen of its node said, if that said anything."""
    return not seen or next_root_digest == seen


def check_commitment_kept(next_root_digest: bytes, *, seen: bytes) -> None:
    """Checks a card that would win against another of its node, by the `next_root_digest` of both.

    Raises:
        ProtocolError: The one that was seen commits to another key (NODE-KEY-005).
    """
    if not keeps_commitment(next_root_digest, seen=seen):
        raise ProtocolError(
            "the card commits to another next root key than one of the same node that was seen before; its root key may"
            " be in two hands",
            requirement="NODE-KEY-005",
        )


def check_succession(succession: Signed[KeySuccession], *, old_card: Signed[NodeCard]) -> PublicKey:
    """Checks a hand-over against the newest card of the old root key, and returns the new root key.

    Raises:
        ProtocolError: It is not for this node, or the new key is not the one committed to (NODE-KEY-003).
    """
    value, acceptance = succession.value, succession.value.acceptance.value
    if not value.old_node_id == acceptance.old_node_id == old_card.value.node_id:
        raise ProtocolError("the succession is of another node", requirement="NODE-KEY-003")
    if next_root_digest(acceptance.new_node_id) != old_card.value.next_root_digest:
        raise ProtocolError("the new root key is not the one that the card commits to", requirement="NODE-KEY-003")
    return acceptance.new_node_id


def tighter_limits(card: Limits, skill: Limits | None) -> Limits:
    """Returns the limits of a skill: where both state one the lower, else the one that is stated."""
    if skill is None:
        return card
    pairs = {name: (getattr(card, name), getattr(skill, name)) for name in Limits.__slots__}
    return Limits(**{name: min(pair) if all(pair) else max(pair) for name, pair in pairs.items()})


def effective_data_class(card: NodeCard, skill: Skill | None) -> DataClass:
    """Returns the highest data class that a skill of a node reads (ASK-DATA-002)."""
    ceiling = card.data_policy.max_data_class
    if skill is None or skill.max_data_class <= DataClass.UNSPECIFIED:
        return ceiling
    return min(ceiling, skill.max_data_class)


def key_digest_matches(endpoint: Endpoint, spki_digest: Digest) -> bool:
    """Tells whether the public key of a certificate is one that a pinned endpoint names (NODE-TLS-001)."""
    return spki_digest in endpoint.pins
