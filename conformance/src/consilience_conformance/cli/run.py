"""`consilience-conformance run`: judges a node by its address."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import click

from consilience_conformance.cli.commands import INTERRUPTED
from consilience_conformance.cli.terminal import Progress, introduction, result_lines, say
from consilience_conformance.cli.tester import DEFAULT_KEY_FILE
from consilience_conformance.planning import DEFAULT_QUESTION, Mode, Order, known_profiles, prepare
from consilience_conformance.report.summary import Report
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.trial import DEFAULT_TIME_LIMIT, Trial

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def _listed(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Reads an option that is repeated, or a list with commas, or both."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _profiles(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    named = tuple(name for name in _listed(context, parameter, values) if name != "auto")
    for name in named:
        if name not in known_profiles():
            raise click.BadParameter(f"{name} is no profile; there are auto, {', '.join(known_profiles())}")
    return named


@click.command("run")
@click.argument("target")
@click.option(
    "--profile", "profiles", multiple=True, callback=_profiles, help="Judge these; auto: what the card declares."
)
@click.option(
    "--mode",
    type=click.Choice(["auto", "live", "scripted", "both"]),
    default="auto",
    help="Ask real skills, the script, or both; auto: both with a grant.",
)
@click.option("--skill", default="", metavar="ID", help="Ask this skill live; else the first that reads plain text.")
@click.option("--question", default=DEFAULT_QUESTION, show_default=True, help="What the skill is asked.")
@click.option(
    "--only",
    multiple=True,
    callback=_listed,
    metavar="ID",
    help="Only these checks or requirements, with what they rest on.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Repeat the chance of another run.")
@click.option("--grant", type=_FILE, help="What `consilience-node grant` wrote; opens scripted mode.")
@click.option(
    "--tester-key",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_KEY_FILE,
    help="The key file of `consilience-conformance tester`.",
)
@click.option("--restart", default="", metavar="CMD", help="Kills the node, starts it again, and returns.")
@click.option("--replica", default="", metavar="ADDRESS", help="A second replica of the node.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=DEFAULT_TIME_LIMIT,
    show_default=True,
    help="Seconds for all of it.",
)
def run_command(
    *,
    target: str,
    profiles: tuple[str, ...],
    mode: Mode,
    skill: str,
    question: str,
    only: tuple[str, ...],
    seed: int | None,
    grant: Path | None,
    tester_key: Path,
    restart: str,
    replica: str,
    time_limit: float,
) -> int:
    """Judge the node at TARGET: cn1…@HOST:PORT, HOST:PORT or https://HOST:PORT.

    Exit codes: 0 passed, 1 a requirement failed, 2 the list of known failures is stale, 3 too little ran, 4 the node
    is not reachable or not prepared, 5 a fault of the suite.
    """
    order = Order(
        address=target,
        profiles=profiles,
        mode=mode,
        skill=skill,
        question=question,
        only=only,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        grant=grant,
        tester_key=tester_key,
        surroundings=Surroundings(restart_command=restart, replica=replica),
    )
    trial: list[Trial] = []
    try:
        report = asyncio.run(_judged(order, time_limit=time_limit, trial=trial))
    except KeyboardInterrupt:
        return _broken_off(trial, order=order)
    for line in result_lines(report):
        say(line)
    return report.run.exit


async def _judged(order: Order, *, time_limit: float, trial: list[Trial]) -> Report:
    plan = await prepare(order)
    progress = Progress(total=len(plan.checks))
    trial.append(Trial(plan, on_result=progress))
    for line in introduction(Report(run=trial[0].so_far(), command=again(order))):
        say(line)
    try:
        run = await trial[0].run(time_limit=time_limit)
    finally:
        progress.clear()
    return Report(run=run, command=again(order))


def _broken_off(trial: list[Trial], *, order: Order) -> int:
    if trial:
        report = Report(run=trial[0].so_far(), command=again(order))
        lines = list(result_lines(report))
        for line in lines[:-1]:
            say(line)
        left = len(trial[0].plan.checks) - len(report.run.results)
        say(f"Broken off; {left} checks had not ended.", err=True)
    else:
        say("Broken off before the node was reached.", err=True)
    return INTERRUPTED


def again(order: Order) -> tuple[str, ...]:
    """Returns the command that judges by the same order, without `--only`."""
    options = {
        "--profile": ",".join(order.profiles),
        "--mode": "" if order.mode == "auto" else order.mode,
        "--skill": order.skill,
        "--question": "" if order.question == DEFAULT_QUESTION else order.question,
        "--grant": str(order.grant or ""),
        "--tester-key": "" if order.tester_key == DEFAULT_KEY_FILE else str(order.tester_key),
        "--restart": order.surroundings.restart_command,
        "--replica": order.surroundings.replica,
        "--seed": str(order.seed),
    }
    given = (word for name, value in options.items() if value for word in (name, value))
    return ("consilience-conformance", "run", order.address, *given)
