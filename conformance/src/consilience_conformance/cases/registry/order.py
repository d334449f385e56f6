"""The order of the checks of a record (spec section 4.4): of several defects, the first one is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from consilience.v1 import registry_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.kinds import Cast
from consilience_conformance.records.made_up import DAY, LONGEST, MadeUpNode, day, moment, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import refused
from consilience_conformance.rules.registries import STORED, came_to, published, serves_not, unchanged
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_MINUTE = timedelta(minutes=1)
_TOO_SOON = timedelta(seconds=-90)
_LARGE = "x" * 65536

Make = Callable[[Cast, set[str]], registry_pb2.Record]
"""Returns a record of a cast whose node was retired long ago, with these defects, named by their reasons."""


def _sealed(signer: Caller, message: review_pb2.Review, defects: set[str]) -> SignedEnvelope:
    envelope = signer.seal(message)
    if "SIGNATURE_INVALID" in defects:
        envelope.signature = envelope.signature[:-1] + bytes([envelope.signature[-1] ^ 1])
    return envelope


def _review(cast: Cast, defects: set[str]) -> registry_pb2.Record:
    age = LONGEST + 2 * DAY if "RECORD_EXPIRED" in defects else LONGEST - 2 * DAY
    unlisted = "SIGNING_KEY_UNKNOWN" in defects
    ticket = cast.node.ticket(cast.reviewer, issue_day=day(age), by=cast.node.signer if unlisted else None)
    review = ticket.review(issued=moment(_TOO_SOON if "RECORD_NOT_YET_VALID" in defects else _MINUTE))
    if "TICKET_INVALID" in defects:
        review.ticket_salt = bytes(32)
    if "FIELD_INVALID" in defects:
        review.verdict = review_pb2.VERDICT_UNSPECIFIED
    if "LIMIT_EXCEEDED" in defects:
        review.comment = _LARGE
    return record_of(_sealed(cast.reviewer, review, defects))


def _rebuttal(cast: Cast, defects: set[str]) -> registry_pb2.Record:
    signer = cast.node.signer if "SIGNING_KEY_UNKNOWN" in defects else cast.node.root
    age = _TOO_SOON if "RECORD_NOT_YET_VALID" in defects else LONGEST - 2 * DAY
    rebuttal = cast.node.rebuttal(cast.ticket.digest, issued=moment(age), by=signer)
    if "FIELD_INVALID" in defects:
        rebuttal.comment = ""
    if "LIMIT_EXCEEDED" in defects:
        rebuttal.comment = _LARGE
    return record_of(_sealed(signer, rebuttal, defects))  # type: ignore[arg-type]


def _card(cast: Cast, defects: set[str]) -> registry_pb2.Record:
    issued = moment(_TOO_SOON if "RECORD_NOT_YET_VALID" in defects else _MINUTE)
    card = cast.node.card(issued=issued)
    if "RECORD_EXPIRED" in defects:
        card.expire_time.CopyFrom(timestamp(moment(2 * _MINUTE)))
    if "FIELD_INVALID" in defects:
        card.ClearField("endpoints")
    if "LIMIT_EXCEEDED" in defects:
        card.description = _LARGE
    return record_of(_sealed(cast.node.root, card, defects))  # type: ignore[arg-type]


def _succession(cast: Cast, defects: set[str]) -> registry_pb2.Record:
    """Returns a second succession, on which no card has a say."""
    heir, node = Caller.new(), cast.node
    issued = moment(_TOO_SOON if "RECORD_NOT_YET_VALID" in defects else _MINUTE)
    changes: dict[str, object] = {"old_node_id": b"short"} if "FIELD_INVALID" in defects else {}
    acceptance = heir.seal(node.acceptance(issued=issued, heir=heir, **changes))
    succession = node.succession(heir=heir)
    succession.acceptance.CopyFrom(acceptance)
    if "LIMIT_EXCEEDED" in defects:
        succession.acceptance.payload_type = _LARGE
    return record_of(_sealed(node.root, succession, defects))  # type: ignore[arg-type]


_STEPS: Mapping[str, tuple[Make, tuple[str, ...]]] = {
    "review": (
        _review,
        (
            "LIMIT_EXCEEDED",
            "SIGNATURE_INVALID",
            "FIELD_INVALID",
            "RECORD_NOT_YET_VALID",
            "RECORD_EXPIRED",
            "TICKET_INVALID",
            "SIGNING_KEY_UNKNOWN",
            "KEY_RETIRED",
        ),
    ),
    "rebuttal": (
        _rebuttal,
        (
            "LIMIT_EXCEEDED",
            "SIGNATURE_INVALID",
            "FIELD_INVALID",
            "RECORD_NOT_YET_VALID",
            "SIGNING_KEY_UNKNOWN",
            "KEY_RETIRED",
        ),
    ),
    "card": (
        _card,
        (
            "LIMIT_EXCEEDED",
            "SIGNATURE_INVALID",
            "FIELD_INVALID",
            "RECORD_NOT_YET_VALID",
            "RECORD_EXPIRED",
            "KEY_RETIRED",
        ),
    ),
    "succession": (
        _succession,
        ("LIMIT_EXCEEDED", "SIGNATURE_INVALID", "FIELD_INVALID", "RECORD_NOT_YET_VALID", "SUCCESSION_INVALID"),
    ),
}
"""By kind, its maker and the reasons in the order of the steps; a record with one defect has all the later ones too."""


async def _pile_up(stage: Stage) -> None:
    publisher = Publisher(stage)
    await asyncio.gather(*(_pile_up_kind(publisher, word) for word in _STEPS))


async def _pile_up_kind(publisher: Publisher, word: str) -> None:
    cast, (make, steps) = Cast.new(), _STEPS[word]
    await publisher.publish(f"{word} succession", _long_ago(cast.node))
    await publisher.listed(f"{word} before", subject=cast.node.node_id)
    for index, reason in enumerate(steps):
        exchange = await publisher.publish(f"{word} {reason}", partial(make, cast, set(steps[index:])))
        await publisher.get(f"{word} {reason} fetched", published(exchange))
    await publisher.listed(f"{word} after", subject=cast.node.node_id)


def _long_ago(node: MadeUpNode) -> registry_pb2.Record:
    """Returns a succession before everything that has not ended."""
    issued: datetime = moment(2 * LONGEST)
    return record_of(node.root.seal(node.succession(issued=issued)), card=node.sealed_card(issued=issued - _MINUTE))


def _judge_piles(seen: Transcript) -> Iterator[Finding]:
    for word, (_, steps) in _STEPS.items():
        yield from came_to(seen[f"{word} succession"], STORED, requirement="REC-ADM-001")
        for reason in steps:
            yield from refused(seen[f"{word} {reason}"], reason, requirement="REC-ADM-001")
            yield from serves_not(seen[f"{word} {reason} fetched"], requirement="REC-ADM-002")
        yield from unchanged(seen, f"{word} before", f"{word} after", requirement="REC-ADM-002")


CHECKS = (
    record_check(
        name="first-defect-of-a-record-is-the-refusal",
        title="A record with several defects is refused for the one that the specification checks first.",
        requirements=("REC-ADM-001", "REC-ADM-002"),
        drive=_pile_up,
        judge=_judge_piles,
    ),
)
