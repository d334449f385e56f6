"""The command group, and the one place where an error becomes words and an exit code."""

import asyncio
import json
import sys
from typing import Any

import click

import consilience
from consilience.cli.asks import ask
from consilience.cli.completion import completion
from consilience.cli.exchanges import verify
from consilience.cli.exits import Exit, exit_of_error
from consilience.cli.keys import keys
from consilience.cli.nodes import card
from consilience.cli.printing import printable
from consilience.errors import ConsilienceError, ProtocolError, RefusedError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(consilience.__version__, message="%(prog)s %(version)s")
def consilience_command() -> None:
    """Ask the network of language models, and check what it answers."""


for command in (keys, card, ask, verify, completion):
    consilience_command.add_command(command)


def run(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; every error is told in words on stderr.

    Args:
        arguments: The words behind the program's name; None: those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result = consilience_command.main(words, prog_name="consilience", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.OK
    except ConsilienceError as error:
        _tell(error, as_json="--json" in words)
        return exit_of_error(error)
    return result if isinstance(result, int) else Exit.OK


def _tell(error: ConsilienceError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": _facts(error)}))
        return
    name = error.reason if isinstance(error, RefusedError) else type(error).__name__.removesuffix("Error")
    print(printable(f"{name}: {error}\n{error.remedy}"), file=sys.stderr)
    if isinstance(error, RefusedError) and error.detail is not None:
        print(printable(f"The node says: {error.detail}"), file=sys.stderr)


def _facts(error: ConsilienceError) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": type(error).__name__, "message": str(error), "remedy": error.remedy}
    if isinstance(error, RefusedError):
        facts |= {"reason": error.reason, "code": error.code, "detail": error.detail and str(error.detail)}
    if isinstance(error, ProtocolError):
        facts["requirement"] = error.requirement
    return facts
