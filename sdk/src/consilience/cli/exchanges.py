"""`consilience verify`: the offline check of a saved exchange."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from consilience.cli.exits import Exit
from consilience.cli.printing import printable
from consilience.client import Check, Exchange


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(file: Path, *, as_json: bool) -> int:
    """Checks a saved exchange offline, and says what was checked."""
    checks = Exchange.load(file).verify()
    held = all(check.passed for check in checks)
    if as_json:
        facts = [
            {"name": c.name, "requirement": c.requirement, "passed": c.passed, "explanation": c.explanation}
            for c in checks
        ]
        click.echo(json.dumps({"passed": held, "checks": facts}, indent=2))
    else:
        console = Console(highlight=False)
        for check in checks:
            console.print(check_line(check), soft_wrap=True)
        console.print("Every check held." if held else "[bold red]A check failed: do not rely on this exchange.")
    return Exit.OK if held else Exit.CHECK_FAILED


def check_line(check: Check) -> str:
    """Returns a check as a person reads it, in the markup of rich."""
    mark = "[green]holds[/]" if check.passed else "[bold red]FAILS[/]"
    return f"{mark}  {check.name} [dim]({check.requirement})[/]: {escape(printable(check.explanation))}"
