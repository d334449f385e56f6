"""What all commands about records share: which registries, with which key, and what became of a publication."""

import json
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from consilience.cli import parameters
from consilience.cli.printing import cell, console
from consilience.client import Client
from consilience.client.cards import NodeReference
from consilience.client.reviews import Fault, Publication
from consilience.identity import NODE_ID_PREFIX, parse_node_id
from consilience.units import PublicKey

Command = TypeVar("Command", bound=Callable[..., Any])

REGISTRIES_VARIABLE = "CONSILIENCE_REGISTRIES"


def _registry_option(*, required: bool) -> Callable[[Command], Command]:
    return click.option(
        "--registry",
        "registries",
        multiple=True,
        required=required,
        type=parameters.text,
        envvar=REGISTRIES_VARIABLE,
        show_envvar=True,
        metavar="ADDRESS",
        help="A registry, as a node is addressed; repeatable. One that lies stands out where there are two.",
    )


registry_option = _registry_option(required=True)
maybe_registry_option = _registry_option(required=False)
key_option = click.option("--key", type=click.Path(path_type=Path), help="The key file to sign with.")
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


def choice_of(values: Iterable[Enum]) -> click.Choice[str]:
    """Returns the parameter type of the values of an enum, but for those of later versions."""
    return click.Choice([value.name.lower().replace("_", "-") for value in values if value.value > 0])


def named(text: str) -> str:
    """Returns the name of the value that was chosen."""
    return text.upper().replace("-", "_")


def print_publication(publication: Publication, *, as_json: bool, domain: str | None = None) -> None:
    """Prints what became of a record.

    Args:
        publication: What became of it.
        as_json: For machines.
        domain: What a review is about, empty: no domain; None: it is no review.
    """
    digest = publication.record.digest.hex()
    if as_json:
        facts: dict[str, Any] = {
            "record": digest,
            "was_said": publication.was_said,
            **({} if domain is None else {"domain": domain}),
            "outcomes": {name: outcome.name for name, outcome in publication.outcomes.items()},
            "failures": {name: str(error) for name, error in publication.failures.items()},
        }
        click.echo(json.dumps(facts, indent=2))
        return
    table = Table.grid(padding=(0, 2))
    table.add_row("record", digest)
    if publication.was_said:
        table.add_row("", "signed before, when you said the same")
    if domain is not None:
        table.add_row("domain", domain or "none, and scores in a domain do not count it")
    for name, outcome in publication.outcomes.items():
        table.add_row(cell(name), outcome.name.lower())
    for name, error in publication.failures.items():
        table.add_row(cell(name), cell(f"failed: {error}"))
    console().print(table)


def print_faults(faults: Iterable[Fault]) -> None:
    """Prints what is wrong with which registry, on standard error."""
    shown = console(stderr=True, highlight=False)
    for fault in faults:
        shown.print(cell(str(fault), style="yellow"), soft_wrap=True)


def fault_facts(fault: Fault) -> dict[str, Any]:
    """Returns a fault as an object of JSON."""
    return {
        "registry": fault.registry,
        "kind": fault.kind.value,
        "detail": fault.detail,
        "record": fault.digest.hex() or None,
    }


async def node_of(client: Client, node: str, *, registries: Sequence[str]) -> NodeReference:
    """Returns a node as a client calls it: its address as it was written, or, for its id alone, its card.

    Args:
        client: Has the registries.
        node: What was written.
        registries: Those where the id is looked for.

    Raises:
        click.UsageError: There are none.
    """
    if ":" in node or not node.startswith(NODE_ID_PREFIX):
        return node
    if not registries:
        raise click.UsageError(
            f"{node} is an id without an address: write {node}@host:port, or say with --registry or"
            f" {REGISTRIES_VARIABLE} where to look for it"
        )
    return await client.locate(node)


async def node_id_of(client: Client, node: str) -> PublicKey:
    """Returns the id of a node that is named by it, or by an address; only one without the id in it is called."""
    name, has_id, _ = node.partition("@")
    return parse_node_id(name) if has_id or ":" not in node else (await client.card(node)).value.node_id


def record_digest(text: str, *, of: str = "record") -> bytes:
    """Returns the digest that was written in hexadecimal.

    Args:
        text: What was written.
        of: Of what it should be, for the message.

    Raises:
        click.BadParameter: It is none.
    """
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:  # noqa: PLR2004 - as all digests
        raise click.BadParameter(f"{text!r} is no digest: write the 64 hexadecimal digits of the {of}")
    return digest
