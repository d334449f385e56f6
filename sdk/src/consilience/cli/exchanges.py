"""`consilience verify`: the offline check of a saved exchange."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from consilience.cli.exits import Exit
from consilience.client.exchanges import Check, Exchange, verify_exchange


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(file: Path, *, as_json: bool) -> int:
    """Checks a saved exchange offline, and says what was checked."""
    checks = verify_exchange(Exchange.load(file))
    held = all(check.passed for check in checks)
    if as_json:
        facts = [
            {"name": c.name, "requirement": c.requirement, "passed": c.passed, "explanation": c.explanation}
            for c in checks
        ]
        click.echo(json.dumps({"passed": held, "checks": facts}, indent=2))
    else:
        console = Console()
        console.print(_table(checks))
        console.print("Every check held." if held else "[bold red]A check failed: do not rely on this exchange.")
    return Exit.OK if held else Exit.CHECK_FAILED


def _table(checks: tuple[Check, ...]) -> Table:
    table = Table(show_edge=False)
    for heading in ("", "check", "requirement", "found"):
        table.add_column(heading)
    for check in checks:
        mark = "[green]holds[/]" if check.passed else "[bold red]FAILS[/]"
        table.add_row(mark, check.name, check.requirement, check.explanation)
    return table
