"""What the demo shows about finding: what a registry is asked, what comes back, and how that is ranked here."""

import asyncio
import time

from rich.console import Console
from rich.table import Table

from consilience import Client
from consilience.cli.printing import cell, facts_table
from consilience.client.reviews import FoundNode, FoundNodes
from consilience.client.reviews.finding import Wanted
from consilience.nodes import DataClass
from consilience.payments import Amount
from examples.demo.processes import DemoError

DOMAIN = "computing"
MAX_PRICE = Amount.parse("1000 TEST/0")
WANTED = Wanted(domain=DOMAIN, language="en", max_price=MAX_PRICE, data_class=DataClass.PUBLIC)
ANNOUNCED_SECONDS = 20.0


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
    facts = [
        ("asked for", "computing, in English, for public data"),
        ("at most", f"{MAX_PRICE} for 1,000 tokens read and 250 written"),
        ("not told", "the question, which stays on this machine"),
    ]
    console.print(facts_table(facts))


def show_found(found: FoundNodes, *, console: Console) -> None:
    """Shows the nodes in the order in which they are to be asked."""
    table = Table(show_edge=False)
    for heading in ("node", "skill", "in common", "price", "served by"):
        table.add_column(heading)
    for node in found.nodes:
        table.add_row(*map(cell, _cells(node)))
    console.print(table)
    console.print("Verified and ranked here: by words in common with the question, then by price.")
    for fault in found.faults:
        console.print(str(fault), style="yellow", markup=False)


def shown(address: str) -> str:
    """Returns an address without the key in it, which is too long for a table."""
    return address.rpartition("@")[2]


def _cells(node: FoundNode) -> tuple[str, ...]:
    return (
        node.card.value.name,
        node.skill.id,
        f"{node.near} words",
        "free" if node.is_free else str(node.price or "unknown"),
        ", ".join(map(shown, node.registries)),
    )
