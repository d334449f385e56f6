"""Selection: which cards of a node a reader may use, and which of them it does (spec sections 1.2 and 1.3)."""

from __future__ import annotations

from datetime import datetime, timedelta

from consilience.envelopes import Signed
from consilience.errors import CardTimeError, ProtocolError
from consilience.nodes.addresses import host_is_loopback
from consilience.nodes.cards import NodeCard, Profile, TlsMode
from consilience.units import card_sequence, issue_time

MAX_CARD_BYTES = 64 * 1024
MAX_SIGNING_KEY_LIFETIME = timedelta(days=30)


def newer_card(one: Signed[NodeCard], other: Signed[NodeCard]) -> Signed[NodeCard]:
    """Returns the card of a node that wins: the higher sequence, then the smaller digest (NODE-CARD-004)."""
    return min(one, other, key=lambda card: (-card.value.sequence, card.digest))


def check_card(card: Signed[NodeCard], *, now: datetime, skew: timedelta = timedelta(seconds=30)) -> None:
    """Checks what a reader must check of a card beyond its signature, in the order of spec section 1.2.

    Raises:
        ProtocolError: It is too large, or its keys live too long.
        CardTimeError: It is from the future, or has expired.
    """
    value = card.value
    if len(card.envelope.payload) > MAX_CARD_BYTES:
        raise ProtocolError(f"the card is larger than {MAX_CARD_BYTES} bytes", requirement="NODE-CARD-002")
    issued = _checked_issue_time(value, now=now, skew=skew)
    if value.expire_time < now - skew:
        raise CardTimeError(
            f"the card expired at {value.expire_time:%F %T}, and it is {now:%F %T} UTC here",
            requirement="NODE-CARD-005",
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
        raise CardTimeError(
            f"the card was issued in the future, {_issued(card)}, and it is {now:%F %T} UTC here",
            requirement="NODE-CARD-003",
        )
    return issue_time(card.sequence)


def _issued(card: NodeCard) -> str:
    try:
        return f"at {issue_time(card.sequence):%F %T}"
    except OverflowError:
        return "beyond all calendars"


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
