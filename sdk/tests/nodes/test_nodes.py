"""What is decided about cards and addresses without asking anybody."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from consilience.envelopes import Envelope, Signed
from consilience.errors import AddressInvalidError, CardTimeError, ProtocolError
from consilience.identity import KeyPair, format_node_id, next_root_digest
from consilience.nodes import (
    MAX_CARD_BYTES,
    DataClass,
    DataPolicy,
    Endpoint,
    KeyAcceptance,
    KeySuccession,
    Limits,
    NodeAddress,
    NodeCard,
    Profile,
    SigningKey,
    Skill,
    TlsMode,
    check_card,
    check_succession,
    effective_data_class,
    host_is_loopback,
    key_digest_matches,
    newer_card,
    tighter_limits,
)
from consilience.units import CardSequence, Digest, PublicKey, card_sequence

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ROOT, _NEXT, _SIGNING = KeyPair(b"r" * 32), KeyPair(b"n" * 32), KeyPair(b"s" * 32)
_NODE_ID = format_node_id(_ROOT.public_key)
_PINNED = Endpoint(uri="https://192.0.2.7:7341", tls_mode=TlsMode.PINNED, spki_sha256=b"p" * 32)


def _card(**changes: object) -> NodeCard:
    card = NodeCard(
        node_id=_ROOT.public_key,
        sequence=card_sequence(_NOW),
        expire_time=_NOW + timedelta(days=1),
        signing_keys=(SigningKey(public_key=_SIGNING.public_key, expire_time=_NOW + timedelta(days=1)),),
        endpoints=(_PINNED,),
        skills=(Skill(id="units.convert"),),
        limits=Limits(max_turns=32),
        data_policy=DataPolicy(max_data_class=DataClass.INTERNAL),
        next_root_digest=next_root_digest(_NEXT.public_key),
    )
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


def _signed(card: NodeCard, *, payload: bytes = b"card") -> Signed[NodeCard]:
    envelope = Envelope(
        payload_type="consilience.v1.NodeCard", payload=payload, public_key=card.node_id, signature=bytes(64)
    )
    return Signed(value=card, envelope=envelope)


def test_a_card_finds_its_skills_by_id() -> None:
    card = _card()
    assert card.skill("units.convert") == card.skills[0]
    assert card.skill("cooking") is None


def test_a_signing_key_signs_until_it_expires() -> None:
    card = _card()
    (key,) = card.signing_keys
    assert card.may_sign(key.public_key, at=key.expire_time)
    assert not card.may_sign(key.public_key, at=key.expire_time + _MICROSECOND)
    assert not card.may_sign(_ROOT.public_key, at=_NOW), "the root key signs answers only if the card lists it"


def test_the_higher_sequence_wins_whatever_the_digest() -> None:
    older = _signed(_card())
    newer = _signed(_card(sequence=CardSequence(older.value.sequence + 1)))
    assert newer_card(older, newer) is newer
    assert newer_card(newer, older) is newer


def test_of_two_cards_with_one_sequence_the_smaller_digest_wins() -> None:
    cards = [_signed(_card(), payload=payload) for payload in (b"1", b"2", b"3")]
    smallest = min(cards, key=lambda card: card.digest)
    for other in cards:
        assert newer_card(smallest, other).digest == smallest.digest
        assert newer_card(other, smallest).digest == smallest.digest


def test_a_card_in_order_passes() -> None:
    check_card(_signed(_card()), now=_NOW)


def test_a_card_of_64_kib_passes_and_one_byte_more_does_not() -> None:
    check_card(_signed(_card(), payload=bytes(MAX_CARD_BYTES)), now=_NOW)
    with pytest.raises(ProtocolError, match="65536") as caught:
        check_card(_signed(_card(), payload=bytes(MAX_CARD_BYTES + 1)), now=_NOW)
    assert caught.value.requirement == "NODE-CARD-002"


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"sequence": card_sequence(_NOW + timedelta(seconds=30) + _MICROSECOND)}, "NODE-CARD-003"),
        ({"sequence": CardSequence(2**63 - 1)}, "NODE-CARD-003"),
        ({"sequence": CardSequence(0)}, "ERR-FLD-001"),
        ({"sequence": CardSequence(-(2**63))}, "ERR-FLD-001"),
        ({"expire_time": _NOW - timedelta(seconds=30) - _MICROSECOND}, "NODE-CARD-005"),
        ({"profiles": ()}, "NODE-CARD-006"),
        ({"profiles": (Profile.DURABLE, Profile.UNKNOWN)}, "NODE-CARD-006"),
        (
            {
                "signing_keys": (
                    SigningKey(public_key=PublicKey(b""), expire_time=_NOW + timedelta(days=30, seconds=1)),
                )
            },
            "NODE-KEY-001",
        ),
        ({"endpoints": (Endpoint(uri="http://192.0.2.7:7341", tls_mode=TlsMode.LOOPBACK_PLAIN),)}, "NODE-TLS-003"),
        ({"endpoints": (Endpoint(uri="http://[::1", tls_mode=TlsMode.LOOPBACK_PLAIN),)}, "ERR-FLD-001"),
    ],
)
def test_a_card_that_breaks_a_rule_is_refused_by_the_id_of_the_rule(
    changes: dict[str, object], requirement: str
) -> None:
    with pytest.raises(ProtocolError, match=requirement) as caught:
        check_card(_signed(_card(**changes)), now=_NOW)
    assert caught.value.requirement == requirement
    assert isinstance(caught.value, CardTimeError) == (requirement in {"NODE-CARD-003", "NODE-CARD-005"})


def test_a_card_from_the_future_tells_both_times_since_either_clock_may_be_wrong() -> None:
    early = card_sequence(_NOW + timedelta(hours=1))
    for sequence, issued in ((early, f"at {_NOW + timedelta(hours=1):%F %T}"), (2**63 - 1, "beyond all calendars")):
        with pytest.raises(CardTimeError, match=f"{issued}, and it is {_NOW:%F %T} UTC here"):
            check_card(_signed(_card(sequence=CardSequence(sequence))), now=_NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": card_sequence(_NOW + timedelta(seconds=30))},
        {"expire_time": _NOW - timedelta(seconds=30)},
        {"profiles": (Profile.CORE, Profile.UNKNOWN)},
        {"signing_keys": (SigningKey(public_key=PublicKey(b""), expire_time=_NOW + timedelta(days=30)),)},
        {"endpoints": (Endpoint(uri="http://127.0.0.1:7341", tls_mode=TlsMode.LOOPBACK_PLAIN),)},
        {"endpoints": (_PINNED, Endpoint(uri="http://[::1]:7341", tls_mode=TlsMode.LOOPBACK_PLAIN))},
    ],
)
def test_a_card_at_the_edge_of_a_rule_passes(changes: dict[str, object]) -> None:
    check_card(_signed(_card(**changes)), now=_NOW)


def _succession(*, old: PublicKey = _ROOT.public_key, accepted: PublicKey = _ROOT.public_key) -> Signed[KeySuccession]:
    acceptance = KeyAcceptance(old_node_id=accepted, new_node_id=_NEXT.public_key, issue_time=_NOW)
    envelope = Envelope(payload_type="", payload=b"", public_key=old, signature=b"")
    inner = Signed(value=acceptance, envelope=envelope)
    return Signed(value=KeySuccession(old_node_id=old, acceptance=inner), envelope=envelope)


def test_a_succession_to_the_key_that_was_committed_to_is_followed() -> None:
    succession = _succession()
    assert check_succession(succession, old_card=_signed(_card())) == _NEXT.public_key
    assert succession.value.new_node_id == _NEXT.public_key


@pytest.mark.parametrize(
    ("succession", "card"),
    [
        (_succession(old=_NEXT.public_key), _card()),
        (_succession(accepted=_NEXT.public_key), _card()),
        (_succession(), _card(node_id=_NEXT.public_key)),
        (_succession(), _card(next_root_digest=b"")),
        (_succession(), _card(next_root_digest=next_root_digest(_SIGNING.public_key))),
    ],
)
def test_another_succession_is_not_followed(succession: Signed[KeySuccession], card: NodeCard) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_succession(succession, old_card=_signed(card))
    assert caught.value.requirement == "NODE-KEY-003"


def test_an_id_alone_is_no_address_and_the_way_to_its_card_is_named() -> None:
    with pytest.raises(AddressInvalidError, match=r"an id without an address.*Client\.locate"):
        NodeAddress.parse(_NODE_ID)


@pytest.mark.parametrize(
    ("text", "authority", "scheme", "named", "loopback"),
    [
        ("127.0.0.1:7341", "127.0.0.1:7341", "", False, True),
        ("localhost:1", "localhost:1", "", False, True),
        ("[::1]:7341", "[::1]:7341", "", False, True),
        ("http://127.0.0.1:7341", "127.0.0.1:7341", "http", False, True),
        ("https://example.com:443", "example.com:443", "https", False, False),
        (f"{_NODE_ID}@example.com:7341", "example.com:7341", "", True, False),
        (f"{_NODE_ID}@https://example.com:7341", "example.com:7341", "https", True, False),
        (f"{_NODE_ID}@[2001:db8::1]:7341", "[2001:db8::1]:7341", "", True, False),
        (f"{_NODE_ID}@127.0.0.1:7341", "127.0.0.1:7341", "", True, True),
    ],
)
def test_an_address_is_read(text: str, authority: str, scheme: str, *, named: bool, loopback: bool) -> None:
    address = NodeAddress.parse(text)
    assert (address.authority, address.scheme) == (authority, scheme)
    assert address.node_id == (_ROOT.public_key if named else None)
    assert address.is_loopback is loopback
    assert address.port == int(authority.rpartition(":")[2])
    assert address.host in authority
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        ":7341",
        "127.0.0.1:",
        "127.0.0.1:port",
        "127.0.0.1:70000",
        "127.0.0.1:7341/path",
        "127.0.0.1:7341?query",
        "ftp://127.0.0.1:7341",
        "@127.0.0.1:7341",
        "ann@127.0.0.1:7341",
        "cn1short@127.0.0.1:7341",
        f"{_NODE_ID.upper()}@127.0.0.1:7341",
        "[::1:7341",
        "https://ann:secret@example.com:443",
    ],
)
def test_what_is_no_address_is_refused_and_shown(text: str) -> None:
    with pytest.raises(AddressInvalidError):
        NodeAddress.parse(text)


@pytest.mark.parametrize(
    "text", ["example.com:7341", "192.0.2.7:7341", "http://example.com:80", f"{_NODE_ID}@http://example.com:80"]
)
def test_a_stranger_is_not_trusted_without_tls_or_node_id(text: str) -> None:
    with pytest.raises(AddressInvalidError, match="another machine"):
        NodeAddress.parse(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.1", "::1", "localhost"])
def test_this_machine_is_known_by_its_name(host: str) -> None:
    assert host_is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.7", "localhost.example.com", "127.0.0.1.example.com"])  # noqa: S104
def test_another_machine_is_not_this_one(host: str) -> None:
    assert not host_is_loopback(host)


def test_a_skill_without_limits_has_those_of_the_card() -> None:
    limits = Limits(max_turns=3, max_run_time=timedelta(seconds=9))
    assert tighter_limits(limits, None) == limits
    assert tighter_limits(limits, Limits()) == limits


def test_a_skill_tightens_what_it_states_and_nothing_else() -> None:
    card = Limits(max_turns=32, max_input_bytes=1000, max_run_time=timedelta(seconds=60))
    skill = Limits(max_turns=1, max_run_time=timedelta(seconds=5))
    assert tighter_limits(card, skill) == Limits(max_turns=1, max_input_bytes=1000, max_run_time=timedelta(seconds=5))


def test_a_skill_does_not_loosen_what_the_card_states() -> None:
    assert tighter_limits(Limits(max_turns=2), Limits(max_turns=9)) == Limits(max_turns=2)
    assert tighter_limits(Limits(), Limits(max_turns=9)) == Limits(max_turns=9)


@pytest.mark.parametrize(
    ("card", "skill", "expected"),
    [
        (DataClass.INTERNAL, None, DataClass.INTERNAL),
        (DataClass.INTERNAL, DataClass.UNSPECIFIED, DataClass.INTERNAL),
        (DataClass.INTERNAL, DataClass.PUBLIC, DataClass.PUBLIC),
        (DataClass.INTERNAL, DataClass.RESTRICTED, DataClass.INTERNAL),
        (DataClass.UNKNOWN, DataClass.RESTRICTED, DataClass.UNKNOWN),
    ],
)
def test_a_skill_reads_no_more_than_its_node(card: DataClass, skill: DataClass | None, expected: DataClass) -> None:
    offered = None if skill is None else Skill(id="s", max_data_class=skill)
    assert effective_data_class(_card(data_policy=DataPolicy(max_data_class=card)), offered) is expected


def test_data_classes_are_ordered_by_harm() -> None:
    known = [DataClass.PUBLIC, DataClass.INTERNAL, DataClass.CONFIDENTIAL, DataClass.RESTRICTED]
    assert sorted(known) == known
    assert DataClass.UNKNOWN < DataClass.UNSPECIFIED < DataClass.PUBLIC


def test_a_pinned_endpoint_accepts_its_key_and_the_next() -> None:
    endpoint = dataclasses.replace(_PINNED, next_spki_sha256=b"q" * 32)
    assert endpoint.pins == {b"p" * 32, b"q" * 32}
    assert key_digest_matches(endpoint, Digest(b"q" * 32))
    assert not key_digest_matches(endpoint, Digest(b"x" * 32))
    assert not key_digest_matches(_PINNED, Digest(b""))


def test_an_endpoint_knows_its_host_and_port() -> None:
    assert _PINNED.authority == "192.0.2.7:7341"
