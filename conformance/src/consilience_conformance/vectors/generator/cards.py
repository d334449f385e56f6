"""Makes cards.json: which card of a node wins, which one is refused, and who may succeed a root key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages
from consilience_conformance.vectors.generator.actors import (
    NEXT_ROOT,
    NODE,
    NOON,
    OTHER_NODE,
    SIGNING_KEY,
    STRANGER,
    Actor,
    rfc3339,
    timestamp,
)
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Json, Note, Refused, VectorFile

_MICROSECOND = timedelta(microseconds=1)
_SKEW = timedelta(seconds=30)
_NOTES = {
    "Sequence": Note(bug_type=BugType.DISAGREEMENT, description="The higher sequence wins, whatever else they say."),
    "Tie": Note(bug_type=BugType.DISAGREEMENT, description="Of two with one sequence the smaller digest wins."),
    "Plain": Note(bug_type=BugType.BASIC, description="A card that is in order."),
    "Signer": Note(bug_type=BugType.AUTH_BYPASS, description="Another key than the root key signed the card."),
    "Time": Note(bug_type=BugType.BOUNDARY, description="A card from the future, or one that has expired."),
    "KeyLifetime": Note(bug_type=BugType.BOUNDARY, description="A signing key lives 30 days at most."),
    "Profile": Note(bug_type=BugType.MISSING_CHECK, description="Every card declares the core profile."),
    "PlainTransport": Note(bug_type=BugType.AUTH_BYPASS, description="Only loopback addresses go without TLS."),
    "Succession": Note(bug_type=BugType.BASIC, description="A hand-over that the old card committed to."),
    "NoConsent": Note(bug_type=BugType.AUTH_BYPASS, description="The old or the new root key did not sign."),
    "NotCommitted": Note(
        bug_type=BugType.AUTH_BYPASS,
        description="The card names another next key, or none: whoever stole the root key cannot hand the node over.",
    ),
}
_SIGNER = Refused(reason="SIGNER_WRONG", requirement="SIG-ENV-005")
_SUCCESSION = Refused(requirement="NODE-KEY-003")


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="cards",
        subject="Node cards: selection, checks beyond the signature, and succession of root keys.",
        spec="docs/spec/1-nodes.md",
        notes=_NOTES,
        groups=[
            Group(type="CardSelection", comment="Two valid cards of one node", cases=[*_selections()]),
            Group(type="CardCheck", comment="A card, and the clock of its reader", cases=[*_checks()]),
            Group(
                type="KeySuccession",
                comment="A hand-over, and the newest card of the old root key",
                shared={"oldCard": _hex(messages.sealed_card())},
                cases=[*_successions()],
            ),
        ],
    )


def _hex(envelope: SignedEnvelope) -> str:
    return envelope.SerializeToString(deterministic=True).hex()


def _sealed(card: node_pb2.NodeCard, *, by: Actor = NODE) -> SignedEnvelope:
    return envelopes.seal(card, seed=by.seed)


def _selections() -> Iterator[Case]:
    older, newer = messages.card(), messages.card(issue_time=messages.CARD_ISSUE_TIME + _MICROSECOND)
    yield from _both_ways("a microsecond apart", "Sequence", _sealed(newer), _sealed(older))
    lasting = messages.card()
    lasting.expire_time.CopyFrom(timestamp(NOON + timedelta(days=300)))
    yield from _both_ways("the older one expires later", "Sequence", _sealed(newer), _sealed(lasting))
    twins = [_named(name) for name in ("one", "two", "three", "four")]
    twins.sort(key=envelopes.envelope_digest)
    for number, other in enumerate(twins[1:], start=2):
        yield from _both_ways(f"one sequence, digests 1 and {number} of four", "Tie", twins[0], other)


def _named(name: str) -> SignedEnvelope:
    card = messages.card()
    card.name = name
    return _sealed(card)


def _both_ways(comment: str, flag: str, winner: SignedEnvelope, loser: SignedEnvelope) -> Iterator[Case]:
    for place, cards in enumerate(((winner, loser), (loser, winner))):
        inputs: Json = {"cards": [*map(_hex, cards)], "winner": place}
        yield Case(comment=f"{comment}: the {('first', 'second')[place]} wins", flags=[flag], inputs=inputs)


def _check(
    comment: str, flag: str, card: SignedEnvelope, *, now: datetime = NOON, refused: Refused | None = None
) -> Case:
    return Case(comment=comment, flags=[flag], inputs={"card": _hex(card), "now": rfc3339(now)}, refused=refused)


def _checks() -> Iterator[Case]:
    yield _check("an hour old", "Plain", messages.sealed_card())
    for name, signer in (("a stranger", STRANGER), ("a signing key that the card lists", SIGNING_KEY)):
        yield _check(f"signed by {name}", "Signer", _sealed(messages.card(), by=signer), refused=_SIGNER)
    yield from _times()
    yield from _key_lifetimes()
    bare = messages.card()
    bare.profiles[:] = [node_pb2.PROFILE_DURABLE]
    yield _check("durable and not core", "Profile", _sealed(bare), refused=Refused(requirement="NODE-CARD-006"))
    for host in ("127.0.0.1", "127.9.9.9", "[::1]", "localhost"):
        yield _check(f"no TLS on {host}", "PlainTransport", _plain(host))
    far = Refused(requirement="NODE-TLS-003")
    for host in ("192.0.2.7", "localhost.example.com", "[2001:db8::1]", "0.0.0.0"):  # noqa: S104 - an example
        yield _check(f"no TLS on {host}", "PlainTransport", _plain(host), refused=far)


def _times() -> Iterator[Case]:
    card = messages.sealed_card()
    issued, expired = messages.CARD_ISSUE_TIME, messages.CARD_ISSUE_TIME + timedelta(days=7)
    future, late = Refused(requirement="NODE-CARD-003"), Refused(requirement="NODE-CARD-005")
    yield _check("30 s before its issue", "Time", card, now=issued - _SKEW)
    yield _check("more than 30 s before its issue", "Time", card, now=issued - _SKEW - _MICROSECOND, refused=future)
    last = messages.card()
    last.sequence = 2**63 - 1
    yield _check("issued as late as a number can tell", "Time", _sealed(last), refused=future)
    yield _check("at its end", "Time", card, now=expired)
    yield _check("30 s after its end", "Time", card, now=expired + _SKEW)
    yield _check("more than 30 s after its end", "Time", card, now=expired + _SKEW + _MICROSECOND, refused=late)


def _key_lifetimes() -> Iterator[Case]:
    longest = messages.CARD_ISSUE_TIME + timedelta(days=30)
    refused = Refused(requirement="NODE-KEY-001")
    for name, expiry, verdict in (("30 days", longest, None), ("more than 30 days", longest + _MICROSECOND, refused)):
        card = messages.card()
        card.signing_keys[0].expire_time.CopyFrom(timestamp(expiry))
        yield _check(f"a signing key of {name}", "KeyLifetime", _sealed(card), refused=verdict)


def _plain(host: str) -> SignedEnvelope:
    card = messages.card()
    del card.endpoints[:]
    card.endpoints.add(uri=f"http://{host}:7341", tls_mode=node_pb2.TLS_MODE_LOOPBACK_PLAIN)
    return _sealed(card)


def _succession(
    *, old: Actor = NODE, new: Actor = NEXT_ROOT, old_signer: Actor | None = None, new_signer: Actor | None = None
) -> SignedEnvelope:
    acceptance = node_pb2.KeyAcceptance(
        old_node_id=old.public_key, new_node_id=new.public_key, issue_time=timestamp(NOON)
    )
    consent = envelopes.seal(acceptance, seed=(new_signer or new).seed)
    succession = node_pb2.KeySuccession(old_node_id=old.public_key, acceptance=consent)
    return envelopes.seal(succession, seed=(old_signer or old).seed)


def _successions() -> Iterator[Case]:
    def case(comment: str, flag: str, succession: SignedEnvelope, refused: Refused | None, **more: str) -> Case:
        return Case(comment=comment, flags=[flag], inputs={"succession": _hex(succession), **more}, refused=refused)

    yield case("to the key that the card commits to", "Succession", _succession(), None)
    yield case("to another key", "NotCommitted", _succession(new=STRANGER), _SUCCESSION)
    yield case("of another node", "NotCommitted", _succession(old=OTHER_NODE), _SUCCESSION)
    yield case("not signed by the old key", "NoConsent", _succession(old_signer=NEXT_ROOT), _SIGNER)
    yield case("not accepted by the new key", "NoConsent", _succession(new_signer=NODE), _SIGNER)
    uncommitted = messages.card()
    uncommitted.next_root_digest = b""
    yield case(
        "from a card without a next key",
        "NotCommitted",
        _succession(),
        _SUCCESSION,
        oldCard=_hex(_sealed(uncommitted)),
    )
    text = messages.card()
    text.next_root_digest = hashlib.sha256(NEXT_ROOT.public_key.hex().encode()).digest()
    yield case(
        "from a card that commits to the key's hexadecimal digits",
        "NotCommitted",
        _succession(),
        _SUCCESSION,
        oldCard=_hex(_sealed(text)),
    )
