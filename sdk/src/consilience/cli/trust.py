"""`consilience trust`: whose reviews the user believes, and what follows from it for a node."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.table import Table

from consilience.cli import parameters
from consilience.cli.jsonable import jsonable
from consilience.cli.printing import cell, console, facts_table
from consilience.cli.registries import maybe_registry_option, print_faults
from consilience.cli.waiting import telling_late_registries
from consilience.client import Client
from consilience.identity import KeyPair, default_key_file, format_node_id
from consilience.network.trust_book import Reviewer, TrustBook, default_trust_file
from consilience.network.trust_edges import LEAST_WEIGHT, TrustEdge
from consilience.units import PublicKey, utc_now

if TYPE_CHECKING:
    from consilience.network.reputation import Contribution, Evidence, Explanation, Score

_SHORT_CHARACTERS = 11

FILE_OPTION = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The trust book; otherwise the one in your state folder.",
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group()
def trust() -> None:
    """Keeps whose reviews you believe, and explains what a node's score rests on."""


@trust.command()
@click.argument("node", type=parameters.node_id)
@click.option(
    "--weight",
    type=click.FloatRange(LEAST_WEIGHT, 1),
    help="How much, compared with the others in your book; otherwise as before, or 1.",
)
@click.option("--note", type=parameters.text, help="Who that is, for yourself; otherwise as before. '' clears it.")
@FILE_OPTION
@JSON_OPTION
def add(node: PublicKey, *, weight: float | None, note: str | None, path: Path | None, as_json: bool) -> None:
    """Believes the reviews of NODE, cn1…, from now on. Of who is in your book already, what you name is changed."""
    entry = _book(path).add(node, weight=weight, note=note)
    click.echo(json.dumps(jsonable(entry)) if as_json else format_node_id(entry.node_id))


@trust.command()
@click.argument("node", type=parameters.node_id)
@FILE_OPTION
@JSON_OPTION
def remove(node: PublicKey, *, path: Path | None, as_json: bool) -> None:
    """Believes the reviews of NODE no longer."""
    entry = _book(path).remove(node)
    click.echo(json.dumps(jsonable(entry)) if as_json else format_node_id(entry.node_id))


@trust.command("list")
@FILE_OPTION
@JSON_OPTION
def list_reviewers(path: Path | None, *, as_json: bool) -> None:
    """Lists whose reviews you believe."""
    reviewers = _book(path).reviewers()
    if as_json:
        click.echo(json.dumps(jsonable(reviewers), indent=2))
        return
    if not reviewers:
        click.echo("Your trust book is empty: add a reviewer with `consilience trust add cn1…`.", err=True)
    for one in reviewers:
        console().print(_reviewer_view(one), "")


@trust.command()
@click.argument("node", type=parameters.node_id)
@click.option(
    "--domain",
    default="",
    type=parameters.tag,
    help="The domain to score the node in; otherwise, what was said without.",
)
@click.option(
    "--evidence",
    "evidence_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Outcomes, one JSON object a line: subject, domain, score_milli, verification, time.",
)
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="The key file that says who you are.")
@maybe_registry_option
@FILE_OPTION
@JSON_OPTION
def explain(node: PublicKey, **options: Any) -> None:  # noqa: ANN401 - click hands over what each option is
    """Scores NODE in a domain from where you stand, and shows whose word counts how much and why.

    What is known of it comes from a file, from the reviews of registries, or from both.
    """
    if options["evidence_file"] is None and not options["registries"]:
        raise click.UsageError("nothing is said of the node: name --evidence, --registry or both")
    reputation = _reputation_room()
    viewer = KeyPair.load(options["key"] or default_key_file()).public_key
    reviewers = _book(options["path"]).reviewers()
    evidence: list[Evidence] = []
    edges = [TrustEdge(truster=viewer, trusted=one.node_id, weight=one.weight) for one in reviewers]
    if options["evidence_file"] is not None:
        found = reputation.read_evidence(options["evidence_file"], viewer=viewer)
        evidence += found.evidence
        edges += found.edges
    if options["registries"]:
        evidence += asyncio.run(_reviewed(node, options["registries"]))
    scores = reputation.Reputation(evidence, viewer=viewer, edges=edges, now=utc_now())
    explanation = scores.explain(node, domain=options["domain"])
    if options["as_json"]:
        click.echo(json.dumps(jsonable(explanation), indent=2))
        return
    names = {one.node_id: one.note for one in reviewers if one.note} | {viewer: "you"}
    console(highlight=False).print(explanation_view(explanation, names=names))


async def _reviewed(node: PublicKey, registries: tuple[str, ...]) -> tuple[Evidence, ...]:
    """Returns what the reviews of a node say that registries keep."""
    from consilience.network.review_evidence import evidence_of  # noqa: PLC0415 - as in `_reputation_room`

    async with Client(registries=registries) as client, telling_late_registries(client):
        opinions = await client.reviews.about(node)
    print_faults(opinions.faults)
    return evidence_of(opinions.records.records)


def _reputation_room() -> ModuleType:
    """Returns the room that computes scores. Imported here alone: all other commands do without its extra."""
    try:
        from consilience.network import reputation  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "consilience":
            raise
        raise click.UsageError(str(error)) from error
    return reputation


def _book(path: Path | None) -> TrustBook:
    return TrustBook(path or default_trust_file())


def _reviewer_view(one: Reviewer) -> Table:
    facts = [("reviewer", format_node_id(one.node_id)), ("weight", f"{one.weight:g}"), ("since", f"{one.since}")]
    return facts_table([*facts, *([("note", one.note)] if one.note else [])])


def explanation_view(explanation: Explanation, *, names: dict[PublicKey, str]) -> Group:
    """Returns an explanation as a person reads it.

    Args:
        explanation: What to show.
        names: What the user calls people.
    """
    facts = facts_table(_score_facts(explanation))
    if not explanation.contributions:
        return Group(facts)
    table = Table(show_edge=False)
    for heading in ("whose word", "class", "reviews", "mean", "counts", "trust flows", "limited by"):
        table.add_column(heading)
    for one in explanation.contributions:
        table.add_row(*map(cell, _contribution_cells(one, names=names)))
    return Group(facts, "", table)


def _score_facts(explanation: Explanation) -> list[tuple[str, str]]:
    score = explanation.score
    return [
        ("node", format_node_id(score.node_id)),
        ("domain", score.domain or "(none was named)"),
        ("score", f"{score.mean:.3f}, and {score.lower:.3f} or more with a probability of 95 %"),
        ("you verified", f"answers: {score.own.items}, counting {score.own.weight:.2f}"),
        ("those you trust", _trusted_line(explanation)),
        ("strangers", f"reviews: {score.strangers.items}, counting nothing"),
        ("newest evidence", _age_line(score)),
        ("verify", f"{score.audit_rate:.0%} of its answers"),
        *([("judged elsewhere", _elsewhere_line(explanation))] if explanation.elsewhere else []),
    ]


def _trusted_line(explanation: Explanation) -> str:
    trusted = explanation.score.trusted
    return (
        f"reviews: {trusted.items}, counting {trusted.weight:.2f} of at most {explanation.cap:.2f}; "
        f"all others together can move the score by {explanation.most_shift:.3f}"
    )


def _elsewhere_line(explanation: Explanation) -> str:
    named = (f"{domain or 'without a domain'}: {items}" for domain, items in explanation.elsewhere.items())
    return f"{', '.join(named)}; it does not count here"


def _age_line(score: Score) -> str:
    return "nothing is known" if score.age is None else f"{score.age / timedelta(days=1):.1f} days old"


def _contribution_cells(one: Contribution, *, names: dict[PublicKey, str]) -> list[str]:
    way = " > ".join(_called(node_id, names) for node_id in one.path)
    return [
        _called(one.judge, names),
        one.evidence_class.value,
        str(one.items),
        f"{one.mean:.2f}",
        f"{one.weight:.2f} of {one.weight_stated:.2f}",
        f"{one.flow:.4f}  {way}" if way else "",
        ", ".join(limit.value for limit in one.limits),
    ]


def _called(node_id: PublicKey, names: dict[PublicKey, str]) -> str:
    return names.get(node_id) or f"{format_node_id(node_id)[:_SHORT_CHARACTERS]}…"
