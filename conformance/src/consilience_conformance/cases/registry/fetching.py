"""Fetching (spec section 4.5): everyone is served, and gets a record as it was taken in, with the card beside it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterator

from consilience.v1 import registry_pb2
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.made_up import LONG_AGO, MadeUpNode, advisory, moment, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import outcome_of, was_accepted
from consilience_conformance.rules.registries import (
    KNOWN,
    STORED,
    came_to,
    published,
    record_in,
    serves_not,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_NEWER_FIELD = b"\xc2\x3e\x05first"
"""A field of a later version, number 1000, which no library writes before the others."""
_CALLS = ("get", "list", "find", "sync")


async def _serve_everyone(stage: Stage) -> None:
    """Publishes over one connection what others signed, and reads it over another that has published nothing."""
    author = Caller.new()
    record = record_of(author.seal(advisory(author)))
    await Publisher(stage).publish("publish", record)
    reader = Publisher(await stage.elsewhere(stage.target))
    await asyncio.gather(
        reader.get("get", record),
        reader.list("list", author=author.key),
        reader.find("find", skill_id="made.up", page_size=1),
        reader.sync("sync"),
    )


def _judge_everyone(seen: Transcript) -> Iterator[Finding]:
    yield from came_to(seen["publish"], STORED, requirement="REG-OPEN-001")
    for name in _CALLS:
        if not seen[name].accepted:
            yield Finding(
                requirement="REG-OPEN-001",
                message=f"{name} is not served to everyone",
                expected="accepted",
                got=outcome_of(seen[name]),
                exchange=name,
            )


def _review_beside(node: MadeUpNode, reviewer: Caller, *, newer: bool = False) -> registry_pb2.Record:
    """Returns a review that rests on a card of the node; `newer`: with a field that this version does not know."""
    review = node.ticket(reviewer, by=node.signer).review()
    payload = review.SerializeToString(deterministic=True)
    sealed = envelopes.seal_bytes(
        _NEWER_FIELD + payload if newer else payload,
        payload_type=review.DESCRIPTOR.full_name,
        seed=reviewer.seed,
    )
    return record_of(sealed, card=node.sealed_card(issued=moment(LONG_AGO)))


async def _fetch(stage: Stage) -> None:
    publisher, node = Publisher(stage), MadeUpNode.new()
    author = Caller.new()
    records = {
        "an advisory": record_of(author.seal(advisory(author))),
        "a review beside its card": _review_beside(node, Caller.new()),
        "a review of a later version": _review_beside(node, Caller.new(), newer=True),
    }
    for name, record in records.items():
        await publisher.publish(f"publish {name}", record)
        await publisher.get(f"get {name}", record)


def _judge_fetched(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("publish "):
        name = exchange.name.removeprefix("publish ")
        yield from came_to(exchange, STORED, requirement="REC-ADM-001")
        yield from _served_as(seen[f"get {name}"], published(exchange), name=name)


def _served_as(exchange: Exchange, record: registry_pb2.Record, *, name: str) -> Iterator[Finding]:
    """Yields that a record does not come to the byte, with the card that it was admitted with."""
    got = record_in(exchange)
    if got is None:
        yield from was_accepted(exchange, requirement="REG-GET-001")
        return
    for what in ("object", "card"):
        expected, came = (_encoded(one, what) for one in (record, got))
        if expected != came:
            yield Finding(
                requirement="REG-GET-001",
                message=f"{name} is served with another {what}",
                expected=expected or "none",
                got=came or "none",
                exchange=exchange.name,
            )


def _encoded(record: registry_pb2.Record, what: str) -> str:
    if not record.HasField(what):  # type: ignore[arg-type]
        return ""
    return str(getattr(record, what).SerializeToString(deterministic=True).hex())


async def _fetch_with_cards(stage: Stage) -> None:
    publisher = Publisher(stage)
    node = MadeUpNode.new()
    first = _review_beside(node, Caller.new())
    await publisher.publish("first", first)
    other_card = node.sealed_card(issued=moment(LONG_AGO), name="another")
    await publisher.publish("again", record_of(first.object, card=other_card))
    await publisher.get("fetched", first)
    heir = MadeUpNode.new()
    await publisher.publish("own card", record_of(heir.sealed_card()))
    succession = record_of(heir.root.seal(heir.succession()))
    await publisher.publish("succession", succession)
    await publisher.get("succession fetched", succession)


def _judge_cards(seen: Transcript) -> Iterator[Finding]:
    for name, outcome in (("first", STORED), ("again", KNOWN), ("own card", STORED), ("succession", STORED)):
        yield from came_to(seen[name], outcome, requirement="REC-ADM-001")
    yield from _served_as(seen["fetched"], published(seen["first"]), name="a record that came twice")
    beside = record_of(published(seen["succession"]).object, card=published(seen["own card"]).object)
    yield from _served_as(seen["succession fetched"], beside, name="a record that brought no card")


async def _fetch_nothing(stage: Stage) -> None:
    publisher, author = Publisher(stage), Caller.new()
    record = record_of(author.seal(advisory(author)))
    await publisher.publish("publish", record)
    await publisher.get("control-before", record)
    await publisher.get("a digest of nothing", secrets.token_bytes(32))
    await publisher.get("the hash of its payload", hashlib.sha256(record.object.payload).digest())
    await publisher.get("control-after", record)


def _judge_nothing(seen: Transcript) -> Iterator[Finding]:
    yield from came_to(seen["publish"], STORED, requirement="REC-ADM-001")
    for name in ("control-before", "control-after"):
        yield from was_accepted(seen[name], requirement="REG-GET-001")
    for name in ("a digest of nothing", "the hash of its payload"):
        yield from serves_not(seen[name], requirement="REG-GET-001")


_GET = ("REG-GET-001", "REC-ADM-001")

CHECKS = (
    record_check(
        name="a-registry-serves-everyone",
        title="Whoever calls may publish what others signed, and read by every call.",
        requirements=("REG-OPEN-001",),
        drive=_serve_everyone,
        judge=_judge_everyone,
    ),
    record_check(
        name="a-record-is-served-to-the-byte",
        title="A record is served as it was taken in, to the byte, with fields of a later version and its card.",
        requirements=_GET,
        drive=_fetch,
        judge=_judge_fetched,
    ),
    record_check(
        name="a-record-keeps-its-card",
        title="Beside a record stays the card that it was admitted with: the first that came, or the registry's own.",
        requirements=_GET,
        drive=_fetch_with_cards,
        judge=_judge_cards,
    ),
    record_check(
        name="what-is-not-there-is-unknown",
        title="For a digest that is not there, GetRecord is refused with RECORD_UNKNOWN.",
        requirements=_GET,
        drive=_fetch_nothing,
        judge=_judge_nothing,
    ),
)
