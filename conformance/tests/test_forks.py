"""Forks do what the command does: words, output, exit code, and an end by a signal."""

import asyncio
import os
from pathlib import Path

from consilience_conformance import __version__
from consilience_conformance.selftest.forks import forked, is_forkable
from consilience_conformance.verdicts import Exit

JUDGE = "consilience-conformance"


def test_commands_that_packages_bring_along_can_be_forked() -> None:
    assert is_forkable(JUDGE)
    assert is_forkable("consilience-node")
    assert not is_forkable("sh")
    assert not is_forkable(f"./{JUDGE}")


async def test_a_fork_writes_where_it_is_told_and_ends_with_the_exit_code_of_the_command(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = forked(JUDGE, ["--version"], log=log)
    assert await first.wait() == first.returncode == Exit.PASS
    refused = forked(JUDGE, ["explain", "NO-SUCH-001"], log=log)
    assert await refused.wait() == os.EX_USAGE
    said, complaint = log.read_text().split("\n", 1)
    assert said.endswith(__version__)
    assert "NO-SUCH-001" in complaint
    assert "Traceback" not in complaint


async def test_a_fork_is_killed_by_its_id_and_may_have_a_session_of_its_own(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    words = ["registry", "--state-folder", str(tmp_path / "state"), "--address", "127.0.0.1:0"]
    node = forked("consilience-node", [*words, "--ready-file", str(ready)], log=tmp_path / "log", own_session=True)
    while not ready.exists():
        assert node.returncode is None, (tmp_path / "log").read_text()
        await asyncio.sleep(0.01)
    assert os.getsid(node.pid) == node.pid != os.getsid(0)
    node.kill()
    assert await node.wait() == -9
    node.kill()
