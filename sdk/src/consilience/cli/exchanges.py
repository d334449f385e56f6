"""`consilience verify`: the offline check of a saved exchange."""

import json
from pathlib import Path

import click
from rich.markup import escape

from consilience.cli.exits import Exit
from consilience.cli.printing import console, printable
from consilience.client import Check, Exchange

_STANDARD_INPUT = Path("/dev/stdin")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(file: Path, *, as_json: bool) -> int:
    """Checks a saved exchange offline, and says what was checked; "-" reads it from standard input."""
    checks = Exchange.load(_STANDARD_INPUT if file == Path("-") else file).verify()
    held = all(check.passed for check in checks)
    if as_json:
        facts = [
            {"name": c.name, "requirement": c.requirement, "passed": c.passed, "explanation": c.explanation}
            for c in checks
        ]
        click.echo(json.dumps({"passed": held, "checks": facts}, indent=2))
    else:
        shown = console(highlight=False)
        for check in checks:
            shown.print(check_line(check), soft_wrap=True)
        shown.print("Every check held." if held else "[bold red]A check failed: do not rely on this exchange.")
    return Exit.OK if held else Exit.CHECK_FAILED


def check_line(check: Check) -> str:
    """Returns a check as a person reads it, in the markup of rich."""
    mark = "[green]holds[/]" if check.passed else "[bold red]FAILS[/]"
    return f"{mark}  {check.name} [dim]({check.requirement})[/]: {escape(printable(check.explanation))}"
