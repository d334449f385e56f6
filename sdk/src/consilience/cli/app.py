"""The command group, and the one place where an error becomes words and an exit code."""

import asyncio
import json
import sys
from typing import Any

import click

import consilience
from consilience.cli.asks import ask
from consilience.cli.complaints import complaint, complaint_facts
from consilience.cli.completion import completion
from consilience.cli.exchanges import verify
from consilience.cli.exits import Exit, exit_code_list, exit_of_error
from consilience.cli.finding import about, find
from consilience.cli.interrupts import Interrupts
from consilience.cli.keys import keys
from consilience.cli.nodes import card
from consilience.cli.prices import prices
from consilience.cli.printing import printable
from consilience.cli.receipts import receipts
from consilience.cli.reviews import publish, rebut, retract, review, warn
from consilience.cli.sessions import sessions
from consilience.cli.streams import (
    OutputLeftError,
    abandon_output,
    flush_output,
    noticing_who_leaves,
    prepare_streams,
)
from consilience.cli.trust import trust
from consilience.cli.wallets import wallet
from consilience.errors import ConsilienceError


class _Commands(click.Group):
    """A group whose output may be left: click itself would end with 1, which is that of a failed check."""

    def make_context(self, *words: Any, **options: Any) -> click.Context:  # noqa: ANN401 - click's own
        with noticing_who_leaves():
            return super().make_context(*words, **options)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        with noticing_who_leaves():
            return super().invoke(ctx)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exit_code_list(),
)
@click.version_option(consilience.__version__, message="%(prog)s %(version)s")
def consilience_command() -> None:
    """Ask the network of language models, and check what it answers."""


for command in (
    keys,
    card,
    find,
    ask,
    verify,
    prices,
    wallet,
    sessions,
    receipts,
    trust,
    review,
    warn,
    rebut,
    retract,
    publish,
    about,
    completion,
):
    consilience_command.add_command(command)


def run(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; every error is told in words on stderr.

    Args:
        arguments: The words behind the program's name; None: those of the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    interrupts = Interrupts()
    interrupts.heed()
    try:
        code = _command(words, interrupts=interrupts)
        with noticing_who_leaves():
            flush_output()
    except OutputLeftError:
        abandon_output()
        return Exit.OUTPUT_LEFT
    except OSError as error:
        abandon_output()
        print(printable(f"reading or writing failed: {error.strerror or error}"), file=sys.stderr)
        return Exit.USAGE
    return code


def _command(words: list[str], *, interrupts: Interrupts) -> int:
    try:
        result = consilience_command.main(words, prog_name="consilience", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        interrupts.end()
        print("interrupted", file=sys.stderr)
        return interrupts.exit
    except ConsilienceError as error:
        if "--json" in words:
            with noticing_who_leaves():
                print(json.dumps({"error": complaint_facts(error)}), flush=True)
        else:
            print(printable(complaint(error)), file=sys.stderr)
        return exit_of_error(error)
    return result if isinstance(result, int) else Exit.OK
