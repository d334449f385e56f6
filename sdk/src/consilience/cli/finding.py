"""`consilience find` and `about`: nodes by what they offer, and what is said about one."""

import asyncio
import json
from typing import Any

import click
from rich.table import Table

from consilience.cli import parameters
from consilience.cli.paying import amount_facts
from consilience.cli.printing import console, facts_table
from consilience.cli.registries import fault_facts, json_option, node_id_of, print_faults, registry_option
from consilience.cli.waiting import telling_late_registries
from consilience.client import Client
from consilience.client.reviews import FoundNode, FoundNodes, Opinions
from consilience.client.reviews.finding import Wanted
from consilience.client.reviews.opinions import Opinion
from consilience.identity import format_node_id
from consilience.nodes import DataClass
from consilience.reviews import Advisory, Review

_CLASSES = [member.name.lower() for member in DataClass if member > DataClass.UNSPECIFIED]


@click.command()
@click.option("--domain", default="", type=parameters.tag, help="What it knows about: law finds law.de.")
@click.option("--language", default="", type=parameters.text, help="en finds en-GB.")
@click.option("--skill", default="", type=parameters.tag, help="The id of the skill.")
@click.option("--max-price", metavar="AMOUNT", help="For 1,000 tokens read and 250 written: '0.001 USD/6'.")
@click.option("--data-class", type=click.Choice(_CLASSES), help="The class of data that it has to read.")
@click.option("--text", default="", type=parameters.text, help="Words of its descriptions. It is sent to registries.")
@click.option("--near", default="", type=parameters.text, help="A question. It stays here, and ranks what is found.")
@registry_option
@json_option
def find(**options: Any) -> None:  # noqa: ANN401 - click hands over what each option is
    """Finds nodes with a skill that fits, the nearest and cheapest first. No registry is told what you want to know."""
    found = asyncio.run(_find(options))
    if options["as_json"]:
        facts = {"nodes": list(map(_node_facts, found.nodes)), "faults": list(map(fault_facts, found.faults))}
        click.echo(json.dumps(facts, indent=2))
        return
    print_faults(found.faults)
    if not found.nodes:
        click.echo("No node is known there with such a skill: ask for less, or ask other registries.", err=True)
    for node in found.nodes:
        console().print(_node_view(node), "")


async def _find(options: dict[str, Any]) -> FoundNodes:
    wanted: Wanted = {name: options[name] for name in ("domain", "language", "skill", "text")}  # type: ignore[assignment]
    if options["max_price"] is not None:
        wanted["max_price"] = options["max_price"]
    if options["data_class"] is not None:
        wanted["data_class"] = DataClass[options["data_class"].upper()]
    async with Client() as client, telling_late_registries(client):
        return await client.find(registries=options["registries"], near=options["near"], **wanted)


def _node_view(node: FoundNode) -> Table:
    card = node.card.value
    facts = [
        ("node", format_node_id(card.node_id)),
        ("name", card.name),
        ("skill", node.skill.id),
        ("price", "free" if node.is_free else str(node.price or "by a tariff of a later version")),
        ("reached at", ", ".join(endpoint.authority for endpoint in card.endpoints)),
    ]
    return facts_table(facts)


def _node_facts(node: FoundNode) -> dict[str, Any]:
    card = node.card.value
    return {
        "node": format_node_id(card.node_id),
        "name": card.name,
        "skill": node.skill.id,
        "price": amount_facts(node.price),
        "endpoints": [endpoint.uri for endpoint in card.endpoints],
        "card": node.card.digest.hex(),
        "registries": list(node.registries),
    }


@click.command()
@click.argument("node", type=parameters.text)
@registry_option
@json_option
def about(node: str, registries: tuple[str, ...], *, as_json: bool) -> None:
    """Lists what is said about NODE, cn1… or its address, and what it says to that. Whom to believe is yours."""
    opinions = asyncio.run(_about(node, registries))
    said = (*opinions.reviews, *opinions.advisories)
    if as_json:
        facts = {"opinions": list(map(_opinion_facts, said)), "faults": list(map(fault_facts, opinions.faults))}
        click.echo(json.dumps(facts, indent=2))
        return
    print_faults(opinions.faults)
    if not said:
        click.echo("Nothing is said there about it.", err=True)
    for opinion in said:
        console().print(facts_table((name, said) for name, said in _opinion_facts(opinion).items() if said), "")


async def _about(node: str, registries: tuple[str, ...]) -> Opinions:
    async with Client(registries=registries) as client, telling_late_registries(client):
        return await client.reviews.about(await node_id_of(client, node))


def _opinion_facts(opinion: Opinion) -> dict[str, Any]:
    place, value = opinion.record.place, opinion.record.record.object.value
    says = of = domain = words = ""
    match value:
        case Review():
            says = f"{value.verdict.name.lower()} ({value.verification.method.name.lower()})"
            of, domain, words = value.ticket.value.skill_id, value.domain, value.comment
        case Advisory():
            says, of = f"{value.category.name.lower()} ({value.severity.name.lower()})", value.skill_id
            words = value.summary
    return {
        "day": f"{place.issue_time:%Y-%m-%d}",
        "record": place.digest.hex(),
        "author": format_node_id(place.author),
        "says": says,
        "of": of,
        "domain": domain,
        "words": words,
        "rebuttal": opinion.rebuttal.comment if opinion.rebuttal else "",
    }
