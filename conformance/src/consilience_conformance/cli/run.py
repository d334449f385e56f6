"""`consilience-conformance run`: judges a node by its address."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from consilience_conformance.amounts import units
from consilience_conformance.cases import all_checks
from consilience_conformance.cli.commands import INTERRUPTED, NOT_JUDGED
from consilience_conformance.cli.terminal import Progress, introduction, judged_lines, say, sentence, sum_lines
from consilience_conformance.cli.tester import DEFAULT_KEY_FILE
from consilience_conformance.cli.writing import among, formats, listed, made, written
from consilience_conformance.known_failing import KnownFailure, read_known_failing, with_known_failures
from consilience_conformance.peers.places import PlaceError, port_of
from consilience_conformance.planning import DEFAULT_QUESTION, Mode, Order, prepare
from consilience_conformance.profiles import known_profiles
from consilience_conformance.purses import Purse
from consilience_conformance.report.summary import Report
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import AddressError
from consilience_conformance.trial import DEFAULT_TIME_LIMIT, Trial, not_begun
from consilience_conformance.verdicts import RunResult

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_MAX_SEED = 2**32 - 1


def _profiles(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    named = tuple(name for name in listed(context, parameter, values) if name != "auto")
    return among(named, known=known_profiles())


def _place(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Returns an address at which the judge can be called.

    Raises:
        click.BadParameter: It is none.
    """
    if value:
        try:
            port_of(value)
        except PlaceError as error:
            raise click.BadParameter(str(error)) from error
    return value


def _purse(_context: click.Context, _parameter: click.Parameter, value: str) -> Purse:
    """Returns the purse of `AMOUNT ASSET`.

    Raises:
        click.BadParameter: It is written otherwise.
    """
    if not value:
        return Purse()
    try:
        amount, asset = units(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return Purse(asset=asset, amount=amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What is asked for beyond the plan.

    Attributes:
        time_limit: Seconds for all of it.
        known: The known failures.
        folder: Where the report goes, or None: nowhere.
        formats: Of the report; none: all.
    """

    time_limit: float
    known: tuple[KnownFailure, ...]
    folder: Path | None
    formats: tuple[str, ...]


@click.command("run")
@click.argument("target")
@click.option("--profile", "profiles", multiple=True, callback=_profiles, help="Judge these; auto: all in the card.")
@click.option(
    "--mode",
    type=click.Choice(["auto", "live", "scripted", "both"]),
    default="auto",
    help="Ask a real skill, the script, or both; auto: both with a grant, live without.",
)
@click.option("--skill", default="", metavar="ID", help="Ask this skill live; else the first that reads plain text.")
@click.option("--question", default=DEFAULT_QUESTION, metavar="TEXT", help="Ask it this.")
@click.option(
    "--only", multiple=True, callback=listed, metavar="ID", help="These checks or requirements, and what they rest on."
)
@click.option("--seed", type=click.IntRange(0, _MAX_SEED), metavar="N", help="Repeat the chance of another run.")
@click.option("--grant", type=_FILE, help="What `consilience-node grant` wrote; opens scripted mode.")
@click.option(
    "--tester-key",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_KEY_FILE,
    help="The key file for which the grant was made, see `tester`.",
)
@click.option("--restart", default="", metavar="CMD", help="Kills the node, starts it again, and returns.")
@click.option("--replica", default="", metavar="ADDRESS", help="A second replica of the node.")
@click.option(
    "--feed",
    default="",
    callback=_place,
    metavar="HOST:PORT",
    help="Where the node follows a registry, on this machine: the judge plays it.",
)
@click.option(
    "--bank",
    default="",
    callback=_place,
    metavar="HOST:PORT",
    help="Where the rail conformance.bank of the node has its bank, on this machine: the judge plays it.",
)
@click.option(
    "--max-spend",
    "purse",
    default="",
    callback=_purse,
    metavar="'AMOUNT ASSET'",
    help="Spend so much at most, as '0.005 USD/6'; else nothing but units of test networks.",
)
@click.option("--known-failing", type=_FILE, help="What fails today: TOML, one entry a check; stale entries fail.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write the report here.")
@click.option("--format", "wanted", multiple=True, callback=formats, help="Of html,json,junit,md; all by default.")
@click.option(
    "--time-limit", type=click.FloatRange(min=1), default=DEFAULT_TIME_LIMIT, metavar="SECONDS", help="For all of it."
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
    feed: str,
    bank: str,
    purse: Purse,
    known_failing: Path | None,
    folder: Path | None,
    wanted: tuple[str, ...],
    time_limit: float,
) -> int:
    """Judge the node at TARGET: cn1…@HOST:PORT, HOST:PORT, or https:// or http:// before it.

    Exit codes: 0 passed, 1 a requirement failed, 2 the list of known failures is stale, 3 too little ran, 4 the node
    is not reachable or not prepared, 5 a fault of the suite, 64 the command line is wrong.
    """
    folder = made(folder, formats=wanted)
    order = Order(
        address=target,
        profiles=profiles,
        mode=mode,
        skill=skill,
        question=question,
        only=only,
        seed=secrets.randbelow(_MAX_SEED) if seed is None else seed,
        grant=grant,
        tester_key=tester_key,
        surroundings=Surroundings(restart_command=restart, replica=replica, feed=feed, bank=bank, purse=purse),
    )
    wish = _Wish(
        time_limit=time_limit,
        known=read_known_failing(known_failing) if known_failing else (),
        folder=folder,
        formats=wanted,
    )
    return _carried_out(order, wish=wish)


def _carried_out(order: Order, *, wish: _Wish) -> int:
    trials: list[Trial] = []
    command = again(order)
    try:
        run = asyncio.run(_judge(order, wish=wish, trials=trials))
    except KeyboardInterrupt:
        _tell_what_was_judged(trials, command=command)
        return INTERRUPTED
    except AddressError:
        raise
    except NOT_JUDGED as error:
        run = not_begun(order.address, seed=order.seed)
        report = Report(run=run, command=command, only=order.only, trouble=str(error))
        where = written(report, folder=wish.folder, formats=wish.formats)
        for line in where.lines:
            say(line)
        if where.fault:
            raise click.UsageError(f"{error}; {where.fault}") from error
        raise
    checks = {check.name for check in all_checks()}
    run = with_known_failures(run, known=wish.known, checks=checks, today=datetime.now(UTC).date())
    report = Report(run=run, command=command, only=order.only)
    for line in (*judged_lines(report), "", *sum_lines(run)):
        say(line)
    where = written(report, folder=wish.folder, formats=wish.formats)
    for line in where.lines:
        say(line)
    if where.fault:
        say(sentence(where.fault), err=True)
    return run.exit


async def _judge(order: Order, *, wish: _Wish, trials: list[Trial]) -> RunResult:
    plan = await prepare(order)
    progress = Progress(total=len(plan.checks))
    trial = Trial(plan, on_result=progress)
    trials.append(trial)
    for line in introduction(trial.so_far()):
        say(line)
    try:
        return await trial.run(time_limit=wish.time_limit)
    finally:
        progress.clear()


def _tell_what_was_judged(trials: Sequence[Trial], *, command: tuple[str, ...]) -> None:
    if not trials:
        say("Broken off before the node was reached.", err=True)
        return
    run = trials[0].so_far()
    for line in (*judged_lines(Report(run=run, command=command, only=("broken off",))), ""):
        say(line)
    for line in (*sum_lines(run),)[:-1]:
        say(line)
    left = len(trials[0].plan.checks) - len(run.results)
    say(f"Broken off: {left} of {len(trials[0].plan.checks)} checks had not ended.", err=True)


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
        "--feed": order.surroundings.feed,
        "--bank": order.surroundings.bank,
        "--max-spend": str(order.surroundings.purse),
        "--seed": str(order.seed),
    }
    given = (word for name, value in options.items() if value for word in (name, value))
    return ("consilience-conformance", "run", order.address, *given)
