"""`consilience review`, `warn`, `rebut`, `retract`, `publish`: what is said in public about answers and nodes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from consilience.cli import parameters
from consilience.cli.registries import (
    REGISTRIES_VARIABLE,
    choice_of,
    json_option,
    key_option,
    maybe_registry_option,
    named,
    node_id_of,
    node_of,
    print_publication,
    record_digest,
    registry_option,
)
from consilience.cli.waiting import telling_late_registries
from consilience.client import Client, HeldTicket
from consilience.client.reviews import Publication, TicketBook, default_statement_file, default_ticket_file
from consilience.client.reviews.desk import DEFAULT_WARNING
from consilience.errors import UsageError
from consilience.reviews import AdvisoryCategory, Severity, Verdict, VerificationMethod
from consilience.units import Digest

SHORTEST_NAME = 4
"""Hexadecimal digits by which an answer may be named."""


@click.command()
@click.argument("answer", required=False, metavar="[ANSWER]")
@click.option("--verdict", required=True, type=choice_of(Verdict), help="What the answer was.")
@click.option("--how", type=choice_of(VerificationMethod), default="human", show_default=True, help="How you know.")
@click.option(
    "--independent-nodes", type=click.IntRange(0, 1000), default=0, help="Others asked the same, for cross-check."
)
@click.option("--score", type=click.IntRange(0, 1000), help="A finer grade, in thousandths.")
@click.option("--comment", default="", type=parameters.text, help="More, for people. It is public.")
@click.option(
    "--domain",
    type=parameters.tag,
    help="What the question was about: it is public, and scores count by it. Otherwise the one domain of the skill.",
)
@click.option("--tickets", type=click.Path(path_type=Path), help="The file of the tickets; otherwise the user's own.")
@maybe_registry_option
@key_option
@json_option
def review(answer: str | None, **options: Any) -> None:  # noqa: ANN401 - click hands over what each option is
    """Says in public what an answer was worth, once: ANSWER is the beginning of a request id; else the latest ask.

    Without a registry, it is published where the card of the node says. The same words again are the same review, for
    more registries; other words are refused.
    """
    if (options["how"] == "cross-check") != bool(options["independent_nodes"]):
        raise click.UsageError("--how cross-check and --independent-nodes go together: how many others were asked")
    held = _held(options["tickets"] or default_ticket_file(), answer)
    if not options["registries"] and not held.card.value.registries:
        raise click.UsageError(f"the card of the node names no registry: use --registry, or set {REGISTRIES_VARIABLE}")
    options["domain"] = domain = _domain(held, options["domain"])
    print_publication(asyncio.run(_review(held, options)), as_json=options["as_json"], domain=domain)


async def _review(held: HeldTicket, options: dict[str, Any]) -> Publication:
    async with _client(options) as client:
        return await client.reviews.review(
            held,
            verdict=Verdict[named(options["verdict"])],
            method=VerificationMethod[named(options["how"])],
            independent_nodes=options["independent_nodes"],
            score_milli=options["score"],
            comment=options["comment"],
            domain=options["domain"],
        )


@click.command()
@click.argument("node", type=parameters.text)
@click.option("--category", required=True, type=choice_of(AdvisoryCategory), help="What is wrong.")
@click.option("--severity", required=True, type=choice_of(Severity), help="How bad it is.")
@click.option("--summary", required=True, type=parameters.text, help="What to know, for people. It is public.")
@click.option("--skill", default="", type=parameters.tag, help="The one skill of it; otherwise all of them.")
@click.option("--days", type=click.IntRange(1, 730), default=DEFAULT_WARNING.days, show_default=True)
@registry_option
@key_option
@json_option
def warn(node: str, **options: Any) -> None:  # noqa: ANN401 - click hands over what each option is
    """Warns in public of NODE, cn1… or its address, or of a model: sha256: and the 64 digits of its weights.

    The same words again, for as many --days, are the same warning, for more registries.
    """
    kind, _, digits = node.partition(":")
    weights_digest = record_digest(digits, of="weights") if kind == "sha256" else b""
    print_publication(asyncio.run(_warn(node, weights_digest, options)), as_json=options["as_json"])


async def _warn(node: str, weights_digest: bytes, options: dict[str, Any]) -> Publication:
    async with _client(options) as client:
        return await client.reviews.warn(
            node="" if weights_digest else await node_id_of(client, node),
            weights_digest=weights_digest,
            category=AdvisoryCategory[named(options["category"])],
            severity=Severity[named(options["severity"])],
            summary=options["summary"],
            skill=options["skill"],
            lifetime=timedelta(days=options["days"]),
        )


@click.command()
@click.argument("record", metavar="RECORD")
@click.option("--comment", required=True, type=parameters.text, help="What the node has to say. It is public.")
@click.option("--node", type=parameters.text, help="Its address or id, where the key is a signing key of its card.")
@registry_option
@key_option
@json_option
def rebut(record: str, **options: Any) -> None:  # noqa: ANN401 - click hands over what each option is
    """Answers, as the node that it is about, the review or advisory RECORD, named by its digest.

    The same words again are the same answer, for more registries; other words take its place.
    """
    digest = Digest(record_digest(record))
    print_publication(asyncio.run(_rebut(digest, options)), as_json=options["as_json"])


async def _rebut(digest: Digest, options: dict[str, Any]) -> Publication:
    async with _client(options) as client:
        node = options["node"] and await node_of(client, options["node"], registries=options["registries"])
        card = await client.card(node) if node else None
        target = await client.reviews.get(digest)
        return await client.reviews.rebut(target, comment=options["comment"], card=card)


@click.command()
@click.argument("record", metavar="RECORD")
@click.option("--comment", default="", type=parameters.text, help="Why, for people. It is public.")
@registry_option
@key_option
@json_option
def retract(record: str, **options: Any) -> None:  # noqa: ANN401 - click hands over what each option is
    """Takes back, for good, a review or an advisory of your own: RECORD is its digest."""
    digest = Digest(record_digest(record))
    print_publication(asyncio.run(_retract(digest, options)), as_json=options["as_json"])


async def _retract(digest: Digest, options: dict[str, Any]) -> Publication:
    async with _client(options) as client:
        target = await client.reviews.get(digest)
        return await client.reviews.retract(target, comment=options["comment"])


@click.command()
@click.argument("node", type=parameters.text)
@registry_option
@json_option
def publish(node: str, registries: tuple[str, ...], *, as_json: bool) -> None:
    """Brings the card of NODE, cn1…@host:port, to registries, so that it is found."""
    print_publication(asyncio.run(_publish(node, registries)), as_json=as_json)


async def _publish(node: str, registries: tuple[str, ...]) -> Publication:
    async with Client(registries=registries) as client, telling_late_registries(client):
        return await client.reviews.publish(await client.card(await node_of(client, node, registries=registries)))


@contextlib.asynccontextmanager
async def _client(options: dict[str, Any]) -> AsyncIterator[Client]:
    """Opens who speaks: it remembers what it said, so that the same words are the same record at all registries."""
    client = Client(options["key"], registries=options["registries"], statement_file=default_statement_file())
    async with client, telling_late_registries(client):
        yield client


def _domain(held: HeldTicket, said: str | None) -> str:
    """Returns what a review is about; empty: no domain.

    Raises:
        UsageError: It was not said, and may be one of several; or it is none of those that the card names.
    """
    if said and held.domains and said not in held.domains:
        raise click.UsageError(
            f"the card does not name the domain {said} for {held.ticket.value.skill_id}: {', '.join(held.domains)}."
            " A review is not edited. Nothing was sent"
        )
    if said is None and len(held.domains) > 1:
        raise click.UsageError(
            f"which domain was it? The card names several for {held.ticket.value.skill_id}: {', '.join(held.domains)}."
            " Name one with --domain, or '' for none: a review is not edited. Nothing was sent"
        )
    return held.domain if said is None else said


def _held(path: Path, answer: str | None) -> HeldTicket:
    """Returns the ticket of an answer.

    Raises:
        UsageError: There is none, or there are several.
    """
    if not path.exists():
        raise UsageError(f"there are no tickets in {path}: nothing was asked yet that could be reviewed")
    book = TicketBook(path)
    try:
        found = book.latest() if answer is None else book.named(_name(answer))
    finally:
        book.close()
    if len(found) != 1:
        how_many = "no ticket" if not found else "several tickets"
        raise UsageError(f"{how_many} in {path} for {answer or 'any answer'}: name one by its whole request id")
    return found[0]


def _name(text: str) -> bytes:
    try:
        name = bytes.fromhex(text)
    except ValueError:
        name = b""
    if 2 * len(name) < SHORTEST_NAME:
        raise click.BadParameter(f"{text!r} names no answer: write 4, 6, 8 or more digits of its request id")
    return name
