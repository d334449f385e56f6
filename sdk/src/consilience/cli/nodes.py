"""`consilience card`: who a node is and what it offers."""

import asyncio
import json
from datetime import timedelta

import click
from rich.console import Group
from rich.table import Table

from consilience.cli import parameters
from consilience.cli.jsonable import jsonable
from consilience.cli.printing import cell, console, facts_table
from consilience.cli.registries import json_option, maybe_registry_option, node_of
from consilience.cli.waiting import telling_late_registries
from consilience.client import Client
from consilience.envelopes import Signed
from consilience.identity import format_node_id
from consilience.nodes import Model, NodeCard, Skill, TlsMode, effective_data_class

_SECRECY = {
    TlsMode.WEBPKI: "encrypted, certificate of a public authority",
    TlsMode.PINNED: "encrypted, certificate named in this card",
    TlsMode.LOOPBACK_PLAIN: "from this machine only, not encrypted",
}


@click.command()
@click.argument("node", type=parameters.text)
@maybe_registry_option
@json_option
@click.option("--timeout", type=parameters.seconds, default=10.0, show_default=True, help="Seconds to wait.")
def card(node: str, registries: tuple[str, ...], *, as_json: bool, timeout: float) -> None:
    """Fetches and verifies the card of NODE: cn1…@host:port, https://host:port, or host:port on this machine.

    The card of cn1… alone is looked for at registries; where the node has another root key since, it is that of the new
    one.
    """
    fetched = asyncio.run(_fetch(node, registries=registries, timeout=timeout))
    if as_json:
        click.echo(json.dumps({"digest": fetched.digest.hex(), "card": jsonable(fetched.value)}, indent=2))
    else:
        console().print(card_view(fetched))


async def _fetch(
    node: str,
    *,
    registries: tuple[str, ...],
    timeout: float,  # noqa: ASYNC109 - the client keeps the time
) -> Signed[NodeCard]:
    async with Client(call_timeout=timeout, registries=registries) as client, telling_late_registries(client):
        return await client.card(await node_of(client, node, registries=registries))


def card_view(signed: Signed[NodeCard]) -> Group:
    """Returns a card as a person reads it."""
    node = signed.value
    facts = [
        ("node", format_node_id(node.node_id)),
        ("name", f"{node.name}  {node.description}".strip()),
        (
            "reached at",
            ", ".join(
                f"{place.uri} ({_SECRECY.get(place.tls_mode, place.tls_mode.name.lower())})" for place in node.endpoints
            ),
        ),
        ("profiles", ", ".join(profile.name.lower() for profile in node.profiles)),
        ("reads data up to", node.data_policy.max_data_class.name),
        ("limits", _limits(node)),
        ("valid until", f"{node.expire_time:%Y-%m-%d %H:%M} UTC, signed by the node's root key"),
        *(("model", _model(model)) for model in node.models),
    ]
    return Group(facts_table(facts), "", _skills(node))


def _model(model: Model) -> str:
    size = f"{model.parameter_count / 1e6:,.0f} M parameters" if model.parameter_count else ""
    return ", ".join(part for part in (model.family or model.id, size, model.quantization, model.engine) if part)


def _skills(node: NodeCard) -> Table:
    table = Table(title="Skills", title_justify="left", show_edge=False)
    for heading in ("skill", "about", "languages", "gives", "data up to"):
        table.add_column(heading)
    for skill in node.skills:
        about = skill.description or ", ".join(skill.domains)
        ceiling = effective_data_class(node, skill).name
        table.add_row(*map(cell, (skill.id, about, ", ".join(skill.languages), _gives(skill), ceiling)))
    return table


def _gives(skill: Skill) -> str:
    claims = {
        "citations": skill.gives_citations,
        "confidence": skill.gives_confidence,
        "what it read": skill.gives_intake,
    }
    return ", ".join(name for name, given in claims.items() if given)


def _limits(node: NodeCard) -> str:
    limits = node.limits
    kept = limits.answer_retention / timedelta(hours=1)
    stated = (
        (limits.max_input_tokens, "{} tokens in"),
        (limits.max_output_tokens, "{} tokens out"),
        (limits.max_running_asks, "{} asks at a time"),
    )
    return ", ".join([*(words.format(value) for value, words in stated if value), f"answers kept {kept:g} h"])
