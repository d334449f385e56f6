"""Listing (spec section 4.5): what fits, each once over all pages, whatever arrives meanwhile."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping

from consilience.v1 import registry_pb2, review_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.made_up import MadeUpNode, advisory, name_of, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.rules.registries import (
    STORED,
    came_to,
    holds,
    listed,
    next_page_of,
    pages,
    published,
)
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_LIST = ("REG-LIST-001", "REC-ADM-001")
_REVIEW, _ADVISORY, _RETRACTION = (
    review_pb2.RECORD_TYPE_REVIEW,
    review_pb2.RECORD_TYPE_ADVISORY,
    review_pb2.RECORD_TYPE_RETRACTION,
)
_COUNT = 7
_PAGE = 2

_LISTED: Mapping[str, tuple[str, ...]] = {
    "about the node": ("card", "review", "other review", "advisory", "rebuttal"),
    "by the reviewer": ("review", "advisory", "advisory on a model"),
    "by the reviewer, about the node": ("review", "advisory"),
    "by the node": ("card", "rebuttal"),
    "about the model": ("advisory on a model",),
    "reviews of the node": ("review", "other review"),
    "reviews and advisories of the node": ("review", "other review", "advisory"),
    "retractions about the node": (),
}
"""What each listing holds, by the names of what was published."""


async def _list(stage: Stage) -> None:
    publisher, node, reviewer, other = Publisher(stage), MadeUpNode.new(), Caller.new(), Caller.new()
    ticket, weights = node.ticket(reviewer), secrets.token_bytes(32)
    records = {
        "card": record_of(node.sealed_card()),
        "review": record_of(reviewer.seal(ticket.review())),
        "other review": record_of(other.seal(node.ticket(other).review())),
        "advisory": record_of(reviewer.seal(advisory(reviewer, node_id=node.node_id))),
        "advisory on a model": record_of(reviewer.seal(advisory(reviewer, node_id=b"", weights_digest=weights))),
        "rebuttal": record_of(node.root.seal(node.rebuttal(ticket.digest))),
    }
    for name, record in records.items():
        await publisher.publish(f"publish {name}", record)
    queries: dict[str, dict[str, object]] = {
        "about the node": {"subject": node.node_id},
        "by the reviewer": {"author": reviewer.key},
        "by the reviewer, about the node": {"author": reviewer.key, "subject": node.node_id},
        "by the node": {"author": node.node_id},
        "about the model": {"subject": weights},
        "reviews of the node": {"subject": node.node_id, "types": [_REVIEW]},
        "reviews and advisories of the node": {"subject": node.node_id, "types": [_REVIEW, _ADVISORY]},
        "retractions about the node": {"subject": node.node_id, "types": [_RETRACTION]},
    }
    for name, query in queries.items():
        await publisher.listed(name, **query)


def _judge_listed(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("publish "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001")
    for name, expected in _LISTED.items():
        records = [published(seen[f"publish {one}"]) for one in expected]
        message = f"the listing {name} holds other records than fit"
        yield from holds(seen, name, *records, requirement="REG-LIST-001", message=message)


async def _take_back(stage: Stage) -> None:
    publisher, node, reviewer = Publisher(stage), MadeUpNode.new(), Caller.new()
    ticket = node.ticket(reviewer)
    await publisher.publish("review", record_of(reviewer.seal(ticket.review())))
    await publisher.listed("before", subject=node.node_id)
    await publisher.publish("retraction", record_of(reviewer.seal(ticket.retraction())))
    await publisher.listed("after", subject=node.node_id)
    await publisher.listed("retractions", subject=node.node_id, author=reviewer.key, types=[_RETRACTION])
    await publisher.listed("reviews", subject=node.node_id, types=[_REVIEW])


def _judge_taken_back(seen: Transcript) -> Iterator[Finding]:
    for name in ("review", "retraction"):
        yield from came_to(seen[name], STORED, requirement="REC-ADM-001")
    for listing, names in {
        "before": ("review",),
        "after": ("retraction",),
        "retractions": ("retraction",),
        "reviews": (),
    }.items():
        records = [published(seen[name]) for name in names]
        message = f"the listing {listing} does not hold the retraction in the place of what it takes back"
        yield from holds(seen, listing, *records, requirement="REG-LIST-001", message=message)


def _advisories(author: Caller) -> Iterator[registry_pb2.Record]:
    return (record_of(author.seal(advisory(author))) for _ in range(_COUNT))


async def _page(stage: Stage) -> None:
    publisher, author = Publisher(stage), Caller.new()
    records = enumerate(_advisories(author))
    await asyncio.gather(*(publisher.publish(f"publish {number}", record) for number, record in records))
    await publisher.listed("pages", author=author.key, page_size=_PAGE)


def _judge_pages(seen: Transcript) -> Iterator[Finding]:
    yield from _each_once(seen, "pages")
    for exchange in pages(seen, "pages"):
        if len(held := listed([exchange])) > _PAGE:
            yield Finding(
                requirement="REG-LIST-001",
                message="a page holds more records than were asked for",
                expected=f"at most {_PAGE}",
                got=str(len(held)),
                exchange=exchange.name,
            )


async def _arrive(stage: Stage) -> None:
    """Publishes another record of the same author before each further page is fetched."""
    publisher, author = Publisher(stage), Caller.new()
    records = enumerate(_advisories(author))
    await asyncio.gather(*(publisher.publish(f"publish {number}", record) for number, record in records))
    token = next_page_of(await publisher.list("pages", author=author.key, page_size=_PAGE))
    for number, late in enumerate(_advisories(author), start=2):
        if not token:
            return
        await publisher.publish(f"late {number}", late)
        name = f"pages {number}"
        token = next_page_of(await publisher.list(name, author=author.key, page_size=_PAGE, page_token=token))


def _judge_arrivals(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("late "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001", called="a late record")
    yield from _each_once(seen, "pages")


def _each_once(seen: Transcript, name: str) -> Iterator[Finding]:
    """Yields that some pages together lack a record that was there before the first, or hold one twice."""
    exchanges = list(pages(seen, name))
    for exchange in exchanges:
        if not exchange.accepted:
            yield from was_accepted(exchange, requirement="REG-LIST-001")
            return
    held = Counter(name_of(record) for record in listed(exchanges))
    for exchange in seen.named("publish "):
        yield from came_to(exchange, STORED, requirement="REC-ADM-001", called="a record")
        if not held[name_of(published(exchange))]:
            yield _finding("a record that was there from the first page is on none", exchange=name)
    if max(held.values(), default=0) > 1:
        yield _finding("a record is on the pages twice", exchange=name)


def _finding(message: str, *, exchange: str) -> Finding:
    return Finding(requirement="REG-LIST-001", message=message, expected="each once", exchange=exchange)


CHECKS = (
    record_check(
        name="records-are-listed-by-whom-and-about-whom",
        title="A listing holds the records about a subject, by an author, or both, of the types that are asked for.",
        requirements=_LIST,
        drive=_list,
        judge=_judge_listed,
    ),
    record_check(
        name="a-retraction-is-listed-in-place",
        title="What a retraction stands for is listed as the retraction.",
        requirements=_LIST,
        drive=_take_back,
        judge=_judge_taken_back,
    ),
    record_check(
        name="pages-of-records-hold-each-once",
        title="All pages of a listing together hold each record once, and none holds more than was asked for.",
        requirements=_LIST,
        drive=_page,
        judge=_judge_pages,
    ),
    record_check(
        name="arrivals-move-no-page",
        title="What arrives while pages are read takes nothing from them, and puts nothing on them twice.",
        requirements=_LIST,
        drive=_arrive,
        judge=_judge_arrivals,
    ),
)
