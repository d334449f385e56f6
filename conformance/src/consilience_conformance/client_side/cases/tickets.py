"""Tickets: every ask commits to its reviewer with a salt of its own, and a review opens the ticket (section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, registry_pb2, review_pb2
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK
from consilience_conformance.client_side.checks import REGISTRY, ClientCheck
from consilience_conformance.client_side.judging import calls, envelope_of, given_out
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.registry_methods import PUBLISH
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_ASKS = ("first", "second")


async def _review_two_answers(stage: ClientStage) -> None:
    node, registry = await stage.node(), await stage.registry()
    await stage.open(registries=[registry])
    for name in _ASKS:
        if "answered" in await stage.ask(name, node):
            await stage.review(f"review-of-{name}", asked=name)


def _judge_two_answers(seen: Transcript) -> Iterator[Finding]:
    salts: list[bytes] = []
    for name in _ASKS:
        yield from given_out(seen, name, requirement="REV-TKT-002")
        asks, published = calls(seen, name, ASK), calls(seen, f"review-of-{name}", PUBLISH)
        if not asks or not published:
            yield Finding(
                requirement="REV-TKT-002",
                message="an answer with a ticket is not reviewed",
                expected="PublishRecord",
                got="no call",
            )
            return
        asked = ask_pb2.Ask.FromString(envelope_of(asks[0]).payload)
        for exchange in published:
            yield from _review_findings(exchange, commitment=asked.reviewer_commitment)
        salts.append(_review_in(published[0]).ticket_salt)
    if len(set(salts)) != len(salts):
        yield Finding(
            requirement="REV-TKT-002",
            message="two asks have one salt",
            expected="another one",
            got=salts[0].hex(),
        )


def _review_findings(exchange: Exchange, *, commitment: bytes) -> Iterator[Finding]:
    """Yields what is wrong with a review that is published, by itself and for its ask."""
    envelope = registry_pb2.PublishRecordRequest.FromString(exchange.request).record.object
    review, kind = _review_in(exchange), review_pb2.Review.DESCRIPTOR.full_name
    if defect := envelopes.defect_of(envelope, payload_type=kind, signer=review.reviewer):
        yield Finding(requirement="SIG-ENV-001", message=f"the Review is not signed: {defect}", exchange=exchange.name)
    yield from field_findings(envelope.payload, kind, exchange=exchange.name)
    opened = hashlib.sha256(review.reviewer + review.ticket_salt).digest()
    if opened != commitment:
        yield Finding(
            requirement="REV-TKT-002",
            message="a review opens another commitment than that of its ask",
            expected=commitment.hex() or "one in the ask",
            got=opened.hex(),
            exchange=exchange.name,
        )


def _review_in(exchange: Exchange) -> review_pb2.Review:
    record = registry_pb2.PublishRecordRequest.FromString(exchange.request).record
    try:
        return review_pb2.Review.FromString(record.object.payload)
    except DecodeError:
        return review_pb2.Review()


CHECKS = (
    ClientCheck(
        name="salt-is-new",
        title="Two asks commit to their reviewer with two salts, with which their reviews open the tickets.",
        requirements=("REV-TKT-002", "SIG-ENV-001", "ERR-FLD-001"),
        drive=_review_two_answers,
        judge=_judge_two_answers,
        needs=(REGISTRY,),
    ),
)
