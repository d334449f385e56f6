"""The entry is quiet about Ctrl-C, at whatever moment it comes."""

from __future__ import annotations

import asyncio
import sys

import pytest

_HALFWAY = """
import builtins, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
imported = builtins.__import__
def interrupted(name, *rest):
    if name == "google.protobuf":
        os.kill(os.getpid(), signal.SIGINT)
    return imported(name, *rest)
builtins.__import__ = interrupted
from consilience_conformance.entry import main
main()
"""


async def test_ctrl_c_before_the_judge_is_imported_ends_without_a_trace() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HALFWAY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 130
    assert (out, err) == (b"", b"Broken off.\n")


@pytest.mark.parametrize("ignored", [False, True])
async def test_the_entry_runs_the_command_line_and_leaves_ctrl_c_as_it_was(*, ignored: bool) -> None:
    before = f"signal.signal(signal.SIGINT, signal.{'SIG_IGN' if ignored else 'default_int_handler'})"
    told = "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    program = f"""
import signal, sys
sys.argv = ["x", "--version"]
{before}
from consilience_conformance.entry import main
try:
    main()
finally:
    {told}
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.decode().splitlines()[0].startswith("consilience-conformance ")
    assert out.decode().splitlines()[1] == str(ignored)
