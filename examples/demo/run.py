"""The demo: a question travels through two real nodes on a real model, and who knows the answer is paid for it.

Three processes talk over sockets of this machine: a generalist (a small model alone, free), a specialist (the same
model with a dictionary of computing, paid), and this one, the asker. Run it with `make demo`, or `make demo
ASK=deadlock`.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from consilience import Client
from consilience.asks import DocumentSource, Outcome, Progress, TextDelta
from consilience.cli.asks import citation_line, confidence_line, model_line
from consilience.cli.exchanges import check_line
from consilience.cli.nodes import card_view
from consilience.cli.printing import facts_table, printable
from consilience.client import AskResult, Check
from consilience.errors import ConsilienceError
from consilience.identity import KeyPair
from consilience.payments import Budget
from examples.demo.payment import show_price, show_receipt

READY_SECONDS = 60.0
SURE_ENOUGH = 0.5
QUOTE_CHARACTERS = 400
CONFIGURATIONS = Path(__file__).parent
NODES = ("generalist", "specialist")
WALLET = "wallet.sqlite"
PAID_SKILL = "computing.define"
BUDGET = Budget(per_ask="500 TEST/0", per_day="1000 TEST/0")
_OUTCOMES = {
    Outcome.ANSWERED: "answered",
    Outcome.ABSTAINED: "it prefers not to answer: it is not sure enough, or does not know",
    Outcome.TRUNCATED: "cut short at the length that was asked for",
    Outcome.FAILED: "something went wrong at the node",
}
_QUESTION_WORDS = ("what", "how", "why", "who", "when", "where", "which")


def main() -> int:
    """Runs the demo and returns its exit code."""
    parser = argparse.ArgumentParser(description="Sends a question through two real nodes on a real model.")
    parser.add_argument("term", nargs="?", default="heisenbug", help="a term of computing, or a whole question")
    term = parser.parse_args().term.strip() or "heisenbug"
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    try:
        with tempfile.TemporaryDirectory(prefix="consilience-demo-") as folder, _nodes(Path(folder), console) as nodes:
            return asyncio.run(_demonstrate(question_about(term), nodes, console))
    except KeyboardInterrupt:
        console.print("\ninterrupted; both nodes are stopped")
        return 130
    except (ConsilienceError, DemoError) as error:
        console.print(f"[bold red]{type(error).__name__}[/]: {error}")
        return 1


def question_about(term: str) -> str:
    """Returns the question about a term; what is a question already stays as it is."""
    asks_already = term.endswith("?") or term.lower().startswith(_QUESTION_WORDS)
    return term if asks_already else f"What is a {term}?"


class DemoError(Exception):
    """A node of the demo did not start."""


@contextlib.contextmanager
def _nodes(folder: Path, console: Console) -> Iterator[dict[str, str]]:
    """Starts both nodes, yields the address of each by its name, and stops them."""
    console.rule("1  Two nodes start")
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in NODES:
            processes[name] = _start(name, folder)
        addresses = {name: _ready(name, process, folder) for name, process in processes.items()}
        for name, address in addresses.items():
            console.print(f"{name:<11} process {processes[name].pid}  {address}")
        yield addresses
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            process.kill()
            process.wait()


def _start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "consilience_node", "serve"]
    command += ["--config", str(CONFIGURATIONS / f"{name}.toml"), "--ready-file", str(folder / name)]
    environment = os.environ | {"XDG_STATE_HOME": str(folder / f"{name}-state")}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def _ready(name: str, process: subprocess.Popen[bytes], folder: Path) -> str:
    """Waits for the address that a node writes when it serves."""
    ready = folder / name
    give_up = time.monotonic() + READY_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > give_up:
            log = (folder / f"{name}.log").read_text(errors="replace").strip()
            raise DemoError(f"the {name} did not start; it said:\n{log}")
        time.sleep(0.05)
    return ready.read_text().strip()


async def _demonstrate(question: str, nodes: dict[str, str], console: Console) -> int:
    started = time.monotonic()
    timings: dict[str, float] = {}
    kept = Path(tempfile.mkdtemp(prefix="consilience-demo-"))
    async with Client(key=KeyPair.generate(), budget=BUDGET, wallet=kept / WALLET) as client:
        console.rule("2  Their cards are fetched and verified")
        for name, address in nodes.items():
            with _timed(timings, f"card of the {name}"):
                card = await client.card(address)
            console.print(Panel(card_view(card), title=name, title_align="left"))

        console.rule("3  The generalist is asked, and says how sure it is")
        with _timed(timings, "answer of the generalist"):
            first = await _ask(client, question, nodes["generalist"], console)
        _show_knowledge(first, console)
        if _is_sure(first):
            console.print("The generalist is sure. The specialist is asked all the same, to compare.")
        else:
            console.print("[bold]The generalist is not sure enough, so somebody who knows more is asked.[/]")

        console.rule("4  The specialist is asked for its price, and then the question")
        with _timed(timings, "price of the specialist"):
            quote = await client.payments.quote(PAID_SKILL, node=nodes["specialist"])
        show_price(quote.value, budget=BUDGET, console=console)
        with _timed(timings, "answer of the specialist"):
            second = await _ask(client, question, nodes["specialist"], console)
        _show_knowledge(second, console)

        console.rule("5  The specialist was paid while it answered, and gave a receipt")
        (session,) = await client.payments.sessions()
        show_receipt(second, session=session, console=console)
        receipts = await client.payments.verify(session.session_id)
    held = _verify(second, receipts, kept=kept, console=console)
    _show_timings(timings, time.monotonic() - started, console)
    return 0 if held else 1


async def _ask(client: Client, question: str, node: str, console: Console) -> AskResult:
    console.print(f"[bold]> {question}[/]")
    async with client.stream(question, node=node, max_output_tokens=80, timeout=60) as stream:
        async for entry in stream.events():
            match entry.event:
                case TextDelta(text=text):
                    console.out(printable(text), end="")
                case Progress(message=message):
                    console.print(f"… {message}", style="dim", markup=False)
        result = await stream.final()
    console.print(" …" if result.outcome is Outcome.TRUNCATED else "")
    return result


def _is_sure(result: AskResult) -> bool:
    confidence = result.confidence
    return result.outcome is Outcome.ANSWERED and confidence is not None and (confidence.p_correct or 0) >= SURE_ENOUGH


def _show_knowledge(result: AskResult, console: Console) -> None:
    """Shows what the signed answer says about itself."""
    facts = [
        ("outcome", _OUTCOMES.get(result.outcome, result.outcome.name.lower())),
        ("how sure", confidence_line(result.confidence)),
    ]
    for citation in result.citations:
        facts.append(("source", citation_line(citation)))
        if isinstance(citation.origin, DocumentSource):
            quote = " ".join(citation.origin.quote.split())
            facts.append(("", f"“{textwrap.shorten(quote, QUOTE_CHARACTERS, placeholder=' …')}”"))
    if result.intake is not None and result.intake.retrieval_strategy:
        used = sum(chunk.used for chunk in result.intake.chunks)
        facts.append(("read", f"{used} of {len(result.intake.chunks)} passages, by {result.intake.retrieval_strategy}"))
    facts.append(("model", model_line(result.model)))
    console.print(facts_table(facts))


def _verify(result: AskResult, receipts: tuple[Check, ...], *, kept: Path, console: Console) -> bool:
    console.rule("6  The chain card → question → answer → receipt is verified offline")
    file = kept / "exchange.json"
    result.exchange.save(file)
    checks = (*result.exchange.verify(), *receipts)
    for check in checks:
        console.print(check_line(check), no_wrap=True, overflow="ellipsis")
    console.print(f"\nAnyone can check it: .venv/bin/consilience verify {file}", soft_wrap=True)
    console.print(
        f"and what was paid:   .venv/bin/consilience receipts verify --wallet {kept / WALLET}", soft_wrap=True
    )
    return all(check.passed for check in checks)


@contextlib.contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    timings[name] = time.monotonic() - started


def _show_timings(timings: dict[str, float], total: float, console: Console) -> None:
    console.rule("7  Timings, and what to try next")
    for name, seconds in timings.items():
        console.print(f"{name:<26}{seconds:7.2f} s")
    console.print(f"{'all of it':<26}{total:7.2f} s\n")
    console.print("make demo ASK=deadlock          another term")
    console.print(". .venv/bin/activate            puts the commands into your shell; then")
    console.print("consilience-node serve          a node of your own; and, in a second terminal:")
    console.print('consilience ask "…" --node 127.0.0.1:7341')
    console.print("docs/guides/                    serve your documents, charge for answers, write a node of your own")


if __name__ == "__main__":
    sys.exit(main())
