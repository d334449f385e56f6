"""Flakes: many runs on healthy nodes while every processor is busy. One that fails shows that the judge guesses.

Run as `python -m consilience_conformance.selftest.flakes`; exits with 1 where a run found something, and prints the
seed that makes the same run again.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import click

from consilience_conformance.callers import Tester
from consilience_conformance.selftest.comparison import Judged, healthy_complaints
from consilience_conformance.selftest.declarations import Variant
from consilience_conformance.selftest.interruption import until_told_to_end
from consilience_conformance.selftest.judging import Judge
from consilience_conformance.selftest.load import loaded
from consilience_conformance.selftest.specimens import NodeCommand, NodeCommandError, Specimen, specimen
from consilience_conformance.verdicts import Exit

_NODE_RUNS = 20
"""Runs on one node, before another one takes its place: well within the hour of its grant."""


@click.command()
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of the first run.")
@click.option("--node-command", default="consilience-node", show_default=True, help="Runs the reference node.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the reports of flakes in here.")
@click.option("--load", type=click.IntRange(min=0), help="Processors kept busy; else all of them.")
def flakes_command(*, runs: int, seed: int, node_command: str, out: Path | None, load: int | None) -> None:
    """Judge healthy nodes many times while the machine is busy; nothing may be found, not once."""
    command = NodeCommand(words=tuple(shlex.split(node_command)))
    try:
        with tempfile.TemporaryDirectory(prefix="flakes-") as folder:
            hunt = _flakes(
                command, seeds=range(seed, seed + runs), load=_processors(load), folder=Path(folder), out=out
            )
            flakes = asyncio.run(until_told_to_end(hunt))
    except NodeCommandError as error:
        click.echo(f"The healthy node does not serve: {error}", err=True)
        sys.exit(Exit.UNREACHABLE)
    except KeyboardInterrupt:
        click.echo("Broken off.", err=True)
        sys.exit(130)
    click.echo(f"{runs} runs, {flakes} of them with a flake")
    sys.exit(Exit.FAILED if flakes else Exit.PASS)


def _processors(load: int | None) -> int:
    return (os.cpu_count() or 1) if load is None else load


async def _flakes(command: NodeCommand, *, seeds: range, load: int, folder: Path, out: Path | None) -> int:
    """Returns how many runs found something; their reports are kept in `out`."""
    flakes = 0
    async with loaded(load):
        for variant, some in zip(itertools.cycle(Variant), _parts(seeds), strict=False):
            room = folder / f"{variant}-{some.start}"
            testers = Tester.at(room / "tester.key").names
            async with specimen(command, folder=room / "node", variant=variant, issuer=testers[-1]) as node:
                await command.grant(config=node.config, testers=testers, file=room / "grant")
                for seed in some:
                    began = monotonic()
                    judged = await _judged(node, seed=seed, folder=room)
                    if _tell(judged, seed=seed, variant=variant, seconds=monotonic() - began):
                        flakes += 1
                        if out is not None:
                            shutil.copytree(room / "report", out / str(seed), dirs_exist_ok=True)
    return flakes


def _parts(seeds: range) -> Iterator[range]:
    return (seeds[start : start + _NODE_RUNS] for start in range(0, len(seeds), _NODE_RUNS))


async def _judged(node: Specimen, *, seed: int, folder: Path) -> Judged:
    grant = folder / "grant" if node.variant.has_skills else None
    judge = Judge(tester_key=folder / "tester.key", grant=grant, seed=seed)
    return await judge.judged(
        node.address,
        folder=folder / "report",
        restart_command=node.restart_command,
        replica=node.replica,
        feed=node.feed,
        bank=node.bank,
    )


def _tell(judged: Judged, *, seed: int, variant: Variant, seconds: float) -> bool:
    complaints = [*healthy_complaints(judged)]
    click.echo(f"{'FLAKE' if complaints else 'right'}  {variant:<10} --seed {seed:<8} {seconds:5.1f} s")
    for complaint in complaints:
        click.echo(f"       {complaint}")
    return bool(complaints)


if __name__ == "__main__":
    flakes_command()
