"""`consilience-conformance`: judges a node, a client or an executor of the vectors, and says what to mend."""

from __future__ import annotations

import click

from consilience_conformance import __version__
from consilience_conformance.cli.catalogue import explain_command, list_command
from consilience_conformance.cli.client import client_command
from consilience_conformance.cli.commands import Commands
from consilience_conformance.cli.doctor import doctor_command
from consilience_conformance.cli.run import run_command
from consilience_conformance.cli.tester import tester_command
from consilience_conformance.selftest.command import selftest_command
from consilience_conformance.vectors.command import vectors_command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Judge a node of the Consilience protocol, in any language, by the rules of its specification."""


for _command in (
    doctor_command,
    run_command,
    explain_command,
    list_command,
    tester_command,
    client_command,
    vectors_command,
    selftest_command,
):
    main.add_command(_command)
