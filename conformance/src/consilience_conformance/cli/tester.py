"""`consilience-conformance tester`: the keys that a grant has to name."""

from __future__ import annotations

from pathlib import Path

import click

from consilience_conformance import node_ids
from consilience_conformance.callers import Tester
from consilience_conformance.cli.terminal import say

DEFAULT_KEY_FILE = Path(click.get_app_dir("consilience-conformance")) / "tester.key"


@click.command("tester")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_KEY_FILE,
    show_default=True,
    help="The key file of the tester, made where there is none.",
)
def tester_command(*, key_file: Path) -> None:
    """Print this tester's public keys, one a line, for the operator of a node.

    The operator names them all in `consilience-node grant --tester KEY …`, and sends back the file. A node that takes
    holds in escrow may name one of them among the issuers of its rail, so that this is judged too.
    """
    for caller in Tester.at(key_file).callers:
        say(node_ids.text_of(caller.key))
