"""What the demo shows about finding: what a registry is asked, what comes back, and how that is ranked here."""

import asyncio
import time

from rich.console import Console
from rich.table import Table

from consilience import Client
from consilience.cli.printing import cell, facts_table
from consilience.client.reviews import FoundNode, FoundNodes
from consilience.client.reviews.finding import Wanted
from consilience.identity import format_node_id
from consilience.nodes import DataClass
from consilience.payments import Amount
from examples.demo.processes import DemoError

DOMAIN = "computing"
MAX_PRICE = Amount.parse("1000 TEST/0")
WANTED = Wanted(domain=DOMAIN, language="en", max_price=MAX_PRICE, data_class=DataClass.PUBLIC)
ANNOUNCED_SECONDS = 20.0
_SHORT_ID = 11


async def find(client: Client, question: str) -> FoundNodes:
    """Looks for nodes that may know the answer; one that has just started may be on its way to the registry still.

    Raises:
        DemoError: There is none.
    """
    give_up = time.monotonic() + ANNOUNCED_SECONDS
    while not (found := await client.find(near=question, **WANTED)).nodes:
        if time.monotonic() > give_up:
            raise DemoError(f"the registry knows nobody who answers about {DOMAIN}: the specialist was not announced")
        await asyncio.sleep(0.1)
    return found


def show_wanted(console: Console) -> None:
    """Shows what the registry is told, and what it is not."""
    asked = f"computing, in English, for public data; 1,000 tokens read and 250 written cost {MAX_PRICE} at most"
    console.print(facts_table([("asked for", asked), ("not told", "the question, which stays on this machine")]))


def show_found(found: FoundNodes, *, console: Console) -> None:
    """Shows the nodes in the order in which they are worth asking."""
    table = Table(show_edge=False)
    for heading in ("node", "skill", "in common", "price", "measured", "served by"):
        table.add_column(heading)
    for node in found.nodes:
        table.add_row(*map(cell, _cells(node)))
    console.print(table)
    console.print("Verified and ranked here: by words in common with the question, by price, by measured quality.")
    for fault in found.faults:
        console.print(str(fault), style="yellow", markup=False)


def shown(address: str) -> str:
    """Returns an address without the key in it, which is too long for a table."""
    return address.rpartition("@")[2]


def _cells(node: FoundNode) -> tuple[str, ...]:
    card = node.card.value
    quality = max((measured.score_milli for measured in node.skill.measured_quality), default=None)
    return (
        f"{card.name}  {format_node_id(card.node_id)[:_SHORT_ID]}…",
        node.skill.id,
        f"{node.near} words",
        "free" if node.price is None else str(node.price),
        "nothing" if quality is None else f"{quality / 10:.0f} %",
        ", ".join(map(shown, node.registries)),
    )
