"""`consilience-conformance client`: judges an SDK by an adapter around it."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path

import click

from consilience_conformance.cli.terminal import Progress, judged_lines, say, sentence, sum_lines
from consilience_conformance.cli.writing import formats, listed, made, written
from consilience_conformance.client_side.cases import all_client_checks
from consilience_conformance.client_side.runner import Order, judge_client, not_begun
from consilience_conformance.line_protocol.lines import CommandBreach
from consilience_conformance.report.as_json import report_to_json
from consilience_conformance.report.printable import printable
from consilience_conformance.report.summary import Report
from consilience_conformance.selection import demanded, selected
from consilience_conformance.verdicts import RunResult

_MAX_SEED = 2**32 - 1


@click.command("client")
@click.option("--command", required=True, metavar="CMD", help="Starts the adapter around the SDK; without a shell.")
@click.option(
    "--only", multiple=True, callback=listed, metavar="ID", help="These checks or requirements, and what they rest on."
)
@click.option("--seed", type=click.IntRange(0, _MAX_SEED), metavar="N", help="Repeat the chance of another run.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write the report here.")
@click.option("--format", "wanted", multiple=True, callback=formats, help="Of html,json,junit,md; all by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def client_command(
    *,
    command: str,
    only: tuple[str, ...],
    seed: int | None,
    folder: Path | None,
    wanted: tuple[str, ...],
    as_json: bool,
) -> int:
    """Judge an SDK against hostile nodes, which this command plays on this machine.

    Exit codes: 0 passed, 1 a requirement failed, 3 too little ran, 4 the adapter does not start or does not speak the
    protocol, 5 a fault of the suite.
    """
    folder = made(folder, formats=wanted)
    checks = selected(all_client_checks(), only=only, role="client")
    order = Order(
        command=command,
        checks=checks,
        seed=secrets.randbelow(_MAX_SEED) if seed is None else seed,
        demands=demanded(all_client_checks(), only=only, role="client"),
    )
    again = ("consilience-conformance", "client", "--command", command, "--seed", str(order.seed))
    try:
        run = _judged(order)
    except CommandBreach as breach:
        report = Report(run=not_begun(order), command=again, only=only, trouble=str(breach))
        where = written(report, folder=folder, formats=wanted)
        for line in where.lines:
            say(line, err=as_json)
        if where.fault:
            raise click.UsageError(f"{breach}; {where.fault}") from breach
        raise
    report = Report(run=run, command=again, only=only)
    if as_json:
        say(json.dumps(report_to_json(report), indent=1))
    else:
        for line in (*_introduction(run), *judged_lines(report), "", *sum_lines(run)):
            say(line)
    where = written(report, folder=folder, formats=wanted)
    for line in where.lines:
        say(line, err=as_json)
    if where.fault:
        say(sentence(where.fault), err=True)
    return run.exit


def _judged(order: Order) -> RunResult:
    progress = Progress(total=len(order.checks))
    try:
        return asyncio.run(judge_client(order, on_result=progress))
    finally:
        progress.clear()


def _introduction(run: RunResult) -> tuple[str, ...]:
    return (click.style(printable(run.node_name), bold=True), f"client, {printable(run.address)}, seed {run.seed}")
