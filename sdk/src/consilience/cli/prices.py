"""`consilience prices`: what the skills of a node cost."""

import asyncio
import json
from typing import Any

import click
from rich.table import Table

from consilience.cli import parameters
from consilience.cli.jsonable import jsonable
from consilience.cli.paying import json_option, list_price_option
from consilience.cli.printing import cell, console
from consilience.cli.registries import maybe_registry_option, node_of
from consilience.cli.waiting import telling_late_registries
from consilience.client import Client
from consilience.client.payments import SkillPrice
from consilience.payments import ListPrices
from consilience.payments.prices import tariff_words


@click.command()
@click.argument("node", type=parameters.text)
@list_price_option
@maybe_registry_option
@json_option
@click.option("--timeout", type=parameters.seconds, default=10.0, show_default=True, help="Seconds to wait.")
def prices(
    node: str, *, list_prices: ListPrices | None, registries: tuple[str, ...], as_json: bool, timeout: float
) -> None:
    """Shows what the skills of NODE cost by its card; each ask is priced by a quote, which the client checks."""
    found = asyncio.run(_fetch(node, registries=registries, timeout=timeout))
    if as_json:
        click.echo(json.dumps([_facts(price) for price in found], indent=2))
        return
    table = Table(title="Prices", title_justify="left", show_edge=False)
    for heading in ("skill", "costs", "paid in", "paid by", "tariff"):
        table.add_column(heading)
    for price in found:
        if not price.tariffs:
            table.add_row(*map(cell, (price.skill_id, "nothing", "", "", "")))
        for tariff in price.tariffs:
            rails = " or ".join(f"{rail.id} on {rail.network}" for rail in price.rails_for(tariff.asset))
            paid_by = rails or "no rail of the card"
            table.add_row(*map(cell, (price.skill_id, tariff_words(tariff), tariff.asset, paid_by, tariff.id)))
    shown = console()
    shown.print(table)
    if list_prices is not None:
        shown.print(f"your list price: {list_prices}")


async def _fetch(
    node: str,
    *,
    registries: tuple[str, ...],
    timeout: float,  # noqa: ASYNC109 - the client keeps the time
) -> tuple[SkillPrice, ...]:
    async with Client(call_timeout=timeout, registries=registries) as client, telling_late_registries(client):
        return await client.payments.prices(await node_of(client, node, registries=registries))


def _facts(price: SkillPrice) -> dict[str, Any]:
    return {"skill": price.skill_id, "tariffs": jsonable(price.tariffs), "rails": jsonable(price.rails)}
