"""The demo: who knows an answer is found through a registry, asked, paid, reviewed, and found again with its review.

Four processes talk over sockets of this machine: a registry, a generalist (a small model alone, free), a specialist
(the same model with a dictionary of computing, paid), and this one, the asker, who knows the first two alone. Run it
with `make demo`, or `make demo ASK=deadlock`.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from consilience import Client
from consilience.cli.exchanges import check_line
from consilience.cli.nodes import card_view
from consilience.cli.printing import cell
from consilience.client import AskResult, Check
from consilience.client.reviews import FoundNode, Opinions
from consilience.envelopes import Signed
from consilience.errors import ConsilienceError
from consilience.identity import KeyPair
from consilience.nodes import NodeCard
from consilience.payments import Budget
from consilience.reviews import VerificationMethod
from consilience.units import PublicKey
from examples.demo.ask import ask, is_sure, show_knowledge
from examples.demo.finding import DOMAIN, find, show_found, show_wanted
from examples.demo.payment import show_price, show_receipt
from examples.demo.processes import DemoError, Network, network
from examples.demo.review import checks_of, judge, show_judgement, show_opinions, show_publication
from examples.demo.stage import Stage
from scripts.child_processes import unwind_when_told_to_end

WALLET = "wallet.sqlite"
BUDGET = Budget(per_ask="500 TEST/0", per_day="1000 TEST/0")
_QUESTION_WORDS = ("what", "how", "why", "who", "when", "where", "which")


def main() -> int:
    """Runs the demo and returns its exit code."""
    parser = argparse.ArgumentParser(description="Finds, asks, pays and reviews a real node on a real model.")
    parser.add_argument("term", nargs="?", default="heisenbug", help="a term of computing, or a whole question")
    term = parser.parse_args().term.strip() or "heisenbug"
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    unwind_when_told_to_end()
    try:
        with tempfile.TemporaryDirectory(prefix="consilience-demo-") as folder, _kept_at_the_end() as kept:
            return _run(question_about(term), folder=Path(folder), kept=kept, stage=Stage(console))
    except KeyboardInterrupt:
        console.print("\ninterrupted; everything that was started has ended")
        return 130
    except (ConsilienceError, DemoError) as error:
        console.print(cell(f"{type(error).__name__}: {error}", style="red"), soft_wrap=True)
        return 1


def question_about(term: str) -> str:
    """Returns the question about a term; what is a question already stays as it is."""
    asks_already = term.endswith("?") or term.lower().startswith(_QUESTION_WORDS)
    return term if asks_already else f"What is a {term}?"


@contextlib.contextmanager
def _kept_at_the_end() -> Iterator[Path]:
    """Makes a folder that stays where the block is left at its end; a demo that breaks off leaves nothing behind."""
    kept = Path(tempfile.mkdtemp(prefix="consilience-demo-"))
    try:
        yield kept
    except BaseException:
        shutil.rmtree(kept)
        raise


def _run(question: str, *, folder: Path, kept: Path, stage: Stage) -> int:
    stage.title("A registry and two nodes start")
    with contextlib.ExitStack() as running:
        with stage.timed("start of the three processes"):
            nodes = running.enter_context(network(folder))
        for one in (nodes.registry, nodes.generalist, nodes.specialist):
            stage.console.print(f"{one.name:<11} process {one.process_id}  {one.address}")
        stage.console.print("The asker is told the first two addresses. The third one is at the registry.")
        return asyncio.run(_demonstrate(question, nodes=nodes, kept=kept, stage=stage))


async def _demonstrate(question: str, *, nodes: Network, kept: Path, stage: Stage) -> int:
    key = KeyPair.generate()
    async with Client(
        key,
        budget=BUDGET,
        wallet=kept / WALLET,
        card_file=kept / "seen-cards",
        registries=[nodes.registry.address],
    ) as client:
        await _ask_generalist(client, question, node=nodes.generalist.address, stage=stage)
        found = await _find_specialist(client, question, stage=stage)
        result = await _ask_specialist(client, question, found=found, stage=stage)
        receipts = await _show_payment(client, result, stage=stage)
        await _review(client, question, result=result, stage=stage)
        opinions = await _find_again(client, question, you=key.public_key, stage=stage)
    held = _verify(result, (*receipts, *checks_of(opinions, result=result)), kept=kept, stage=stage)
    _end(stage)
    return 0 if held else 1


async def _ask_generalist(client: Client, question: str, *, node: str, stage: Stage) -> None:
    stage.title("The generalist is asked, and says how sure it is")
    with stage.timed("card of the generalist"):
        card = await client.card(node)
    _show_card(card, stage=stage)
    with stage.timed("answer of the generalist"):
        result = await ask(client, question, node=card, console=stage.console)
    show_knowledge(result, console=stage.console)
    if is_sure(result):
        stage.console.print("The generalist is sure. Somebody who knows more is asked all the same, to compare.")
    else:
        stage.console.print("[bold]The generalist is not sure enough, so somebody who knows more is looked for.[/]")


async def _find_specialist(client: Client, question: str, *, stage: Stage) -> FoundNode:
    stage.title("Who knows more is found through the registry")
    show_wanted(stage.console)
    with stage.timed("finding the specialist"):
        found = await find(client, question)
    show_found(found, console=stage.console)
    _show_card(found.nodes[0].card, stage=stage)
    return found.nodes[0]


async def _ask_specialist(client: Client, question: str, *, found: FoundNode, stage: Stage) -> AskResult:
    stage.title("The specialist is asked for its price, and then the question")
    with stage.timed("price of the specialist"):
        quote = await client.payments.quote(found.skill.id, node=found.card)
    show_price(quote.value, budget=BUDGET, console=stage.console)
    with stage.timed("answer of the specialist"):
        result = await ask(client, question, node=found.card, console=stage.console)
    show_knowledge(result, console=stage.console)
    return result


async def _show_payment(client: Client, result: AskResult, *, stage: Stage) -> tuple[Check, ...]:
    stage.title("The specialist was paid while it answered, and gave a receipt")
    (session,) = await client.payments.sessions()
    show_receipt(result, session=session, console=stage.console)
    return await client.payments.verify(session.session_id)


async def _review(client: Client, question: str, *, result: AskResult, stage: Stage) -> None:
    stage.title("The answer is judged by a program, and reviewed in public")
    with stage.timed("review of the answer"):
        judgement = judge(result, question=question)
        publication = await client.reviews.review(
            result,
            verdict=judgement.verdict,
            method=VerificationMethod.TOOL,
            comment=judgement.reason,
            domain=DOMAIN,
        )
    show_judgement(judgement, console=stage.console)
    show_publication(publication, console=stage.console)


async def _find_again(client: Client, question: str, *, you: PublicKey, stage: Stage) -> Opinions:
    stage.title("The specialist is found again, with its review")
    with stage.timed("finding it again, and its review"):
        found = await find(client, question)
        node = found.nodes[0].card.value.node_id
        opinions = await client.reviews.about(node)
    show_found(found, console=stage.console)
    show_opinions(opinions, node=node, you=you, console=stage.console)
    return opinions


def _show_card(card: Signed[NodeCard], *, stage: Stage) -> None:
    stage.console.print(Panel(card_view(card), title=card.value.name, title_align="left"))


def _verify(result: AskResult, others: tuple[Check, ...], *, kept: Path, stage: Stage) -> bool:
    stage.title("Card → question → answer → receipt → review are verified offline")
    file = kept / "exchange.json"
    result.exchange.save(file)
    checks = (*result.exchange.verify(), *others)
    for check in checks:
        stage.console.print(check_line(check), no_wrap=True, overflow="ellipsis")
    stage.console.print(f"\nAnyone can check it: .venv/bin/consilience verify {file}", soft_wrap=True)
    wallet = kept / WALLET
    stage.console.print(f"and what was paid:   .venv/bin/consilience receipts verify --wallet {wallet}", soft_wrap=True)
    return all(check.passed for check in checks)


def _end(stage: Stage) -> None:
    stage.title("Timings, and what to try next")
    stage.show_timings()
    for line in (
        "",
        "make demo ASK=deadlock          another term",
        ". .venv/bin/activate            puts the commands into your shell; then",
        "consilience-node serve          a node of your own; and, in a second terminal:",
        'consilience ask "…" --node 127.0.0.1:7341',
        "docs/guides/                    serve documents, charge, run a registry, judge",
    ):
        stage.console.print(line, markup=False)
