"""Specimens are restarted on request, wherever their folder lies."""

from __future__ import annotations

import asyncio
import shlex
from asyncio.subprocess import PIPE
from pathlib import Path

from consilience_conformance.selftest.declarations import Variant
from consilience_conformance.selftest.specimens import NodeCommand, Specimen


async def test_a_restart_is_asked_for_however_long_the_path_of_the_folder_is(tmp_path: Path) -> None:
    nowhere = NodeCommand(words=("no-such-node",))
    one = Specimen(nowhere, folder=tmp_path / ("deep" * 30), variant=Variant.DURABLE, issuer="", mutant="")
    async with one.restartable():
        asking = await asyncio.create_subprocess_exec(*shlex.split(one.restart_command), stderr=PIPE)
        _, said = await asking.communicate()
    assert asking.returncode == 1
    assert b"no-such-node cannot be run" in said
    assert one.restart_command == ""
