"""Cards: what a node says of itself, and what follows from that for its skills and its certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from consilience.tariffs import Rail, Tariff
from consilience.units import CardSequence, Digest, NamedNumber, PublicKey

MAX_MESSAGE_BYTES = 4 * 1024 * 1024


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
