"""What the demo shows about an ask: the answer while it comes, and what the node signed about it."""

import textwrap

from rich.console import Console

from consilience import Client
from consilience.asks import DocumentSource, Outcome, Progress, TextDelta
from consilience.cli.asks import citation_line, confidence_line, model_line
from consilience.cli.printing import facts_table, printable
from consilience.client import AskResult
from consilience.client.cards import NodeReference

SURE_ENOUGH = 0.5
QUOTE_CHARACTERS = 400
_OUTCOMES = {
    Outcome.ANSWERED: "answered",
    Outcome.ABSTAINED: "it prefers not to answer: it is not sure enough, or does not know",
    Outcome.TRUNCATED: "cut short at the length that was asked for",
    Outcome.FAILED: "something went wrong at the node",
}


async def ask(client: Client, question: str, *, node: NodeReference, console: Console) -> AskResult:
    """Asks a node, and shows the answer while it comes."""
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


def is_sure(result: AskResult) -> bool:
    """Tells whether a node is sure enough of its answer that nobody else has to be asked."""
    confidence = result.confidence
    return result.outcome is Outcome.ANSWERED and confidence is not None and (confidence.p_correct or 0) >= SURE_ENOUGH


def show_knowledge(result: AskResult, *, console: Console) -> None:
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
