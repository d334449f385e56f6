"""Signing keys of records (spec section 4.4, step 7): a card shows that a key signed for a node at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from consilience.v1 import node_pb2, registry_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import REBUTTAL, REVIEW, Cast, Kind
from consilience_conformance.records.made_up import DAY, LONG_AGO, MadeUpNode, day, moment, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.records.twins import Make, Spoilt, record_twins
from consilience_conformance.rules.registries import STORED, came_to, published, record_in, serves
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_MAX_CARD_BYTES = 65536

Show = Callable[[Cast, datetime], SignedEnvelope | None]
"""Returns the card that is to show that the signer of a cast signed at a time, or None."""

Rest = Callable[[Cast, Show], registry_pb2.Record]
"""Returns a record of a cast that a signing key signed, with what is shown of it."""


def _review(cast: Cast, show: Show) -> registry_pb2.Record:
    ticket = cast.node.ticket(cast.reviewer, by=cast.node.signer)
    return record_of(cast.reviewer.seal(ticket.review()), card=show(cast, day(LONG_AGO)))


def _attested(cast: Cast, show: Show) -> registry_pb2.Record:
    attestation = cast.node.attestation(cast.ticket, by=cast.node.signer)
    review = cast.ticket.review(attestation=cast.node.signer.seal(attestation))
    return record_of(cast.reviewer.seal(review), card=show(cast, day(LONG_AGO)))


def _rebuttal(cast: Cast, show: Show) -> registry_pb2.Record:
    written = moment(LONG_AGO)
    rebuttal = cast.node.rebuttal(cast.ticket.digest, issued=written, by=cast.node.signer)
    return record_of(cast.node.signer.seal(rebuttal), card=show(cast, written))


def _good(cast: Cast, time: datetime) -> SignedEnvelope:
    return cast.node.sealed_card(issued=time - _HOUR)


def _a_day_later(cast: Cast, time: datetime) -> SignedEnvelope:
    return cast.node.sealed_card(issued=time + DAY)


def _listed_until(cast: Cast, time: datetime) -> SignedEnvelope:
    key = node_pb2.SigningKey(public_key=cast.node.signer.key, expire_time=timestamp(time))
    return cast.node.sealed_card(issued=time - _HOUR, signing_keys=[key])


def _nothing(_: Cast, __: datetime) -> None:
    return None


def _of_another_node(cast: Cast, time: datetime) -> SignedEnvelope:
    other = MadeUpNode.new()
    key = node_pb2.SigningKey(public_key=cast.node.signer.key, expire_time=timestamp(time + DAY))
    return other.sealed_card(issued=time - _HOUR, signing_keys=[key])


def _without_the_key(cast: Cast, time: datetime) -> SignedEnvelope:
    key = node_pb2.SigningKey(public_key=Caller.new().key, expire_time=timestamp(time + DAY))
    return cast.node.sealed_card(issued=time - _HOUR, signing_keys=[key])


def _with_an_expired_key(cast: Cast, time: datetime) -> SignedEnvelope:
    key = node_pb2.SigningKey(public_key=cast.node.signer.key, expire_time=timestamp(time - _SECOND))
    return cast.node.sealed_card(issued=time - _HOUR, signing_keys=[key])


def _issued_too_late(cast: Cast, time: datetime) -> SignedEnvelope:
    return cast.node.sealed_card(issued=time + DAY + _SECOND)


def _issued_beyond_all_calendars(cast: Cast, time: datetime) -> SignedEnvelope:
    return cast.node.sealed_card(issued=time - _HOUR, sequence=2**63 - 1)


def _signed_by_another(cast: Cast, time: datetime) -> SignedEnvelope:
    return cast.node.signer.seal(cast.node.card(issued=time - _HOUR))


def _with_a_changed_signature(cast: Cast, time: datetime) -> SignedEnvelope:
    card = _good(cast, time)
    card.signature = card.signature[:-1] + bytes([card.signature[-1] ^ 1])
    return card


def _too_large(cast: Cast, time: datetime) -> SignedEnvelope:
    skills = [node_pb2.Skill(id=f"skill-{index}", description="x" * 1000) for index in range(66)]
    card = cast.node.sealed_card(issued=time - _HOUR, skills=skills)
    if len(card.payload) <= _MAX_CARD_BYTES:
        raise ValueError("the card is not too large")
    return card


def _no_card(cast: Cast, _: datetime) -> SignedEnvelope:
    return cast.node.root.seal(review_pb2.Advisory(author=cast.node.node_id))


_REFUSED: dict[str, Show] = {
    "without a card": _nothing,
    "beside a card of another node": _of_another_node,
    "beside a card without the key": _without_the_key,
    "beside a card whose key had expired": _with_an_expired_key,
    "beside a card that came later": _issued_too_late,
    "beside a card beyond all calendars": _issued_beyond_all_calendars,
    "beside a card that another signed": _signed_by_another,
    "beside a card with a changed signature": _with_a_changed_signature,
    "beside a card that is too large": _too_large,
    "beside what is no card": _no_card,
}
_TAKEN: dict[str, Show] = {
    "beside a card": _good,
    "beside a card of the next day": _a_day_later,
    "beside a card whose key was about to expire": _listed_until,
}
_RESTS: dict[str, tuple[Kind, Rest]] = {
    "with a ticket": (REVIEW, _review),
    "with an attestation": (REVIEW, _attested),
    "of a signing key": (REBUTTAL, _rebuttal),
}


def _spoilt(kind: Kind) -> Iterator[Spoilt]:
    for what, (of, rest) in _RESTS.items():
        if of is kind:
            for some, reason in ((_REFUSED, "SIGNING_KEY_UNKNOWN"), (_TAKEN, "")):
                for name, show in some.items():
                    yield Spoilt(name=f"{what} {name}", reason=reason, make=_made(rest, show))


def _made(rest: Rest, show: Show) -> Make:
    return lambda cast: rest(cast, show)


async def _rest_on_the_card_there(stage: Stage) -> None:
    """Publishes a card, and then what a key of it signed, with no card beside."""
    publisher = Publisher(stage)
    await asyncio.gather(*(_rest_one(publisher, name) for name in _RESTS))


async def _rest_one(publisher: Publisher, name: str) -> None:
    cast, (_, rest) = Cast.new(), _RESTS[name]
    card = cast.node.sealed_card(issued=day(LONG_AGO) - _HOUR, lasting=LONG_AGO + 2 * DAY)
    await publisher.publish(f"card {name}", record_of(card))
    record = rest(cast, _nothing)
    await publisher.publish(name, record)
    await publisher.get(f"fetched {name}", record)


def _judge_resting(seen: Transcript) -> Iterator[Finding]:
    for name in _RESTS:
        card = published(seen[f"card {name}"]).object
        yield from came_to(seen[f"card {name}"], STORED, requirement="REC-ADM-001")
        yield from came_to(seen[name], STORED, requirement="REC-ADM-001")
        yield from serves(seen[f"fetched {name}"], published(seen[name]), requirement="REC-ADM-001")
        got = record_in(seen[f"fetched {name}"])
        if got is not None and got.card != card:
            yield Finding(
                requirement="REC-ADM-001",
                message="the card that a record rests on does not stand beside it",
                expected="the registry's own card of the node",
                got="another one" if got.HasField("card") else "none",
                exchange=f"fetched {name}",
            )


UNSHOWN = {kind: [*_spoilt(kind)] for kind in (REVIEW, REBUTTAL)}

CHECKS = (
    record_twins(
        "a-record-of-a-key-that-no-card-shows-is-refused",
        title="What a signing key signed is refused where no card shows that the key signed for the node.",
        spoilt=UNSHOWN,
    ),
    record_check(
        name="a-record-rests-on-the-card-that-is-there",
        title="What carries no card is checked with the registry's own card of the node, which then stands beside it.",
        requirements=("REC-ADM-001",),
        drive=_rest_on_the_card_there,
        judge=_judge_resting,
    ),
)
