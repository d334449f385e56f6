"""`consilience ask`: a question, the streamed answer, and what is known about it."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from consilience.asks import Citation, Confidence, DocumentSource, Progress, TextDelta, Usage
from consilience.cli import parameters
from consilience.cli.exits import exit_of_outcome
from consilience.cli.jsonable import jsonable
from consilience.cli.paying import amount_facts, budget_of, list_price_option, network_option, wallet_option
from consilience.cli.printing import console, facts_table, for_stdout
from consilience.cli.registries import maybe_registry_option, node_of
from consilience.cli.streams import read_input, require_output
from consilience.cli.waiting import is_watched, tell, telling_late_registries, telling_setbacks, telling_stake
from consilience.client import AnswerStream, AskResult, Client
from consilience.client.payments import default_wallet_file
from consilience.client.reviews import default_ticket_file
from consilience.identity import format_node_id
from consilience.nodes import DataClass, Model
from consilience.payments import ListPrices
from consilience.rails.hold import TEST_NETWORK, HoldPayer

_CLASSES = [member.name.lower() for member in DataClass if member > DataClass.UNSPECIFIED]


@click.command()
@click.argument("question", nargs=-1, required=True, type=parameters.text, metavar="QUESTION")
@click.option(
    "--node",
    required=True,
    type=parameters.text,
    help="cn1…@host:port, https://host:port, host:port on this machine, or cn1… alone with a registry.",
)
@maybe_registry_option
@click.option("--skill", type=parameters.text, help="The skill to ask; otherwise the node's first.")
@click.option("--model", type=parameters.text, help="The model that is to answer; otherwise the node chooses.")
@click.option(
    "--max-output-tokens", type=parameters.TOKENS, default=0, help="Bounds the answer; otherwise the node's own limit."
)
@click.option(
    "--timeout", type=parameters.seconds, default=120.0, show_default=True, help="Seconds for the whole answer."
)
@click.option("--first-token-timeout", type=parameters.seconds, help="Seconds for the first event of it.")
@click.option("--data-class", type=click.Choice(_CLASSES), default="public", show_default=True)
@click.option(
    "--trust", multiple=True, type=parameters.node_id, metavar="NODE_ID", help="A node that may read confidential data."
)
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON schema that the answer is to fit.",
)
@click.option("--key", type=click.Path(path_type=Path), help="The key file to sign with.")
@click.option("--budget", metavar="AMOUNT", help="What the ask may cost: '0.01 USD/6'; otherwise nothing.")
@click.option(
    "--day-budget", metavar="AMOUNT", help="What all asks of a day may cost; otherwise as much as it comes to."
)
@network_option
@wallet_option
@list_price_option
@click.option("--save", type=parameters.file, help="Writes the exchange, for `consilience verify`.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one object, when the answer is whole.")
def ask(question: tuple[str, ...], **options: Any) -> int:  # noqa: ANN401 - click hands over what each option is
    """Asks QUESTION of a node and streams its answer; "-" reads the question from standard input."""
    if len(question) > 1:
        raise click.UsageError("the question is one argument: put it in quotes")
    require_output()
    text = read_input() if question == ("-",) else question[0]
    if not text.strip():
        raise click.UsageError("the question is empty")
    return asyncio.run(_ask(text, options))


async def _ask(question: str, options: dict[str, Any]) -> int:
    started = time.monotonic()
    schema = _schema_text(options["schema"]) if options["schema"] else None
    budget = budget_of(options["budget"], options["day_budget"], network=options["network"], wallet=options["wallet"])
    wallet = (options["wallet"] or default_wallet_file()) if budget else None
    async with Client(
        key=options["key"],
        trusted_nodes=options["trust"],
        budget=budget,
        wallet=wallet,
        rails=[HoldPayer(network=options["network"] or TEST_NETWORK)] if budget else None,
        ticket_file=default_ticket_file(),
        registries=options["registries"],
    ) as client:
        async with telling_late_registries(client):
            node = await node_of(client, options["node"], registries=options["registries"])
        answer = client.stream(
            question,
            node=node,
            skill=options["skill"],
            model=options["model"],
            max_output_tokens=options["max_output_tokens"],
            timeout=options["timeout"],
            first_token_timeout=options["first_token_timeout"],
            data_class=DataClass[options["data_class"].upper()],
            answer_schema=schema,
        )
        with telling_stake(answer):
            async with telling_setbacks(answer), answer as stream:
                if not options["as_json"]:
                    await _print_stream(stream)
                result = await stream.final()
    seconds = time.monotonic() - started
    if options["save"]:
        result.exchange.save(options["save"])
    if options["as_json"]:
        click.echo(json.dumps(_facts(result, seconds=seconds, prices=options["list_prices"]), indent=2))
    else:
        about = _about(result, seconds=seconds, saved=options["save"], prices=options["list_prices"])
        console(stderr=True).print(about)
    return exit_of_outcome(result.outcome)


def _schema_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise click.UsageError(f"{path} is no text in UTF-8") from None


async def _print_stream(stream: AnswerStream) -> None:
    """Prints the text as it comes, and ends its line also where it breaks off; progress goes to a terminal only."""
    shown = ""
    try:
        async for entry in stream.events():
            match entry.event:
                case TextDelta(text=text):
                    print(for_stdout(text), end="", flush=True)
                    shown = text or shown
                case Progress(message=message) if is_watched():
                    tell(message)
    except BaseException:
        if shown and not shown.endswith("\n"):
            print(flush=True)
        raise
    print(flush=True)


def _about(result: AskResult, *, seconds: float, saved: Path | None, prices: ListPrices | None) -> Table:
    """Returns who answered, with which model, how sure, from which sources, how long, for how much."""
    answer, node, usage = result.answer.value, result.node.value, result.usage
    facts = [
        ("", ""),
        ("outcome", f"{answer.outcome.name} ({answer.stop_reason.name.lower()}) {answer.detail}".strip()),
        ("answered by", f"{node.name}  {format_node_id(node.node_id)}".strip()),
        ("model", model_line(answer.model)),
        ("how sure", confidence_line(answer.confidence)),
        *([("found by", answer.confidence.method)] if answer.confidence else []),
        *(("source", citation_line(citation)) for citation in answer.citations),
        (
            "took",
            f"{seconds:.1f} s; {usage.input_tokens} tokens read, {usage.output_tokens} written{_hidden(usage)}",
        ),
        *_costs(result, prices),
        ("verified", "card, question, every event and the signed answer"),
    ]
    if result.ticket is not None:
        facts.append(("review it", f"consilience review {result.request_id.hex()[:8]} --verdict …"))
    if saved:
        facts.append(("saved", f"{saved}  (check it: consilience verify {saved})"))
    return facts_table(facts)


def _costs(result: AskResult, prices: ListPrices | None) -> Iterator[tuple[str, str]]:
    if result.receipt is not None:
        yield "cost", f"{result.cost}, by receipt {result.receipt.value.number} of the session"
    if prices is not None:
        yield "at your list", f"{prices.cost(result.usage)} ({prices})"


def _hidden(usage: Usage) -> str:
    return f", {usage.hidden_tokens} not shown" if usage.hidden_tokens else ""


def model_line(model: Model | None) -> str:
    """Returns a model as a person reads it."""
    if model is None:
        return "no language model took part"
    return ", ".join(part for part in (model.family or model.id, model.quantization, model.engine) if part)


def confidence_line(confidence: Confidence | None) -> str:
    """Returns a confidence as a person reads it; absent is not one half."""
    if confidence is None:
        return "the node does not say"
    if confidence.p_correct is None:
        return "no figure"
    interval = ""
    if confidence.lower is not None and confidence.upper is not None:
        interval = f", 95 % between {confidence.lower:.0%} and {confidence.upper:.0%}"
    return f"{confidence.p_correct:.0%}{interval}"


def citation_line(citation: Citation) -> str:
    """Returns a source as a person reads it."""
    origin = citation.origin
    if not isinstance(origin, DocumentSource):
        return f"the signed answer {origin.hex()[:16]}… of another node"
    place = f", bytes {origin.place.start_byte} to {origin.place.end_byte}" if origin.place else ""
    return f"{origin.title or origin.uri}  [{origin.uri}{place}, sha256 {origin.digest.hex()[:16]}…]"


def _facts(result: AskResult, *, seconds: float, prices: ListPrices | None) -> dict[str, Any]:
    return {
        "text": result.text,
        "parsed": result.parsed if isinstance(result.parsed, (dict, list, str, int, float, bool)) else None,
        "answer": jsonable(result.answer),
        "node": {"id": format_node_id(result.node.value.node_id), "name": result.node.value.name},
        "request_id": result.request_id.hex(),
        "cost": amount_facts(result.cost),
        "at_list_price": amount_facts(prices.cost(result.usage) if prices else None),
        "receipt": None if result.receipt is None else jsonable(result.receipt),
        "seconds": round(seconds, 3),
    }
