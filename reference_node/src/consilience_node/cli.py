"""The command `consilience-node`: serve a node, check its configuration, list its models, let a tester in.

Exit codes::

    0    stopped by a signal; running asks had finished, or had had their time
    1    the node failed while it ran; its log says why
    2    the command line or the configuration is wrong, or the books have no such session, receipt or deposit
    3    a model is missing or cannot be run
    4    a knowledge source is missing or cannot be read
    5    the address, the metrics address, the ready file, or the file of a grant, a hold or a key cannot be used,
         or standard output cannot be written
    6    the key file, the certificate or the store cannot be used
    130, 143    a second SIGINT or SIGTERM cut the drain short; 130 also for Ctrl-C before it began
    141  whoever read the output left
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import click

from consilience.conformance import MAX_TESTERS
from consilience.errors import AddressInvalidError
from consilience.identity import format_node_id, parse_node_id
from consilience.nodes import Profile
from consilience.server import RunningNode
from consilience.tariffs import Tariff
from consilience.units import PublicKey
from consilience_node.commands import Commands
from consilience_node.config import default_config, overridden, read_config, registry_config
from consilience_node.engine_room import packaged_models
from consilience_node.exits import say, told_in_words
from consilience_node.grants import write_grant
from consilience_node.logs import configure_logs
from consilience_node.money import MONEY_COMMANDS
from consilience_node.offers import tariffs_of
from consilience_node.price_tags import price_tag
from consilience_node.roots import make_next_root, rotate_root
from consilience_node.service import serve


def _public_keys(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[PublicKey, ...]:
    if len(texts) > MAX_TESTERS:
        raise click.BadParameter(f"{len(texts)} keys are too many, {MAX_TESTERS} at most")
    try:
        return tuple(map(parse_node_id, texts))
    except AddressInvalidError as error:
        raise click.BadParameter(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("consilience-node"), message="%(prog)s %(version)s")
def main() -> None:
    """Serve a model and your documents to your peers."""


@main.command("serve")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Read this node.toml.")
@click.option("--address", help="Listen on HOST:PORT, 127.0.0.1:7341 by default; port 0 is any free one.")
@click.option("--name", help="Call the node this.")
@click.option("--model", help="Run this packaged model, or this GGUF file.")
@click.option(
    "--knowledge",
    multiple=True,
    metavar="SOURCE",
    help="Answer from a folder of .md and .txt files, a dictionary, or an installed one such as foldoc; repeatable.",
)
@click.option(
    "--registry", "registries", multiple=True, metavar="ADDRESS", help="Bring the card to this registry; repeatable."
)
@click.option("--state-folder", type=click.Path(path_type=Path), help="Keep key, answers and indexes here.")
@click.option("--store", type=click.Choice(["sqlite", "memory"]), help="Keep answers on disk, or in memory.")
@click.option("--metrics-address", help="Serve numbers for Prometheus on HOST:PORT.")
@click.option("--log-format", type=click.Choice(["auto", "console", "json"]), help="Write the log for whom.")
@click.option("--conformance", is_flag=True, default=None, help="Let testers in who show a grant; see `grant`.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Hold the address here while taking asks.")
@click.option("--mutant", help="Serve with this fault, by which the judge is judged. Never in earnest.")
def serve_command(
    *,
    config_file: Path | None,
    name: str | None,
    model: str | None,
    knowledge: tuple[str, ...],
    ready_file: Path | None,
    address: str | None,
    registries: tuple[str, ...],
    state_folder: Path | None,
    store: str | None,
    metrics_address: str | None,
    log_format: str | None,
    conformance: bool | None,
    mutant: str | None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; running asks then get their time to finish.

    Without --config, one model is served with a skill for each --knowledge, and a general one.
    """
    if config_file is not None and (name or model or knowledge):
        raise click.UsageError("--name, --model and --knowledge go without --config: the file says them")
    with told_in_words():
        if config_file is not None:
            config = read_config(config_file)
        else:
            config = default_config(name=name or "", model=model, knowledge=knowledge)
        config = overridden(
            config,
            address=address,
            registries=registries or None,
            state_folder=state_folder,
            store=store,
            metrics_address=metrics_address,
            log_format=log_format,
            conformance=conformance,
        )
        configure_logs(format=config.logs.format, level=config.logs.level)
        if mutant is not None:
            _mutate(mutant)
        asyncio.run(serve(config, ready=_introduce, ready_file=ready_file))


@main.command("registry")
@click.option("--store", help="Keep records at sqlite:///FILE or postgresql://…; default: in the state folder.")
@click.option("--follow", multiple=True, metavar="ADDRESS", help="Take over what this registry holds; repeatable.")
@click.option("--address", help="Listen on HOST:PORT, 127.0.0.1:7341 by default; port 0 is any free one.")
@click.option("--advertise", multiple=True, metavar="HOST:PORT", help="Be reached by others here; repeatable.")
@click.option("--name", help="Call the node this.")
@click.option("--state-folder", type=click.Path(path_type=Path), help="Keep the key here.")
@click.option("--metrics-address", help="Serve numbers for Prometheus on HOST:PORT.")
@click.option("--log-format", type=click.Choice(["auto", "console", "json"]), help="Write the log for whom.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Hold the address here while serving.")
def registry_command(
    *,
    store: str | None,
    follow: tuple[str, ...],
    address: str | None,
    advertise: tuple[str, ...],
    name: str | None,
    state_folder: Path | None,
    metrics_address: str | None,
    log_format: str | None,
    ready_file: Path | None,
) -> None:
    """Keep cards, reviews and warnings for everyone, until SIGTERM or Ctrl-C; any node does with a [registry]."""
    with told_in_words():
        config = overridden(
            registry_config(name=name, advertise=advertise, store=store, follow=follow),
            address=address,
            state_folder=state_folder,
            metrics_address=metrics_address,
            log_format=log_format,
        )
        configure_logs(format=config.logs.format, level=config.logs.level)
        asyncio.run(serve(config, ready=_introduce, ready_file=ready_file))


@main.command("check")
@click.option("--config", "config_file", type=click.Path(path_type=Path), required=True, help="The file to check.")
def check_command(*, config_file: Path) -> None:
    """Check a node.toml and say what it would serve; nothing is loaded."""
    with told_in_words():
        config = read_config(config_file)
    skills, models = _counted(config.skills, "skill"), _counted(config.models, "model")
    say(f"{config_file}: {skills} on {models}, {config.node.address}")
    for skill in config.skills:
        say(f"  {skill.id:<24} {skill.model:<24} {skill.knowledge or 'the memory of the model'}")
        for line in _price_lines(tariffs_of(config, skill), is_paid=config.payments is not None):
            say(f"  {'':<24} {line}")


@main.command("grant")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The node.toml of the node.")
@click.option("--state-folder", type=click.Path(path_type=Path), help="The folder in which the node keeps its key.")
@click.option(
    "--tester", "testers", multiple=True, required=True, metavar="KEY", callback=_public_keys, help="cn1…; repeatable."
)
@click.option("--minutes", type=click.IntRange(1, 60), default=60, show_default=True, help="How long, from now on.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Write the grant into this file.")
def grant_command(
    *,
    config_file: Path | None,
    state_folder: Path | None,
    testers: tuple[PublicKey, ...],
    minutes: int,
    output: Path,
) -> None:
    """Let a tester write what the node answers, for an hour at most; the node has to serve with --conformance."""
    with told_in_words():
        config = default_config() if config_file is None else read_config(config_file)
        config = overridden(config, state_folder=state_folder)
        write_grant(output, config=config, testers=testers, lifetime=timedelta(minutes=minutes))
    say(f"{output}: {_counted(testers, 'key')} for {_counted(range(minutes), 'minute')}")


@main.command("next-root")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The node.toml of the node.")
@click.option("--state-folder", type=click.Path(path_type=Path), help="The folder in which the node keeps its key.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Write the key into this file.")
def next_root_command(*, config_file: Path | None, state_folder: Path | None, output: Path) -> None:
    """Make the root key that comes next. Keep it elsewhere: it saves the node when the present one is stolen."""
    with told_in_words():
        config = overridden(
            default_config() if config_file is None else read_config(config_file), state_folder=state_folder
        )
        following = make_next_root(output, config=config)
    say(f"{output}: {format_node_id(following)}, to which the node commits from its next start on")


@main.command("rotate-root")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="The node.toml of the node.")
@click.option("--state-folder", type=click.Path(path_type=Path), help="The folder in which the node keeps its key.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The file that `next-root` wrote.")
def rotate_root_command(*, config_file: Path | None, state_folder: Path | None, key: Path) -> None:
    """Hand a node that does not run over to its next root key, and so to another id."""
    with told_in_words():
        config = overridden(
            default_config() if config_file is None else read_config(config_file), state_folder=state_folder
        )
        old, new = rotate_root(key, config=config)
    say(f"{format_node_id(old)}\n  is from its next start on\n{format_node_id(new)}")


@main.command("models")
def models_command() -> None:
    """List the packaged models, and whether each is installed."""
    with told_in_words():
        for model in packaged_models():
            found = "not installed; run: " + model.installation if model.directory is None else str(model.directory)
            say(f"{model.name:<24} {found}")
    say("Any other model is the path of a GGUF file, or runs in a server with the OpenAI chat interface.")


@main.command("mutants", hidden=True)
def mutants_command() -> None:
    """List the faults that `serve --mutant` knows: one a line, its name before it."""
    from consilience_node.mutants import mutants  # noqa: PLC0415 - as in `_mutate`

    for mutant in mutants().values():
        say(f"{mutant.name:<32} {mutant.fault}")


for command in MONEY_COMMANDS:
    main.add_command(command)


def _mutate(name: str) -> None:
    """Makes this process a mutant. Its room is imported here alone, and by nothing that serves."""
    from consilience_node.mutants import UnknownMutantError, apply_mutant  # noqa: PLC0415

    try:
        fault = apply_mutant(name).fault
    except UnknownMutantError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"mutant {name}: {fault}", err=True)


def _counted(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"


def _price_lines(tariffs: Sequence[Tariff], *, is_paid: bool) -> Sequence[str]:
    """Returns what a skill costs, a line for each tariff; nothing of a node that is free altogether."""
    if not tariffs:
        return ("free",) if is_paid else ()
    return [f"{price_tag(tariff)} ({tariff.id})" for tariff in tariffs]


def _introduce(running: RunningNode, metrics_address: str | None) -> None:
    """Says on standard output who serves what where, and how to ask it."""
    card = running.card.value
    say(f"{card.name or 'This node'} serves on {running.address}")
    for skill in card.skills:
        say(f"  skill  {skill.id:<24} {skill.description}")
        for line in _price_lines(card.tariffs_of(skill), is_paid=bool(card.rails)):
            say(f"         {'':<24} {line}")
    for model in card.models:
        facts = (model.family, f"{model.parameter_count / 1e6:.0f} M" * bool(model.parameter_count), model.quantization)
        say(f"  model  {model.id:<24} {' '.join(filter(None, (*facts, model.engine)))}")
    if metrics_address is not None:
        say(f"  metrics  http://{metrics_address}/metrics")
    if Profile.REGISTRY in card.profiles:
        say("  registry  cards, reviews and warnings of everyone")
    if card.skills:
        say(f'Ask it:  consilience ask "What is a heisenbug?" --node {running.address}')
    sys.stdout.flush()
