"""`consilience-conformance selftest`: proves that the judge notices what it is there to notice."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from consilience_conformance.cases import all_checks
from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.report.summary import number_of
from consilience_conformance.requirements import requirements
from consilience_conformance.selftest import killtable
from consilience_conformance.selftest.comparison import never_passed
from consilience_conformance.selftest.declarations import (
    Declaration,
    Variant,
    declaration_complaints,
    declarations,
    read_declarations,
)
from consilience_conformance.selftest.interruption import until_told_to_end
from consilience_conformance.selftest.specimens import NodeCommand, NodeCommandError
from consilience_conformance.selftest.trials import Bench, Trial
from consilience_conformance.verdicts import Exit

_AGAIN = "consilience-conformance selftest --write"


@click.command("selftest")
@click.option("--node-command", default="consilience-node", show_default=True, help="Runs the reference node.")
@click.option("--only", multiple=True, metavar="NAME", help="Only these mutants and degenerate nodes; repeatable.")
@click.option("--near", is_flag=True, help="Judge mutants by the checks of their subject alone; healthy nodes by all.")
@click.option("--tries", type=click.IntRange(min=1), default=1, show_default=True, help="Of a mutant not as declared.")
@click.option("--jobs", type=click.IntRange(min=1), help="Nodes judged at one time; else two for each processor.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of all chance.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and reports in this folder.")
@click.option("--write", is_flag=True, help="Write the kill table anew, in the sources of the suite.")
@click.option(
    "--declarations",
    "declarations_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Compare with these instead of the suite's mutants.toml; without the kill table.",
)
def selftest_command(
    *,
    node_command: str,
    only: tuple[str, ...],
    near: bool,
    tries: int,
    jobs: int | None,
    seed: int,
    out: Path | None,
    write: bool,
    declarations_file: Path | None,
) -> int:
    """Judge nodes with one known fault each, and degenerate ones: the judge has to find each fault, and nothing else.

    Exit codes: 0 all died as declared, 1 something survived or died otherwise, or the kill table differs, 4 the healthy
    node does not serve, 5 a fault of the suite.
    """
    if write and (only or near or tries > 1 or declarations_file):
        without = "--only, --near, --tries and --declarations"
        raise click.UsageError(f"--write goes without {without}: the table tells of whole runs")
    declared = declarations() if declarations_file is None else read_declarations(declarations_file.read_text())
    names = {*declared, *DEGENERATE}
    if unknown := sorted(set(only) - names):
        raise click.UsageError(f"there is no mutant and no degenerate node {', '.join(unknown)}")
    with _folder(out) as folder:
        selftest = Selftest(
            NodeCommand(words=tuple(shlex.split(node_command))),
            declared=declared.values(),
            only=only,
            near=near,
            tries=tries,
            folder=folder,
            jobs=jobs or 2 * (os.cpu_count() or 1),
            seed=seed,
        )
        try:
            complaints = asyncio.run(until_told_to_end(selftest.run()))
        except NodeCommandError as error:
            click.echo(f"The healthy node does not serve: {error}", err=True)
            return Exit.UNREACHABLE
    if not (only or declarations_file):
        complaints += [*_of_the_table(selftest.table, write=write and not complaints)]
    for complaint in complaints:
        click.echo(complaint, err=True)
    later = [trial for trial in selftest.trials if trial.wavered]
    for trial in later:
        for one in trial.wavered:
            click.echo(f"{trial.name}: at a try before, {one}", err=True)
    counts = f"{number_of(selftest.trials, 'node')} judged, {number_of(complaints, 'complaint')}"
    click.echo(counts + (f", {len(later)} as declared at a later try" if later else ""))
    return Exit.FAILED if complaints else Exit.PASS


class Selftest:
    """One self-test.

    Attributes:
        trials: How each node went.
        table: The kill table that follows from it.
    """

    def __init__(
        self,
        command: NodeCommand,
        *,
        declared: Collection[Declaration],
        only: Collection[str],
        near: bool = False,
        tries: int = 1,
        folder: Path,
        jobs: int,
        seed: int,
    ) -> None:
        """Prepares it; `only` names what is judged, none: everything. `near` and `tries` as in `Bench`."""
        self.trials: list[Trial] = []
        self.table: killtable.Table = {}
        self._command = command
        self._declared = declared
        self._only = only
        self._bench = Bench(command, folder=folder, jobs=jobs, seed=seed, near=near, tries=tries, on_trial=_tell)

    async def run(self) -> list[str]:
        """Judges all nodes and returns what is wrong with the judge, one line each.

        Raises:
            NodeCommandError: A healthy node does not serve.
        """
        faults = await self._command.mutants()
        everything = not self._only
        known = faults if everything else None
        complaints = [*declaration_complaints(self._declared, checks=all_checks(), known=known)]
        mutants = [one for one in self._declared if one.name in (self._only or faults)]
        degenerate = [one for name, one in DEGENERATE.items() if everything or name in self._only]
        variants = [one for one in Variant if everything or any(mutant.node is one for mutant in mutants)]
        if variants:
            self.trials += await self._bench.judge_healthy(variants)
        self.trials += await self._bench.judge_faulty(mutants, degenerate)
        complaints += [f"{trial.name}: {one}" for trial in self.trials for one in trial.complaints]
        if everything:
            complaints += [
                f"{name} passed with no healthy node: nobody knows whether it can"
                for name in never_passed(self._bench.healthy.values())
            ]
        self.table = killtable.kill_table(
            requirements=requirements(),
            checks=all_checks(),
            exclusions=EXCLUSIONS["node"],
            open_parts=OPEN_PARTS["node"],
            declared=self._declared,
            faults=faults,
            degenerate=DEGENERATE.values(),
        )
        return complaints


def _of_the_table(table: killtable.Table, *, write: bool) -> Iterator[str]:
    """Yields what is wrong with the kill table, after it was written where that is wanted."""
    yield from killtable.table_complaints(table)
    if write:
        killtable.write_table(table)
    elif table != killtable.shipped_table():
        yield f"the kill table differs from killtable.json: {_AGAIN}"


def _tell(trial: Trial) -> None:
    word, color = ("wrong", "red") if trial.complaints else ("later", "yellow") if trial.wavered else ("right", "green")
    verdict = click.style(word, fg=color)
    how = f"killed by {trial.killed_by}" if trial.killed_by else ""
    click.echo(f"{verdict}  {trial.name:<40} {trial.seconds:5.1f} s  {how}".rstrip())


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Yields the folder for logs and reports, which has to be new; a temporary one where none is named."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="selftest-") as temporary:
            yield Path(temporary)
        return
    if out.exists() and any(out.iterdir()):
        raise click.UsageError(f"{out} is not empty")
    out.mkdir(parents=True, exist_ok=True)
    yield out.resolve()
